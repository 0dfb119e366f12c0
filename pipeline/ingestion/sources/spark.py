"""A lakehouse as a source: the company's query in Spark SQL, over the catalogue of its own cluster, by Spark Connect.

Spark has no snapshot of several statements. A query may name the instant `$read_at`, which is the same for all queries of a night: tables
of Iceberg and Delta are read as they were then, by `FROM orders TIMESTAMP AS OF $read_at`.

Nothing of ours runs in that cluster: it may be another one than the one that computes nights, of any version of Python.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa

from pipeline.definitions.company_sections import Source
from pipeline.errors import ConfigError, DataError, PipelineError, SchemaDrift, TransientError
from pipeline.ingestion.sources import READ_AT, SourceQuery
from pipeline.ingestion.sources.fitting_types import fitting_batch, fitting_schema
from pipeline.ingestion.sources.relayed import RelayedSnapshot, relaying
from pipeline.lake.engines.spark_errors import condition_of, is_lost, silencing_client
from pipeline.lake.engines.spark_session import open_session
from pipeline.spelling import printable_text

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

_EARLIEST, _LATEST = datetime(1000, 1, 1, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
_DRIFT = ("UNRESOLVED_COLUMN", "FIELD_NOT_FOUND", "UNRESOLVED_FIELD")
_LINE = re.compile(r"\bline (\d+)[, ]")


class SparkSourceSession:
    """One session on the company's cluster; times without a zone are those of `zone`, where one is declared."""

    def __init__(self, session: SparkSession, zone: str, where: str) -> None:
        self._session, self._zone, self._where = session, zone, where

    def literal(self, instant: datetime) -> str:
        at = min(max(instant, _EARLIEST), _LATEST).astimezone(UTC)
        return f"TIMESTAMP '{at:%Y-%m-%d %H:%M:%S.%f}+00:00'"

    def schema(self, text: str, query: SourceQuery) -> pa.Schema:
        from pyspark.errors import PySparkException
        from pyspark.sql.pandas.types import to_arrow_schema

        with self._translating_errors(query):
            found = self._session.sql(text).schema
        try:
            return fitting_schema(to_arrow_schema(found, timezone="UTC"), self._zone)
        except PySparkException:
            what = f"sources/{query.file.name} gives a column of a type that nothing here can hold"
            raise SchemaDrift(what, where=str(query.file), todo="Cast it in the query, to text for one.") from None

    def rows(self, text: str, query: SourceQuery) -> Generator[pa.RecordBatch, None, None]:
        with self._translating_errors(query, reads_rows=True):
            for batch in _batches(self._session, text):
                yield fitting_batch(batch, self._zone, query)

    def now(self) -> datetime:
        """Return the instant on the clock of the cluster, by which its tables were written."""
        with self._translating_errors(None):
            [row] = self._session.sql("SELECT date_format(current_timestamp(), 'yyyy-MM-dd HH:mm:ss.SSSSSSXXX') AS at").collect()
        return datetime.fromisoformat(row["at"])

    @contextmanager
    def _translating_errors(self, query: SourceQuery | None, *, reads_rows: bool = False) -> Iterator[None]:
        from grpc import RpcError
        from pyspark.errors import PySparkException

        try:
            with silencing_client():
                yield
        except (PySparkException, RpcError) as error:
            raise _translated_error(error, query, self._where, reads_rows=reads_rows) from None


@contextmanager
def open_spark_source(source: Source, remote: str, staging: Path, *, memory_limit: str) -> Iterator[RelayedSnapshot]:
    """Yield what one session sees of the lakehouse behind the Connect server at `remote`.

    Raises ConfigError where what answers there is no Spark 4, TransientError where nothing does, or it breaks off.
    """
    where = f"connection `{source.connection}`" if source.connection else "environment variable SPARK_REMOTE"
    # The session has the zone in which times without one are meant, as for every other database.
    session = open_session(remote, {"spark.sql.session.timeZone": source.zone or "UTC"}, where=where)
    try:
        opened = SparkSourceSession(session, source.zone, f"{where} (sc://{urlsplit(remote).hostname})")
        with relaying(opened, staging, memory_limit=memory_limit, instants={READ_AT: opened.now()}) as snapshot:
            yield snapshot
    finally:
        # A broken session cannot be stopped, and what broke it is raised already.
        with suppress(Exception):
            session.stop()


def _batches(session: Any, text: str) -> Iterator[pa.RecordBatch]:  # noqa: ANN401 - its client has no types
    """Yield the rows of a query in the batches in which the server sends them: what it offers besides keeps all of them in memory."""
    rows = session.sql(text)
    for part in session.client.to_table_as_iterator(rows._plan.to_proto(session.client), {}):  # noqa: SLF001 - as `toArrow` does
        if isinstance(part, pa.Table):
            yield from part.to_batches()


def _translated_error(error: Exception, query: SourceQuery | None, where: str, *, reads_rows: bool) -> PipelineError:
    """Return our error for one of Spark's: its words where they are about the query, its kind where they would quote a row."""
    from pyspark.errors import AnalysisException

    condition = condition_of(error)
    if query is None or is_lost(error):
        what = f"the source could not be read: Spark gave up ({condition})"
        return TransientError(what, where=where, todo="Nothing was stored. See that the cluster is up and has room, then run again.")
    file, message = f"sources/{query.file.name}", str(error).strip()
    if not isinstance(error, AnalysisException):
        what = f"{file} failed on a row: Spark refused a value ({condition})"
        return DataError(what, where=str(query.file), todo="Find the row in the source, or make the query bear it: try_cast for one.")
    # Behind the first sentence Spark shows its plan. What is found while rows are read, as a part of a table that is gone, may quote one.
    words = printable_text(message.partition("\n")[0].partition(" SQLSTATE:")[0].removeprefix(f"[{condition}] ")).strip()
    words = condition if reads_rows else words
    found = _LINE.search(message)
    place = f"{query.file}:{found[1]}" if found else str(query.file)
    if condition.startswith(_DRIFT):
        what = f"{file} takes a column for another one than the source has: {words}"
        return SchemaDrift(what, where=place, todo="Edit the query, or have the source give the column as it did before.")
    return ConfigError(f"{file} cannot be run: {words}", where=place, todo="Edit the query.")
