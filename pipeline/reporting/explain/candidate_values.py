"""The values of one feature at and just beyond which rules change their answer.

A rule such as `spend_amount > 2 * average_order_amount` changes its answer at one value of `spend_amount` alone, all else being as it
is. The difference of the two sides is linear in the feature, so that two values (0 and 1) give that root; the values just below, at
and above it are the smallest changes worth trying.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from fractions import Fraction
from math import ceil, floor, isfinite
from typing import Any

from sqlglot import exp

from pipeline.definitions.proofs import MAY_BE_NEGATIVE
from pipeline.definitions.rules import Call, Value, call_of, rule_value
from pipeline.lake.tables import CUSTOMER_FEATURES, Kind
from pipeline.reporting.explain.cluster_centres import Row

ANY_OTHER_TEXT = chr(0x10FFFF)
"""Stands for any text that no rule names and no other customer has."""
# How fine a proposal is: whole numbers, else hundredths.
_STEPS = {Kind.INTEGER: 1, Kind.MONEY: 100, Kind.NUMBER: 100}
_SHOWN_DECIMALS = 4
_FEATURES = frozenset(CUSTOMER_FEATURES.column_names)


def candidate_values(name: str, kind: Kind, comparisons: Iterable[exp.Expr], row: Row) -> Iterator[Value]:
    """Yield the values of the feature `name` at which one of the comparisons may come out otherwise; some more than once."""
    if kind is Kind.FLAG:  # one that is empty may turn out either way
        yield from (value for value in (True, False) if value is not row[name])
        return
    for node in comparisons:
        if any(column.name == name for column in node.find_all(exp.Column)):
            if kind not in _STEPS:
                yield from _compared_values(node, name, row)
            elif (root := _equalising_value(node, name, row)) is not None:
                yield from numbers_around(root, name, kind)
    if kind is Kind.TEXT:
        yield ANY_OTHER_TEXT


def _compared_values(node: exp.Expr, name: str, row: Row) -> Iterator[Value]:
    """Yield the text that a column is compared with, or the date and the days beside it."""
    for side, other in ((node.this, node.expression), (node.expression, node.this)):
        if any(column.name == name for column in side.find_all(exp.Column)):
            value = rule_value(other, row)
            if call_of(side) is not None and isinstance(value, int):
                yield from _days_compared(side, value, name, row)
            elif isinstance(value, date):
                yield from (date.fromordinal(value.toordinal() + days) for days in (-1, 0, 1) if date.min < value < date.max)
            elif isinstance(value, str):
                yield value


def _days_compared(side: exp.Expr, value: int, name: str, row: Row) -> Iterator[Value]:
    """Yield the days at and beside the one on which a number of days is `value`, where one day later is one day more or less."""
    day: Any = row[name]
    if not isinstance(day, date) or not date.min < day < date.max:
        return
    now: Any = rule_value(side, row)
    later: Any = rule_value(side, {**row, name: day + timedelta(days=1)})
    if now is None or later is None or later - now not in (1, -1):
        return
    number = day.toordinal() + (value - now) * (later - now)
    around = (number + step for step in (-1, 0, 1))
    yield from (date.fromordinal(each) for each in around if date.min.toordinal() <= each <= date.max.toordinal())


def days_to_come(today: Any) -> Iterator[Value]:  # noqa: ANN401 - a date, which a row of any values holds
    """Yield the days of the next week, and the first days of the next months: on them the calendar tells something else."""
    yield from (today + timedelta(days=days) for days in range(1, 8))
    first = today.replace(day=1)
    for _ in range(12):
        first = (first + timedelta(days=31)).replace(day=1)
        yield first


def numbers_around(root: Fraction, name: str, kind: Kind) -> Iterator[Value]:
    """Yield the numbers at and beside `root`, no finer than people would write them: whole, or with two decimals."""
    steps = _STEPS[kind]
    # Where the root is such a number, its two neighbours are tried too: `>` turns just above it, `<` just below.
    scaled = root * steps
    numbers = [Fraction(number, steps) for number in (ceil(scaled) - 1, floor(scaled), ceil(scaled), floor(scaled) + 1)]
    if kind is not Kind.INTEGER and round(root, _SHOWN_DECIMALS) == root:
        # A limit with more decimals than people write, such as a share of 0.125, is met only by itself.
        numbers.append(root)
    for number in numbers:
        if _is_possible(name, number):
            yield int(number) if kind is Kind.INTEGER else float(number) if kind is Kind.NUMBER else number


def _equalising_value(node: exp.Expr, name: str, row: Row) -> Fraction | None:
    """Solve for the value of `name` at which both sides are equal; None where their difference does not depend on it."""
    at_nought, at_one = (_side_difference(node, {**row, name: value}) for value in (0, 1))
    if at_nought is None or at_one is None or at_nought == at_one:
        return None
    return at_nought / (at_nought - at_one)


def _side_difference(node: exp.Expr, row: Row) -> Fraction | None:
    sides: list[Any] = [rule_value(side, row) for side in (node.this, node.expression)]
    if not all(isinstance(side, int | float | Fraction) and isfinite(side) for side in sides):
        return None
    return Fraction(sides[0]) - Fraction(sides[1])


def _is_possible(name: str, number: Fraction) -> bool:
    """Whether a feature can have this value at all; of a company's own attributes nothing is known."""
    if name not in _FEATURES:
        return True
    return (number >= 0 or name in MAY_BE_NEGATIVE) and (number <= 1 or not name.endswith("_share"))


def texts_for_calls(name: str, kind: Kind, calls: Iterable[Call], row: Row) -> Iterator[Value]:
    """Yield the texts for which a test of one would come out otherwise: of a list one value more, or one less."""
    value: Any = row[name]
    if kind is not Kind.TEXT:
        return
    for call in calls:
        for example in call.examples if call.bases == {name} else ():
            held = set(value.split(call.separator)) - {""} if call.separator and value else set()
            yield call.separator.join(sorted(held ^ {example})) if call.separator else example
