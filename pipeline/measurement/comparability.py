"""Whether the arms of a campaign can be compared at all: their sizes, what they had spent before, and whether chance alone drew them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.definitions.campaigns import CampaignState
from pipeline.lake.tables import FEWEST_PUBLISHED
from pipeline.measurement.arm_sums import ALL, CampaignSums
from pipeline.measurement.campaign import OWN, Campaign
from pipeline.measurement.intervals import Mean, welch_difference
from pipeline.measurement.moments import Moments
from pipeline.measurement.sample_ratio import SMALLEST_P_VALUE, lost_alike_p_value, sample_ratio_p_value

LARGEST_STANDARDISED_DIFFERENCE = 0.1
LARGEST_LOSS_DIFFERENCE = 0.05
"""Arms whose lost shares are closer pass the check of the lost: a mailing makes a few say no, and what that hides of the others is little.

The check of the measured sizes has no such tolerance, and finds smaller losses once arms have about 9,000 customers.

Cautious limits for trials are about 6 points: What Works Clearinghouse, Standards Handbook, attrition.
"""
RANDOM_CONTROL, RATIO_ASSIGNED, RATIO_MEASURED = "random_control", "sample_ratio_assigned", "sample_ratio_measured"
RATIO_LOST = "sample_ratio_lost"
SPEND_BEFORE, OVERLAP = "spend_before", "overlap"


@dataclass(frozen=True, slots=True)
class Check:
    """What one check measured; `arm_value` and `control_value` are mean spends before, None where one is of fewer than 10 customers."""

    name: str
    arm: str
    measured: float | None
    limit: float | None
    is_passed: bool
    arm_value: float | None = None
    control_value: float | None = None


def comparability_checks(
    campaign: Campaign, sums: CampaignSums, *, outsiders: Moments | None = None, overlap_share: float | None = None
) -> list[Check]:
    """Return the checks of a campaign; `outsiders` are the customers outside of it, with whom one without a control is compared."""
    counts = [sums.of_arm(arm.name).customer_count for arm in campaign.arms]
    checks = [
        Check(RANDOM_CONTROL, ALL, None, None, campaign.is_comparable),
        *_assigned_ratio(campaign),
        _ratio(RATIO_MEASURED, counts, [arm.assigned_count for arm in campaign.arms]),
        _lost(counts, [arm.assigned_count for arm in campaign.arms]),
        *_spends_before(campaign, sums, outsiders),
    ]
    if overlap_share is not None:
        checks.append(Check(OVERLAP, ALL, overlap_share, None, is_passed=True))
    return checks


def state_by_checks(campaign: Campaign, checks: Sequence[Check]) -> CampaignState:
    """Return that the arms are not comparable, or their sample ratio broken, where a check says so, else that results are final."""
    if not campaign.is_comparable or any(not check.is_passed for check in checks if check.name == SPEND_BEFORE):
        return CampaignState.NOT_COMPARABLE
    is_broken = any(not check.is_passed for check in checks if check.name in (RATIO_ASSIGNED, RATIO_MEASURED, RATIO_LOST))
    return CampaignState.SAMPLE_RATIO if is_broken else CampaignState.FINAL


def standardised_difference(arm: Moments, control: Moments) -> float:
    """Return the difference of mean x over the standard deviation of x among both together; 0 where nobody differs."""
    deviation = math.sqrt((arm + control).var_x)
    return float(arm.mean_x - control.mean_x) / deviation if deviation else 0.0


def _assigned_ratio(campaign: Campaign) -> list[Check]:
    shares = [arm.planned_share for arm in campaign.arms if arm.planned_share is not None]
    if len(shares) < len(campaign.arms):
        return []
    return [_ratio(RATIO_ASSIGNED, [arm.assigned_count for arm in campaign.arms], shares)]


def _ratio(name: str, counts: Sequence[int], shares: Sequence[float]) -> Check:
    drawn = [(count, share) for count, share in zip(counts, shares, strict=True) if share]
    p_value = sample_ratio_p_value([count for count, _ in drawn], [share for _, share in drawn])
    return Check(name, ALL, p_value, SMALLEST_P_VALUE, p_value >= SMALLEST_P_VALUE)


def _lost(measured: Sequence[int], assigned: Sequence[int]) -> Check:
    p_value = lost_alike_p_value(assigned, measured)
    shares = [1 - after / before for before, after in zip(assigned, measured, strict=True) if before]
    is_close = max(shares, default=0) - min(shares, default=0) < LARGEST_LOSS_DIFFERENCE
    return Check(RATIO_LOST, ALL, p_value, SMALLEST_P_VALUE, is_close or p_value >= SMALLEST_P_VALUE)


def _spends_before(campaign: Campaign, sums: CampaignSums, outsiders: Moments | None) -> list[Check]:
    control = sums.of_arm(campaign.control.name).spend if campaign.control else outsiders
    checks = []
    for arm in campaign.treated:
        spend = sums.of_arm(arm.name).spend
        if control is None or min(spend.n, control.n) < 2:  # noqa: PLR2004 - a variance takes two
            continue
        is_of_few = min(spend.n, control.n) < FEWEST_PUBLISHED
        means = (None, None) if is_of_few else (float(spend.mean_x), float(control.mean_x))
        if campaign.is_comparable:
            difference = welch_difference(*(Mean.of(each.mean_x, each.var_x, each.n) for each in (spend, control)))
            # Our own arms are drawn within tenths of spend; only a list that calls itself random can fail.
            is_passed = campaign.origin == OWN or difference.p_value >= SMALLEST_P_VALUE
            checks.append(Check(SPEND_BEFORE, arm.name, difference.p_value, SMALLEST_P_VALUE, is_passed, *means))
        else:
            measured = standardised_difference(spend, control)
            is_passed = abs(measured) <= LARGEST_STANDARDISED_DIFFERENCE
            checks.append(Check(SPEND_BEFORE, arm.name, measured, LARGEST_STANDARDISED_DIFFERENCE, is_passed, *means))
    return checks
