from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.local_spark import local_session

from pipeline.lake.engines.spark import SparkEngine


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkEngine]:
    session = local_session(tmp_path_factory.mktemp("spark"))
    yield SparkEngine(session)
    session.stop()
