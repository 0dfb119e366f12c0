"""The tables that a night writes of campaigns: who keeps to which arm, and what is known of each campaign by now.

What a night says of a campaign follows from its assignment and from what the night knows of orders, visits and consents, so it can be
run again, in any order. A campaign is told of from the night after that which it was assigned from, until a year after it was due.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import pyarrow as pa
from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.lake.engines import Engine
from pipeline.lake.expressions import union_all
from pipeline.lake.lake import Lake, sorted_by
from pipeline.lake.statements import statement
from pipeline.lake.tables import (
    CAMPAIGN_ARMS,
    CAMPAIGN_ASSIGNMENTS,
    CAMPAIGN_CHECKS,
    CAMPAIGN_MEMBERS,
    CAMPAIGN_RESULTS,
    CAMPAIGN_SUMMARIES,
    CAMPAIGN_VALUES,
    CAMPAIGNS,
    Table,
)
from pipeline.measurement.arm_sums import CampaignSums
from pipeline.measurement.audience import audience_list
from pipeline.measurement.campaign import Campaign, source_campaign
from pipeline.measurement.looks import Look
from pipeline.measurement.measuring_session import MeasuringSession, measuring_session
from pipeline.measurement.moments import Moments
from pipeline.measurement.night_tables import lists_campaigns, remove_campaign_tables
from pipeline.measurement.results import CampaignRows, Observations, reported_rows, unreported_rows
from pipeline.measurement.staged_tables import ASSIGNMENTS_BY_SOURCE_ID, LIVE_ASSIGNMENTS, MEMBERS_WITH_ARM
from pipeline.measurement.started_campaigns import StartedCampaign, started_campaigns
from pipeline.measurement.sums import (
    campaign_sums,
    first_day_read,
    outsiders_before,
    register_assigned_people,
    register_listed_people,
)

log = logging.getLogger("pipeline.measurement")
TOUCHPOINTS = "touchpoints"


@dataclass(frozen=True, slots=True)
class _Due:
    """A campaign of tonight, with the look that may be told, and its stored assignment where it is the company's own."""

    campaign: Campaign
    look: Look | None
    started: StartedCampaign | None


def write_campaigns(company: Company, lake: Lake, engine: Engine, day: date) -> None:
    """Write the tables of campaigns of a night whose features are stored; nothing where there is no campaign to tell of."""
    started = [each for each in started_campaigns(lake) if each.night < day]
    with measuring_session(company, lake, engine, day) as session:
        due = [*_own_campaigns(session, started), *_source_campaigns(session)]
        if not due:
            return remove_campaign_tables(lake, day)
        measured = [each for each in due if each.look]
        first = first_day_read(company.window_days, [each.campaign for each in measured])
        if first:
            session.register_events(first)
        rows = list(_rows(session, due))
        _write_arms(session, [each for each in started if day <= each.definition.end_day])
    for table, found in (
        (CAMPAIGN_SUMMARIES, [each.summary for each in rows]),
        (CAMPAIGN_CHECKS, [row for each in rows for row in each.checks]),
        (CAMPAIGN_RESULTS, [row for each in rows for row in each.results]),
        (CAMPAIGN_VALUES, [row for each in rows for row in each.values]),
    ):
        lake.write(table, sorted_by(pa.Table.from_pylist(found, schema=table.schema), table.key).to_batches(), day=day)
    log.info("%s campaigns, %s of them measured", len(due), len(measured))
    return None


def _own_campaigns(session: MeasuringSession, started: Iterable[StartedCampaign]) -> Iterator[_Due]:
    lookback = session.company.lookback_days
    for each in started:
        if each.campaign.is_reported_on(session.day, lookback):
            yield _Due(each.campaign, each.campaign.look_on(session.day, lookback), each)


def _source_campaigns(session: MeasuringSession) -> Iterator[_Due]:
    """Yield the campaigns of the CRM, as the newest lists known by the night have them; those that it never listed are nobody's."""
    lake, company, day = session.lake, session.company, session.day
    if not lists_campaigns(company):
        return
    listed = [(table, lake.snapshot_files(table, day)) for table in (CAMPAIGNS, CAMPAIGN_MEMBERS)]
    if not all(files for _, files in listed):
        return
    for table, files in listed:
        session.engine.register(table, files)
    session.engine.define(MEMBERS_WITH_ARM, statement(MEMBERS_WITH_ARM.name))
    counts: dict[str, dict[str, int]] = {}
    for row in session.engine.run(statement("listed_arms"), {}).read_all().to_pylist():
        counts.setdefault(row["campaign_id"], {})[row["arm"]] = row["customer_count"]
    for row in lake.read(CAMPAIGNS, known_on=lake.snapshot_known(CAMPAIGNS, day)).to_pylist():
        campaign = source_campaign(row, counts.get(row["campaign_id"], {}))
        if campaign.is_reported_on(day, company.lookback_days) and campaign.arms:
            yield _Due(campaign, campaign.look_on(day, company.lookback_days), None)


def _rows(session: MeasuringSession, due: Sequence[_Due]) -> Iterator[CampaignRows]:
    """Yield the rows of each campaign; those of one window follow each other, so that its outcomes are worked out once."""
    lookback = session.company.lookback_days
    is_listed = any(each.started is None for each in due)
    overlaps = _overlap_counts(session) if is_listed else {}
    reached = _reached_counts(session)
    for each in sorted(due, key=lambda each: (each.campaign.start_day, each.campaign.end_day, each.campaign.campaign_id)):
        campaign, look = each.campaign, each.look
        if look is None:
            yield unreported_rows(campaign, session.day, lookback)
            continue
        sums, outsiders, overlap = _seen(session, each, look, overlaps)
        seen = Observations(sums, session.has_visits, outsiders, overlap, reached.get(campaign.campaign_id, {}))
        yield reported_rows(campaign, look, seen, lookback)


def _seen(
    session: MeasuringSession, due: _Due, look: Look, overlaps: Mapping[str, int]
) -> tuple[CampaignSums, Moments | None, float | None]:
    campaign = due.campaign
    if due.started:
        register_assigned_people(session, due.started)
        return campaign_sums(session, campaign.start_day, look.last_day), None, None
    register_listed_people(session, campaign)
    sums = campaign_sums(session, campaign.start_day, look.last_day)
    members = sum(arm.assigned_count for arm in campaign.arms)
    outsiders = None if campaign.control else outsiders_before(session)
    return sums, outsiders, overlaps.get(campaign.campaign_id, 0) / members


def _overlap_counts(session: MeasuringSession) -> dict[str, int]:
    rows = session.engine.run(statement("campaign_overlaps"), {}).read_all().to_pylist()
    return {row["campaign_id"]: row["customer_count"] for row in rows}


def _reached_counts(session: MeasuringSession) -> dict[str, dict[str, int]]:
    """Return by campaign how many customers were reached, opened and clicked, where the company declares such an event."""
    event = session.company.events.get(TOUCHPOINTS)
    if event is None or not {"kind", "campaign_id"} <= set(event.table.column_names):
        return {}
    versions = session.lake.versions_known(event.table, through=session.day, known_on=session.day)
    session.engine.register(event.table, session.lake.parts(event.table, versions))
    rows = session.engine.run(statement("touchpoint_counts"), {}).read_all().to_pylist()
    return {row.pop("campaign_id"): row for row in rows}


def _write_arms(session: MeasuringSession, live: Sequence[StartedCampaign]) -> None:
    """Write who keeps to which arm tonight; nothing where no campaign of the company's own is planned or running."""
    lake, engine, day = session.lake, session.engine, session.day
    if not live:
        lake.remove(CAMPAIGN_ARMS, day=day)
        return
    assignments = union_all([_live_assignments(session, each) for each in live])
    if session.survivors:
        engine.define(ASSIGNMENTS_BY_SOURCE_ID, assignments)
        assignments = statement("merged_assignments")
    engine.define(LIVE_ASSIGNMENTS, assignments)
    lake.write(CAMPAIGN_ARMS, engine.run(statement(CAMPAIGN_ARMS.name), {}), day=day)


def _live_assignments(session: MeasuringSession, started: StartedCampaign) -> exp.Select:
    definition = started.definition
    table: Table = replace(CAMPAIGN_ASSIGNMENTS, name=f"assigned_to_{definition.campaign_id}")
    session.engine.register(table, [started.address])
    list_name = audience_list(definition)
    listed = exp.Literal.string(list_name) if list_name else exp.cast(exp.null(), "text")
    until = exp.cast(exp.Literal.string(definition.end_day.isoformat()), "date")
    return exp.select(
        "customer_id",
        exp.alias_(exp.Literal.string(definition.campaign_id), "campaign_id"),
        "arm",
        "is_control",
        exp.alias_(exp.true() if definition.is_holdout else exp.false(), "is_holdout"),
        exp.alias_(listed, "list_name"),
        exp.alias_(until, "until_date"),
    ).from_(table.name)
