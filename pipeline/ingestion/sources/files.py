"""A folder of files as a source: a private DuckDB that can read this folder and nothing else.

Which files are tables says `table_files`; the files of one table are stacked by column name.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.definitions.company_sections import Source
from pipeline.definitions.source_formats import TableFormat
from pipeline.errors import ConfigError, DataError, PipelineError, TransientError
from pipeline.ingestion.sources import SourceQuery, quote_name, sql_words
from pipeline.ingestion.sources.cell_types import BAD_CELL
from pipeline.ingestion.sources.csv_files import CsvRows, rejected_lines
from pipeline.ingestion.sources.declared_tables import require_known_tables
from pipeline.ingestion.sources.duckdb_errors import absent_table, is_about_rows, query_error
from pipeline.ingestion.sources.failed_casts import cast_columns, instant_columns
from pipeline.ingestion.sources.newest_files import require_key, rows_of_newest_files
from pipeline.ingestion.sources.parquet_files import read_parquet_files
from pipeline.ingestion.sources.private_duckdb import BATCH_ROWS, open_confined_duckdb, select_schema
from pipeline.ingestion.sources.table_files import SourceTable, find_tables, link_targets, missing_table_error
from pipeline.ingestion.sources.text_rows import FILE_COLUMN, TextRows
from pipeline.ingestion.sources.text_tables import TextTable
from pipeline.lake.engines.duckdb import interruptible
from pipeline.lake.file_stamps import FileStamp

_MICROSECONDS = {"TIMESTAMP_NS": "TIMESTAMP", "TIMESTAMP WITH TIME ZONE_NS": "TIMESTAMPTZ", "TIMESTAMPTZ_NS": "TIMESTAMPTZ"}


class FilesSnapshot:
    """The tables of one folder; a table is opened when a query first names it."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        source: Source,
        tables: Mapping[str, SourceTable],
        rows_of: Callable[[SourceTable, TableFormat, Mapping[str, str]], TextRows],
    ) -> None:
        self._connection, self._source, self._tables, self._rows_of = connection, source, tables, rows_of
        self._opened: set[str] = set()
        self._texts: dict[str, TextTable] = {}

    def schema(self, query: SourceQuery) -> pa.Schema:
        self._open_named_tables(query)
        with self._translating_errors(query):
            return select_schema(self._connection, query)

    def rows(self, query: SourceQuery) -> Generator[pa.RecordBatch, None, None]:
        with self._translating_errors(query):
            relation = self._connection.sql(query.text, params=query.parameters or None)
            yield from relation.to_arrow_reader(BATCH_ROWS)
        # Only now: the reader leaves broken lines out, and knows of each once it has come by.
        if broken := self._broken_lines():
            raise broken

    def reads_spans(self, query: SourceQuery) -> bool:
        named = sql_words(query.text, query.dialect)
        # Text has no index: whatever the span, every file is read from front to back.
        return not any(name.lower() in named for name in self._texts)

    def _open_named_tables(self, query: SourceQuery) -> None:
        named = sql_words(query.text, query.dialect)
        for name in self._tables:  # in order, so that of two that are wrong it is always the same that is named
            if name.lower() in named and name not in self._opened:
                self._open_table(self._tables[name])
                self._opened.add(name)
        self._read_instants(query)

    def _open_table(self, files: SourceTable) -> None:
        files.require_readable()
        try:
            declared = self._source.formats.get(files.name, TableFormat())
            if files.kind == "Parquet":
                self._open_parquet(files, declared.key)
                return
            types = (self._source.column_types or {}).get(files.name, {})
            rows = self._rows_of(files, declared, types)
            rows.open()
            table = TextTable(rows, types)
            table.create_views(self._connection)
            self._texts[files.name] = table
        except duckdb.Error as error:
            where = next((str(path) for path in files.paths if str(path) in str(error)), str(files.paths[0].parent))
            what = f"the files of table `{files.name}` cannot be read"
            raise DataError(what, where=where, todo="Have the file written again, or copy it again if it had not arrived yet.") from None

    def _open_parquet(self, files: SourceTable, key: Sequence[str]) -> None:
        read = partial(read_parquet_files, self._connection, is_partitioned=files.is_partitioned)
        rows = read(files.paths)
        # pandas writes nanoseconds, which no column of ours holds and which cannot be compared with an instant.
        columns = [
            f"CAST({name} AS {_MICROSECONDS[kind]}) AS {name}" if kind in _MICROSECONDS else name
            for name, kind in zip(map(quote_name, rows.columns), map(str, rows.types), strict=True)
            if name != quote_name(FILE_COLUMN)
        ]
        if key:
            for path in files.paths:
                require_key(files, path, read([path]).columns, key)
            rows.create_view(f"segments raw {files.name}")
            rows = rows_of_newest_files(self._connection, rows, files, {str(path): path for path in files.paths}, key)
        rows.project(", ".join(columns)).create_view(files.name)

    def _read_instants(self, query: SourceQuery) -> None:
        """Read the text that a query casts to an instant as DuckDB can; the views are made anew where that concerns them."""
        if not self._texts:
            return
        wanted = instant_columns(query.text)
        for name, table in self._texts.items():
            if not wanted <= table.instants:
                self._texts[name] = table.with_instants(wanted)
                self._texts[name].create_views(self._connection)

    def _broken_lines(self) -> DataError | None:
        csv = [table.rows for table in self._texts.values() if isinstance(table.rows, CsvRows)]
        return rejected_lines(self._connection, csv) if csv else None

    @contextmanager
    def _translating_errors(self, query: SourceQuery) -> Iterator[None]:
        try:
            with interruptible():
                yield
        except (duckdb.Error, OSError) as error:
            message = str(error)
            # Looking for bad cells reads the files to their ends, and only then does DuckDB know every broken line.
            cells = next(filter(None, (table.bad_cells(self._connection) for table in self._texts.values() if BAD_CELL in message)), None)
            raise (self._broken_lines() or cells or self._explain_error(message, query)) from None

    def _explain_error(self, message: str, query: SourceQuery) -> PipelineError:
        if name := absent_table(message):
            return missing_table_error(name, self._source.folder or self._source.file, self._tables, str(query.file))
        if not is_about_rows(message):
            # A file that is cut off fails like a disk; looking for that reads it to its end.
            cut_off = (table.rows.find_cut_off() for table in self._texts.values())
            return next(filter(None, cut_off), None) or query_error(message, query, self._columns_named(query))
        faults = (table.rows.find_fault() for table in self._texts.values())
        return next(filter(None, faults), None) or self._failed_cast(query) or query_error(message, query, ())

    def _failed_cast(self, query: SourceQuery) -> DataError | None:
        """Return the error for the cells that a cast of the query cannot read; None where none of its casts is to blame."""
        casts = cast_columns(query.text)
        if found := next(filter(None, (table.failed_casts(self._connection, casts) for table in self._texts.values())), None):
            return found
        for name in sorted(self._opened - self._texts.keys()):
            view = self._connection.view(quote_name(name))
            known = {column.lower(): column for column in view.columns}
            for column, kind in ((known[each.lower()], kind) for each, kind in casts if each.lower() in known):
                quoted = quote_name(column)
                try:
                    count = view.filter(f"{quoted} IS NOT NULL AND TRY_CAST({quoted} AS {kind}) IS NULL").shape[0]
                except duckdb.Error:
                    continue  # a cast that no value of the column's type has
                if count:
                    what = f"sources/{query.file.name} failed on a row: {name}.{column} is no {kind} in {count:,} rows"
                    todo = f"Correct them in the source, or write `TRY_CAST({quoted} AS {kind})`, which leaves them empty."
                    return DataError(what, where=str(self._tables[name].paths[0]), todo=todo)
        return None

    def _columns_named(self, query: SourceQuery) -> set[str]:
        named = sql_words(query.text, query.dialect)
        return {column for name in self._opened if name.lower() in named for column in self._connection.view(quote_name(name)).columns}


@contextmanager
def open_files(source: Source, staging: Path, *, memory_limit: str) -> Iterator[FilesSnapshot]:
    """Open the tables of the source's folder as one snapshot; what DuckDB spills goes below `staging`.

    Raises ConfigError where there is no folder, TransientError where a file changed while it was read.
    """
    folder = source.folder
    if folder is None or not folder.is_dir():
        is_file = folder is not None and folder.exists()
        what = "the source's `path` is a file, not a folder" if is_file else "the source's folder does not exist"
        todo = (
            "Set `path` in [source] of company.toml to the folder that the file is in."
            if is_file
            else "Set `path` in [source] of company.toml."
        )
        raise ConfigError(what, where=str(folder), todo=todo)
    tables = find_tables(folder)
    require_known_tables(source, tables)
    before = _stamps(tables)
    with closing(open_confined_duckdb([folder, staging], staging, memory_limit, files=link_targets(tables.values(), folder))) as connection:
        yield FilesSnapshot(connection, source, tables, partial(_text_rows, staging))
    # Files have no transactions: that none changed in the meantime is what makes this a snapshot.
    if _stamps(find_tables(folder)) != before:
        raise TransientError("a file changed while it was read", where=str(folder), todo="Nothing was stored. Run again when it is whole.")


def _text_rows(staging: Path, files: SourceTable, declared: TableFormat, types: Mapping[str, str]) -> TextRows:
    """Return the rows of the files as text; what is only needed for some kind of file is loaded for it alone."""
    if files.kind == "workbook":
        from pipeline.ingestion.sources.workbooks import workbook_rows

        return workbook_rows(files, declared, types, staging)
    if files.kind in ("JSON lines", "JSON"):
        from pipeline.ingestion.sources.json_files import json_rows

        return json_rows(files, declared, types, staging)
    return CsvRows(files, declared, staging)


def _stamps(tables: Mapping[str, SourceTable]) -> dict[Path, FileStamp | None]:
    return {path: stamp for table in tables.values() for path, stamp in table.stamps().items()}
