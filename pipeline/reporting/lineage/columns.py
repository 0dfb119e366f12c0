"""The columns of every table between a source and the features, and what each is calculated from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from graphlib import TopologicalSorter

from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.features import baselines_statement, columns_read, columns_read_of_others
from pipeline.lake.statements import has_statement, statement, with_attributes
from pipeline.lake.tables import (
    ALL_TABLES,
    CUSTOMER_ARCHIVES,
    CUSTOMER_FEATURES,
    CUSTOMER_STATES,
    CUSTOMER_VISITS,
    CUSTOMERS,
    EVENT_DAY,
    KNOWN_ON,
    ORDER_LINES,
    POPULATION_BASELINES,
    RAW_PROSPECTS,
    SOURCE_TABLES,
    Table,
)
from pipeline.reporting.lineage.graph import ColumnGraph, Edge, Field, How
from pipeline.reporting.lineage.sql_columns import statement_edges

RawColumns = Mapping[tuple[str, str], Sequence[str]]
_DECLARED = {table.name: table for table in (*ALL_TABLES, CUSTOMER_STATES, CUSTOMER_ARCHIVES, CUSTOMER_VISITS)}
_LINE_KIND = ("is_cancelled", "net_amount", "quantity")
DERIVED: RawColumns = {
    (ORDER_LINES.name, "line_kind"): _LINE_KIND,
    (ORDER_LINES.name, "order_day"): ("ordered_at", "refunded_order_day", *_LINE_KIND),
    (ORDER_LINES.name, EVENT_DAY.name): ("ordered_at",),
    (ORDER_LINES.name, KNOWN_ON.name): (),
}
"""Columns of clean tables that validation makes, and the raw ones that they are made from; all others are the raw column of their name.

No statement says so, as clean rows are made in Python: a test holds this beside what validation does.
"""


def column_graph(company: Company) -> ColumnGraph:
    """Draw the graph of what every column, from the sources of `company` to its features, is calculated from."""
    return ColumnGraph(_company_edges(company))


def source_fields(company: Company) -> dict[Field, str]:
    """Describe every column that a source of features may supply, with its meaning."""
    clean = [table for table in tables_behind(company) if not _is_computed(table)]
    raws = [company.table(raw) for table in clean for raw in _raw_tables(company, table)]
    return {Field(raw.name, column.name): column.description for raw in raws for column in raw.columns}


def required_fields(company: Company) -> set[Field]:
    """List the source columns without which no night can run: those that we require, and all of events that the company declares."""
    required = {Field(raw.name, column.name) for raw in SOURCE_TABLES.values() for column in raw.columns if column.required}
    declared = {Field(event.raw_table.name, name) for event in company.declared_events for name in event.raw_table.column_names}
    return required | declared


def described_fields(company: Company) -> dict[Field, str]:
    """Describe every declared column from the features back to the sources, with its meaning."""
    tables = [company.table(table) for table in tables_behind(company)]
    inner = {Field(table.name, column.name): column.description for table in tables for column in table.columns}
    return inner | source_fields(company)


def _company_edges(company: Company) -> Iterator[Edge]:
    # As statements see them: tables of event days carry their day, and the night that knew it.
    columns = {table.name: tuple(column.name for column in company.table(table).stored_columns) for table in tables_behind(company)}
    for table in tables_behind(company):
        if _is_computed(table):
            query = _statement_of(table.name)
            if table.name == CUSTOMER_FEATURES.name:
                # The statement lies in a file for all companies; their own attributes are added to it, as a night does.
                query = with_attributes(query, CUSTOMER_FEATURES, replace(company, features=()).table(table))
                yield from _declared_edges(company)
            yield from statement_edges(query, table.name, columns)
        else:
            yield from _edges_of_clean_rows(company, table, columns[table.name])


def _declared_edges(company: Company) -> Iterator[Edge]:
    """Yield what each declared feature reads: columns of the events that it adds up, and other features."""
    for feature in company.features:
        target = Field(CUSTOMER_FEATURES.name, feature.name)
        for each in feature.aggregates:
            source = company.event_sources[each.source]
            makes = frozenset() if each.argument is None else {column.name for column in each.argument.find_all(exp.Column)}
            for name in sorted(columns_read(each, source)):
                # A count is made of the rows that there are.
                how: How = "value" if name in makes or (each.argument is None and name == source.day) else "rows"
                yield Edge(target, Field(source.name, name), how)
            if each.sequence is not None:
                other = company.event_sources[each.sequence.source]
                for name in sorted(columns_read_of_others(each.sequence, other)):
                    yield Edge(target, Field(other.name, name), "rows")
        for name in sorted(feature.looks_at):
            yield Edge(target, Field(CUSTOMER_FEATURES.name, name), "value")


def tables_behind(company: Company) -> tuple[Table, ...]:
    """Order the tables behind the features, and the events that the company declares, whether or not a feature reads them."""
    behind = _tables_behind_features()
    aggregates = [each for feature in company.features for each in feature.aggregates]
    added_up = [company.event_sources[name].table for each in aggregates for name in (each.source, *each.other_sources)]
    others = dict.fromkeys([*(event.table for event in company.declared_events), *added_up])
    return tuple(sorted((*behind, *(table for table in others if table not in behind)), key=lambda table: not _is_computed(table)))


@cache
def _tables_behind_features() -> tuple[Table, ...]:
    """Order the tables that features are computed from, each before those that it reads, what is computed before clean rows."""
    inputs: dict[str, list[str]] = {}
    waiting = [CUSTOMER_FEATURES.name]
    while waiting:
        name = waiting.pop()
        if name not in inputs:
            inputs[name] = sorted(_tables_read(name) - {name})
            waiting += inputs[name]
    # Found by reading the statements, not listed by hand: a table that a statement begins to read cannot be forgotten here.
    ordered = [_DECLARED[name] for name in reversed(list(TopologicalSorter(inputs).static_order()))]
    return tuple(sorted(ordered, key=lambda table: not _is_computed(table)))


def _tables_read(name: str) -> set[str]:
    if not _is_computed(_DECLARED[name]):
        return set()
    query = _statement_of(name)
    return {table.name for table in query.find_all(exp.Table)} - {cte.alias for cte in query.find_all(exp.CTE)}


def _statement_of(name: str) -> exp.Query:
    """Return the statement of a table, whole: that of the baselines has another one within."""
    return baselines_statement() if name == POPULATION_BASELINES.name else statement(name)


def _is_computed(table: Table) -> bool:
    return has_statement(table.name)


def _edges_of_clean_rows(company: Company, table: Table, columns: Sequence[str]) -> Iterator[Edge]:
    derived = dict(DERIVED)
    for event in company.events.values():
        derived |= {(event.name, EVENT_DAY.name): (event.instant.name,), (event.name, KNOWN_ON.name): ()}
    for raw in _raw_tables(company, table):
        supplied = company.table(raw).column_names
        for name in columns:
            for source in derived.get((table.name, name), (name,)):
                if source in supplied:
                    yield Edge(Field(table.name, name), Field(raw.name, source), "value")


def _raw_tables(company: Company, table: Table) -> list[Table]:
    """Return the raw tables that clean rows come from: people also come from the prospects, where the company has them."""
    has_prospects = table.name == CUSTOMERS.name and company.source_file("prospects").is_file()
    return [company.source_tables[table.name], *([RAW_PROSPECTS] if has_prospects else [])]
