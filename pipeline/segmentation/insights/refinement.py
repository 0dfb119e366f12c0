"""What to learn from segments, and what might make them better: told on the first night of a month, and where definitions changed.

It changes slowly and costs more than a night's figures. Whoever reads it on another night takes the newest that is told (`refined_night`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.history import definitions_digest
from pipeline.definitions.schemes import Scheme
from pipeline.definitions.schemes.score_methods import axes_behind
from pipeline.errors import DataError
from pipeline.lake.engines import Engine
from pipeline.lake.expressions import date_literal
from pipeline.lake.lake import Lake
from pipeline.lake.statements import short_digest, statement
from pipeline.lake.tables import (
    CAMPAIGN_SUMMARIES,
    CAMPAIGN_VALUES,
    CUSTOMER_DAY_CATEGORIES,
    CUSTOMER_DAYS,
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENTS,
    NEXT_CATEGORIES,
    ORDER_LINES,
    REFINEMENT_TABLES,
    SCHEME_EFFECTIVENESS,
    SEGMENT_EFFECTIVENESS,
    SEGMENT_INSIGHTS,
    SEGMENT_PROFILES,
    SEGMENT_PROPOSALS,
    SURVEY_SHARES,
    Table,
)
from pipeline.models.measure_drift import rows_beyond_limits
from pipeline.models.signals import SurvivorsOf, registered_days
from pipeline.segmentation.history import night_as_known
from pipeline.segmentation.insights.campaign_proposals import campaign_proposals
from pipeline.segmentation.insights.effectiveness import (
    FEWEST_CUSTOMERS,
    HORIZON_DAYS,
    FormedCustomers,
    Labels,
    SchemeOutcome,
    SegmentOutcome,
    scheme_outcome,
    scheme_rows,
    segment_outcomes,
    segment_rows,
)
from pipeline.segmentation.insights.next_categories import next_category_rows
from pipeline.segmentation.insights.proposals import (
    TELLING_LIFT,
    Proposal,
    ScoredSegments,
    empty_segment_proposals,
    merge_proposals,
    nothing_new_proposals,
    proposal_rows,
    refit_proposals,
    split_proposals,
)
from pipeline.segmentation.insights.segment_insights import insight_rows
from pipeline.segmentation.insights.survey_shares import read_survey_shares
from pipeline.segmentation.night_schemes import schemes_of_night

log = logging.getLogger("pipeline.segmentation.insights.refinement")
OLDEST_DAYS = 180  # an older night tells of other customers and another season
EMPTY_SHARE = 0.005
FEWEST_NIGHTS = 60  # of 90, to say of a segment that it was empty all the time
BUYERS, SUBJECTS, NUMBERED = (
    replace(CUSTOMER_FEATURES, name=name) for name in ("insight_buyers", "insight_subjects", "numbered_customers")
)
BUYER_FEATURES = (
    *("customer_id", "order_day_count", "line_count", "discount_known_line_count", "discounted_line_count"),
    *("spend_amount", "r_score", "f_score", "m_score"),
)
FORMED_FEATURES = ("customer_id", "spend_amount", "recency_days", "lifetime_order_day_count")
READ_LINES = ("customer_id", "product_id", "line_kind", "order_day")


def refined_night(lake: Lake, day: date) -> date | None:
    """Return the newest night up to `day` of which REFINEMENT_TABLES tell; None where none does.

    Those of the tables that have nothing to tell of it are not stored, but for SEGMENT_INSIGHTS.
    """
    return max((night for night in lake.nights(SEGMENT_INSIGHTS) if night <= day), default=None)


def formed_night(lake: Lake, day: date) -> date | None:
    """Return the newest night whose next 90 days are over by `day`; None where none of the 180 days before `day` is stored."""
    limits = (day - timedelta(days=OLDEST_DAYS), day - timedelta(days=HORIZON_DAYS))
    return max((night for night in lake.nights(CUSTOMER_SEGMENTS) if limits[0] <= night <= limits[1]), default=None)


def write_refinement(company: Company, lake: Lake, engine: Engine, day: date, *, survivors_of: SurvivorsOf) -> None:
    """Write REFINEMENT_TABLES of night `day`, or remove them where an earlier night of the month told them by the same definitions."""
    definitions = definitions_digest(company)
    if company.surveys:
        declared = [[each.event.name, each.question, each.answer, each.weight] for each in company.surveys]
        definitions = short_digest(definitions, declared)
    if not _is_due(lake, day, definitions):
        for table in REFINEMENT_TABLES:
            lake.remove(table, day=day)
        return
    night = _RefinedNight(company, lake, engine, day, survivors_of)
    formed = _read_formed(night)
    insights, next_categories, scored = _read_buyers(night)
    answers = read_survey_shares(company.surveys, lake, engine, day, survivors_of=survivors_of)
    tables: dict[Table, pa.Table] = {SEGMENT_INSIGHTS: insights, NEXT_CATEGORIES: next_categories, SURVEY_SHARES: answers}
    proposals = [each for one in scored for each in split_proposals(one)]
    proposals += [*refit_proposals(rows_beyond_limits(lake, day)), *_empty_segments(night), *_of_campaigns(lake, day)]
    if formed:
        tables |= {
            SEGMENT_EFFECTIVENESS: segment_rows(formed.segments, formed.of_night),
            SCHEME_EFFECTIVENESS: scheme_rows(formed.schemes, formed.of_night),
        }
        by_rules = {scheme.name for scheme in night.schemes if scheme.kind == "rules"}
        ruled = [each for each in formed.segments if each.scheme in by_rules]
        proposals += [*merge_proposals(ruled, _telling_segments(insights)), *nothing_new_proposals(formed.schemes)]
    tables[SEGMENT_PROPOSALS] = proposal_rows(proposals)
    for table in REFINEMENT_TABLES:
        rows = tables.get(table, table.schema.empty_table())
        if rows.num_rows or table is SEGMENT_INSIGHTS:
            lake.write(table, rows.to_batches(), day=day, manifest={"definitions": definitions})
        else:
            lake.remove(table, day=day)
        log.info("%s: %s rows", table.name, f"{rows.num_rows:,}")


def _is_due(lake: Lake, day: date, definitions: str) -> bool:
    before = refined_night(lake, day - timedelta(days=1))
    if before is None or (before.year, before.month) != (day.year, day.month):
        return True
    return bool(lake.manifest(lake.path(SEGMENT_INSIGHTS, day=before)).get("definitions") != definitions)


@dataclass(frozen=True)
class _RefinedNight:
    """The night that is told of, and what reads it."""

    company: Company
    lake: Lake
    engine: Engine
    day: date
    survivors_of: SurvivorsOf

    @property
    def schemes(self) -> Sequence[Scheme]:
        return schemes_of_night(self.company, self.lake, self.day).schemes


@dataclass(frozen=True, slots=True)
class _FormedOutcomes:
    """What came of the segments of an older night."""

    of_night: date
    schemes: list[SchemeOutcome]
    segments: list[SegmentOutcome]


def _read_buyers(night: _RefinedNight) -> tuple[pa.Table, pa.Table, list[ScoredSegments]]:
    """Return the rows of SEGMENT_INSIGHTS and NEXT_CATEGORIES, and the customers of each scheme that looks at scores."""
    lake, engine, day = night.lake, night.engine, night.day
    window = day - timedelta(days=night.company.window_days)
    history = day - timedelta(days=2 * night.company.window_days)
    engine.register(CUSTOMER_FEATURES.only(BUYER_FEATURES), [lake.path(CUSTOMER_FEATURES, day=day)])
    engine.register(CUSTOMER_SEGMENTS, [lake.path(CUSTOMER_SEGMENTS, day=day)])
    engine.materialize(BUYERS, statement("insight_buyers"))
    for table, since in ((CUSTOMER_DAY_CATEGORIES, history), (ORDER_LINES.only(READ_LINES), window)):
        versions = [version for version in lake.versions_known(table, through=day, known_on=day) if version.day > since]
        engine.register(table, lake.parts(table, versions))
    with registered_days(lake, engine, [], night.survivors_of(day, day)):
        engine.materialize(SUBJECTS, _bound(statement("insight_subjects"), {"before": window, "day": day}))
        insights = insight_rows(engine.run(statement("insight_counts"), {}).read_all())
        periods = {"learned_from": day - timedelta(days=2 * HORIZON_DAYS), "learned_to": day - timedelta(days=HORIZON_DAYS)}
        firsts = engine.run(statement("first_categories"), {"before": history, "day": day, **periods}).read_all()
    return insights, next_category_rows(firsts), list(_scored_segments(night))


def _scored_segments(night: _RefinedNight) -> Iterator[ScoredSegments]:
    """Yield the buyers of each scheme that decides by scores or shows them."""
    axes = {scheme.name: axes_behind(scheme.scores) for scheme in night.schemes if scheme.kind == "rules" and scheme.scores}
    buyers = night.engine.run(exp.select("place", "spend_amount", "r_score", "f_score", "m_score").from_(BUYERS.name), {}).read_all()
    buyers = buyers.sort_by("place")
    columns = {name: buyers[name].cast(pa.float64()).fill_null(np.nan).to_numpy() for name in buyers.column_names}
    night.engine.define(NUMBERED, exp.select("*").from_(BUYERS.name))
    for scheme, places, groups, names in _memberships(night.engine):
        scores = {name: columns[name][places] for name in axes.get(scheme, ()) if name in columns}
        if scores:
            yield ScoredSegments(scheme, names, groups, columns["spend_amount"][places], scores)


def _read_formed(night: _RefinedNight) -> _FormedOutcomes | None:
    """Return what came of the segments of the night 90 days ago, as known now; None where none is stored, or it cannot be read."""
    formed = formed_night(night.lake, night.day)
    if formed is None:
        log.info("%s: no night of 90 to 180 days before is stored: not told", SCHEME_EFFECTIVENESS.name)
        return None
    try:
        with _registered_outcomes(night, formed):
            customers = night.engine.run(exp.select("*").from_(NUMBERED.name), {}).read_all().sort_by("place")
            memberships = list(_memberships(night.engine))
    except DataError as error:
        log.warning("%s: the night of %s cannot be read: %s", SCHEME_EFFECTIVENESS.name, formed, error)
        return None
    columns = {
        name: np.maximum(customers[name].cast(pa.float64()).to_numpy(), 0.0)
        for name in ("spend_amount", "next_spend_amount", "is_back", "is_recent")
    }
    everybody = FormedCustomers(formed, *columns.values())
    outcomes = _FormedOutcomes(formed, [], [])
    for scheme, places, groups, names in memberships:
        members = everybody.only(places)
        outcomes.segments.extend(segment_outcomes(scheme, members, groups, names))
        if len(places) >= FEWEST_CUSTOMERS and len(names) > 1:
            outcomes.schemes.append(scheme_outcome(scheme, members, groups))
    return outcomes


@contextmanager
def _registered_outcomes(night: _RefinedNight, formed: date) -> Iterator[None]:
    """Make the customers of the night `formed` readable in the block, numbered, with what they did since; and their memberships."""
    lake, engine = night.lake, night.engine
    known = night_as_known(lake, formed, night.day)
    last = formed + timedelta(days=HORIZON_DAYS)
    versions = [each for each in lake.versions_known(CUSTOMER_DAYS, through=last, known_on=night.day) if each.day > formed]
    engine.register(CUSTOMER_FEATURES.only(FORMED_FEATURES), [lake.path(CUSTOMER_FEATURES, day=known.day, known_on=known.known_on)])
    engine.register(CUSTOMER_SEGMENTS, [known.memberships_path])
    with registered_days(lake, engine, versions, night.survivors_of(formed, formed)):
        engine.materialize(NUMBERED, _bound(statement("formed_customers"), {"day": formed, "last": last}))
        yield


def _memberships(engine: Engine) -> Iterator[tuple[str, Labels, Labels, Mapping[int, str]]]:
    """Yield each scheme with the numbers of its customers, the number of the segment of each, and the segments by number."""
    rows = engine.run(statement("numbered_memberships"), {}).read_all()
    for scheme in sorted(pc.unique(rows["scheme"]).to_pylist()):
        of_scheme = rows.filter(pc.equal(rows["scheme"], scheme)).combine_chunks()
        segments = sorted(pc.unique(of_scheme["segment"]).to_pylist())
        groups = pc.index_in(of_scheme["segment"], value_set=pa.array(segments, pa.string()))
        yield scheme, of_scheme["place"].to_numpy(), groups.to_numpy().astype(np.int64), dict(enumerate(segments))


def _telling_segments(insights: pa.Table) -> list[tuple[str, str]]:
    """Return the segments of which something is told that is beyond TELLING_LIFT times as common as among others."""
    told = insights.filter(pc.and_(insights["is_told"], pc.greater(pc.fill_null(insights["lift"], 0.0), TELLING_LIFT)))
    return [(row["scheme"], row["segment"]) for row in told.select(["scheme", "segment"]).to_pylist()]


def _of_campaigns(lake: Lake, day: date) -> Iterator[Proposal]:
    """Yield proposals about the campaigns whose results night `day` has stored, if any."""
    if lake.has(CAMPAIGN_SUMMARIES, day=day) and lake.has(CAMPAIGN_VALUES, day=day):
        summaries, values = (lake.read(table, day=day).to_pylist() for table in (CAMPAIGN_SUMMARIES, CAMPAIGN_VALUES))
        yield from campaign_proposals(summaries, values)


def _empty_segments(night: _RefinedNight) -> Iterator[Proposal]:
    """Yield the segments with a rule of their own that were nearly empty for 90 days, where most nights of these are stored."""
    first = night.day - timedelta(days=HORIZON_DAYS)
    nights = [each for each in night.lake.nights(SEGMENT_PROFILES) if first < each <= night.day]
    if len(nights) < FEWEST_NIGHTS:
        return
    ruled = {
        (scheme.name, segment.id) for scheme in night.schemes if scheme.kind == "rules" for segment in scheme.segments if segment.trees
    }
    largest: dict[tuple[str, str], float] = {}
    for each in nights:
        for row in night.lake.read_columns(SEGMENT_PROFILES, ["scheme", "segment", "customer_share"], day=each).to_pylist():
            key = (row["scheme"], row["segment"])
            if key in ruled:
                largest[key] = max(largest.get(key, 0.0), row["customer_share"] or 0.0)
    yield from empty_segment_proposals(largest, EMPTY_SHARE, len(nights))


def _bound(query: exp.Query, days: Mapping[str, date]) -> exp.Query:
    """Return `query` with these days in place of its parameters: what is worked out once takes none."""
    found = query.copy()
    for node in list(found.find_all(exp.Placeholder)):
        node.replace(date_literal(days[node.name]))
    return found
