from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.local_spark import SparkOver, local_session

from pipeline.lake.engines.spark import SparkEngine


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkOver]:
    """A function that returns the engine which reads a lake: all of them share one session."""
    session = local_session(tmp_path_factory.mktemp("spark"))
    yield lambda lake: SparkEngine(session, lake.store)
    session.stop()
