"""CSV files as tables whose column types never depend on the rows.

A sniffer that looks at values reads `00123` as 123, money as DOUBLE, and changes its mind on the night that
brings the first letter. So nothing is sniffed: columns are text, empty cells are NULL, and the only types are
those that `[source.column_types.<table>]` of company.toml declares. Even those DuckDB reads loosely: `1.23456`
rounds into DECIMAL(18,4), `1.5` into BIGINT, an instant without an offset becomes UTC, and a local time loses
its offset. So each declared type has a pattern that the cell must match as well.
The separator is the one of `,` `;` tab `|` that is most frequent in the header outside of quotes; cells are quoted with `"`.
Instants such as Shopify's `2024-01-05 22:15:29 -0500` have a space before their offset, which DuckDB does not read: it is left out where
a column is declared, or cast by a query, as an instant.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from itertools import groupby
from pathlib import Path

from duckdb import CatalogException, DuckDBPyConnection, DuckDBPyRelation

from pipeline.errors import ConfigError, DataError
from pipeline.ingestion.sources import quote_name
from pipeline.ingestion.sources.csv_text import LINES_SHOWN, REJECTS_KEPT, line_words, read_header, record_lines
from pipeline.ingestion.sources.failed_casts import form_of, remedy_for
from pipeline.ingestion.sources.table_files import SourceTable
from pipeline.spelling import did_you_mean

BAD_CELL = "segments: a cell does not read as its declared type"
_FILE_COLUMN = "segments_file"
_WHOLE_PATTERN = "[+-]?[0-9]+"
_DATE_PATTERN = "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
_CELL_PATTERNS = {
    "VARCHAR": ".*",
    "SMALLINT": _WHOLE_PATTERN,
    "INTEGER": _WHOLE_PATTERN,
    "BIGINT": _WHOLE_PATTERN,
    "DOUBLE": ".*",
    "BOOLEAN": ".*",
    "DATE": _DATE_PATTERN,
    "TIMESTAMP": f"{_DATE_PATTERN}([ T][0-9:.]+)?",
    "TIMESTAMPTZ": f"{_DATE_PATTERN}[ T][0-9:.]+ ?([Zz]|UTC|[+-][0-9]{{2}}(:?[0-9]{{2}})?)",
}
_TYPE_SYNONYMS = {"TEXT": "VARCHAR", "INT": "INTEGER", "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ", "NUMERIC": "DECIMAL"}
_FAULT_WORDS = {
    "MISSING COLUMNS": "too few columns",
    "TOO MANY COLUMNS": "too many columns",
    "UNQUOTED VALUE": "a quote out of place",
    "INVALID ENCODING": "text that is not UTF-8",
    "LINE SIZE OVER MAXIMUM": "a line longer than 2 MB",
}
_FAULT_REMEDIES = {
    "MISSING COLUMNS": "Give every line the columns of the header.",
    "TOO MANY COLUMNS": "A separator within a cell needs quotes around the cell.",
    "UNQUOTED VALUE": 'A quote within a quoted cell is written twice: "12"" pipe".',
    "INVALID ENCODING": "Save the file as UTF-8: iconv -f WINDOWS-1252 -t UTF-8, if it comes from Windows.",
    "LINE SIZE OVER MAXIMUM": "Shorten the cell or leave its column out; or a quote that never ends has swallowed the lines after it.",
}


@dataclass(frozen=True, slots=True)
class CsvTable:
    """One table of CSV files: its raw view holds text only, its view the declared types; `instants` are columns cast to such."""

    files: SourceTable
    types: Mapping[str, str]
    instants: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.files.name

    @property
    def raw_view(self) -> str:
        return f"segments raw {self.name}"

    @property
    def gzip_paths(self) -> list[Path]:
        return [path for path in self.files.paths if path.name.lower().endswith(".gz")]

    def with_instants(self, names: Iterable[str]) -> CsvTable:
        """Return the table with these columns, named in lower case, read as text that a query casts to an instant."""
        return replace(self, instants=self.instants.union(names))

    def create_views(self, connection: DuckDBPyConnection) -> None:
        """Create the raw view and, over it, the view that the company's queries read."""
        files = [self._read_csv(connection, *group) for group in self._by_header()]
        raw = reduce(lambda above, below: above.union_by_name(below), files)
        declared = {name: _sql_type(self.name, kind) for name, kind in self.types.items()}
        for name in declared.keys() - set(raw.columns):
            has = ", ".join(column for column in raw.columns if column != _FILE_COLUMN)
            raise ConfigError(
                f"source.column_types.{self.name} names `{name}`, which no file has{did_you_mean(name, raw.columns)}",
                where="company.toml",
                todo=f"Name one of its columns: {has}.",
            )
        raw.create_view(self.raw_view)
        typed = [
            _typed_cell(name, *declared[name]) if name in declared else f"{self._text_cell(name)} AS {quote_name(name)}"
            for name in raw.columns
            if name != _FILE_COLUMN
        ]
        connection.view(quote_name(self.raw_view)).project(", ".join(typed)).create_view(self.name)

    def _text_cell(self, name: str) -> str:
        quoted = quote_name(name)
        return _without_space_before_offset(quoted) if name.lower() in self.instants else quoted

    def _by_header(self) -> list[tuple[tuple[str, ...], str, list[str]]]:
        # Files with one header are read together; a reader that is given the columns takes no files with others.
        headers = sorted((*read_header(path), str(path)) for path in self.files.paths)
        return [(*header, [path for *_, path in group]) for header, group in groupby(headers, key=lambda item: item[:2])]

    def _read_csv(self, connection: DuckDBPyConnection, names: tuple[str, ...], separator: str, paths: list[str]) -> DuckDBPyRelation:
        # Broken lines are collected rather than raised one by one, so that a single run names them all.
        return connection.read_csv(
            paths,  # type: ignore[arg-type]
            columns=dict.fromkeys(names, "VARCHAR"),
            header=True,
            auto_detect=False,
            delimiter=separator,
            quotechar='"',
            escapechar='"',
            strict_mode=True,
            store_rejects=True,
            rejects_limit=REJECTS_KEPT,
            filename=_FILE_COLUMN,
            hive_partitioning=self.files.is_partitioned,
            # Else the folder `month=01` would give the number 1.
            hive_types_autocast=False,
        )

    def bad_cells(self, connection: DuckDBPyConnection) -> DataError | None:
        """Return the error for the first file and column with cells that do not read as declared; None where all do."""
        # A file at a time, so that records are numbered within it.
        for names, separator, paths in self._by_header():
            for path in paths:
                numbered = self._read_csv(connection, names, separator, [path]).project("*, row_number() OVER () AS segments_record")
                for column in [name for name in names if name in self.types]:
                    kind, pattern = _sql_type(self.name, self.types[column])
                    readable = _is_readable_cell(column, kind, pattern)
                    if found := _bad_cells_of_column(numbered, separator, column, kind, readable):
                        words, cell = found
                        todo = "Correct the cells, or declare another type in [source.column_types] of company.toml."
                        return DataError(words, where=path, todo=f"{_form_words(cell)} {todo}")
        return None

    def failed_casts(self, connection: DuckDBPyConnection, casts: Iterable[tuple[str, str]]) -> DataError | None:
        """Return the error for the first file and column with text cells that one of a query's `casts` cannot read; None without."""
        wanted = [(column, kind) for column, kind in casts if column not in self.types]
        for names, separator, paths in self._by_header():
            known = {name.lower(): name for name in names}
            for path in paths:
                numbered = self._read_csv(connection, names, separator, [path]).project("*, row_number() OVER () AS segments_record")
                for column, kind in ((known[c.lower()], k) for c, k in wanted if c.lower() in known):
                    is_readable = f"TRY_CAST({self._text_cell(column)} AS {kind}) IS NOT NULL"
                    if found := _bad_cells_of_column(numbered, separator, column, kind, is_readable):
                        words, bad = found
                        return DataError(words, where=path, todo=f"{_form_words(bad)} {remedy_for(bad, column, kind)}")
        return None


def rejected_lines(connection: DuckDBPyConnection) -> DataError | None:
    """Return the error for lines that the reader left out, None where it left out none: their numbers, never their content."""
    try:
        found = connection.sql(_REJECTED_LINES).fetchall()
    except CatalogException:  # the tables of rejects appear with the first row read
        return None
    if not found:
        return None
    faults = []
    for path, kind, columns, count, lines in found[:LINES_SHOWN]:
        named = ", ".join(column for column in columns if column)
        about = f" at {named}" if named else ""
        faults.append(f"{Path(path).name}: {_FAULT_WORDS.get(kind, kind.lower())}{about} in {line_words(count, lines)}")
    kinds = {kind for _, kind, *_ in found}
    remedies = [remedy for kind, remedy in _FAULT_REMEDIES.items() if kind in kinds]
    return DataError(
        "\n".join(faults),
        where=", ".join(sorted({path for path, *_ in found})),
        todo=" ".join(["Correct these lines, or have the file written again.", *remedies]),
    )


_REJECTED_LINES = """
    SELECT file_path, error_type, list_sort(list(DISTINCT column_name)), count(DISTINCT line), list_sort(list(DISTINCT line))
    FROM reject_errors JOIN reject_scans USING (scan_id, file_id)
    GROUP BY file_path, error_type ORDER BY file_path, error_type
"""


def _form_words(cell: str) -> str:
    return f"The first has the form `{form_of(cell)}`."


def _bad_cells_of_column(numbered: DuckDBPyRelation, separator: str, column: str, kind: str, is_readable: str) -> tuple[str, str] | None:
    """Return what is wrong with a column's cells, by file and line, and the first such cell; None where all can be read."""
    bad = numbered.filter(f"{quote_name(column)} IS NOT NULL AND NOT ({is_readable})")
    count, path = bad.aggregate(f"count(*), any_value({_FILE_COLUMN})").fetchall()[0]
    if not count:
        return None
    rows = bad.project(f"segments_record, {quote_name(column)}").order("segments_record").limit(LINES_SHOWN).fetchall()
    lines = record_lines(path, separator, [record for record, _ in rows])
    return f"{Path(path).name}: {column} is no {kind} in {line_words(count, lines)}", rows[0][1]


def _sql_type(table: str, declared: str) -> tuple[str, str]:
    """Return the SQL type that `declared` means, and the pattern of its cells."""
    kind = " ".join(declared.upper().split())
    decimals = re.fullmatch(r"(?:DECIMAL|NUMERIC) ?\( ?([0-9]+) ?, ?([0-9]+) ?\)", kind)
    if decimals:
        return f"DECIMAL({decimals[1]},{decimals[2]})", f"[+-]?[0-9]*([.][0-9]{{0,{decimals[2]}}}0*)?"
    kind = _TYPE_SYNONYMS.get(kind, kind)
    if kind not in _CELL_PATTERNS:
        raise ConfigError(
            f"source.column_types.{table} has the type `{declared}`{did_you_mean(kind, _CELL_PATTERNS)}",
            where="company.toml",
            todo=f"Choose DECIMAL(18,4) or one of {', '.join(_CELL_PATTERNS)}.",
        )
    return kind, _CELL_PATTERNS[kind]


def require_type(table: str, declared: str) -> None:
    """Raise ConfigError where `declared` is no type that a column of CSV files can have."""
    _sql_type(table, declared)


def _is_readable_cell(column: str, kind: str, pattern: str) -> str:
    name = quote_name(column)
    return f"regexp_full_match(trim({name}), '{pattern}') AND TRY_CAST({_cell_to_cast(name, kind)} AS {kind}) IS NOT NULL"


def _cell_to_cast(name: str, kind: str) -> str:
    return _without_space_before_offset(name) if kind == "TIMESTAMPTZ" else name


def _without_space_before_offset(name: str) -> str:
    return f"regexp_replace({name}, '([0-9]) +([+-][0-9]{{2}}(:?[0-9]{{2}})?) *$', '\\1\\2')"


def _typed_cell(column: str, kind: str, pattern: str) -> str:
    name = quote_name(column)
    readable = _is_readable_cell(column, kind, pattern)
    # Refused as it is read: a check beforehand would read each file twice, every night.
    cell = f"CASE WHEN {readable} THEN CAST({_cell_to_cast(name, kind)} AS {kind}) ELSE error('{BAD_CELL}') END"
    return f"CASE WHEN {name} IS NOT NULL THEN {cell} END AS {name}"
