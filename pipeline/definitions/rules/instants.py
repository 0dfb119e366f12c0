"""Instants in rules: what the clock and the calendar of the company say of when an event happened.

An instant is compared with nothing, as it is another hour, and maybe another day, in every place. Its hour and its day are those of the
company's time zone, like the days that events are counted for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlglot import exp

from pipeline.definitions.rules.calls import Call, Row, call_node
from pipeline.definitions.rules.dates import DATE_PARTS
from pipeline.definitions.rules.types import TypedNode, typed_column
from pipeline.definitions.rules.words import rule_words
from pipeline.lake.tables import Kind

_LAST_HOUR = 23
_DIGITS = 8  # as of other parts of a date


@dataclass(frozen=True, slots=True)
class InstantPart:
    """A function of one instant: its SQL and its value, both of the local time, and its least and largest value."""

    sql: Callable[[exp.Expression], exp.Expression]
    value: Callable[[datetime], int]
    low: int | None
    high: int | None


def _calendar_part(name: str) -> InstantPart:
    part = DATE_PARTS[name]

    def sql(local: exp.Expression) -> exp.Expression:
        day = exp.cast(local, "date")
        return part.sql(day, day)

    return InstantPart(sql, lambda local: part.value(local.date(), local.date()), part.low, part.high)


INSTANT_PARTS = {
    # Of an hour that the clock shows twice, when it is put back, both times the same.
    "HOUR": InstantPart(lambda local: exp.Extract(this=exp.var("HOUR"), expression=local), lambda local: local.hour, 0, _LAST_HOUR),
    **{name: _calendar_part(name) for name in ("YEAR", "MONTH", "DAY", "WEEKDAY")},
}
"""The functions that take an instant."""


def instant_part(name: str, column: str, zone: str) -> TypedNode:
    """Return what the function `name` says of the instant in a column, in the time zone `zone`."""
    part = INSTANT_PARTS[name]

    def value_of(row: Row) -> int | None:
        instant = row[column]
        return None if instant is None else part.value(instant.astimezone(ZoneInfo(zone)))

    call = Call(
        text=f"{name}({rule_words(typed_column(column, Kind.INSTANT).node)})",
        kind=Kind.INTEGER,
        value_of=value_of,
        bases=frozenset({column}),
        unknown_with=frozenset({column}),
        low=part.low,
        high=part.high,
        is_surjective=True,
    )
    local = exp.AtTimeZone(this=exp.column(column, quoted=True), zone=exp.Literal.string(zone))
    return TypedNode(call_node(call, exp.cast(part.sql(local), "bigint")), Kind.INTEGER, _DIGITS)
