"""Declared features that a stored night does not have yet, or has counted otherwise, worked out from what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date

import pyarrow.parquet as pq
from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.features import feature_digests
from pipeline.features.cache import cache_session
from pipeline.features.declared.aggregate_sets import aggregates_by_source
from pipeline.features.declared.columns import columns_given, unknown_since, with_declared_columns
from pipeline.features.declared.states import define_aggregates, known_events
from pipeline.features.known_columns import DECLARED, UNKNOWN_DECLARED
from pipeline.features.rollup_set import FeatureWindow
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, Table


def features_declared_since(company: Company, lake: Lake, day: date) -> frozenset[str]:
    """Return the features of `company` that a stored night lacks, or has by another declaration."""
    stored: Mapping[str, str] = lake.manifest(lake.path(CUSTOMER_FEATURES, day=day)).get(DECLARED, {})
    return frozenset(name for name, digest in feature_digests(company.features).items() if stored.get(name) != digest)


@dataclass(frozen=True, slots=True)
class DeclaredNight:
    """A night's features with all that is declared now: the table of what they hold, and what holds them.

    That is the table `relation` of the engine, which works out what was declared `since` when it is read; empty where the stored file
    has all of it. `unknown` are those of them that nobody has, each with what the source does not give.
    """

    table: Table
    relation: str = ""
    since: frozenset[str] = frozenset()
    unknown: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def features_as_declared(company: Company, lake: Lake, engine: Engine, day: date, besides: Table | None = None) -> Iterator[DeclaredNight]:
    """Yield customer_features as the night of `day` would have it by the declarations of `company`, for the time of the block.

    What was declared since is worked out from stored events, and only if it is read. `besides` has columns that the stored night has too.
    """
    path, since = lake.path(CUSTOMER_FEATURES, day=day), features_declared_since(company, lake, day)
    table = company.table(CUSTOMER_FEATURES)
    added = [] if besides is None else [column for column in besides.columns if column.name not in table.column_names]
    if not since:
        yield DeclaredNight(table.with_columns(added))
        return
    held = set(pq.read_schema(path).names)
    stored = replace(table, columns=tuple(each for each in (*table.columns, *added) if each.name in held and each.name not in since))
    partial = replace(company, features=tuple(feature for feature in company.features if feature.name in since))
    window, sets = FeatureWindow(day, day, company.window_days), aggregates_by_source(partial, is_carried=False)
    with cache_session(lake, engine, company.zone) as session:
        events = known_events(partial, lake, window)
        define_aggregates(session, window, sets, events)
        known = replace(stored, name="stored_features")
        engine.register(known, [path])
        whole = stored.with_columns(feature.column for feature in partial.features)
        rows = exp.select(*(exp.column(name, quoted=True) for name in known.column_names)).from_(known.name)
        unchanged = replace(company, features=tuple(feature for feature in company.features if feature.name not in since))
        given = columns_given(unchanged, day, lake.manifest(path).get(UNKNOWN_DECLARED, {}))
        unknown = unknown_since(partial, engine, events, day, given)
        query = with_declared_columns(rows, partial, whole, unknown, sets)
        query.set("order", None)
        relation = replace(whole, name="features_as_declared")
        engine.define(relation, query)
        yield DeclaredNight(whole, relation.name, since, unknown)
