"""Values of a table as expectations compare them, in SQL."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from pipeline.ingestion.validation.expectation_arguments import Bounds
from pipeline.lake.tables import Column, Kind

IDS = ("customer_id", "order_id", "visit_id")
WHITE_SPACE = "".join(character for character in map(chr, range(0x3001)) if character.isspace())


def column_value(column: Column) -> exp.Expr:
    """Return a column as rules see it: what is not a number or a blank id counts as no value, an amount is the float next to it."""
    value = exp.column(column.name, quoted=True)
    if column.kind is Kind.NUMBER:
        # Not NULLIF(x, NaN): writers leave NaN out of a file's statistics, by which DuckDB then takes no value to be equal to it.
        return exp.case().when(exp.not_(exp.IsNan(this=value)), value.copy())
    if column.kind is Kind.MONEY:
        return exp.cast(value, Kind.NUMBER.sql, dialect="duckdb")
    if column.kind is Kind.TEXT and column.name in IDS:
        # Trimming three million ids took more time than all else; most begin with a visible character and need none.
        is_visible = exp.Between(this=value, low=exp.Literal.string("!"), high=exp.Literal.string("~"))
        trimmed = exp.Trim(this=value.copy(), expression=exp.Literal.string(WHITE_SPACE))
        is_given = exp.NEQ(this=trimmed, expression=exp.Literal.string(""))
        return exp.case().when(is_visible, value.copy()).when(is_given, value.copy())
    return value


def as_double(column: Column) -> exp.Expr:
    """Return a numeric column as floats."""
    return exp.cast(column_value(column), Kind.NUMBER.sql, dialect="duckdb")


def as_compared(column: Column, constants: Sequence[object]) -> exp.Expr:
    """Return the column in the type in which it is compared with `constants`: whole numbers exactly, others as floats."""
    is_whole = column.kind is Kind.INTEGER and all(isinstance(value, int) for value in constants)
    return as_double(column) if column.kind is Kind.INTEGER and not is_whole else column_value(column)


def constant_literal(value: object) -> exp.Expr:
    """Return a value of a suite as a literal."""
    if isinstance(value, float):
        # As text: engines read a decimal literal as an exact decimal, and each rounds it in its own way.
        return exp.cast(exp.Literal.string(repr(value)), Kind.NUMBER.sql, dialect="duckdb")
    return exp.convert(value)


def within_bounds(value: exp.Expr, bounds: Bounds) -> exp.Expr:
    """Return whether a value lies within bounds; null for null."""
    conditions: list[exp.Expr] = []
    if bounds.min_value is not None:
        at_least = exp.GT if bounds.strict_min else exp.GTE
        conditions.append(at_least(this=value.copy(), expression=constant_literal(bounds.min_value)))
    if bounds.max_value is not None:
        at_most = exp.LT if bounds.strict_max else exp.LTE
        conditions.append(at_most(this=value.copy(), expression=constant_literal(bounds.max_value)))
    return exp.and_(*conditions)
