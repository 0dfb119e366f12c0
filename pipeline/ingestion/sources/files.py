"""A folder of Parquet and CSV files as a source: a private DuckDB that can read this folder and nothing else.

Every `*.parquet`, `*.csv` and `*.csv.gz` is a table named by its stem; a sub-folder is one table of several
files of one kind, stacked by column name.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.definitions.company_sections import Source
from pipeline.errors import ConfigError, DataError, PipelineError, TransientError
from pipeline.ingestion.sources import SourceQuery, sql_words
from pipeline.ingestion.sources.csv_files import BAD_CELL, CsvTable, rejected_lines
from pipeline.lake.engines.duckdb import confine_connection
from pipeline.spelling import did_you_mean

BATCH_ROWS = 65_536
SUFFIXES = (".parquet", ".csv", ".csv.gz")
_QUERY_KINDS = ("Parser", "Binder", "Catalog", "Syntax", "Permission", "Not implemented")
_TRANSIENT_KINDS = ("IO", "Out of Memory", "Interrupt")


class FilesSnapshot:
    """The tables of one folder; a table is opened when a query first names it."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, source: Source, tables: dict[str, tuple[Path, ...]]) -> None:
        self._connection, self._source, self._tables = connection, source, tables
        self._opened: set[str] = set()
        self._csv: list[CsvTable] = []

    def schema(self, query: SourceQuery) -> pa.Schema:
        self._open_named_tables(query)
        with self._translating_errors(query):
            if [statement.type for statement in duckdb.extract_statements(query.text)] != [duckdb.StatementType.SELECT]:
                raise ConfigError(f"sources/{query.file.name} is no SELECT", where=str(query.file))
            relation = self._connection.sql(query.text, params=query.parameters or None)
            found = relation.limit(0).to_arrow_reader(1).schema
        return pa.schema([field.with_name(name) for field, name in zip(found, relation.columns, strict=True)])

    def rows(self, query: SourceQuery) -> Generator[pa.RecordBatch, None, None]:
        with self._translating_errors(query):
            relation = self._connection.sql(query.text, params=query.parameters or None)
            yield from relation.to_arrow_reader(BATCH_ROWS)
        if broken := self._broken_lines():
            raise broken

    def _open_named_tables(self, query: SourceQuery) -> None:
        named = sql_words(query.text, query.dialect)
        for name in self._tables.keys() - self._opened:
            if name.lower() in named:
                self._open_table(name)
                self._opened.add(name)

    def _open_table(self, name: str) -> None:
        paths = self._tables[name]
        try:
            if paths[0].suffix == ".parquet":
                files = [str(path) for path in paths]
                self._connection.read_parquet(files, union_by_name=True, hive_partitioning=False).create_view(name)
            else:
                table = CsvTable(name, paths, (self._source.column_types or {}).get(name, {}))
                table.create_views(self._connection)
                self._csv.append(table)
        except duckdb.Error as error:
            where = next((str(path) for path in paths if str(path) in str(error)), str(paths[0].parent))
            raise DataError(f"the files of table `{name}` cannot be read", where=where, todo="Have the file written again.") from None

    def _broken_lines(self) -> DataError | None:
        return rejected_lines(self._connection) if self._csv else None

    @contextmanager
    def _translating_errors(self, query: SourceQuery) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, OSError) as error:
            message = str(error)
            # Looking for bad cells reads the files to their ends, and only then does DuckDB know every broken line.
            cells = next(filter(None, (table.bad_cells(self._connection) for table in self._csv if BAD_CELL in message)), None)
            raise (self._broken_lines() or cells or self._explain_error(message, query)) from None

    def _explain_error(self, message: str, query: SourceQuery) -> PipelineError:
        """Return our error for one of DuckDB's: its words where they are about the query, only its kind where they would quote a row."""
        known = re.match(r"([A-Z][A-Za-z ]{1,30}) Error: ", message)
        kind, rest = (known[1], message[known.end() :]) if known else ("Unknown", "")
        where = str(query.file)
        if absent := re.match(r"Table with name (.+?) does not exist", rest):
            return self._missing_table(absent[1].strip('"'), where)
        if kind in _QUERY_KINDS:
            return ConfigError(
                f"sources/{query.file.name} cannot be run: {rest.split('LINE ')[0].strip()}", where=where, todo="Edit the query."
            )
        if kind in _TRANSIENT_KINDS:
            return TransientError(f"the source could not be read: {kind.lower()} error", where=where, todo="Nothing was stored. Run again.")
        column = re.search(r" when casting from source column (\w+)\s*(?:LINE |\Z)", rest)
        about = f" in column {column[1]}" if column and kind == "Conversion" else ""
        return DataError(
            f"sources/{query.file.name} failed on a row: {kind.lower()} error{about}",
            where=where,
            todo="Find the row in the source, or make the query bear it.",
        )

    def _missing_table(self, name: str, where: str) -> ConfigError:
        return ConfigError(
            f"the source has no table `{name}`{did_you_mean(name, self._tables)}",
            where=where,
            todo=f"{self._source.folder} has: {', '.join(sorted(self._tables)) or 'no table'}.",
        )


@contextmanager
def open_files(source: Source, staging: Path, *, memory_limit: str) -> Iterator[FilesSnapshot]:
    """Open the tables of the source's folder as one snapshot; what DuckDB spills goes below `staging`.

    Raises ConfigError where there is no folder, TransientError where a file changed while it was read.
    """
    folder = source.folder
    if folder is None or not folder.is_dir():
        raise ConfigError("the source's folder does not exist", where=str(folder), todo="Set `path` in [source] of company.toml.")
    tables = _files_by_table(folder)
    before = _file_stamps(tables)
    with closing(_open_confined_duckdb(folder, staging, memory_limit)) as connection:
        yield FilesSnapshot(connection, source, tables)
    # Files have no transactions: that none changed in the meantime is what makes this a snapshot.
    if _file_stamps(_files_by_table(folder)) != before:
        raise TransientError("a file changed while it was read", where=str(folder), todo="Nothing was stored. Run again when it is whole.")


def _open_confined_duckdb(folder: Path, staging: Path, memory_limit: str) -> duckdb.DuckDBPyConnection:
    spill = staging / "spill"
    spill.mkdir(parents=True, exist_ok=True)
    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit,
        "temp_directory": str(spill),
        "python_enable_replacements": False,
        "autoload_known_extensions": False,
    }
    connection = duckdb.connect(config=settings)
    confine_connection(connection, [folder, staging])
    return connection


def _files_by_table(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Return the files of each table by its name; raises ConfigError where two files or folders give the same one."""
    tables: dict[str, tuple[Path, ...]] = {}
    for path in sorted(folder.iterdir()):
        name, files = (path.name, _files_of_folder(path)) if path.is_dir() else (_table_name(path), [path])
        if not (name and files) or name.startswith("."):
            continue
        if name.lower() in {known.lower() for known in tables}:
            raise ConfigError(f"two files give the table `{name}`", where=str(folder), todo="Keep one, or put both into one sub-folder.")
        tables[name] = tuple(files)
    return tables


def _table_name(path: Path) -> str:
    """Return the name of the file without its suffix; empty where the file is no table."""
    return next((path.name.removesuffix(suffix) for suffix in SUFFIXES if path.name.endswith(suffix)), "")


def _files_of_folder(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if _table_name(path))
    if len({path.suffix == ".parquet" for path in files}) > 1:
        raise ConfigError("one table has Parquet and CSV files", where=str(folder), todo="Keep one kind.")
    return files


def _file_stamps(tables: dict[str, tuple[Path, ...]]) -> dict[Path, tuple[int, int, int]]:
    stats = {path: path.stat() for paths in tables.values() for path in paths}
    return {path: (stat.st_ino, stat.st_size, stat.st_mtime_ns) for path, stat in stats.items()}
