"""What effect a campaign could show at all, reckoned from what customers like its own did before."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from sqlglot import exp

from pipeline.calendar import ONE_DAY
from pipeline.definitions.campaigns import CampaignDefinition
from pipeline.errors import ConfigError
from pipeline.lake.rounding import rounded
from pipeline.lake.tables import CUSTOMER_SEGMENTS
from pipeline.measurement.arm_sums import ALL, ArmSums
from pipeline.measurement.audience import register_members
from pipeline.measurement.buyers import buyers_needed
from pipeline.measurement.measuring_session import MeasuringSession
from pipeline.measurement.multiple_testing import strictest_confidence
from pipeline.measurement.sample_size import smallest_visible_mean_difference, smallest_visible_rate
from pipeline.measurement.staged_tables import MEMBERS_BY_RULE, STRATA
from pipeline.measurement.sums import campaign_sums, define_people_with_spend, register_spend_before

MOST_DAYS_OLDER = 31
"""Nights may be missing: the night to reckon from may be so much older than the campaign is long."""


def visible_effects(session: MeasuringSession, campaign: CampaignDefinition, smallest: int, control: int) -> dict[str, Any]:
    """Return the fields of a plan that say what the campaign could show, with so many customers in its smallest arm and in its control."""
    before, reckoned_from = _past_window(session, campaign)
    if before.customer_count < 2 or not (control and smallest):  # noqa: PLR2004 - a variance takes two
        return {**dict.fromkeys(_UNKNOWN), **_NO_SPEND}
    spend = before.spend
    deviation, value = float(spend.var_y) ** 0.5, float(spend.mean_y)
    explained = float(spend.cov**2 / (spend.var_x * spend.var_y)) if spend.var_x and spend.var_y else 0.0
    correlation = explained**0.5
    visible_spend = smallest_visible_mean_difference(deviation, smallest, control, correlation=correlation) if deviation else None
    # Only the primary metric has p-values, one for each arm.
    strictest = strictest_confidence(sum(not arm.is_control for arm in campaign.arms))
    if campaign.primary_metric == "spend":
        gain = smallest_visible_mean_difference(deviation, smallest, control, correlation=correlation, confidence=strictest)
        metric, visible = value, value + gain if deviation else None
    else:
        rate = before.ordered if campaign.primary_metric == "ordered" else before.visited
        metric, visible = rate.value, smallest_visible_rate(rate.value, smallest, control, confidence=strictest)
    return {
        "reckoned_from": reckoned_from,
        "metric_value": rounded(metric),
        "visible_value": rounded(visible),
        "visible_lift": rounded(visible / metric - 1) if visible is not None and metric > 0 else None,
        "spend_value": rounded(value),
        "visible_spend": rounded(visible_spend),
        "visible_spend_lift": rounded(visible_spend / value) if visible_spend is not None and value > 0 else None,
        "correlation": rounded(correlation),
        "expected_buyers": rounded(before.ordered.value * min(control, smallest)),
        "needed_buyers": buyers_needed(smallest, control),
    }


_UNKNOWN = ("reckoned_from", "metric_value", "visible_value", "visible_lift", "visible_spend", "visible_spend_lift")
_NO_SPEND = {"spend_value": 0.0, "correlation": 0.0, "expected_buyers": 0.0, "needed_buyers": buyers_needed(1, 1)}


def _past_window(session: MeasuringSession, campaign: CampaignDefinition) -> tuple[ArmSums, date | None]:
    """Return what the audience of an older night did in as many days after it as the campaign has, and that night.

    Where no such night is stored, what those who can take part did in as many days up to the live night. That says little of an audience of
    customers who have not ordered lately: they are in it for having done nothing in just these days.
    """
    latest = session.day - timedelta(days=campaign.day_count)
    oldest = latest - timedelta(days=MOST_DAYS_OLDER)
    for night in reversed([each for each in session.lake.nights(CUSTOMER_SEGMENTS) if oldest <= each <= latest]):
        try:
            register_members(replace(session, day=night), campaign)
        except ConfigError:
            # It lacks what the audience asks for, as it was computed before that was declared.
            continue
        members = exp.select("customer_id").from_(MEMBERS_BY_RULE.name).where(exp.column("is_member"))
        return _window_sums(session, members, night + ONE_DAY, campaign.day_count), night
    everybody = exp.select("customer_id").from_(STRATA.name)
    return _window_sums(session, everybody, latest + ONE_DAY, campaign.day_count), None


def _window_sums(session: MeasuringSession, customers: exp.Select, first: date, day_count: int) -> ArmSums:
    session.register_events(first - timedelta(days=session.company.window_days))
    register_spend_before(session, first, session.company.window_days)
    all_of_them = exp.alias_(exp.Literal.string(ALL), "arm")
    no_segment = exp.alias_(exp.cast(exp.null(), "text"), "segment")
    no_spend = exp.alias_(exp.cast(exp.null(), "DECIMAL(18, 4)"), "spend_amount")
    define_people_with_spend(session, exp.select("customer_id", all_of_them, no_segment, no_spend).from_(customers.subquery("s")))
    return campaign_sums(session, first, first + timedelta(days=day_count - 1)).of_arm(ALL)
