"""Sessions on a Spark cluster: reached over Spark Connect, checked before they are used, and given our code."""

from __future__ import annotations

import atexit
import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pyarrow as pa

from pipeline.errors import ConfigError, TransientError
from pipeline.lake.engines.sent_code import send_code
from pipeline.lake.engines.spark_errors import silence_query_log, silencing_client
from pipeline.lake.engines.spark_executors import require_equal_versions, versions_of_executor
from pipeline.lake.executors.versions import NEAREST, SORTED
from pipeline.tls import tls_error

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession
    from pyspark.sql.types import StructType

    from pipeline.lake.engines.spark_views import SparkView

REMOTE = "environment variable SPARK_REMOTE"
DEFAULT_PORT = 15002
OLDEST_SERVER = (4, 0)
PORT_SECONDS = 10
# Of calls that the server does not answer; by itself the client goes on for ten minutes.
RETRIES = 6  # within about half a minute
# What decides about numbers, dates and texts: a cluster may have set it otherwise.
SETTINGS = {
    # Spark takes what our reader gives for a few rows, and would send the rows of everybody through the server to each executor.
    "spark.sql.autoBroadcastJoinThreshold": "-1",
    "spark.sql.adaptive.autoBroadcastJoinThreshold": "10MB",  # by then it has counted them
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.caseSensitive": "false",
    "spark.sql.decimalOperations.allowPrecisionLoss": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
    "spark.sql.execution.arrow.useLargeVarTypes": "false",
}
_idle: dict[str, list[SparkConnection]] = {}
log = logging.getLogger("pipeline.lake.engines.spark_session")


@dataclass(frozen=True)
class SparkConnection:
    """A session on the cluster at `remote`, for one engine at a time, what it has as views of which names, and an executor's versions."""

    remote: str
    session: SparkSession
    views: dict[str, SparkView] = field(default_factory=dict)
    executor: Mapping[str, str] = field(default_factory=dict)

    @property
    def sorts_rows(self) -> bool:
        """Whether what is sorted within tasks comes to our code in that order: Spark does so, and Sail leaves out the sort."""
        return SORTED in self.executor

    @property
    def casts_to_nearest(self) -> bool:
        """Whether a decimal becomes the nearest double: of Sail one beyond 2^53 units of its last digit may be off by a bit."""
        return NEAREST in self.executor

    @cached_property
    def parallelism(self) -> int:
        """How many tasks a shuffle has, which the cluster is set to."""
        return int(str(self.session.conf.get("spark.sql.shuffle.partitions", "200")))

    def spark_schema(self, schema: pa.Schema) -> StructType:
        """Return `schema` in Spark's types."""
        from pyspark.sql.pandas.types import from_arrow_schema

        found: StructType = from_arrow_schema(schema)
        return found

    def close(self) -> None:
        """Give the session back, for making one takes longer than a small statement; one whose server is gone is dropped."""
        with suppress(TransientError), _translating_connection_errors(self.remote):
            for name in self.views:
                self.session.catalog.dropTempView(name)
            self.views.clear()
            _idle.setdefault(self.remote, []).append(self)


def connect(remote: str) -> SparkConnection:
    """Return a session on the cluster at `remote`, `sc://host:port`; whoever takes it closes it.

    Raises ConfigError where what answers there cannot run our code to the same bytes, TransientError where nothing answers.
    """
    while _idle.get(remote) and is_answering(remote):
        connection = _idle[remote].pop()
        # One that a server does not know, as it was started anew since, is dropped.
        with suppress(TransientError), _translating_connection_errors(remote):
            connection.session.conf.get("spark.sql.session.timeZone")
            return connection
    session = open_session(remote, SETTINGS)
    with _translating_connection_errors(remote):
        executor = require_equal_versions(session, where=REMOTE, takes_code=send_code(session))
    return SparkConnection(remote, session, executor=executor)


def open_session(remote: str, settings: Mapping[str, str], *, where: str = REMOTE) -> SparkSession:
    """Return a new session with these settings on the cluster at `remote`, which messages call `where`; whoever opens it stops it.

    Raises ConfigError where what answers there is no Spark 4, TransientError where nothing does, or it breaks off.
    """
    _require_answering_port(remote, where)
    try:
        with silencing_client():
            from pyspark.sql.connect.client.retries import DefaultPolicy
            from pyspark.sql.connect.session import SparkSession
    except ImportError as error:
        what = f"Spark needs the package {getattr(error, 'name', None) or 'pyspark-client'}"
        todo = "Install it: pip install --require-hashes -r requirements.txt -r requirements-spark.txt"
        raise ConfigError(what, where=where, todo=todo) from None
    silence_query_log()
    with _translating_connection_errors(remote, where):
        session = SparkSession.builder.remote(remote).create()
        # As a process ends, the client would tidy up models that we never fit: where the server is gone by then, for half a minute.
        atexit.unregister(session.client._on_exit)  # noqa: SLF001 - it has no setting
        session.client.set_retry_policies(
            [DefaultPolicy(max_retries=RETRIES, initial_backoff=500, backoff_multiplier=2, max_backoff=8_000)]
        )
        _require_server(remote, session.version, where)
        for name, value in settings.items():
            session.conf.set(name, value)
    return session


def disconnect(remote: str) -> None:
    """End the sessions that no engine uses; a process that ends does so by itself."""
    for connection in _idle.pop(remote, []):
        with silencing_client():
            connection.session.stop()


@atexit.register
def _disconnect_all() -> None:
    for remote in filter(is_answering, list(_idle)):
        disconnect(remote)


def is_answering(remote: str) -> bool:
    """Return whether anything answers at the address; raises ConfigError where it is none of a Spark Connect server."""
    try:
        _require_answering_port(remote, REMOTE)
    except TransientError:
        return False
    return True


def _require_answering_port(remote: str, where: str) -> None:
    """Ask the port first: the client would go on trying for minutes, and say nothing."""
    place = _place_of(remote, where)
    try:
        socket.create_connection(place, timeout=PORT_SECONDS).close()
    except OSError as error:
        what = f"no Spark Connect server answers at {place[0]}:{place[1]} ({error.strerror or type(error).__name__})"
        # A server that is started anew in the middle of a night is away for a while: whoever may run again does.
        todo = "Start it, or correct the address, and run again; to try it on this machine: make cluster."
        raise TransientError(what, where=where, todo=todo) from None


def _place_of(remote: str, where: str) -> tuple[str, int]:
    try:
        parts = urlsplit(remote)
        place = (parts.hostname or "", parts.port or DEFAULT_PORT) if parts.scheme == "sc" else ("", 0)
    except ValueError:
        place = ("", 0)
    if not place[0]:
        what = f"{where.rpartition(' ')[2]} is no address of a Spark Connect server"
        raise ConfigError(what, where=where, todo="Write it as sc://host:15002.")
    return place


def _require_server(remote: str, version: str, where: str) -> None:
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if numbers < OLDEST_SERVER:
        what = f"the server at {urlsplit(remote).hostname} is Spark {version}, and 4.0 is the oldest that runs our statements"
        raise ConfigError(what, where=where, todo="Use a cluster of Spark 4.")


@contextmanager
def _translating_connection_errors(remote: str, where: str = REMOTE) -> Iterator[None]:
    from grpc import RpcError
    from pyspark.errors import PySparkException

    try:
        with silencing_client():
            yield
    except (PySparkException, RpcError) as error:
        if fault := tls_error(
            f"the server at {urlsplit(remote).hostname} cannot be reached", error, where=where, trust="GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
        ):
            raise fault from None
        what = f"the server at {urlsplit(remote).hostname} did not answer as Spark Connect does: {type(error).__name__}"
        raise TransientError(what, where=where, todo="See that the server is up and is a Spark Connect server, then run again.") from None


def versions_at(remote: str) -> dict[str, str]:
    """Return what a cluster runs: the version of Spark that its server speaks, its own, and those of an executor by name."""
    with closing(connect(remote)) as connection, _translating_connection_errors(remote):
        [row] = connection.session.sql("SELECT VERSION()").collect()
        return {"spark": connection.session.version, "server": row[0]} | versions_of_executor(connection.session)
