"""Parts of statements that are built in Python: numbers, sums, bounds and unions, alike in every statement."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import reduce

from sqlglot import exp


def double_literal(value: float) -> exp.Expression:
    """Return a DOUBLE literal that reads back as `value`; without an exponent, engines would read a decimal."""
    digits = repr(abs(float(value)))
    literal = exp.Literal.number(digits if "e" in digits else f"{digits}e0")
    return exp.Neg(this=literal) if value < 0 else literal


def date_literal(day: date) -> exp.Expression:
    """Return a DATE literal."""
    return exp.cast(exp.Literal.string(day.isoformat()), "date")


def ordered_sum(terms: Iterable[exp.Expression]) -> exp.Expression:
    """Return the sum of `terms` from left to right, as sums of doubles depend on the order; raises TypeError without terms."""
    return reduce(lambda left, right: exp.Add(this=left, expression=right), terms)


def least(first: exp.Expression, *rest: exp.Expression) -> exp.Expression:
    """Return the least of the values that are known; null where none is."""
    return exp.Least(this=first, expressions=list(rest), ignore_nulls=True) if rest else first


def greatest(first: exp.Expression, *rest: exp.Expression) -> exp.Expression:
    """Return the greatest of the values that are known; null where none is."""
    return exp.Greatest(this=first, expressions=list(rest), ignore_nulls=True) if rest else first


def union_all(queries: Iterable[exp.Query]) -> exp.Query:
    """Return all rows of `queries`, which are not copied but become parts of the result; raises ValueError without queries."""
    first, *others = queries
    return exp.union(first, *others, distinct=False, copy=False) if others else first
