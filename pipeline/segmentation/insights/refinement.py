"""What to learn from segments, and what might make them better: told on the first night of a month, and where definitions changed.

It changes slowly and costs more than a night's figures. Whoever reads it on another night takes the newest that is told (`refined_night`).
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterator
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.history import company_on, segmentation_digest
from pipeline.definitions.schemes.score_methods import axes_behind
from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.statements import short_digest, statement
from pipeline.lake.tables import (
    CAMPAIGN_SUMMARIES,
    CAMPAIGN_VALUES,
    CUSTOMER_DAY_CATEGORIES,
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
from pipeline.log_fields import Count
from pipeline.models.measure_drift import rows_beyond_limits
from pipeline.models.signals import SurvivorsOf, registered_days
from pipeline.segmentation.insights.campaign_proposals import campaign_proposals
from pipeline.segmentation.insights.effectiveness import HORIZON_DAYS, scheme_rows, segment_rows
from pipeline.segmentation.insights.formed_outcomes import (
    NUMBERED,
    FormedOutcomes,
    PeriodBefore,
    RefinedNight,
    bound_days,
    numbered_memberships,
    read_formed,
)
from pipeline.segmentation.insights.merges import TELLING_LIFT, merge_proposals
from pipeline.segmentation.insights.next_categories import next_category_rows
from pipeline.segmentation.insights.proposals import (
    Proposal,
    ScoredSegments,
    empty_segment_proposals,
    nothing_new_proposals,
    proposal_rows,
    refit_proposals,
    split_proposals,
)
from pipeline.segmentation.insights.segment_insights import insight_rows
from pipeline.segmentation.insights.survey_shares import read_survey_shares
from pipeline.segmentation.insights.thresholds import threshold_proposals

log = logging.getLogger("pipeline.segmentation.insights.refinement")
EMPTY_SHARE = 0.005
FEWEST_NIGHTS = 60  # of 90, to say of a segment that it was empty all the time
BUYERS, SUBJECTS = (replace(CUSTOMER_FEATURES, name=name) for name in ("insight_buyers", "insight_subjects"))
BUYER_FEATURES = (
    *("customer_id", "order_day_count", "line_count", "discount_known_line_count", "discounted_line_count"),
    *("spend_amount", "r_score", "f_score", "m_score"),
)
READ_LINES = ("customer_id", "product_id", "line_kind", "order_day")


def refined_night(lake: Lake, day: date) -> date | None:
    """Return the newest night up to `day` of which REFINEMENT_TABLES tell; None where none does.

    Those of the tables that have nothing to tell of it are not stored, but for SEGMENT_INSIGHTS.
    """
    return lake.newest_night(SEGMENT_INSIGHTS, through=day)


def write_refinement(company: Company, lake: Lake, engine: Engine, day: date, *, survivors_of: SurvivorsOf) -> None:
    """Write REFINEMENT_TABLES of night `day`, or remove them where an earlier night of the month told them by the same definitions.

    A night that is added before others changes which of them is the first: later nights of the month are told anew, or no more, so that
    the same nights have these tables in whatever order they came.
    """
    night = RefinedNight(company, lake, engine, day, survivors_of)
    with lake.lock("refinement"):
        if not _is_due(night):
            _remove_tables(lake, day)
            return
        _write_tables(night)
        try:
            _update_later_nights(night)
        except DataError as error:
            log.warning("what nights after %s tell of segments may be told twice: %s", day, error)


def _is_due(night: RefinedNight) -> bool:
    day, before = night.day, refined_night(night.lake, night.day - timedelta(days=1))
    if before is None or (before.year, before.month) != (day.year, day.month):
        return True
    return bool(night.lake.manifest(addresses.partition(SEGMENT_INSIGHTS, day=before)).get("definitions") != _definitions(night.company))


def _update_later_nights(night: RefinedNight) -> None:
    """See to the nights of the month after one that has just told: those by the same definitions tell no more, the next one does."""
    lake, definitions = night.lake, _definitions(night.company)
    later = [each for each in lake.nights(CUSTOMER_SEGMENTS) if each > night.day and each.replace(day=1) == night.day.replace(day=1)]
    for each in later:
        then = replace(night, company=company_on(lake, night.company, each), day=each)
        if _definitions(then.company) != definitions:
            if not lake.has(SEGMENT_INSIGHTS, day=each):
                _write_tables(then)
            return
        _remove_tables(lake, each)


def _definitions(company: Company) -> str:
    """Return a digest of the definitions that the tables go by."""
    declared = [[each.event.name, each.question, each.answer, each.weight] for each in company.surveys]
    return short_digest(segmentation_digest(company), declared)


def _remove_tables(lake: Lake, day: date) -> None:
    for table in REFINEMENT_TABLES:
        lake.remove(table, day=day)


def _write_tables(night: RefinedNight) -> None:
    company, lake, engine, day = night.company, night.lake, night.engine, night.day
    formed = read_formed(night, day)
    insights, next_categories, scored = _read_buyers(night)
    answers = read_survey_shares(company.surveys, lake, engine, day, survivors_of=night.survivors_of)
    tables: dict[Table, pa.Table] = {SEGMENT_INSIGHTS: insights, NEXT_CATEGORIES: next_categories, SURVEY_SHARES: answers}
    proposals = [each for one in scored for each in split_proposals(one)]
    proposals += [*refit_proposals(rows_beyond_limits(lake, day)), *_empty_segments(night), *_of_campaigns(lake, day)]
    if formed:
        schemes = formed.measure_schemes()
        tables |= {
            SEGMENT_EFFECTIVENESS: segment_rows(formed.segments, formed.of_night),
            SCHEME_EFFECTIVENESS: scheme_rows(schemes, formed.of_night),
        }
        alike = night.schemes_alike(formed.company)
        proposals += nothing_new_proposals(each for each in schemes if each.scheme in alike)
        proposals += _of_outcomes(night, formed, alike, insights)
    tables[SEGMENT_PROPOSALS] = proposal_rows(proposals)
    for table in REFINEMENT_TABLES:
        rows = tables.get(table, table.schema.empty_table())
        if rows.num_rows or table is SEGMENT_INSIGHTS:
            lake.write(table, rows.to_batches(), day=day, manifest={"definitions": _definitions(company)})
        else:
            lake.remove(table, day=day)
        log.info("%(table)s: %(rows)s rows", {"table": table.name, "rows": Count(rows.num_rows)})


def _read_buyers(night: RefinedNight) -> tuple[pa.Table, pa.Table, list[ScoredSegments]]:
    """Return the rows of SEGMENT_INSIGHTS and NEXT_CATEGORIES, and the customers of each scheme that looks at scores."""
    lake, engine, day = night.lake, night.engine, night.day
    window = day - timedelta(days=night.company.window_days)
    history = day - timedelta(days=2 * night.company.window_days)
    engine.register(CUSTOMER_FEATURES.only(BUYER_FEATURES), [addresses.partition(CUSTOMER_FEATURES, day=day)])
    engine.register(CUSTOMER_SEGMENTS, [addresses.partition(CUSTOMER_SEGMENTS, day=day)])
    engine.materialize(BUYERS, statement("insight_buyers"))
    for table, since in ((CUSTOMER_DAY_CATEGORIES, history), (ORDER_LINES.only(READ_LINES), window)):
        versions = [version for version in lake.versions_known(table, through=day, known_on=day) if version.day > since]
        engine.register(table, lake.parts(table, versions))
    with registered_days(lake, engine, [], night.survivors_of(day, day)):
        engine.materialize(SUBJECTS, bound_days(statement("insight_subjects"), {"before": window, "day": day}))
        insights = insight_rows(engine.run(statement("insight_counts"), {}).read_all())
        periods = {"learned_from": day - timedelta(days=2 * HORIZON_DAYS), "learned_to": day - timedelta(days=HORIZON_DAYS)}
        firsts = engine.run(statement("first_categories"), {"before": history, "day": day, **periods}).read_all()
    return insights, next_category_rows(firsts), list(_scored_segments(night))


def _scored_segments(night: RefinedNight) -> Iterator[ScoredSegments]:
    """Yield the buyers of each scheme that decides by scores or shows them, with its segments that have a rule."""
    axes = {scheme.name: axes_behind(scheme.scores) for scheme in night.schemes if scheme.kind == "rules" and scheme.scores}
    buyers = night.engine.run(exp.select("place", "spend_amount", "r_score", "f_score", "m_score").from_(BUYERS.name), {}).read_all()
    buyers = buyers.sort_by("place")
    columns = {name: buyers[name].cast(pa.float64()).fill_null(np.nan).to_numpy() for name in buyers.column_names}
    night.engine.define(NUMBERED, exp.select("*").from_(BUYERS.name))
    for scheme, places, groups, names in numbered_memberships(night.engine):
        scores = {name: columns[name][places] for name in axes.get(scheme, ()) if name in columns}
        if scores:
            ruled = {number: name for number, name in names.items() if (scheme, name) in night.ruled_segments}
            yield ScoredSegments(scheme, ruled, groups, columns["spend_amount"][places], scores)


def _of_outcomes(night: RefinedNight, formed: FormedOutcomes, alike: Container[str], insights: pa.Table) -> list[Proposal]:
    """Return what 90 days tell of the rules of the night: segments that behaved alike, and limits that are better elsewhere.

    Segments of the older night are ours in the schemes that decided `alike` then.
    """
    ruled = [each for each in formed.segments if each.scheme in alike and (each.scheme, each.segment) in night.ruled_segments]
    limits = [each for each in night.thresholds if each.feature in formed.values.get(each.scheme, ())]
    is_back = {scheme: customers.is_back for scheme, (customers, _) in formed.members.items()}
    before = PeriodBefore(night, formed.of_night)
    return [
        *merge_proposals(ruled, _telling_segments(insights), before.outcome_of),
        *threshold_proposals(limits, formed.values, is_back, before.cut_of),
    ]


def _telling_segments(insights: pa.Table) -> list[tuple[str, str]]:
    """Return the segments that buy something significantly, and beyond TELLING_LIFT times, more often than others."""
    beyond = insights.filter(pc.and_(insights["is_significant"], pc.greater(pc.fill_null(insights["lift"], 0.0), TELLING_LIFT)))
    return [(row["scheme"], row["segment"]) for row in beyond.select(["scheme", "segment"]).to_pylist()]


def _of_campaigns(lake: Lake, day: date) -> Iterator[Proposal]:
    """Yield proposals about the campaigns whose results night `day` has stored, if any."""
    if lake.has(CAMPAIGN_SUMMARIES, day=day) and lake.has(CAMPAIGN_VALUES, day=day):
        summaries, values = (lake.read(table, day=day).to_pylist() for table in (CAMPAIGN_SUMMARIES, CAMPAIGN_VALUES))
        yield from campaign_proposals(summaries, values)


def _empty_segments(night: RefinedNight) -> Iterator[Proposal]:
    """Yield the segments with a rule of their own that were nearly empty for 90 days, where most nights of these are stored."""
    first = night.day - timedelta(days=HORIZON_DAYS)
    nights = [each for each in night.lake.nights(SEGMENT_PROFILES) if first < each <= night.day]
    if len(nights) < FEWEST_NIGHTS:
        return
    largest: dict[tuple[str, str], float] = {}
    for each in nights:
        for row in night.lake.read_columns(SEGMENT_PROFILES, ["scheme", "segment", "customer_share"], day=each).to_pylist():
            key = (row["scheme"], row["segment"])
            if key in night.ruled_segments:
                largest[key] = max(largest.get(key, 0.0), row["customer_share"] or 0.0)
    yield from empty_segment_proposals(largest, EMPTY_SHARE, len(nights))
