from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import pytest
from support.local_spark import SparkOver
from support.object_store import CREDENTIALS

from local.spark_cluster import SparkCluster, running_cluster
from pipeline.lake.engines.spark import SparkEngine
from pipeline.lake.engines.spark_errors import silencing_client
from pipeline.lake.engines.spark_session import connect, disconnect

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkCluster]:
    """Return a cluster of its own, or the one that `make cluster` runs and TEST_SPARK_REMOTE names: that saves its start."""
    if remote := os.environ.get("TEST_SPARK_REMOTE"):
        yield SparkCluster(remote, {}, Path())
        return
    keys = {"AWS_ACCESS_KEY_ID": CREDENTIALS.key, "AWS_SECRET_ACCESS_KEY": CREDENTIALS.secret}
    with mock.patch.dict(os.environ, keys), running_cluster(tmp_path_factory.mktemp("spark")) as running:
        yield running


@pytest.fixture(scope="session")
def spark(cluster: SparkCluster) -> Iterator[SparkOver]:
    """A function that returns the engine which reads a lake: all of them share one session."""
    connection = connect(cluster.remote)
    yield lambda lake: SparkEngine(connection, lake.store)
    connection.close()
    disconnect(cluster.remote)


@pytest.fixture(scope="session")
def spark_session(cluster: SparkCluster) -> Iterator[SparkSession]:
    """Return a session of somebody who knows nothing of us."""
    with silencing_client():
        from pyspark.sql.connect.session import SparkSession

        session = SparkSession.builder.remote(cluster.remote).create()
        yield session
        session.stop()
