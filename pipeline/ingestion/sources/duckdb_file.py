"""A DuckDB file as a source: attached read only, so that nobody can change it in the meantime, and nothing else can be read."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.definitions.company_sections import Source
from pipeline.errors import ConfigError, PipelineError
from pipeline.ingestion.sources import SourceQuery, sql_words
from pipeline.ingestion.sources.duckdb_errors import absent_table, query_error
from pipeline.ingestion.sources.private_duckdb import BATCH_ROWS, CATALOG, open_confined_duckdb, select_schema
from pipeline.lake.engines.duckdb import interruptible
from pipeline.spelling import did_you_mean

_COLUMNS = f"SELECT table_name, column_name FROM duckdb_columns() WHERE database_name = '{CATALOG}' AND NOT internal"  # noqa: S608


class DuckDBFileSnapshot:
    """The tables and views of one file."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        self._connection, self._path = connection, path

    def schema(self, query: SourceQuery) -> pa.Schema:
        with self._translating_errors(query):
            return select_schema(self._connection, query)

    def rows(self, query: SourceQuery) -> Generator[pa.RecordBatch, None, None]:
        with self._translating_errors(query):
            yield from self._connection.sql(query.text, params=query.parameters or None).to_arrow_reader(BATCH_ROWS)

    def reads_spans(self, query: SourceQuery) -> bool:  # noqa: ARG002 - of every query: a table knows what its blocks hold
        return True

    @contextmanager
    def _translating_errors(self, query: SourceQuery) -> Iterator[None]:
        try:
            with interruptible():
                yield
        except duckdb.Error as error:
            raise self._explain_error(str(error), query) from None

    def _explain_error(self, message: str, query: SourceQuery) -> PipelineError:
        columns = self._connection.execute(_COLUMNS).fetchall()
        if name := absent_table(message):
            tables = sorted({table for table, _ in columns})
            what = f"the source has no table `{name}`{did_you_mean(name, tables)}"
            return ConfigError(what, where=str(query.file), todo=f"{self._path.name} has: {', '.join(tables) or 'no table'}.")
        named = sql_words(query.text, query.dialect)
        return query_error(message, query, {column for table, column in columns if table.lower() in named})


@contextmanager
def open_duckdb_file(source: Source, staging: Path, *, memory_limit: str) -> Iterator[DuckDBFileSnapshot]:
    """Open the source's file as one snapshot; what DuckDB spills goes below `staging`.

    Raises ConfigError where there is no such file, DataError where it is no database, TransientError where somebody writes to it.
    """
    path = source.file
    if path is None or not path.is_file():
        raise ConfigError("the source's file does not exist", where=str(path), todo="Set `path` in [source] of company.toml.")
    files = [str(path), f"{path}.wal"]
    with closing(open_confined_duckdb([staging], staging, memory_limit, files=files, attached=path)) as connection:
        yield DuckDBFileSnapshot(connection, path)
