"""Days in rules: how far dates lie apart, and what the calendar says of them.

`TODAY` is the column `as_of_date`, so that a rule says the same every night, and of an earlier night what it said then. Comparisons of
dates with days added to them become comparisons of day counts: `last_order_date < TODAY - 60` is `DAYS_SINCE(last_order_date) > 60`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlglot import exp

from pipeline.definitions.rules.calls import Call, Row, call_node
from pipeline.definitions.rules.types import TypedNode, bracketed_node
from pipeline.definitions.rules.values import rule_value
from pipeline.definitions.rules.words import column_names, rule_words
from pipeline.lake.tables import Kind

TODAY = "as_of_date"
# Between the first and the last day of the calendar lie fewer than ten million days.
_DAY_DIGITS = 8
_MONDAY = exp.cast(exp.Literal.string("1970-01-05"), "date")
_DAYS_OF_WEEK = 7
_CYCLE_DAYS, _CYCLE_YEARS = 146_097, 400  # after which the calendar repeats itself


def is_today(node: exp.Expr) -> bool:
    """Return whether `node` is the night's day."""
    return isinstance(node, exp.Column) and node.name == TODAY


def shifted_date(item: TypedNode, days: int) -> TypedNode:
    """Return the date `days` later. Raises OverflowError where a constant leaves the calendar."""
    if item.node.find(exp.Column):
        return replace(item, days=item.days + days)
    value: Any = rule_value(item.node, {})
    return TypedNode(date_literal(date.fromordinal(value.toordinal() + days)), Kind.DATE)


def date_literal(value: date) -> exp.Expression:
    """Return the node of a constant date."""
    return exp.cast(exp.Literal.string(value.isoformat()), "date")


def plain_date(item: TypedNode) -> TypedNode:
    """Return a date with its days added, in one expression."""
    if not item.days:
        return item
    operator, text = (exp.Add, "+") if item.days > 0 else (exp.Sub, "-")
    days = abs(item.days)
    added = operator(this=bracketed_node(item.node), expression=exp.Literal.number(days))
    call = Call(
        text=f"{rule_words(item.node)} {text} {days}",
        kind=Kind.DATE,
        value_of=lambda row: _later(rule_value(item.node, row), item.days),
        bases=column_names(item.node),
        unknown_with=column_names(item.node),
    )
    return TypedNode(call_node(call, added), Kind.DATE)


def day_count(later: TypedNode, earlier: TypedNode) -> TypedNode:
    """Return how many days lie between two dates: negative where `later` is the earlier one."""
    after, before = plain_date(later).node, plain_date(earlier).node
    if is_today(after):
        text = f"DAYS_SINCE({rule_words(before)})"
    elif is_today(before):
        text = f"DAYS_UNTIL({rule_words(after)})"
    else:
        text = f"{rule_words(after)} - {rule_words(before)}"
    counted = exp.DateDiff(this=after, expression=before, unit=exp.var("DAY"))
    call = Call(
        text=text,
        kind=Kind.INTEGER,
        value_of=lambda row: _days_between(rule_value(after, row), rule_value(before, row)),
        bases=(column_names(after) | column_names(before)) - {TODAY},
        unknown_with=column_names(after) | column_names(before),
        is_surjective=all(isinstance(side, exp.Column) for side in (after, before)) and after != before,
    )
    return TypedNode(call_node(call, exp.cast(counted, "bigint")), Kind.INTEGER, _DAY_DIGITS)


@dataclass(frozen=True, slots=True)
class DatePart:
    """A function of one date, or of one and the night's day: its SQL, its value, and its least and largest value."""

    sql: Callable[[exp.Expression, exp.Expression], exp.Expression]
    value: Callable[[date, date], int]
    low: int | None = None
    high: int | None = None
    needs_today: bool = False


def date_part(name: str, part: DatePart, item: TypedNode, today: exp.Expression | None) -> TypedNode:
    """Return the call of a function of a date."""
    node = plain_date(item).node
    now = today if part.needs_today and today is not None else node
    bases = column_names(node) | (column_names(now) if part.needs_today else frozenset())

    def value_of(row: Row) -> Any:  # noqa: ANN401 - a whole number, or unknown
        day, night = rule_value(node, row), rule_value(now, row)
        return (
            None if day is None or night is None else part.value(_within_calendar(day), _within_calendar(night)) + _years_beyond(name, day)
        )

    call = Call(
        text=f"{name}({rule_words(node)})",
        kind=Kind.INTEGER,
        value_of=value_of,
        bases=bases if bases == {TODAY} else bases - {TODAY},
        unknown_with=bases,
        low=part.low,
        high=part.high,
        is_surjective=isinstance(node, exp.Column),
    )
    return TypedNode(call_node(call, exp.cast(part.sql(node, now), "bigint")), Kind.INTEGER, _DAY_DIGITS)


def _later(value: Any, days: int) -> Any:  # noqa: ANN401 - a date, its number where it lies outside the calendar, or unknown
    if value is None:
        return None
    number = _ordinal(value) + days
    return date.fromordinal(number) if date.min.toordinal() <= number <= date.max.toordinal() else number


def _days_between(after: Any, before: Any) -> int | None:  # noqa: ANN401 - as above
    return None if after is None or before is None else _ordinal(after) - _ordinal(before)


def _ordinal(value: Any) -> int:  # noqa: ANN401 - as above
    return value.toordinal() if isinstance(value, date) else value


def _within_calendar(value: Any) -> date:  # noqa: ANN401 - as above
    """Return a day with the same month, day and weekday, in a year of as many days."""
    return value if isinstance(value, date) else date.fromordinal((value - 1) % _CYCLE_DAYS + 1)


def _years_beyond(name: str, value: Any) -> int:  # noqa: ANN401 - as above
    return 0 if isinstance(value, date) or name != "YEAR" else (value - 1) // _CYCLE_DAYS * _CYCLE_YEARS


def _weekday_sql(day: exp.Expression, _today: exp.Expression) -> exp.Expression:
    # What is left of a negative number is negative on both engines, so that a week is added before the second division.
    left = exp.Mod(
        this=exp.paren(exp.DateDiff(this=day.copy(), expression=_MONDAY.copy(), unit=exp.var("DAY"))), expression=_number(_DAYS_OF_WEEK)
    )
    return exp.Add(
        this=exp.Mod(this=exp.paren(exp.Add(this=exp.paren(left), expression=_number(7))), expression=_number(7)), expression=_number(1)
    )


def _anniversary_sql(day: exp.Expression, year: exp.Expression) -> exp.Expression:
    """Return the day of `year` on which `day` has its anniversary: 28 February for the 29th where the year has none."""
    is_leap = exp.or_(
        exp.and_(_remainder(year, 4).eq(0), exp.not_(_remainder(year, 100).eq(0))),
        _remainder(year, 400).eq(0),
    )
    is_leap_day = exp.and_(exp.Month(this=day.copy()).eq(2), exp.Day(this=day.copy()).eq(29))
    kept = exp.Case().when(exp.and_(is_leap_day, exp.not_(exp.paren(is_leap))), _number(28)).else_(exp.Day(this=day.copy()))
    return exp.DateFromParts(year=year.copy(), month=exp.Month(this=day.copy()), day=kept)


def _days_until_anniversary_sql(day: exp.Expression, today: exp.Expression) -> exp.Expression:
    year = exp.Year(this=today.copy())
    this_year, next_year = _anniversary_sql(day, year), _anniversary_sql(day, exp.paren(exp.Add(this=year, expression=_number(1))))
    coming = exp.Case().when(exp.GTE(this=this_year, expression=today.copy()), this_year.copy()).else_(next_year)
    return exp.DateDiff(this=coming, expression=today.copy(), unit=exp.var("DAY"))


def _years_since_sql(day: exp.Expression, today: exp.Expression) -> exp.Expression:
    year = exp.Year(this=today.copy())
    years = exp.Sub(this=year, expression=exp.Year(this=day.copy()))
    is_before = exp.GT(this=_anniversary_sql(day, year), expression=today.copy())
    return exp.Sub(this=exp.paren(years), expression=exp.Case().when(is_before, _number(1)).else_(_number(0)))


def _remainder(year: exp.Expression, divisor: int) -> exp.Expression:
    return exp.paren(exp.Mod(this=exp.paren(year.copy()), expression=_number(divisor)))


def _number(value: int) -> exp.Expression:
    return exp.Literal.number(value)


def anniversary_in(day: date, year: int) -> date:
    """Return the day of `year` on which `day` has its anniversary: 28 February for the 29th where the year has none."""
    try:
        return day.replace(year=year)
    except ValueError:
        return date(year, 2, 28)


def _days_until_anniversary(day: date, today: date) -> int:
    coming = anniversary_in(day, today.year)
    return ((coming if coming >= today else anniversary_in(day, today.year + 1)) - today).days


DATE_PARTS = {
    "YEAR": DatePart(lambda day, _: exp.Year(this=day), lambda day, _: day.year, 1, date.max.year),
    "MONTH": DatePart(lambda day, _: exp.Month(this=day), lambda day, _: day.month, 1, 12),
    "DAY": DatePart(lambda day, _: exp.Day(this=day), lambda day, _: day.day, 1, 31),
    "WEEKDAY": DatePart(_weekday_sql, lambda day, _: day.isoweekday(), 1, _DAYS_OF_WEEK),
    "YEARS_SINCE": DatePart(
        _years_since_sql,
        lambda day, today: today.year - day.year - (anniversary_in(day, today.year) > today),
        needs_today=True,
    ),
    "DAYS_UNTIL_ANNIVERSARY": DatePart(_days_until_anniversary_sql, _days_until_anniversary, 0, 365, needs_today=True),
}
"""The functions that take one date."""
