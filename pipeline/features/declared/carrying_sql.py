"""Statements that carry aggregates from one night to the next: whose may have changed, and everybody's put together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlglot import exp

from pipeline.definitions.rules.day_windows import DayWindow
from pipeline.features.declared.aggregate_sets import CUSTOMER_ID, AggregateSet, next_days, oldest_day
from pipeline.lake.expressions import date_literal, union_all
from pipeline.lake.tables import AFFECTED_CUSTOMERS, REGROUPED_CUSTOMERS, Column, Table


def changed_statement(tables: Sequence[Table]) -> exp.Query:
    """Return the ids of customers who have rows among the registered ones of `tables`, which are those that changed, or who were merged."""
    ids: exp.Query = exp.select(CUSTOMER_ID).from_(REGROUPED_CUSTOMERS.name)
    for table in tables:
        ids = exp.union(ids, exp.select(CUSTOMER_ID).from_(table.name), copy=False)
    return ids.order_by(CUSTOMER_ID)


def aged_statement(before: Table, window: DayWindow, day: date) -> exp.Query:
    """Return the ids of other customers of whom a row left `window`, or entered it, since the night of the table `before`."""
    first = window.first_day(day)
    conditions: list[exp.Expr] = [] if first is None else [exp.column(oldest_day(window), quoted=True) < date_literal(first)]
    conditions += [exp.column(name, quoted=True) <= date_literal(window.final_day(day)) for name in next_days(window)]
    changed = exp.select(CUSTOMER_ID).from_(AFFECTED_CUSTOMERS.name)
    rows = exp.select(CUSTOMER_ID).from_(before.name).where(exp.or_(*conditions))
    return rows.where(exp.not_(exp.column(CUSTOMER_ID).isin(query=changed))).order_by(CUSTOMER_ID)


def carried_statement(wanted: AggregateSet, before: Table, changed: Table, aged: Sequence[Table], added: Table | None) -> exp.Query:
    """Return everybody's aggregates: of the table `changed`, else those of a window that `aged`, else as they were `before`.

    Those of the table `added` were computed for everybody.
    """
    columns = [column for column in wanted.columns if added is None or column.name not in added.column_names]
    touched: exp.Query = exp.select(CUSTOMER_ID).from_(changed.name)
    for table in aged:
        touched = exp.union(touched, exp.select(CUSTOMER_ID).from_(table.name), copy=False)
    # Most rows are as they were: they are passed on as they are, as choosing among tables costs more than all else.
    others = exp.select(CUSTOMER_ID, *(exp.column(column.name, quoted=True) for column in columns)).from_(before.name)
    others = others.where(exp.not_(exp.column(CUSTOMER_ID).isin(query=touched)))
    carried = union_all([others, _rows_touched(wanted, columns, touched, (changed, *aged, before))])
    if added is None:
        return carried
    customer = exp.func("COALESCE", exp.column(CUSTOMER_ID, "carried"), exp.column(CUSTOMER_ID, added.name))
    values = [_chosen(column, wanted, ["carried"] if column in columns else [added.name]) for column in wanted.columns]
    query = exp.select(exp.alias_(customer, CUSTOMER_ID), *values).from_(carried.subquery("carried", copy=False), copy=False)
    return query.join(added.name, on=_same(added.name, "carried"), join_type="full", copy=False)


def _rows_touched(wanted: AggregateSet, columns: Sequence[Column], touched: exp.Query, tables: Sequence[Table]) -> exp.Select:
    """Return the rows of the customers `touched`, each column from the first of `tables` that has it and the customer."""
    holders = {column.name: [table.name for table in tables if column.name in table.column_names] for column in columns}
    values = [_chosen(column, wanted, holders[column.name]) for column in columns]
    query = exp.select(exp.column(CUSTOMER_ID, "touched"), *values).from_(touched.subquery("touched"), copy=False)
    for table in tables:
        query.join(table.name, on=_same(table.name, "touched"), join_type="left", copy=False)
    return query


def _chosen(column: Column, wanted: AggregateSet, holders: Sequence[str]) -> exp.Expr:
    """Return the value of one column: of the first of the tables that has the customer."""
    value = exp.case()
    for table in holders:
        value = value.when(
            exp.not_(exp.column(CUSTOMER_ID, table).is_(exp.null())), exp.column(column.name, table, quoted=True), copy=False
        )
    return exp.alias_(value.else_(wanted.without_rows(column)), column.name, quoted=True)


def _same(table: str, other: str) -> exp.Expression:
    return exp.column(CUSTOMER_ID, table).eq(exp.column(CUSTOMER_ID, other))
