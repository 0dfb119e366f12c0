"""Declared features as columns of customer_features: what the aggregates are, and what is worked out of them and of other features."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.features import DeclaredFeature
from pipeline.definitions.rules.aggregates import Aggregate
from pipeline.definitions.rules.event_sources import EventSource
from pipeline.features.declared.aggregate_sets import (
    CUSTOMER_ID,
    AggregateSet,
    aggregates_by_source,
    columns_needed,
    counts_within_windows,
)
from pipeline.features.declared.counted_rows import counted_rows
from pipeline.lake.engines import Engine
from pipeline.lake.tables import Table


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


def unknown_declared_features(company: Company, engine: Engine, absent: frozenset[str]) -> dict[str, str]:
    """Return the features that nobody has as the source does not give something, each with what it needs; the aggregates are registered.

    A column counts as given where any row of the widest windows has a value. Where there are no rows, none lacks a column. `absent` are
    the sources that the night does without.
    """
    given, lacking = set[str](), set[str]()
    for each in aggregates_by_source(company):
        names = columns_needed(each.source, each.aggregates)
        sums = [_sum(counts_within_windows(each.source, each.aggregates, column)) for column in ("", *names)]
        rows, *known = _row(engine, exp.select(*_numbered(sums)).from_(each.table.name))
        given |= _fields(each.source, names, known)
        lacking |= _fields(each.source, names if rows else (), [not count for count in known])
    return declared_features_lacking(company, lacking - given | absent)


def unknown_since(company: Company, engine: Engine, absent: frozenset[str], day: date, given: Mapping[str, date]) -> dict[str, str]:
    """Return the same of features declared since the night of `day`: their events are registered, and their aggregates are not.

    `given` are columns that the night found, each with the first day in which it looked. It would look in the days of all features, those
    declared since and the others: a column that it found counts as given, though no row of later days alone has a value.
    """
    found, lacking = set[str](), set[str]()
    for each in aggregates_by_source(company):
        first = each.first_day(day) or date.min
        names = [name for name in columns_needed(each.source, each.aggregates) if given.get(f"{each.source.name}.{name}", first) >= first]
        if names:
            asked = [count for column in ("", *names) for count in counts_within_windows(each.source, each.aggregates, column)]
            rows = counted_rows(replace(each, aggregates=tuple(asked), other=None), day, None)
            # The first row that gives a column is enough: most do, and then hardly anything is read.
            known = [_has_rows(engine, rows, exp.not_(exp.column(name, quoted=True).is_(exp.null()))) for name in names]
            found |= _fields(each.source, names, known)
            lacking |= _fields(each.source, names if all(known) or _has_rows(engine, rows) else (), [not is_known for is_known in known])
    return declared_features_lacking(company, lacking - found | absent)


def columns_given(company: Company, day: date, unknown: Container[str]) -> dict[str, date]:
    """Return the columns that the night of `day` found, as it did not leave their features `unknown`, each with its first day."""
    needed = frozenset[str]().union(*(feature.needs for feature in company.features if feature.name not in unknown))
    firsts: dict[str, date] = {}
    for each in aggregates_by_source(company):
        for field in sorted({f"{each.source.name}.{name}" for name in columns_needed(each.source, each.aggregates)} & needed):
            firsts[field] = min(each.first_day(day) or date.min, firsts.get(field, date.max))
    return firsts


def declared_features_lacking(company: Company, lacking: set[str]) -> dict[str, str]:
    """Return the declared features that nobody has without the columns and sources in `lacking`, each with what it needs."""
    unknown: dict[str, str] = {}
    for feature in company.features:
        needs = {*(feature.needs & lacking), *(unknown[name] for name in feature.looks_at if name in unknown)}
        if needs:
            unknown[feature.name] = ", ".join(sorted(needs))
    return unknown


def _fields(source: EventSource, names: Sequence[str], chosen: Sequence[object]) -> set[str]:
    """Return those of the columns that are `chosen`, with their source."""
    return {f"{source.name}.{name}" for name, is_chosen in zip(names, chosen, strict=False) if is_chosen}


def _has_rows(engine: Engine, rows: exp.Select, *conditions: exp.Expr) -> bool:
    query = exp.select(exp.Literal.number(1)).from_(rows.copy().subquery("counted", copy=False), copy=False)
    found: int = engine.run(query.where(*conditions, copy=False).limit(1, copy=False), {}).read_all().num_rows
    return found > 0


def _sum(counts: Iterable[Aggregate]) -> exp.Expr:
    """Return the sum of `counts` over everybody."""
    whole: exp.Expr = exp.Literal.number(0)
    for each in counts:
        whole = exp.Add(this=whole, expression=exp.Sum(this=exp.column(each.name, quoted=True)))
    return whole


def _numbered(counts: Iterable[exp.Expr]) -> list[exp.Expr]:
    return [exp.alias_(count, f"count_{number}") for number, count in enumerate(counts)]


def _row(engine: Engine, query: exp.Query) -> list[int]:
    [row] = engine.run(query, {}).read_all().to_pylist()
    return [int(count or 0) for count in row.values()]
