"""CSV files as tables whose column types never depend on the rows.

A sniffer that looks at values reads `00123` as 123, money as DOUBLE, and changes its mind on the night that
brings the first letter. So nothing is sniffed: columns are text, empty cells are NULL, and the only types are
those that `[source.column_types.<table>]` of company.toml declares. Even those DuckDB reads loosely: `1.23456`
rounds into DECIMAL(18,4), `1.5` into BIGINT, an instant without an offset becomes UTC, and a local time loses
its offset. So each declared type has a pattern that the cell must match as well.
The separator is the one of `,` `;` tab `|` that is most frequent in the header; cells are quoted with `"`.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from itertools import groupby
from pathlib import Path
from typing import TextIO

from duckdb import CatalogException, DuckDBPyConnection, DuckDBPyRelation

from pipeline.errors import ConfigError, DataError
from pipeline.ingestion.sources import quote_name
from pipeline.spelling import did_you_mean

BAD_CELL = "segments: a cell does not read as its declared type"
LINES_SHOWN = 5
REJECTS_KEPT = 1000
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
}


@dataclass(frozen=True, slots=True)
class CsvTable:
    """One table of CSV files: its raw view holds text only, its view the declared types."""

    name: str
    paths: tuple[Path, ...]
    types: Mapping[str, str]

    @property
    def raw_view(self) -> str:
        return f"segments raw {self.name}"

    def create_views(self, connection: DuckDBPyConnection) -> None:
        """Create the raw view and, over it, the view that the company's queries read."""
        files = [self._read_csv(connection, *group) for group in self._by_header()]
        raw = reduce(lambda above, below: above.union_by_name(below), files)
        declared = {name: _sql_type(self.name, kind) for name, kind in self.types.items()}
        for name in declared.keys() - set(raw.columns):
            raise ConfigError(
                f"source.column_types.{self.name} names `{name}`, which no file has{did_you_mean(name, raw.columns)}",
                where="company.toml",
            )
        raw.create_view(self.raw_view)
        typed = [
            _typed_cell(name, *declared[name]) if name in declared else quote_name(name) for name in raw.columns if name != _FILE_COLUMN
        ]
        connection.view(quote_name(self.raw_view)).project(", ".join(typed)).create_view(self.name)

    def _by_header(self) -> list[tuple[tuple[str, ...], str, list[str]]]:
        headers = sorted((*_read_header(path), str(path)) for path in self.paths)
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
        )

    def bad_cells(self, connection: DuckDBPyConnection) -> DataError | None:
        """Return the error for the first file and column with cells that do not read as declared; None where all do."""
        for names, separator, paths in self._by_header():
            for path in paths:
                numbered = self._read_csv(connection, names, separator, [path]).project("*, row_number() OVER () AS segments_record")
                for column in [name for name in names if name in self.types]:
                    if found := _bad_cells_of_column(numbered, separator, column, *_sql_type(self.name, self.types[column])):
                        return found
        return None


def rejected_lines(connection: DuckDBPyConnection) -> DataError | None:
    """Return the error for lines that the reader left out, None where it left out none: their numbers, never their content."""
    try:
        found = connection.sql(_REJECTED_LINES).fetchall()
    except CatalogException:  # the tables of rejects appear with the first row read
        return None
    if not found:
        return None
    return DataError(
        "\n".join(_rejected_line_words(*row) for row in found[:LINES_SHOWN]),
        where=", ".join(sorted({path for path, *_ in found})),
        todo="Have the file written again, or correct these lines.",
    )


_REJECTED_LINES = """
    SELECT file_path, error_type, list_sort(list(DISTINCT column_name)), count(DISTINCT line), list_sort(list(DISTINCT line))
    FROM reject_errors JOIN reject_scans USING (scan_id, file_id)
    GROUP BY file_path, error_type ORDER BY file_path, error_type
"""


def _rejected_line_words(path: str, kind: str, columns: list[str | None], count: int, lines: list[int]) -> str:
    named = ", ".join(column for column in columns if column)
    about = f" at {named}" if named else ""
    return f"{Path(path).name}: {_FAULT_WORDS.get(kind, kind.lower())}{about} in {_line_words(count, lines)}"


def _bad_cells_of_column(numbered: DuckDBPyRelation, separator: str, column: str, kind: str, pattern: str) -> DataError | None:
    bad = numbered.filter(f"{quote_name(column)} IS NOT NULL AND NOT ({_is_readable_cell(column, kind, pattern)})")
    count, path = bad.aggregate(f"count(*), any_value({_FILE_COLUMN})").fetchall()[0]
    if not count:
        return None
    records = [record for (record,) in bad.project("segments_record").order("segments_record").limit(LINES_SHOWN).fetchall()]
    return DataError(
        f"{Path(path).name}: {column} is no {kind} in {_line_words(count, _record_lines(path, separator, records))}",
        where=path,
        todo="Correct the cells, or declare another type in [source.column_types] of company.toml.",
    )


def _record_lines(path: str, separator: str, records: Sequence[int]) -> list[int]:
    # DuckDB counts records; a quoted cell may contain line breaks, so Python's reader finds the lines that editors show.
    lines, line = [], 1
    with _open_text(path) as text, suppress(csv.Error):
        for record, _ in enumerate(reader := csv.reader(text, delimiter=separator)):
            if record in records:
                lines.append(line)
            line = reader.line_num + 1
            if len(lines) == len(records):
                break
    return lines


def _line_words(count: int, lines: Sequence[int]) -> str:
    shown = ", ".join(str(line) for line in lines[:LINES_SHOWN])
    known = f"{count} lines" if count < REJECTS_KEPT else f"{REJECTS_KEPT} lines or more"
    return f"line {shown}" if count == 1 else f"{known} ({shown}{', ...' if count > LINES_SHOWN else ''})"


def _read_header(path: Path) -> tuple[tuple[str, ...], str]:
    """Return the column names in the first record, and the separator between them."""
    with _open_text(path) as text:
        # By the header alone: cells, and so what they contain, change from night to night.
        line = text.readline()
        separator = max(",;\t|", key=line.count)
        text.seek(0)
        names = tuple(next(csv.reader(text, delimiter=separator), ()))
    if not all(names) or not names or len({name.lower() for name in names}) < len(names):
        raise DataError(f"{path.name} has no header with one name per column", where=str(path), todo="Have the file written again.")
    return names, separator


def _open_text(path: Path | str) -> TextIO:
    opened = gzip.open if str(path).endswith(".gz") else open
    return opened(path, "rt", encoding="utf-8-sig", errors="replace", newline="")


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


def _is_readable_cell(column: str, kind: str, pattern: str) -> str:
    name = quote_name(column)
    return f"regexp_full_match(trim({name}), '{pattern}') AND TRY_CAST({name} AS {kind}) IS NOT NULL"


def _typed_cell(column: str, kind: str, pattern: str) -> str:
    name = quote_name(column)
    cell = f"CASE WHEN {_is_readable_cell(column, kind, pattern)} THEN CAST({name} AS {kind}) ELSE error('{BAD_CELL}') END"
    return f"CASE WHEN {name} IS NOT NULL THEN {cell} END AS {name}"
