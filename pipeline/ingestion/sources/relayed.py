"""Databases whose rows come through this machine: the company's query runs in the database, what is made around it in a private DuckDB.

So nothing but the query itself needs the database's dialect. One session is one moment of the database. What a kind of database is, says a
`SourceSession`: it gives the columns of a query and its rows as Arrow, and writes an instant as its SQL understands it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import duckdb
import pyarrow as pa

from pipeline.errors import PipelineError
from pipeline.ingestion.sources import PARAMETERS, SourceQuery, parameter_places
from pipeline.ingestion.sources.duckdb_errors import query_error
from pipeline.ingestion.sources.private_duckdb import BATCH_ROWS, open_confined_duckdb
from pipeline.lake.engines.duckdb import interruptible

_ROWS = "segments_rows"


class SourceSession(Protocol):
    """One moment of a database."""

    def literal(self, instant: datetime) -> str:
        """Return the SQL of an instant."""

    def schema(self, text: str, query: SourceQuery) -> pa.Schema:
        """Return names and types of the columns of the SQL `text` without reading its rows; errors are about `query`."""

    def rows(self, text: str, query: SourceQuery) -> Generator[pa.RecordBatch, None, None]:
        """Yield its rows in batches of bounded size."""


class RelayedSnapshot:
    """What one session sees of the database."""

    def __init__(self, session: SourceSession, connection: duckdb.DuckDBPyConnection, instants: Mapping[str, datetime]) -> None:
        self._session, self._connection, self._instants = session, connection, instants
        self._schemas: dict[str, pa.Schema] = {}

    def schema(self, query: SourceQuery) -> pa.Schema:
        # Some databases run the whole query to describe it; its columns are the same for whatever days it is asked.
        authored = query.authored or query.text
        if authored not in self._schemas:
            self._schemas[authored] = self._session.schema(self._text_within(query), query)
        return self._schemas[authored]

    def rows(self, query: SourceQuery) -> Generator[pa.RecordBatch, None, None]:
        schema = self.schema(query)
        with closing(self._session.rows(self._text_within(query), query)) as batches:
            if not query.authored:
                yield from batches
                return
            failures: list[PipelineError] = []
            reader = pa.RecordBatchReader.from_batches(schema, _noting_failure(batches, failures))
            around = replace(query, dialect="duckdb", text=query.text.replace(f"(\n{query.authored}\n) AS source", f"{_ROWS} AS source"))
            yield from self._rows_around(around, reader, failures)

    def reads_spans(self, query: SourceQuery) -> bool:
        """Return whether the query asks for the days that it is given: without, each span would be all that there is."""
        return {name for *_, name in parameter_places(query.authored or query.text, query.dialect)} >= set(PARAMETERS)

    def _rows_around(self, query: SourceQuery, reader: pa.RecordBatchReader, failures: Sequence[PipelineError]) -> Iterator[pa.RecordBatch]:
        self._connection.register(_ROWS, reader)
        try:
            with interruptible():
                yield from self._connection.sql(query.text, params=query.parameters or None).to_arrow_reader(BATCH_ROWS)
        except duckdb.Error as error:
            raise next(iter(failures), None) or query_error(str(error), query, ()) from None
        finally:
            self._connection.unregister(_ROWS)

    def _text_within(self, query: SourceQuery) -> str:
        """Return the company's own query, with instants for its parameters."""
        text = query.authored or query.text
        bounds = {"day_start": query.window.start, "day_end": query.window.end, **self._instants}
        # From the end, so that the places before stay right.
        for start, end, name in reversed(parameter_places(text, query.dialect)):
            text = f"{text[:start]}{self._session.literal(bounds[name])}{text[end:]}"
        return text


def _noting_failure(batches: Iterator[pa.RecordBatch], failures: list[PipelineError]) -> Iterator[pa.RecordBatch]:
    """Yield the batches; of an error of theirs, DuckDB, which reads them, would only say that there was one."""
    try:
        yield from batches
    except PipelineError as error:
        failures.append(error)
        raise


@contextmanager
def relaying(
    session: SourceSession, staging: Path, *, memory_limit: str, instants: Mapping[str, datetime] | None = None
) -> Iterator[RelayedSnapshot]:
    """Yield the snapshot of an open session; what DuckDB spills goes below `staging`.

    `instants` are what queries may name by these parameters besides the bounds of the night.
    """
    with closing(open_confined_duckdb([staging], staging, memory_limit)) as connection:
        yield RelayedSnapshot(session, connection, instants or {})
