"""What came of the segments of an older night in the 90 days after it, and of the features that rules set limits on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.history import company_on
from pipeline.definitions.schemes import Scheme, load_cluster_schemes, load_schemes, scheme_digest
from pipeline.definitions.schemes.scheme import INSUFFICIENT_EVIDENCE
from pipeline.errors import ConfigError, DataError
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.expressions import date_literal
from pipeline.lake.lake import Lake
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_DAYS, CUSTOMER_FEATURES, CUSTOMER_SEGMENTS
from pipeline.models.signals import SurvivorsOf, registered_days
from pipeline.segmentation.history import NightAsKnown, night_as_known
from pipeline.segmentation.insights.effectiveness import (
    FEWEST_CUSTOMERS,
    HORIZON_DAYS,
    FormedCustomers,
    Labels,
    SchemeOutcome,
    SegmentOutcome,
    scheme_outcome,
    segment_outcomes,
)
from pipeline.segmentation.insights.risk_ratios import Numbers
from pipeline.segmentation.insights.thresholds import BestCut, Threshold, best_cut, thresholds_of
from pipeline.segmentation.night_schemes import schemes_of_night

log = logging.getLogger("pipeline.segmentation.insights.formed_outcomes")
OLDEST_DAYS = 180  # an older night tells of other customers and another season
NUMBERED = replace(CUSTOMER_FEATURES, name="numbered_customers")
FORMED_FEATURES = ("customer_id", "spend_amount", "recency_days", "lifetime_order_day_count")


@dataclass(frozen=True)
class RefinedNight:
    """The night that is told of, and what reads it."""

    company: Company
    lake: Lake
    engine: Engine
    day: date
    survivors_of: SurvivorsOf

    @cached_property
    def schemes(self) -> Sequence[Scheme]:
        """The schemes that the night can compute."""
        return schemes_of_night(self.company, self.lake, self.day).schemes

    @cached_property
    def thresholds(self) -> Sequence[Threshold]:
        """The limits that their rules name."""
        return thresholds_of(self.schemes)

    @cached_property
    def ruled_segments(self) -> frozenset[tuple[str, str]]:
        """The segments, as (scheme, segment), that have a rule of their own which could be edited.

        The one that takes everybody left over has none, and that of too little evidence says nothing of customers.
        """
        by_rules = (scheme for scheme in self.schemes if scheme.kind == "rules")
        segments = ((scheme.name, segment) for scheme in by_rules for segment in scheme.segments)
        return frozenset((name, segment.id) for name, segment in segments if segment.trees and segment.id != INSUFFICIENT_EVIDENCE)

    def schemes_alike(self, then: Company) -> frozenset[str]:
        """Return the schemes that decide by the same definitions as those of `then`: what came of its segments is said of ours, too.

        Limits that a night works out and models are no definitions. None are where those of `then` cannot be read any more.
        """
        try:
            before, now = (_decisions(company) for company in (then, self.company))
        except ConfigError:
            return frozenset()
        return frozenset(name for name in before.keys() & now.keys() if before[name] == now[name])


def _decisions(company: Company) -> Mapping[str, object]:
    """Return by scheme what its definition decides by: a statement, or what is clustered by which features."""
    schemes = {each.name: each for each in load_schemes(company).schemes}
    clusters = {each.name: (each.features, each.within_sql) for each in load_cluster_schemes(company)}
    return {**clusters, **{name: scheme_digest(each, schemes) for name, each in schemes.items()}}


@dataclass(frozen=True, slots=True)
class FormedOutcomes:
    """What came of the segments of an older night, which it had by the definitions of `company`.

    `members` are the customers of each scheme with their segments' numbers, `values` the features that its rules set limits on, by scheme
    and name; NaN where one is not known. Features that the older night did not store are not among them.
    """

    of_night: date
    company: Company
    segments: list[SegmentOutcome] = field(default_factory=list)
    members: dict[str, tuple[FormedCustomers, Labels]] = field(default_factory=dict)
    values: dict[str, dict[str, Numbers]] = field(default_factory=dict)

    def measure_schemes(self) -> list[SchemeOutcome]:
        """Return what each scheme tells that has more than one segment, and customers enough."""
        return [
            scheme_outcome(scheme, customers, groups)
            for scheme, (customers, groups) in self.members.items()
            if len(groups) >= FEWEST_CUSTOMERS and len(np.unique(groups)) > 1
        ]


def formed_night(lake: Lake, day: date) -> date | None:
    """Return the newest night whose next 90 days are over by `day`; None where none of the 180 days before `day` is stored."""
    since, through = (day - timedelta(days=days) for days in (OLDEST_DAYS, HORIZON_DAYS))
    return lake.newest_night(CUSTOMER_SEGMENTS, since=since, through=through)


def read_formed(night: RefinedNight, until: date) -> FormedOutcomes | None:
    """Return what came by `until` of the segments of the newest night 90 days or more before it, as known by the night that is told of.

    None where none is stored, or it cannot be read.
    """
    formed = formed_night(night.lake, until)
    if formed is None:
        log.info("no night of 90 to 180 days before %s is stored: what its segments came to is not told", until)
        return None
    known = night_as_known(night.lake, formed, night.day)
    try:
        # A restatement goes by the definitions of the night that made it.
        company = company_on(night.lake, night.company, known.known_on)
        # One that ours have since is not known of it.
        stored = night.lake.stored_names(CUSTOMER_FEATURES, day=known.day, known_on=known.known_on)
        limited = sorted({each.feature for each in night.thresholds}.intersection(stored))
        with _registered_outcomes(night, known, limited):
            customers = night.engine.run(exp.select("*").from_(NUMBERED.name), {}).read_all().sort_by("place")
            features = night.engine.run(_numbered_features(limited), {}).read_all().sort_by("place")
            memberships = list(numbered_memberships(night.engine))
    except DataError as error:
        log.warning("the night of %s cannot be read, and what its segments came to is not told: %s", formed, error)
        return None
    columns = {
        name: np.maximum(customers[name].cast(pa.float64()).to_numpy(), 0.0)
        for name in ("spend_amount", "next_spend_amount", "is_back", "is_recent")
    }
    values = {name: features[name].cast(pa.float64()).fill_null(np.nan).to_numpy() for name in limited}
    everybody = FormedCustomers(formed, *columns.values())
    outcomes = FormedOutcomes(formed, company)
    for scheme, places, groups, names in memberships:
        members = everybody.only(places)
        outcomes.segments.extend(segment_outcomes(scheme, members, groups, names))
        outcomes.members[scheme] = (members, groups)
        outcomes.values[scheme] = {name: each[places] for name, each in values.items()}
    return outcomes


@dataclass(frozen=True)
class PeriodBefore:
    """The 90 days or more up to `until` after a still older night, which is read once something of it is looked up."""

    night: RefinedNight
    until: date

    def outcome_of(self, scheme: str, segment: str) -> SegmentOutcome | None:
        """Return what a segment did in these 90 days; None where that is not known."""
        return self._segments.get((scheme, segment))

    def cut_of(self, threshold: Threshold) -> BestCut | None:
        """Return where the limit would tell most of these 90 days; None where that is not known."""
        scheme, formed = threshold.scheme, self._formed
        if formed is None or threshold.feature not in formed.values.get(scheme, ()):
            return None
        return best_cut(threshold, formed.values[scheme][threshold.feature], formed.members[scheme][0].is_back)

    @cached_property
    def _formed(self) -> FormedOutcomes | None:
        return read_formed(self.night, self.until)

    @cached_property
    def _segments(self) -> Mapping[tuple[str, str], SegmentOutcome]:
        if self._formed is None:
            return {}
        alike = self.night.schemes_alike(self._formed.company)
        return {(each.scheme, each.segment): each for each in self._formed.segments if each.scheme in alike}


@contextmanager
def _registered_outcomes(night: RefinedNight, known: NightAsKnown, features: Sequence[str]) -> Iterator[None]:
    """Make the customers of the older night readable in the block, numbered, with what they did since; and their memberships."""
    lake, engine, formed = night.lake, night.engine, known.requested_day
    last = formed + timedelta(days=HORIZON_DAYS)
    versions = [each for each in lake.versions_known(CUSTOMER_DAYS, through=last, known_on=night.day) if each.day > formed]
    read = CUSTOMER_FEATURES.only({*FORMED_FEATURES, *features})
    engine.register(read, [addresses.partition(CUSTOMER_FEATURES, day=known.day, known_on=known.known_on)])
    engine.register(CUSTOMER_SEGMENTS, [known.memberships_address])
    with registered_days(lake, engine, versions, night.survivors_of(formed, formed)):
        engine.materialize(NUMBERED, bound_days(statement("formed_customers"), {"day": formed, "last": last}))
        yield


def _numbered_features(names: Sequence[str]) -> exp.Query:
    """Select these features of the numbered customers, by place."""
    columns = [exp.column("place", "n"), *(exp.column(name, "f") for name in names)]
    same = exp.column("customer_id", "f").eq(exp.column("customer_id", "n"))
    return exp.select(*columns).from_(exp.to_table(NUMBERED.name, alias="n")).join(exp.to_table(CUSTOMER_FEATURES.name, alias="f"), on=same)


def numbered_memberships(engine: Engine) -> Iterator[tuple[str, Labels, Labels, Mapping[int, str]]]:
    """Yield each scheme with the numbers of its customers, the number of the segment of each, and the segments by number."""
    rows = engine.run(statement("numbered_memberships"), {}).read_all()
    for scheme in sorted(pc.unique(rows["scheme"]).to_pylist()):
        of_scheme = rows.filter(pc.equal(rows["scheme"], scheme)).combine_chunks()
        segments = sorted(pc.unique(of_scheme["segment"]).to_pylist())
        groups = pc.index_in(of_scheme["segment"], value_set=pa.array(segments, pa.string()))
        yield scheme, of_scheme["place"].to_numpy(), groups.to_numpy().astype(np.int64), dict(enumerate(segments))


def bound_days(query: exp.Query, days: Mapping[str, date]) -> exp.Query:
    """Return `query` with these days in place of its parameters: what is worked out once takes none."""
    found = query.copy()
    for node in list(found.find_all(exp.Placeholder)):
        node.replace(date_literal(days[node.name]))
    return found
