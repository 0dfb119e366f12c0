"""Declared features as columns of customer_features: what the aggregates are, and what is worked out of them and of other features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.features import DeclaredFeature
from pipeline.features.declared.aggregate_sets import (
    CUSTOMER_ID,
    AggregateSet,
    aggregates_by_source,
    columns_needed,
    known_count,
    row_count,
)
from pipeline.lake.engines import Engine
from pipeline.lake.tables import Table


def with_declared_columns(query: exp.Query, company: Company, table: Table, sets: Sequence[AggregateSet] | None = None) -> exp.Query:
    """Return `query`, which has the other columns of customer_features, with the company's declared ones; sorted by customer.

    The tables of its aggregates must be registered: those of `sets`, by default as they are carried from night to night. `table` is the
    table with all columns.
    """
    if not company.features:
        return query
    query.set("order", None)
    relation = _with_aggregates(query, aggregates_by_source(company) if sets is None else sets)
    for level in _levels(company.features):
        values = [exp.alias_(feature.value.copy(), feature.name, quoted=True) for feature in level]
        relation = exp.Select().select("*", *values, copy=False).from_(relation.subquery("known", copy=False), copy=False)
    columns = [exp.column(name, quoted=True) for name in table.column_names]
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


def unknown_declared_features(company: Company, engine: Engine) -> dict[str, str]:
    """Return the features that nobody has as the source does not give a column, each with what it needs; the aggregates are registered.

    A column counts as given where any row of the widest window has a value. Where there are no rows, none lacks a column.
    """
    lacking: set[str] = set()
    for each in aggregates_by_source(company):
        needed = columns_needed(each.source, each.aggregates)
        counts = {"": row_count(each.source, each.aggregates)}
        counts |= {name: known_count(each.source, name, each.aggregates) for name in needed}
        totals = _totals(engine, each.table, {name: aggregate.name for name, aggregate in counts.items()})
        lacking |= {f"{each.source.name}.{name}" for name in needed if totals[""] and not totals[name]}
    unknown: dict[str, str] = {}
    for feature in company.features:
        needs = {*(feature.needs & lacking), *(unknown[name] for name in feature.looks_at if name in unknown)}
        if needs:
            unknown[feature.name] = ", ".join(sorted(needs))
    return unknown


def _totals(engine: Engine, table: Table, columns: Mapping[str, str]) -> dict[str, int]:
    sums = [exp.alias_(exp.Sum(this=exp.column(column, quoted=True)), f"total_{number}") for number, column in enumerate(columns.values())]
    [row] = engine.run(exp.select(*sums).from_(table.name), {}).read_all().to_pylist()
    return {name: int(row[f"total_{number}"] or 0) for number, name in enumerate(columns)}
