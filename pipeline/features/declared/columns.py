"""Declared features as columns of customer_features: what the aggregates are, and what is worked out of them and of other features."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from datetime import date

from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.features import DeclaredFeature
from pipeline.definitions.rules.event_sources import EventSource
from pipeline.features.declared.aggregate_sets import (
    CUSTOMER_ID,
    AggregateSet,
    aggregates_by_source,
    columns_needed,
    known_count,
    row_count,
)
from pipeline.features.declared.counted_rows import counted_rows
from pipeline.features.rollup_set import RollupSet
from pipeline.lake.engines import Engine
from pipeline.lake.tables import VISITS, VISITS_SOURCE, Table


def with_declared_columns(
    query: exp.Query, company: Company, table: Table, unknown: Container[str], sets: Sequence[AggregateSet] | None = None
) -> exp.Query:
    """Return `query`, which has the other columns of customer_features, with the company's declared ones; sorted by customer.

    The tables of its aggregates must be registered: those of `sets`, by default as they are carried from night to night. `table` is the
    table with all columns; those in `unknown` are empty, as the source does not give what they count.
    """
    if not company.features:
        return query
    query.set("order", None)
    relation = _with_aggregates(query, aggregates_by_source(company) if sets is None else sets)
    for level in _levels(company.features):
        values = [exp.alias_(feature.value.copy(), feature.name, quoted=True) for feature in level]
        relation = exp.Select().select("*", *values, copy=False).from_(relation.subquery("known", copy=False), copy=False)
    empty = {each.name: exp.cast(exp.null(), each.kind.sql) for each in table.columns if each.is_declared and each.name in unknown}
    columns = [exp.alias_(empty.get(name, exp.column(name, quoted=True)), name, quoted=True) for name in table.column_names]
    return exp.Select().select(*columns, copy=False).from_(relation.subquery("declared", copy=False), copy=False).order_by(CUSTOMER_ID)


def _with_aggregates(query: exp.Query, sets: Iterable[AggregateSet]) -> exp.Select:
    """Return the rows of `query` with every aggregate under its own name."""
    joined = exp.Select().from_(query.subquery("features", copy=False), copy=False)
    columns: list[exp.Expr] = [exp.Column(this=exp.Star(), table=exp.to_identifier("features"))]
    added: set[str] = set()  # how many rows there are may be counted by two sets of one source
    for each in sets:
        name = each.table.name
        on = exp.column(CUSTOMER_ID, name).eq(exp.column(CUSTOMER_ID, "features"))
        joined.join(name, on=on, join_type="left", copy=False)
        for column in each.columns:
            if column.name in {aggregate.name for aggregate in each.aggregates} - added:
                added.add(column.name)
                value = exp.case().when(exp.column(CUSTOMER_ID, name).is_(exp.null()), each.without_rows(column))
                columns.append(exp.alias_(value.else_(exp.column(column.name, name, quoted=True)), column.name, quoted=True))
    return joined.select(*columns, copy=False)


def _levels(features: Iterable[DeclaredFeature]) -> list[list[DeclaredFeature]]:
    """Return the features that must be added, each in a level after those of the features that it looks at."""
    depths: dict[str, int] = {}
    levels: list[list[DeclaredFeature]] = []
    for feature in features:
        if feature.name in {each.name for each in feature.aggregates}:  # an aggregate of a rule is there already
            continue
        depth = 1 + max((depths[name] for name in feature.looks_at if name in depths), default=-1)
        depths[feature.name] = depth
        levels += [[] for _ in range(depth + 1 - len(levels))]
        levels[depth].append(feature)
    return levels


def unknown_declared_features(company: Company, engine: Engine, events: RollupSet) -> dict[str, str]:
    """Return the features that nobody has as the source does not give something, each with what it needs; the aggregates are registered.

    A column counts as given where any row of the widest window has a value. Where there are no rows, none lacks a column. Visits are
    given where `events`, the event days that the night goes by, have any.
    """
    lacking: set[str] = set()
    for each in aggregates_by_source(company):
        needed = columns_needed(each.source, each.aggregates)
        counts = {"": row_count(each.source, each.aggregates)}
        counts |= {name: known_count(each.source, name, each.aggregates) for name in needed}
        sums = (exp.Sum(this=exp.column(aggregate.name, quoted=True)) for aggregate in counts.values())
        lacking |= _columns_lacking(each.source, needed, _row(engine, exp.select(*_numbered(sums)).from_(each.table.name)))
    return _features_lacking(company, lacking, events)


def unknown_since(company: Company, engine: Engine, events: RollupSet, day: date) -> dict[str, str]:
    """Return the same of features declared since the night of `day`: their events are registered, and their aggregates are not."""
    lacking: set[str] = set()
    for each in aggregates_by_source(company):
        if needed := columns_needed(each.source, each.aggregates):
            asked = [row_count(each.source, each.aggregates), *(known_count(each.source, name, each.aggregates) for name in needed)]
            rows = counted_rows(replace(each, aggregates=tuple(asked), other=None), day, None)
            # The first row that gives a column is enough: most do, and then hardly anything is read.
            given = [_has_rows(engine, rows, exp.not_(exp.column(name, quoted=True).is_(exp.null()))) for name in needed]
            lacking |= _columns_lacking(each.source, needed, [all(given) or _has_rows(engine, rows), *given])
    return _features_lacking(company, lacking, events)


def _features_lacking(company: Company, lacking: set[str], events: RollupSet) -> dict[str, str]:
    """Return the features that nobody has without the columns in `lacking`, and without visits where there are none."""
    lacking |= set() if events.of_table(VISITS) else {VISITS_SOURCE}
    unknown: dict[str, str] = {}
    for feature in company.features:
        needs = {*(feature.needs & lacking), *(unknown[name] for name in feature.looks_at if name in unknown)}
        if needs:
            unknown[feature.name] = ", ".join(sorted(needs))
    return unknown


def _columns_lacking(source: EventSource, names: Sequence[str], counts: Sequence[int]) -> set[str]:
    """Return those of the columns that no row gives; `counts` are of all rows and of those that give each, or whether there are any."""
    rows, *given = counts
    return {f"{source.name}.{name}" for name, count in zip(names, given, strict=True) if rows and not count}


def _has_rows(engine: Engine, rows: exp.Select, *conditions: exp.Expr) -> bool:
    query = exp.select(exp.Literal.number(1)).from_(rows.copy().subquery("counted", copy=False), copy=False)
    found: int = engine.run(query.where(*conditions, copy=False).limit(1, copy=False), {}).read_all().num_rows
    return found > 0


def _numbered(counts: Iterable[exp.Expr]) -> list[exp.Expr]:
    return [exp.alias_(count, f"count_{number}") for number, count in enumerate(counts)]


def _row(engine: Engine, query: exp.Query) -> list[int]:
    [row] = engine.run(query, {}).read_all().to_pylist()
    return [int(count or 0) for count in row.values()]
