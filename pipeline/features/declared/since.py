"""Declared features that a stored night does not have yet, or has counted otherwise, worked out from what is stored."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date

from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.features import DeclaredFeature, feature_digests
from pipeline.definitions.rules.aggregates import Aggregate
from pipeline.features.cache import CacheSession, cache_session
from pipeline.features.declared.aggregate_sets import CUSTOMER_ID, AggregateSet, aggregates_by_source
from pipeline.features.declared.columns import columns_given, unknown_since, with_declared_columns
from pipeline.features.declared.states import define_aggregates, known_events, register_rows_of
from pipeline.features.known_columns import DECLARED, UNKNOWN_DECLARED, absent_sources
from pipeline.features.rollup_set import FeatureWindow, RollupSet
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, Table


def features_declared_since(company: Company, lake: Lake, day: date) -> frozenset[str]:
    """Return the features of `company` that a stored night lacks, or has by another declaration."""
    stored: Mapping[str, str] = lake.manifest(addresses.partition(CUSTOMER_FEATURES, day=day)).get(DECLARED, {})
    return frozenset(name for name, digest in feature_digests(company.features).items() if stored.get(name) != digest)


@dataclass(frozen=True, slots=True)
class FeaturesSince:
    """Works out features of a stored night that were declared `since`, from the events that are registered."""

    session: CacheSession
    window: FeatureWindow
    company: Company
    stored: Table
    sets: Sequence[AggregateSet]
    events: RollupSet
    unknown: Mapping[str, str]
    worked_out: dict[str, bool] = field(default_factory=dict)

    def define(self, table: Table) -> None:
        """Make the columns of `table` readable under its name; what is declared since is worked out by each statement that reads it."""
        features = self._behind(table.column_names)
        sets = [part for each in self.sets if (part := each.only(_aggregates_of(features) & {*each.aggregates})).aggregates]
        for each in sets:
            if each.table.name not in self.worked_out:
                self._define_aggregates(each.table.name, once=False)
        read = {CUSTOMER_ID, *table.column_names}.union(*(feature.looks_at for feature in features))
        # For each table of its own: what a statement does not read is neither opened nor verified.
        stored = replace(self.stored, name=f"stored_columns_of_{table.name}").only(read)
        self.session.engine.register(stored, [addresses.partition(CUSTOMER_FEATURES, day=self.window.day)])
        rows = exp.select(*(exp.column(each.name, quoted=True) for each in stored.columns))
        some = replace(self.company, features=tuple(features))
        query = with_declared_columns(rows.from_(stored.name), some, table, self.unknown, sets)
        query.set("order", None)
        self.session.engine.define(table, query)

    def work_out(self, names: Container[str]) -> None:
        """Add up what the columns of these `names` are made of now and once, so that statements find it and know how much it is."""
        wanted = _aggregates_of(self._behind(names))
        for each in self.sets:
            if not wanted.isdisjoint(each.aggregates) and not self.worked_out.get(each.table.name):
                self._define_aggregates(each.table.name, once=True)

    def _define_aggregates(self, name: str, *, once: bool) -> None:
        [wanted] = (each for each in self.sets if each.table.name == name)
        self.worked_out[name] = define_aggregates(self.session, self.window, wanted, self.events, once=once)

    def _behind(self, names: Container[str]) -> list[DeclaredFeature]:
        """Return the features of these `names` and those that they look at, each after what it looks at."""
        found: list[DeclaredFeature] = []
        for feature in reversed(self.company.features):
            if feature.name in names or any(feature.name in other.looks_at for other in found):
                found.append(feature)
        return found[::-1]


@dataclass(frozen=True, slots=True)
class DeclaredNight:
    """A night's features with all that is declared now: the table of what they hold, and what works out what was declared since.

    That is None where the stored file has all of it. `unknown` are those declared since that nobody has, each with what the source
    does not give.
    """

    table: Table
    features: FeaturesSince | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)

    @property
    def since(self) -> frozenset[str]:
        """The features that were declared since."""
        return frozenset(feature.name for feature in self.features.company.features) if self.features else frozenset()


@contextmanager
def features_as_declared(company: Company, lake: Lake, engine: Engine, day: date, besides: Table | None = None) -> Iterator[DeclaredNight]:
    """Yield customer_features as the night of `day` would have it by the declarations of `company`, for the time of the block.

    What was declared since is worked out from stored events, and only if it is read. `besides` has columns that the stored night has too.
    """
    path, since = addresses.partition(CUSTOMER_FEATURES, day=day), features_declared_since(company, lake, day)
    table = company.table(CUSTOMER_FEATURES)
    added = [] if besides is None else [column for column in besides.columns if column.name not in table.column_names]
    if not since:
        yield DeclaredNight(table.with_columns(added))
        return
    held = set(lake.stored_names(CUSTOMER_FEATURES, day=day))
    stored = replace(table, columns=tuple(each for each in (*table.columns, *added) if each.name in held and each.name not in since))
    partial = replace(company, features=tuple(feature for feature in company.features if feature.name in since))
    window, sets = FeatureWindow(day, day, company.window_days), aggregates_by_source(partial, is_carried=False)
    with cache_session(lake, engine, company.zone) as session:
        events = known_events(partial, lake, window)
        register_rows_of(session, window, sets, events)
        unchanged = replace(company, features=tuple(feature for feature in company.features if feature.name not in since))
        given = columns_given(unchanged, day, lake.manifest(path).get(UNKNOWN_DECLARED, {}))
        unknown = unknown_since(partial, engine, absent_sources(lake, day, events), day, given)
        whole = stored.with_columns(feature.column for feature in partial.features)
        yield DeclaredNight(whole, FeaturesSince(session, window, partial, stored, sets, events, unknown), unknown)


def _aggregates_of(features: Iterable[DeclaredFeature]) -> frozenset[Aggregate]:
    return frozenset(each for feature in features for each in feature.aggregates)
