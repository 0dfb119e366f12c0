"""Types that `[source.column_types.<table>]` of company.toml declares for cells of text, and SQL that reads a cell as one of them.

DuckDB alone reads loosely: `1.23456` rounds into DECIMAL(18,4), `1.5` into BIGINT, an instant without an offset becomes UTC, and a local
time loses its offset. So each type has a pattern that the cell must match as well.
Instants such as Shopify's `2024-01-05 22:15:29 -0500` have a space before their offset, which DuckDB does not read: it is left out where
a column is declared, or cast by a query, as an instant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.definitions.source_formats import TableFormat
from pipeline.errors import ConfigError
from pipeline.ingestion.sources import quote_name
from pipeline.spelling import did_you_mean

BAD_CELL = "segments: a cell does not read as its declared type"
_MOST_DIGITS = 38
_DATE_PATTERN = "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
_WHOLE = ("SMALLINT", "INTEGER", "BIGINT")
_CELL_PATTERNS = {
    "VARCHAR": ".*",
    **dict.fromkeys(_WHOLE, "[+-]?[0-9]+"),
    "DOUBLE": ".*",
    "BOOLEAN": ".*",
    "DATE": _DATE_PATTERN,
    "TIMESTAMP": f"{_DATE_PATTERN}([ T][0-9:.]+)?",
    "TIMESTAMPTZ": f"{_DATE_PATTERN}[ T][0-9:.]+ ?([Zz]|UTC|[+-][0-9]{{2}}(:?[0-9]{{2}})?)",
}
_TYPE_SYNONYMS = {"TEXT": "VARCHAR", "INT": "INTEGER", "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ", "NUMERIC": "DECIMAL"}
# What one declared mark may look like: nobody sees which space it is that stands between thousands.
_MARKS = {" ": "[ \u00a0\u202f]", "'": "['\u2019]"}


@dataclass(frozen=True, slots=True)
class CellType:
    """A declared type: `sql` is DuckDB's name of it, a cell of it matches `pattern`; its numbers are written as `declared` says."""

    sql: str
    pattern: str
    declared: TableFormat

    @property
    def is_number(self) -> bool:
        """Whether cells are numbers, so that they may have marks between thousands."""
        return self.sql in (*_WHOLE, "DOUBLE") or self.sql.startswith("DECIMAL")

    def has_more_decimals(self, cell: str) -> bool:
        """Return whether the cell is a number, with the declared marks, that this type would round."""
        scale = re.fullmatch(r"DECIMAL\([0-9]+,([0-9]+)\)", self.sql)
        whole, point = _number_patterns(self.declared)
        return bool(scale and re.fullmatch(rf"\s*[+-]?({whole})?{point}[0-9]{{{int(scale[1]) + 1},}}\s*", cell))

    def readable(self, column: str) -> str:
        """Return the SQL condition for a cell that reads as this type."""
        name = quote_name(column)
        return f"regexp_full_match(trim({name}), {_sql_text(self.pattern)}) AND TRY_CAST({self._to_cast(name)} AS {self.sql}) IS NOT NULL"

    def cell(self, column: str) -> str:
        """Return the SQL that gives the cell in this type, NULL where it is empty, and fails where it is not readable."""
        name = quote_name(column)
        # Refused as it is read: a check beforehand would read each file twice, every night.
        cell = f"CASE WHEN {self.readable(column)} THEN CAST({self._to_cast(name)} AS {self.sql}) ELSE error('{BAD_CELL}') END"
        return f"CASE WHEN {name} IS NOT NULL THEN {cell} END AS {name}"

    def _to_cast(self, name: str) -> str:
        if self.sql == "TIMESTAMPTZ":
            return without_space_before_offset(name)
        if self.is_number and self.declared.thousands:
            name = f"regexp_replace({name}, {_sql_text(_mark_pattern(self.declared.thousands))}, '', 'g')"
        if self.is_number and self.declared.decimal != ".":
            name = f"replace({name}, {_sql_text(self.declared.decimal)}, '.')"
        return name


def cell_type(table: str, kind: str, declared: TableFormat) -> CellType:
    """Return the type that `kind` names; raises ConfigError where it is none that a column of text can have."""
    words = " ".join(kind.upper().split())
    decimals = re.fullmatch(r"(?:DECIMAL|NUMERIC) ?\( ?([0-9]+) ?, ?([0-9]+) ?\)", words)
    whole, point = _number_patterns(declared)
    if decimals and 0 < int(decimals[1]) <= _MOST_DIGITS and int(decimals[2]) <= int(decimals[1]):
        pattern = f"[+-]?({whole})?({point}[0-9]{{0,{decimals[2]}}}0*)?"
        return CellType(f"DECIMAL({decimals[1]},{decimals[2]})", pattern, declared)
    sql = _TYPE_SYNONYMS.get(words, words)
    if sql not in _CELL_PATTERNS:
        raise ConfigError(
            f"source.column_types.{table} has the type `{kind}`{did_you_mean(sql, _CELL_PATTERNS)}",
            where="company.toml",
            todo=f"Choose DECIMAL(18,4), of at most {_MOST_DIGITS} digits in all, or one of {', '.join(_CELL_PATTERNS)}.",
        )
    pattern = _CELL_PATTERNS[sql]
    if sql in _WHOLE:
        pattern = f"[+-]?{whole}"
    if sql == "DOUBLE" and (declared.thousands or declared.decimal != "."):
        pattern = f"[+-]?({whole})?({point}[0-9]*)?([eE][+-]?[0-9]+)?"
    return CellType(sql, pattern, declared)


def without_space_before_offset(name: str) -> str:
    """Return the SQL for the text of an instant as DuckDB reads it."""
    return f"regexp_replace({name}, '([0-9]) +([+-][0-9]{{2}}(:?[0-9]{{2}})?) *$', '\\1\\2')"


def _number_patterns(declared: TableFormat) -> tuple[str, str]:
    """Return the patterns of the whole part of a number and of its decimal mark."""
    whole = "[0-9]+"
    if declared.thousands:
        # A mark between thousands may be left out of a number, but not out of a part of it.
        whole = f"([0-9]+|[0-9]{{1,3}}({_mark_pattern(declared.thousands)}[0-9]{{3}})+)"
    return whole, f"[{declared.decimal}]"


def _mark_pattern(mark: str) -> str:
    return _MARKS.get(mark, f"[{mark}]")


def _sql_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
