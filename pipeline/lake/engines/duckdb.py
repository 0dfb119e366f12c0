"""DuckDB, the embedded default: bounded memory, spilling to a private folder, no way out of the lake."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from pipeline.errors import DataError, TransientError
from pipeline.lake.damage import outdated_error, reading, require_whole_private_file
from pipeline.lake.engines import Files, Parameter, empty_select, parameter_names, parts_of, paths_by_condition, place_of
from pipeline.lake.engines.sum_errors import is_overflow, overflow_error
from pipeline.lake.file_parts import FilePart
from pipeline.lake.lake import Lake
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.lake.parquet import ROW_GROUP_ROWS
from pipeline.lake.staging import reader_folder
from pipeline.lake.statements import duckdb_text
from pipeline.lake.store import Store
from pipeline.lake.tables import Table


class _SumTooLarge(DataError):
    """What a statement adds up does not fit; the engine that runs it knows which tables it reads."""


class DuckDBEngine:
    """Runs statements in one private in-memory database that can read the files of `store` and nothing else.

    It `remembers_footers` of files for the sake of several statements over the same ones, as long as it is open.
    """

    keeps_order = True  # `preserve_insertion_order` is on, and cannot be turned off
    needs_slices = True

    def __init__(
        self, store: Store, *, memory_limit: str = MEMORY_LIMIT, threads: int | None = None, remembers_footers: bool = False
    ) -> None:
        self._store, self._resources = store, ExitStack()
        self._registered: dict[str, tuple[Table, Sequence[FilePart]]] = {}
        with _translating_engine_errors():
            self._folder = self._resources.enter_context(reader_folder(store))
        # What does not fit the memory is spilled into our own folder; by default that would be the one the command was given in.
        settings: dict[str, Any] = {"memory_limit": memory_limit, "temp_directory": str(self._folder)}
        if threads:
            settings["threads"] = threads
        self._connection = self._resources.enter_context(duckdb.connect(config=settings))
        if remembers_footers:
            self._connection.execute("SET parquet_metadata_cache = true")
        confine_connection(self._connection, [store.local(""), self._folder])

    @property
    def folder(self) -> Path:
        """A private folder whose files statements may read; gone once the engine is closed."""
        return self._folder

    def register(self, table: Table, files: Files) -> None:
        parts = parts_of(self._store, files, self._folder)
        self._require_whole_files(table, parts)
        # Remembered to explain a failing statement by the file that lacks one of its columns.
        self._registered[table.name] = (table, parts)
        self._create_view(table, self._select_from_parts(table, parts) if parts else empty_select(table, "duckdb"))

    def _require_whole_files(self, table: Table, parts: Iterable[FilePart]) -> None:
        """Verify what can be read of the files by the columns of `table`; DuckDB would turn a flipped bit into another number."""
        names = {column.name for column in table.stored_columns}
        for part in parts:
            if part.address is None:
                require_whole_private_file(table.name, part.path, names)
            else:
                with reading(self._store, table.name, part.address, columns=names, link=part.path):
                    pass

    def _select_from_parts(self, table: Table, parts: Sequence[FilePart]) -> str:
        selects = [
            f"SELECT {_selected(table, lacking)} FROM {_read_parquet(paths)}{f' WHERE {condition}' if condition else ''}"  # noqa: S608 - our own names, quoted
            for (condition, lacking), paths in paths_by_condition(self._store, table, parts, "duckdb").items()
        ]
        return " UNION ALL ".join(selects)

    def define(self, table: Table, statement: exp.Query) -> None:
        self._create_view(table, duckdb_text(statement))

    def materialize(self, table: Table, statement: exp.Query) -> None:
        # Its own name, as a table cannot take the place of a view; in rows, so that it spills as statements do.
        rows = _quoted_names((f"rows of {table.name}",))
        with self._translating_errors_by_file(statement):
            self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {rows} AS {duckdb_text(statement)}")
        self._create_view(table, f"SELECT * FROM {rows}")  # noqa: S608 - our own name, quoted

    def run(self, statement: exp.Query, parameters: Mapping[str, Parameter]) -> pa.RecordBatchReader:
        used = {name: parameters[name] for name in parameter_names(statement)}
        with self._translating_errors_by_file(statement):
            reader = _run(self._connection, duckdb_text(statement), used)
        return pa.RecordBatchReader.from_batches(reader.schema, self._batches(reader, statement))

    def _create_view(self, table: Table, query: str) -> None:
        # As text: built step by step, a relation would open every file anew at each step.
        with self._translating_errors_by_file():
            self._connection.execute(f"CREATE OR REPLACE VIEW {_quoted_names((table.name,))} AS {query}")

    def _batches(self, reader: pa.RecordBatchReader, statement: exp.Query) -> Iterator[pa.RecordBatch]:
        with self._translating_errors_by_file(statement):
            yield from reader

    @contextmanager
    def _translating_errors_by_file(self, statement: exp.Query | None = None) -> Iterator[None]:
        """Translate errors; where a registered file lacks a declared column, name that file, as this is what made DuckDB fail."""
        try:
            with _translating_engine_errors():
                yield
        except _SumTooLarge:
            named = {table.name for table in statement.find_all(exp.Table)} if statement else set()
            read = {name: parts for name, (_, parts) in self._registered.items() if name in named}
            raise overflow_error(statement, read, (place_of(self._store, part) for parts in read.values() for part in parts)) from None
        except DataError:
            for table, parts in self._registered.values():
                self._require_columns(table, parts)
            raise

    def _require_columns(self, table: Table, parts: Iterable[FilePart]) -> None:
        for part in parts:
            if part.path.exists():  # a step's private files go with it
                self._require_whole_files(table, [part])
                found = pq.read_schema(str(part.path)).names
                if lacking := [name for name in table.column_names if name not in found and name not in table.later_columns]:
                    raise outdated_error(table, place_of(self._store, part), lacking)

    def close(self) -> None:
        self._resources.close()


def open_engine(lake: Lake, *, memory_limit: str, remembers_footers: bool = False) -> DuckDBEngine:
    """Return an engine that reads `lake` and spills into it; whoever opens it closes it."""
    return DuckDBEngine(lake.store, memory_limit=memory_limit, remembers_footers=remembers_footers)


def select_from_memory(table: Table, rows: pa.Table, statement: exp.Query) -> pa.Table:
    """Return what `statement`, which reads `table`, selects from `rows`, whatever columns they have; nothing else can be read."""
    with _translating_engine_errors(), _memory_database(os.getpid()).cursor() as connection:
        connection.register(table.name, rows)  # for this cursor alone, and gone with it
        return _run(connection, duckdb_text(statement), {}).read_all()


def _run(connection: duckdb.DuckDBPyConnection, query: str, parameters: Mapping[str, Parameter]) -> pa.RecordBatchReader:
    """Return the rows of `query` as a stream, as `connection.sql(query, params=parameters).to_arrow_reader()` does."""
    # That parses and binds the query once more, to be a relation that others could build on: a seventh of what a small night costs.
    reader: pa.RecordBatchReader = connection._submit(query, {**parameters} or None, "stream", ROW_GROUP_ROWS).arrow_reader()  # noqa: SLF001
    return reader


@cache
def _memory_database(_process: int) -> duckdb.DuckDBPyConnection:
    """Return the database of this process that can read no file: opening one takes longer than checking a small batch.

    A process is named as a forked one has no threads of its parent's database.
    """
    database = duckdb.connect()
    confine_connection(database, [])
    return database


def confine_connection(connection: duckdb.DuckDBPyConnection, folders: Iterable[Path], *, files: Sequence[str] = ()) -> None:
    """Restrict a connection and its cursors to these folders and single files, for good, and set their time zone to UTC."""
    # Else dates of instants would follow the time zone of the machine.
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    # A process started by another one would draw progress bars into its log.
    connection.execute("SET enable_progress_bar = false")
    connection.execute("SET allowed_directories = $roots", {"roots": [f"{folder}/" for folder in folders]})
    if files:
        connection.execute("SET allowed_paths = $files", {"files": [*files]})
    # In this order: folders can be allowed only before access ends, and nothing at all once the configuration is locked.
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _selected(table: Table, lacking: frozenset[str]) -> str:
    if not lacking:
        return _quoted_names(tuple(column.name for column in table.stored_columns))
    columns = [
        exp.alias_(exp.cast(exp.null(), column.kind.sql, dialect="duckdb"), column.name, quoted=True)
        if column.name in lacking
        else exp.column(column.name, quoted=True)
        for column in table.stored_columns
    ]
    return ", ".join(column.sql("duckdb") for column in columns)


def _read_parquet(paths: Sequence[Path]) -> str:
    files = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    # The version of a row is in its columns; folder names such as `known=all` must not become columns as well.
    return f"read_parquet([{files}], hive_partitioning = false)"


@cache
def _quoted_names(names: tuple[str, ...]) -> str:
    # Written here, as a statement names a hundred columns, and building a tree for each takes longer than the database does.
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end a statement of the block as it ends anything else: DuckDB makes an error of its own of it."""
    try:
        yield
    except RuntimeError as error:
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from None
        raise


@contextmanager
def _translating_engine_errors() -> Iterator[None]:
    """Raise the engine's errors as ours, naming their kind alone: its own messages quote values of customers."""
    try:
        with interruptible():
            yield
    except duckdb.OutOfMemoryException:
        raise TransientError("a statement ran out of memory", todo="Raise SEGMENTS_MEMORY_LIMIT or free memory, then run again.") from None
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        if is_overflow(str(error)):
            raise _SumTooLarge("a sum is too large", todo="Look for an amount that is out of range.") from None
        kind = getattr(error, "strerror", None) or str(error).partition(":")[0]
        if isinstance(error, duckdb.IOException) or getattr(error, "errno", None) or kind in ("IO Error", "Out of Memory Error"):
            raise TransientError(f"a statement failed: {kind}", todo="Free disk space or memory, then run again.") from None
        raise DataError(f"a statement failed on a value: {kind}", todo="Look for an amount or a date that is out of range.") from None
