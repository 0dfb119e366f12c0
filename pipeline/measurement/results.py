"""The rows of a campaign in the night's tables, from sums alone: what is told, what is withheld, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from pipeline.definitions.campaigns import FEWEST_IN_ARM, CampaignState
from pipeline.lake.rounding import rounded
from pipeline.lake.tables import MONEY_DECIMALS
from pipeline.measurement.arm_sums import ALL, CampaignSums
from pipeline.measurement.campaign import Campaign
from pipeline.measurement.comparability import Check, comparability_checks, state_by_checks
from pipeline.measurement.effects import Effect, arm_effects, headline_spend
from pipeline.measurement.looks import Look
from pipeline.measurement.moments import Moments
from pipeline.measurement.multiple_testing import holm_adjusted
from pipeline.measurement.profit import profit_of

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CampaignRows:
    """The rows of one campaign, for each of the tables of results."""

    summary: Row
    checks: list[Row] = field(default_factory=list)
    results: list[Row] = field(default_factory=list)
    values: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Observations:
    """What was seen of a campaign's customers until the last day of its look, and of others meanwhile.

    `outsiders` are the customers outside of a campaign without a control, with what they had spent before.
    """

    sums: CampaignSums
    has_visits: bool
    outsiders: Moments | None = None
    overlap_share: float | None = None
    reached: Mapping[str, int | None] = field(default_factory=dict)


def unreported_rows(campaign: Campaign, night: date, lookback_days: int) -> CampaignRows:
    """Return the rows of a campaign of which nothing may be told yet: that there is one."""
    state = CampaignState.PLANNED if night < campaign.start_day else CampaignState.RUNNING
    count = sum(arm.assigned_count for arm in campaign.arms)
    return CampaignRows(_summary(campaign, state, campaign.due_date(lookback_days), customers=count))


def reported_rows(campaign: Campaign, look: Look, seen: Observations, lookback_days: int) -> CampaignRows:
    """Return the rows of a campaign by what was seen until a look; where its arms cannot be compared, they say so and no figure."""
    checks = comparability_checks(campaign, seen.sums, outsiders=seen.outsiders, overlap_share=seen.overlap_share)
    verdict = state_by_checks(campaign, checks)
    measured = sum(seen.sums.of_arm(arm.name).customer_count for arm in campaign.arms)
    effects = _effects(campaign, look, seen) if verdict is CampaignState.FINAL else {}
    unmeasured = [arm.name for arm in campaign.treated if arm.name not in effects]
    withheld = _withheld_rows(campaign, seen.sums, unmeasured, CampaignState.TOO_FEW if verdict is CampaignState.FINAL else verdict)
    state = _state(campaign, look, verdict, effects)
    number = look.number if campaign.look_count > 1 else None
    return CampaignRows(
        {**_summary(campaign, state, campaign.due_date(lookback_days), customers=measured), "look": number, **seen.reached},
        [_check_row(campaign, check) for check in checks],
        [*_result_rows(campaign, look, effects), *withheld],
        _value_rows(campaign, effects),
    )


def _state(campaign: Campaign, look: Look, verdict: CampaignState, effects: Mapping[str, Sequence[Effect]]) -> CampaignState:
    if verdict is not CampaignState.FINAL:
        return verdict
    if not look.is_final:
        return CampaignState.RUNNING
    is_spend_lacking = campaign.primary_metric == "spend" and not all(headline_spend(found) for found in effects.values())
    return CampaignState.TOO_FEW if is_spend_lacking or len(effects) < len(campaign.treated) else CampaignState.FINAL


def _effects(campaign: Campaign, look: Look, seen: Observations) -> dict[str, list[Effect]]:
    """Return the effects by arm; none of an arm that has a single customer left, or whose control has."""
    control = campaign.control
    if control is None:
        return {}
    found = {}
    for arm in campaign.treated:
        if min(seen.sums.of_arm(name).customer_count for name in (arm.name, control.name)) >= FEWEST_IN_ARM:
            found[arm.name] = arm_effects(seen.sums, arm.name, control.name, confidence=look.confidence, has_visits=seen.has_visits)
    return found


def _result_rows(campaign: Campaign, look: Look, effects: Mapping[str, Sequence[Effect]]) -> Iterator[Row]:
    primary = {
        arm: each.difference.p_value
        for arm, found in effects.items()
        for each in found
        if each.metric == campaign.primary_metric and each.segment == ALL and each.is_headline and each.difference
    }
    adjusted = dict(zip(primary, holm_adjusted(list(primary.values())), strict=True))
    for arm, found in effects.items():
        for effect in found:
            row = _effect_row(campaign, arm, effect)
            if effect.metric == campaign.primary_metric and effect.segment == ALL and effect.is_headline and arm in primary:
                row |= {
                    "p_value": rounded(primary[arm]),
                    "adjusted_p_value": rounded(adjusted[arm]),
                    "is_significant": adjusted[arm] < 1 - look.confidence,
                }
            yield row


def _effect_row(campaign: Campaign, arm: str, effect: Effect) -> Row:
    row: Row = {
        "campaign_id": campaign.campaign_id,
        "arm": arm,
        "metric": effect.metric,
        "method": effect.method,
        "scheme": ALL if effect.segment == ALL else campaign.scheme,
        "segment": effect.segment,
        "is_headline": effect.is_headline,
        "state": effect.state,
        "customer_count": effect.customer_count,
        "control_count": effect.control_count,
        "buyer_count": effect.buyer_count,
        "needed_count": effect.needed_count,
        "arm_value": rounded(effect.arm_value),
        "control_value": rounded(effect.control_value),
        "variance_left": rounded(effect.variance_left),
        "segments_differ_p_value": rounded(effect.segments_differ_p_value),
    }
    if effect.difference:
        row |= {"difference": rounded(effect.difference.value), "low": rounded(effect.difference.low)}
        row |= {"high": rounded(effect.difference.high)}
        row["standard_error"] = None if effect.method == "newcombe" else rounded(effect.difference.standard_error)
    if effect.shrunk:
        row |= {"shrunk_difference": rounded(effect.shrunk.value)}
        row |= {"shrunk_low": rounded(effect.shrunk.low), "shrunk_high": rounded(effect.shrunk.high)}
    return row


def _withheld_rows(campaign: Campaign, sums: CampaignSums, arms: Iterable[str], state: CampaignState) -> Iterator[Row]:
    control = sums.of_arm(campaign.control.name) if campaign.control else None
    for arm in arms:
        treated = sums.of_arm(arm)
        yield {
            "campaign_id": campaign.campaign_id,
            "arm": arm,
            "metric": campaign.primary_metric,
            "method": "welch" if campaign.primary_metric == "spend" else "newcombe",
            "scheme": ALL,
            "segment": ALL,
            "is_headline": True,
            "state": state,
            "customer_count": treated.customer_count,
            "control_count": control.customer_count if control else 0,
            "buyer_count": treated.ordered_count + (control.ordered_count if control else 0),
        }


def _check_row(campaign: Campaign, check: Check) -> Row:
    return {
        "campaign_id": campaign.campaign_id,
        "check": check.name,
        "arm": check.arm,
        "measured": rounded(check.measured),
        "limit_value": check.limit,
        "is_passed": check.is_passed,
        "arm_value": rounded(check.arm_value),
        "control_value": rounded(check.control_value),
    }


def _value_rows(campaign: Campaign, effects: Mapping[str, Sequence[Effect]]) -> list[Row]:
    """Return what arms brought in money, where their spend may be told."""
    costs = arm_costs(campaign)
    rows = []
    for arm, found in effects.items():
        spend = headline_spend(found)
        if spend is None or spend.difference is None:
            continue
        ordered = next(each.difference for each in found if each.metric == "ordered" and each.segment == ALL)
        n, d = spend.customer_count, spend.difference
        row: Row = {
            "campaign_id": campaign.campaign_id,
            "arm": arm,
            "customer_count": n,
            "method": spend.method,
            "incremental_amount": rounded(n * d.value),
            "incremental_low": rounded(n * d.low),
            "incremental_high": rounded(n * d.high),
            "incremental_buyers": rounded(n * ordered.value) if ordered else None,
            "cost_amount": costs[arm],
        }
        if campaign.margin_share is not None:
            profit = profit_of(d, n, margin_share=campaign.margin_share, cost=float(costs[arm]))
            row |= {"profit": rounded(profit.value), "profit_low": rounded(profit.low), "profit_high": rounded(profit.high)}
            row |= {"return_on_cost": rounded(profit.return_on_cost), "probability_paid": rounded(profit.probability_paid)}
            row |= {"verdict": profit.verdict}
        rows.append(row)
    return rows


def arm_costs(campaign: Campaign) -> dict[str, Decimal]:
    """Return what each arm cost, by the customers who were assigned: its contacts, and its part of the fixed cost; they add up exactly."""
    cent = Decimal(1).scaleb(-MONEY_DECIMALS)
    left, count = campaign.fixed_cost, sum(arm.assigned_count for arm in campaign.treated)
    costs = {}
    for arm in campaign.treated:
        part = (left * arm.assigned_count / count).quantize(cent, ROUND_HALF_UP) if count else Decimal(0)
        left, count = left - part, count - arm.assigned_count
        costs[arm.name] = part + arm.cost_per_contact * arm.assigned_count
    return costs


def _summary(campaign: Campaign, state: CampaignState, due_date: date, *, customers: int) -> Row:
    assigned = sum(arm.assigned_count for arm in campaign.arms)
    return {
        "campaign_id": campaign.campaign_id,
        "title": campaign.title,
        "origin": campaign.origin,
        "state": state,
        "start_day": campaign.start_day,
        "end_day": campaign.end_day,
        "due_date": due_date,
        "audience": campaign.audience or None,
        "scheme": campaign.scheme or None,
        "channel": campaign.channel or None,
        "primary_metric": campaign.primary_metric,
        "is_holdout": campaign.is_holdout,
        "assigned_count": assigned,
        "customer_count": customers,
        "left_count": assigned - customers,
        "smallest_visible_lift": rounded(campaign.smallest_visible_lift),
    }
