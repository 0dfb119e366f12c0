"""Aggregates as SQL: one statement for any number of them over the same table of events, whatever their windows.

A window is part of the condition under which a row counts, so the rows are read once. What needs the rows of each value together, such
as COUNT(DISTINCT order_id), groups by customer and value first: one pass for all that look at the same value, where an engine
would keep a set of its own for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import reduce

from sqlglot import exp

from pipeline.definitions.rules.aggregates import LIST_SEPARATOR, Aggregate, AggregateFunction
from pipeline.features.declared.aggregate_sets import CUSTOMER_ID, AggregateSet, next_days, oldest_day
from pipeline.features.declared.counted_rows import (
    ROWS_AMONG,
    counted_rows,
    in_window,
    latest_flag,
    may_count,
    rows_are_as_stored,
    sequence_flag,
)
from pipeline.lake.expressions import date_literal
from pipeline.lake.tables import Column, Table


def aggregates_statement(wanted: AggregateSet, day: date, *, among: Table | None = None) -> exp.Select:
    """Return the statement of `wanted` as of the end of `day`, for every customer with a row, or for those `among` a table of ids."""
    if among is None and (counted := _count_of_values(wanted, day)) is not None:
        return counted
    by_value: dict[str, list[Aggregate]] = {}
    for each in wanted.aggregates:
        if each.function.is_by_value and each.argument is not None:
            by_value.setdefault(_value_of_row(each).sql("duckdb"), []).append(each)
    # One group by value is everybody who counts: nothing else needs a look at the rows.
    is_alone = not wanted.is_carried and len(by_value) == 1 and all(each.function.is_by_value for each in wanted.aggregates)
    parts = [] if is_alone else [(_simple_columns(wanted, day, among), "simple")]
    for number, (_, group) in enumerate(sorted(by_value.items())):
        parts.append((_by_value_columns(wanted, group, day, among), f"by_value_{number}"))
    columns = [_column(column, _holder(column.name, by_value), wanted) for column in wanted.columns]
    everyone = exp.to_table(among.name) if among else parts[0][0].subquery(parts[0][1], copy=False)
    name = among.name if among else parts[0][1]
    query = exp.select(exp.column(CUSTOMER_ID, name), *columns).from_(everyone, copy=False)
    for part, alias in parts[0 if among else 1 :]:
        on = exp.column(CUSTOMER_ID, alias).eq(exp.column(CUSTOMER_ID, name))
        query = query.join(part.subquery(alias, copy=False), on=on, join_type="left", copy=False)
    # Read once, as DuckDB keeps what is read twice: these are few customers' rows among everybody's.
    return query if _reads_table(wanted, among) else query.with_(ROWS_AMONG, as_=counted_rows(wanted, day, among), copy=False)


def _count_of_values(wanted: AggregateSet, day: date) -> exp.Select | None:
    """Return the statement of a single count of the values of rows, all of which count; None where `wanted` is more or something else.

    The engine's own set of values costs less than rows that are grouped twice, as long as there is one of them.
    """
    [each, *others] = wanted.aggregates
    is_count = each.function is AggregateFunction.COUNT_DISTINCT and each.argument is not None
    if others or wanted.is_carried or not is_count or not rows_are_as_stored(wanted):
        return None
    count = exp.Count(this=exp.Distinct(expressions=[_value_of_row(each)]), big_int=True)
    columns = exp.column(CUSTOMER_ID), exp.alias_(count, each.name, quoted=True)
    return _rows(wanted, day, None).select(*columns, copy=False).group_by(CUSTOMER_ID, copy=False)


def _column(column: Column, holder: str, wanted: AggregateSet) -> exp.Expr:
    value = exp.column(column.name, holder, quoted=True)
    absent = wanted.without_rows(column)
    if isinstance(absent, exp.Null):
        return value
    # Not COALESCE: a sum of rows that do not say how much is unknown, one of no rows is 0.
    return exp.alias_(exp.case().when(exp.column(CUSTOMER_ID, holder).is_(exp.null()), absent).else_(value), column.name, quoted=True)


def _holder(name: str, by_value: dict[str, list[Aggregate]]) -> str:
    for number, (_, group) in enumerate(sorted(by_value.items())):
        if name in {each.name for each in group}:
            return f"by_value_{number}"
    return "simple"


def _reads_table(wanted: AggregateSet, among: Table | None) -> bool:
    """Whether everybody's rows are read as they are stored."""
    return among is None and rows_are_as_stored(wanted)


def _rows(wanted: AggregateSet, day: date, among: Table | None) -> exp.Select:
    """Return the select from the rows that may count, without its columns."""
    if _reads_table(wanted, among):
        return exp.Select().from_(wanted.source.table.name).where(*may_count(wanted, day))
    return exp.Select().from_(ROWS_AMONG)


def _value_of_row(each: Aggregate) -> exp.Expression:
    """Return what rows are grouped by: the argument, of a LIST without what separates its values."""
    assert each.argument is not None  # noqa: S101 - what is grouped by value has one
    if each.function is not AggregateFunction.LIST:
        return each.argument.copy()
    separator, instead = (exp.Literal.string(text) for text in (LIST_SEPARATOR, "/"))
    replaced = exp.Replace(this=each.argument.copy(), expression=separator, replacement=instead)
    return exp.Nullif(this=replaced, expression=exp.Literal.string(""))


def _simple_columns(wanted: AggregateSet, day: date, among: Table | None) -> exp.Select:
    columns: list[exp.Expr] = [exp.column(CUSTOMER_ID)]
    simple = (each for each in wanted.aggregates if not each.function.is_by_value)
    columns += [exp.alias_(_value(each, wanted, day), each.name, quoted=True) for each in simple]
    counted_on = exp.column(wanted.source.day, quoted=True)
    for window in wanted.windows:
        inside = _when(in_window(window, wanted.source, day), counted_on)
        columns.append(exp.alias_(exp.Min(this=inside), oldest_day(window), quoted=True))
        for name in next_days(window):
            after = _when(counted_on > date_literal(window.final_day(day)), counted_on)
            columns.append(exp.alias_(exp.Min(this=after), name, quoted=True))
    return _rows(wanted, day, among).select(*columns, copy=False).group_by(CUSTOMER_ID, copy=False)


def _by_value_columns(wanted: AggregateSet, group: Sequence[Aggregate], day: date, among: Table | None) -> exp.Select:
    argument = _value_of_row(group[0])
    counts: list[exp.Expr] = []
    values: list[exp.Expr] = []
    for each in group:
        count = exp.Count(this=_when(_condition(each, wanted, day), exp.Literal.number(1)), big_int=True)
        counts.append(exp.alias_(count, each.name, quoted=True))
        column = exp.column(each.name, quoted=True)
        if each.function is AggregateFunction.COUNT_DISTINCT:
            value: exp.Expr = exp.cast(
                exp.Sum(this=exp.case().when(column > 0, exp.Literal.number(1)).else_(exp.Literal.number(0))), "bigint"
            )
        elif each.function is AggregateFunction.LIST:
            found = exp.ArraySort(this=exp.ArrayAgg(this=_when(column > 0, exp.column("value"))))
            joined = exp.ArrayToString(this=found, expression=exp.Literal.string(LIST_SEPARATOR))
            # Engines differ in what no values at all are when they are joined.
            value = exp.func("COALESCE", joined, exp.Literal.string(""))
        else:
            # The most frequent, and of equally frequent ones the first in order.
            rank = _struct({"rank": exp.Neg(this=column), "value": exp.column("value")})
            value = exp.Dot(this=exp.Min(this=_when(column > 0, rank)), expression=exp.to_identifier("value"))
        values.append(exp.alias_(value, each.name, quoted=True))
    rows = _rows(wanted, day, among).where(exp.not_(argument.copy().is_(exp.null())), copy=False)
    inner = rows.select(exp.column(CUSTOMER_ID), exp.alias_(argument.copy(), "value"), *counts, copy=False).group_by(
        CUSTOMER_ID, argument.copy(), copy=False
    )
    return (
        exp.select(exp.column(CUSTOMER_ID), *values)
        .from_(inner.subquery("values_of_customers", copy=False), copy=False)
        .group_by(CUSTOMER_ID)
    )


def _value(each: Aggregate, wanted: AggregateSet, day: date) -> exp.Expr:
    condition = _condition(each, wanted, day)
    argument = exp.Literal.number(1) if each.argument is None else each.argument
    counted = _when(condition, argument)
    match each.function:
        case AggregateFunction.COUNT:
            return exp.Count(this=counted, big_int=True)
        case AggregateFunction.SUM:
            # No row adds up to 0; rows of which none says how much add up to what nobody knows.
            row_count = exp.Count(this=_when(condition, exp.Literal.number(1)), big_int=True)
            total = exp.cast(exp.Sum(this=counted), each.kind.sql)
            return exp.case().when(row_count.eq(0), exp.cast(exp.Literal.number(0), each.kind.sql)).else_(total)
        case AggregateFunction.AVG:
            total = exp.cast(exp.Sum(this=counted), "double")
            return exp.Div(
                this=total, expression=exp.Nullif(this=exp.Count(this=counted.copy(), big_int=True), expression=exp.Literal.number(0))
            )
        case AggregateFunction.MIN:
            return exp.Min(this=counted)
        case AggregateFunction.MAX:
            return exp.Max(this=counted)
        case _:
            # A struct, as engines differ in whether a row without a value is passed over.
            parts = {f"part_{place}": exp.column(name, quoted=True) for place, name in enumerate(wanted.source.order)}
            order = _when(condition, _struct(parts))
            kind = exp.ArgMin if each.function is AggregateFunction.FIRST else exp.ArgMax
            found = kind(this=_when(condition, _struct({"value": argument})), expression=order)
            return exp.Dot(this=found, expression=exp.to_identifier("value"))


def _condition(each: Aggregate, wanted: AggregateSet, day: date) -> exp.Expr | None:
    sequence = None if each.sequence is None else sequence_flag(wanted, each.sequence)
    latest = latest_flag(wanted, each) if each.latest else None
    parts = [part for part in (each.where, sequence, latest, in_window(each.window, wanted.source, day)) if part is not None]
    return reduce(lambda left, right: exp.And(this=exp.Paren(this=left), expression=exp.Paren(this=right)), parts) if parts else None


def _when(condition: exp.Expr | None, value: exp.Expr) -> exp.Expr:
    return value.copy() if condition is None else exp.case().when(condition.copy(), value.copy())


def _struct(parts: Mapping[str, exp.Expr]) -> exp.Struct:
    pairs = [exp.PropertyEQ(this=exp.to_identifier(name), expression=value.copy()) for name, value in parts.items()]
    return exp.Struct(expressions=pairs)
