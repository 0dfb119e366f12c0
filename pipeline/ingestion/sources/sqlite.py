"""A SQLite file as a source: its tables and views as rows of text, read in one transaction that writes nothing.

SQLite keeps in each cell what was written there, whatever the column is declared as: money may be a double in one row and a text in the
next. So cells are text, as those of CSV files are, and types are those that `[source.column_types.<table>]` declares.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa

from pipeline.definitions.company_sections import Source
from pipeline.definitions.source_formats import TableFormat
from pipeline.errors import ConfigError, DataError, PipelineError, TransientError
from pipeline.ingestion.sources import quote_name
from pipeline.ingestion.sources.cell_texts import number_text
from pipeline.ingestion.sources.csv_text import repeated_names
from pipeline.ingestion.sources.declared_tables import require_known_tables
from pipeline.ingestion.sources.files import FilesSnapshot
from pipeline.ingestion.sources.private_duckdb import open_confined_duckdb
from pipeline.ingestion.sources.staged_rows import BATCH_ROWS, StagedRows, text_batch
from pipeline.ingestion.sources.table_files import SourceTable

_WAIT_SECONDS = 60.0
_TABLES = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"


@contextmanager
def open_sqlite(source: Source, staging: Path, *, memory_limit: str, with_rows: bool = True) -> Iterator[FilesSnapshot]:
    """Open the tables and views of the source's file as one snapshot; copies of what queries name go below `staging`, perhaps without rows.

    Raises ConfigError where there is no such file, DataError where it is no database, TransientError where it is locked.
    """
    path = source.file
    if path is None or not path.is_file():
        raise ConfigError("the source's file does not exist", where=str(path), todo="Set `path` in [source] of company.toml.")
    with _translating_errors(path), closing(_open_for_reading(path)) as database:
        names = [name for (name,) in database.execute(_TABLES)]
        tables = {name: SourceTable(name, (path,), path.parent, "SQLite") for name in names}
        require_known_tables(source, tables)

        def rows_of(files: SourceTable, declared: TableFormat, _types: Mapping[str, str]) -> StagedRows:
            return StagedRows(files, declared, staging, "row", partial(_read_table, database, files.name, with_rows=with_rows))

        with closing(open_confined_duckdb([staging], staging, memory_limit)) as connection:
            yield FilesSnapshot(connection, source, tables, rows_of)


def _open_for_reading(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None, timeout=_WAIT_SECONDS)
    # The first row that is read begins the moment that all others are of.
    database.execute("BEGIN")
    database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return database


def _read_table(database: sqlite3.Connection, name: str, path: Path, *, with_rows: bool) -> Iterator[pa.RecordBatch]:
    query = f"SELECT * FROM {quote_name(name)}{'' if with_rows else ' LIMIT 0'}"  # noqa: S608 - its own name
    with _translating_errors(path, name), closing(database.execute(query)) as rows:
        columns = [each[0] for each in rows.description]
        if twice := repeated_names(columns):
            what = f"{path.name}, table {name}: columns whose names differ by case at most: {', '.join(twice)}"
            raise DataError(what, where=str(path), todo="Make a view that gives each its own name, and read that.")
        first = 1
        while batch := rows.fetchmany(BATCH_ROWS):
            texts = [[_cell_text(cell) for cell in cells] for cells in zip(*batch, strict=True)]
            yield text_batch(range(first, first + len(batch)), dict(zip(columns, texts, strict=True)))
            first += len(batch)
        yield text_batch([], {column: [] for column in columns})


def _cell_text(cell: str | float | bytes | None) -> str | None:
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bytes):
        return cell.hex()
    return number_text(cell) if isinstance(cell, float) else str(cell)


@contextmanager
def _translating_errors(path: Path, table: str = "") -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _translated_error(error, path, table) from None


def _translated_error(error: sqlite3.Error, path: Path, table: str) -> PipelineError:
    name, where = getattr(error, "sqlite_errorname", "") or "", str(path)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL")):
        return TransientError("the database is locked by another program", where=where, todo="Run again when it is done.")
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
        todo = "Let the user that runs this read it, with the files beside it that end in -wal and -shm; or read a copy."
        return DataError("the database cannot be opened for reading", where=where, todo=todo)
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return DataError(f"{path.name} is no SQLite database, or is damaged", where=where, todo="Copy it again, or set `path` to one.")
    what = f"{path.name}, table {table}: cannot be read" if table else f"{path.name} cannot be read"
    return DataError(f"{what} ({name or 'text that is not UTF-8'})", where=where, todo="Mend the table, or the view, in the database.")
