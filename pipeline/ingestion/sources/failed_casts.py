"""Cells of a CSV file that a query casts in vain: found by file, column and line, and described by their form, never shown.

A form has 9 for each digit and a for each letter: `19,99` has the form `99,99`. It tells what to write instead.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from pipeline.ingestion.sources import quote_name
from pipeline.spelling import printable_line

LONGEST_FORM = 30
_SPELT_OUT = ("NULL", "N/A", "NA", "NaN", "None", "-", "n/a", "null", "none", "nil", "#N/A")
"""What programs write for nothing: no value of a customer, and so shown."""


@lru_cache(maxsize=32)
def cast_columns(text: str) -> tuple[tuple[str, str], ...]:
    """Return the columns that a query in DuckDB's SQL casts, each with the type; none where the query cannot be parsed."""
    # A query written by a program may be nested deeper than Python's stack.
    with suppress(SqlglotError, RecursionError):
        casts = sqlglot.parse_one(text, read="duckdb").find_all(exp.Cast)
        # TRY_CAST is a kind of Cast, and never fails.
        failing = (cast for cast in casts if not isinstance(cast, exp.TryCast) and isinstance(cast.this, exp.Column))
        return tuple(dict.fromkeys((cast.this.name, cast.to.sql("duckdb")) for cast in failing))
    return ()


def instant_columns(text: str) -> frozenset[str]:
    """Return the columns that a query casts to an instant, in lower case."""
    return frozenset(name.lower() for name, kind in cast_columns(text) if kind in ("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"))


def form_of(cell: str) -> str:
    """Return the form of a cell, printable, and only its beginning where it is long."""
    return printable_line(re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", cell[:LONGEST_FORM])) + ("..." if len(cell) > LONGEST_FORM else ""))


def remedy_for(cell: str, column: str, kind: str) -> str:
    """Return what to write in the query in the place of a cast that fails on `cell`."""
    name = column if re.fullmatch(r"[a-z_][a-z0-9_]*", column) else quote_name(column)
    bare = cell.strip()
    if bare in _SPELT_OUT:
        return f"`{bare}` stands for nothing: write `CAST(NULLIF({name}, '{bare}') AS {kind})`."
    remedies = _TIME_REMEDIES if kind.startswith(("TIMESTAMP", "DATE")) else _NUMBER_REMEDIES
    for pattern, remedy in remedies:
        if re.fullmatch(pattern, bare):
            return remedy.format(name=name, kind=kind)
    return f"Correct the cells, or write `TRY_CAST({name} AS {kind})`, which leaves them empty."


_DIGITS_ALONE = "CAST(regexp_replace({name}, '[^0-9.+-]', '', 'g') AS {kind})"
_BRACKETS = "CAST(regexp_replace({name}, '^\\((.*)\\)$', '-\\1') AS {kind})"
_MINUS_BEHIND = "CAST(regexp_replace({name}, '^(.*)-$', '-\\1') AS {kind})"
_SPACES_AND_COMMA = "CAST(REPLACE(regexp_replace({name}, '[^0-9,+-]', '', 'g'), ',', '.') AS {kind})"
_SECONDS = "to_timestamp(CAST({name} AS DOUBLE){unit})`, which is an instant: without AT TIME ZONE."
_EXCEL_DAYS = "(TIMESTAMP '1899-12-30' + to_seconds(86400 * CAST({name} AS DOUBLE)))"
_NO_ZERO_DATE = "CAST(CASE WHEN {name} NOT LIKE '0000-%' THEN {name} END AS {kind})"
_NUMBER_REMEDIES = (
    (r"[+-]?\d+,(\d{1,2}|\d{4,})", "A decimal comma: write `CAST(REPLACE({name}, ',', '.') AS {kind})`."),
    (r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", "Commas between thousands: write `CAST(REPLACE({name}, ',', '') AS {kind})`."),
    (
        r"[+-]?\d{1,3}(\.\d{3})+,\d+",
        "Points between thousands and a decimal comma: write `CAST(REPLACE(REPLACE({name}, '.', ''), ',', '.') AS {kind})`.",
    ),
    (r"[+-]?\d{1,3}([\s\u00a0\u202f']\d{3})+(\.\d+)?", f"Spaces between thousands: write `{_DIGITS_ALONE}`."),
    (r"[+-]?\d{1,3}([\s\u00a0\u202f']\d{3})*,\d+", f"Spaces between thousands and a decimal comma: write `{_SPACES_AND_COMMA}`."),
    (r"\([\d.]+\)", f"A negative number in brackets: write `{_BRACKETS}`."),
    (r"[\d.]+-", f"A minus sign behind the number: write `{_MINUS_BEHIND}`."),
    (
        r"[+-]?[^\d\s.,+()-]{1,3}\s?[\d.]+|[+-]?[\d.]+\s?[^\d\s.,+()-]{1,3}",
        f"A sign of currency or unit: write `{_DIGITS_ALONE}`.",
    ),
)
_TIME_REMEDIES = (
    *(
        (rf"\d{{1,2}}/\d{{1,2}}/\d{{4}}{pattern}", f"Write `strptime({{name}}, '%d/%m/%Y{form}')`; for month/day `'%m/%d/%Y{form}'`.")
        for pattern, form in (("", ""), (r" \d{1,2}:\d{2}", " %H:%M"), (r" \d{1,2}:\d{2}:\d{2}", " %H:%M:%S"))
    ),
    *(
        (rf"\d{{1,2}}\.\d{{1,2}}\.\d{{4}}{pattern}", f"Write `strptime({{name}}, '%d.%m.%Y{form}')`.")
        for pattern, form in (("", ""), (r" \d{1,2}:\d{2}", " %H:%M"), (r" \d{1,2}:\d{2}:\d{2}", " %H:%M:%S"))
    ),
    (r"0000-00-00.*", f"A zero date stands for nothing: write `{_NO_ZERO_DATE}`."),
    (r"\d{5}(\.\d+)?", f"Days since 1899, as Excel counts them: write `{_EXCEL_DAYS}`."),
    (r"\d{9,10}(\.\d+)?", "Seconds since 1970: write `" + _SECONDS.replace("{unit}", "")),
    (r"\d{12,13}", "Milliseconds since 1970: write `" + _SECONDS.replace("{unit}", " / 1000")),
)
