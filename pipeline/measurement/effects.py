"""What an arm achieved against the control: each metric by its method, everybody first, then by segment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from pipeline.definitions.campaigns import CampaignState
from pipeline.lake.tables import FEWEST_PUBLISHED
from pipeline.measurement.arm_sums import ALL, NOBODY, ArmSums, CampaignSums
from pipeline.measurement.buyers import buyers_needed
from pipeline.measurement.cuped import CupedDifference, cuped_difference
from pipeline.measurement.intervals import Difference, Mean, Rate, newcombe_difference, welch_difference
from pipeline.measurement.moments import Moments
from pipeline.measurement.ratios import ratio_difference, ratio_mean
from pipeline.measurement.shrinkage import Estimate, ShrunkEffect, shrunk_effects

FEWEST_EXPECTED = {"ordered": 5, "visited": 5, "spend": 20}
"""Segments are told apart where the smaller arm is expected to have so many who ordered, visited or bought, were both arms alike.

With fewer, an arm in which nobody happened to buy seems to have no variance, and pulls all others after it: in campaigns without any effect
that hold back a tenth of 4,000 customers, segments of `rfm` "differ" 19 times of 100 instead of 5. Spend is skewed, and takes more.
"""
Metric = Literal["ordered", "visited", "spend", "spend_per_order"]
Method = Literal["newcombe", "welch", "welch_cuped", "ratio"]


@dataclass(frozen=True, slots=True)
class Effect:
    """One metric of an arm against the control, of everybody or of a segment; `difference` is None where there are too few buyers."""

    metric: Metric
    method: Method
    segment: str
    is_headline: bool
    customer_count: int
    control_count: int
    buyer_count: int
    arm_value: float | None = None
    control_value: float | None = None
    difference: Difference | None = None
    needed_count: int | None = None
    variance_left: float | None = None
    shrunk: ShrunkEffect | None = None
    segments_differ_p_value: float | None = None

    @property
    def state(self) -> CampaignState:
        """Final, or too few (buyers)."""
        return CampaignState.FINAL if self.difference else CampaignState.TOO_FEW


def arm_effects(sums: CampaignSums, arm: str, control: str, *, confidence: float, has_visits: bool) -> list[Effect]:
    """Return the effects of an arm, of everybody and of its segments, in the order in which they are told.

    Both arms have two customers or more.
    """
    treated, held = sums.of_arm(arm), sums.of_arm(control)
    overall = list(_overall_effects(treated, held, confidence=confidence, has_visits=has_visits))
    found = list(overall)
    for place, effect in enumerate(overall):
        if effect.is_headline and effect.difference and effect.metric != "spend_per_order":
            of_segments, p_value = _segment_effects(sums, (arm, control), effect, confidence=confidence)
            found[place] = replace(effect, segments_differ_p_value=p_value)
            found += of_segments
    return found


def headline_spend(effects: Sequence[Effect]) -> Effect | None:
    """Return the spend of everybody by which money is counted; None where there are too few buyers."""
    return next((each for each in effects if each.metric == "spend" and each.is_headline and each.segment == ALL and each.difference), None)


def _overall_effects(treated: ArmSums, held: ArmSums, *, confidence: float, has_visits: bool) -> Iterator[Effect]:
    yield _rate_effect("ordered", treated, held, ALL, confidence)
    if has_visits:
        yield _rate_effect("visited", treated, held, ALL, confidence)
    needed = _buyers_lacking(treated, held)
    if needed:
        yield replace(_counted("spend", "welch", treated, held, ALL), needed_count=needed)
        return
    cuped = cuped_difference(treated.spend, held.spend, confidence=confidence)
    yield _cuped_effect(cuped, treated, held, ALL, is_headline=cuped.is_worthwhile)
    yield _welch_effect(treated, held, ALL, confidence, is_headline=not cuped.is_worthwhile)
    if not (treated.ordered_count and held.ordered_count):
        return  # of an arm without an order there is no spend per order
    means = [ratio_mean(each.orders) for each in (treated, held)]
    yield replace(
        _counted("spend_per_order", "ratio", treated, held, ALL),
        arm_value=means[0].value,
        control_value=means[1].value,
        difference=ratio_difference(treated.orders, held.orders, confidence=confidence),
    )


def _segment_effects(sums: CampaignSums, arms: tuple[str, str], overall: Effect, *, confidence: float) -> tuple[list[Effect], float | None]:
    """Return the effects of the segments, drawn towards the overall one, and how often equal segments differ as much."""
    effects = []
    for segment in sums.segments:
        treated, held = (sums.of_segment(arm, segment) for arm in arms)
        if min(treated.customer_count, held.customer_count) < FEWEST_PUBLISHED:
            continue
        if overall.metric == "spend":
            effects.append(_spend_effect(overall.method, treated, held, segment, confidence))
        else:
            effects.append(_rate_effect(overall.metric, treated, held, segment, confidence))
    # Where nobody of a segment did anything, or everybody, its effect has no variance to be weighed by.
    spread = [
        place
        for place, each in enumerate(effects)
        if each.difference and each.difference.standard_error and _expected_count(sums, arms, each) >= FEWEST_EXPECTED[overall.metric]
    ]
    if len(spread) < 2 or overall.difference is None or not overall.difference.standard_error:  # noqa: PLR2004 - one has nothing to differ from
        return effects, None
    whole, *parts = (_estimate(each) for each in (overall.difference, *(effects[place].difference for place in spread)))
    shrinkage = shrunk_effects(whole, parts, confidence=confidence)
    for place, shrunk in zip(spread, shrinkage.effects, strict=True):
        effects[place] = replace(effects[place], shrunk=shrunk)
    return effects, shrinkage.p_value


def _expected_count(sums: CampaignSums, arms: tuple[str, str], effect: Effect) -> Fraction:
    """Return how many of a segment's smaller arm would have visited, or ordered, were both arms alike."""
    both = sum((sums.of_segment(arm, effect.segment) for arm in arms), NOBODY)
    did = both.visited_count if effect.metric == "visited" else both.ordered_count
    return Fraction(did * min(effect.customer_count, effect.control_count), both.customer_count)


def _estimate(difference: Difference | None) -> Estimate:
    if difference is None:
        raise ValueError("only differences are drawn together")
    return Estimate(difference.value, difference.standard_error**2)


def _spend_effect(method: Method, treated: ArmSums, held: ArmSums, segment: str, confidence: float) -> Effect:
    if method == "welch_cuped":
        cuped = cuped_difference(treated.spend, held.spend, confidence=confidence)
        return _cuped_effect(cuped, treated, held, segment, is_headline=True)
    return _welch_effect(treated, held, segment, confidence, is_headline=True)


def _rate_effect(metric: Metric, treated: ArmSums, held: ArmSums, segment: str, confidence: float) -> Effect:
    rates: list[Rate] = [each.ordered if metric == "ordered" else each.visited for each in (treated, held)]
    return replace(
        _counted(metric, "newcombe", treated, held, segment),
        arm_value=rates[0].value,
        control_value=rates[1].value,
        difference=newcombe_difference(*rates, confidence=confidence),
    )


def _cuped_effect(cuped: CupedDifference, treated: ArmSums, held: ArmSums, segment: str, *, is_headline: bool) -> Effect:
    return replace(
        _counted("spend", "welch_cuped", treated, held, segment),
        is_headline=is_headline,
        arm_value=cuped.treated.value,
        control_value=cuped.control.value,
        difference=cuped.difference,
        variance_left=cuped.variance_left,
    )


def _welch_effect(treated: ArmSums, held: ArmSums, segment: str, confidence: float, *, is_headline: bool) -> Effect:
    means = [_mean(each.spend) for each in (treated, held)]
    return replace(
        _counted("spend", "welch", treated, held, segment),
        is_headline=is_headline,
        arm_value=means[0].value,
        control_value=means[1].value,
        difference=welch_difference(*means, confidence=confidence),
    )


def _mean(spend: Moments) -> Mean:
    return Mean.of(spend.mean_y, spend.var_y, spend.n)


def _counted(metric: Metric, method: Method, treated: ArmSums, held: ArmSums, segment: str) -> Effect:
    buyers = treated.ordered_count + held.ordered_count
    return Effect(metric, method, segment, True, treated.customer_count, held.customer_count, buyers)  # noqa: FBT003


def _buyers_lacking(treated: ArmSums, held: ArmSums) -> int:
    """Return how many buyers the smaller arm lacks before the spend can be told; 0 where it has enough."""
    smaller = min((treated, held), key=lambda each: (each.customer_count, each.ordered_count))
    return max(0, buyers_needed(treated.customer_count, held.customer_count) - smaller.ordered_count)
