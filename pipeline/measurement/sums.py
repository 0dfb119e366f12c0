"""The sums of one campaign over the lake: its people, what they did until a day, and what they had spent before it began."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from sqlglot import exp

from pipeline.calendar import ONE_DAY
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_SEGMENTS, Table
from pipeline.measurement.arm_sums import CampaignSums
from pipeline.measurement.audience import register_segments
from pipeline.measurement.campaign import OWN, Campaign
from pipeline.measurement.measuring_session import MeasuringSession
from pipeline.measurement.moments import Moments
from pipeline.measurement.staged_tables import (
    ASSIGNED,
    LISTED_MEMBERS,
    MEMBERS_WITH_ARM,
    OUTCOMES,
    PEOPLE,
    PEOPLE_BY_SOURCE_ID,
    PEOPLE_WITHOUT_SPEND,
    SPEND_BEFORE,
)
from pipeline.measurement.started_campaigns import StartedCampaign

DAYS_BEFORE = 90
"""Where arms cannot be compared, it is told how much more those chosen had spent in so many days before."""


def first_day_read(window_days: int, campaigns: Sequence[Campaign]) -> date | None:
    """Return the first day of which anything is read for these campaigns; None without any."""
    # What customers of our own had spent before was stored when they were drawn.
    before = timedelta(days=max(window_days, DAYS_BEFORE))
    return min((each.start_day if each.origin == OWN else each.start_day - before for each in campaigns), default=None)


def register_assigned_people(session: MeasuringSession, started: StartedCampaign) -> None:
    """Make the customers of a campaign of the company's own readable."""
    session.engine.register(ASSIGNED, [started.address])
    columns = [exp.column(name) for name in PEOPLE.column_names]
    _define_people(session, PEOPLE, exp.select(*columns).from_(ASSIGNED.name))


def register_listed_people(session: MeasuringSession, campaign: Campaign) -> None:
    """Make the customers of a campaign of the CRM readable; MEMBERS_WITH_ARM is."""
    is_its = exp.column("campaign_id").eq(exp.Literal.string(campaign.campaign_id))
    session.engine.define(LISTED_MEMBERS, exp.select("*").from_(MEMBERS_WITH_ARM.name).where(is_its))
    nights = [night for night in session.lake.nights(CUSTOMER_SEGMENTS) if night < campaign.start_day]
    register_segments(session, campaign.scheme, max(nights, default=None))
    days = session.company.window_days if campaign.is_comparable else DAYS_BEFORE
    register_spend_before(session, campaign.start_day, days)
    define_people_with_spend(session, statement("listed_people"))


def register_spend_before(session: MeasuringSession, start_day: date, days: int) -> None:
    """Make what customers had spent in so many days before a day readable, worked out once for all campaigns that begin on it."""
    first = start_day - timedelta(days=days)
    session.compute(SPEND_BEFORE, {"first_day": first, "last_day": start_day - ONE_DAY}, key=f"_{start_day}_{days}")


def campaign_sums(session: MeasuringSession, first_day: date, last_day: date) -> CampaignSums:
    """Return the sums of the people that were registered last, over what they did from the first to the last day."""
    session.compute(OUTCOMES, {"first_day": first_day, "last_day": last_day}, key=f"_{first_day}_{last_day}")
    return CampaignSums.of_rows(session.engine.run(statement("campaign_sums"), {}).read_all().to_pylist())


def outsiders_before(session: MeasuringSession) -> Moments:
    """Return what the customers outside of the campaign that was registered last had spent before it, as x."""
    [row] = session.engine.run(statement("outsiders_before"), {}).read_all().to_pylist()
    return Moments.of_sums(row["customer_count"], 0, 0, x=row["x"], xx=row["xx"])


def define_people_with_spend(session: MeasuringSession, people: exp.Query) -> None:
    """Make `people`, whose spend is not known yet, readable with what `register_spend_before` found."""
    # That is known by survivor, and would be lost if it were looked up by the ids that were merged into them.
    _define_people(session, PEOPLE_WITHOUT_SPEND, people)
    session.engine.define(PEOPLE, statement("people_with_spend"))


def _define_people(session: MeasuringSession, table: Table, people: exp.Query) -> None:
    if not session.survivors:
        session.engine.define(table, people)
        return
    session.engine.define(PEOPLE_BY_SOURCE_ID, people)
    session.engine.define(table, statement("merged_people"))
