"""Laws of campaigns: shares are exact whatever the strata, empty campaigns stay silent, planted effects and broken splits are found."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from pipeline.measurement.arm_quotas import arm_quotas
from pipeline.measurement.arm_sums import ArmSums, CampaignSums
from pipeline.measurement.cuped import cuped_difference
from pipeline.measurement.effects import arm_effects
from pipeline.measurement.intervals import Mean, Rate, newcombe_difference, welch_difference
from pipeline.measurement.looks import LIMITS
from pipeline.measurement.moments import Moments
from pipeline.measurement.multiple_testing import holm_adjusted
from pipeline.measurement.sample_ratio import SMALLEST_P_VALUE, sample_ratio_p_value
from pipeline.measurement.sample_size import smallest_visible_rate
from pipeline.measurement.shrinkage import Estimate, shrunk_effects
from pipeline.segmentation.insights.wilson import wilson_interval

DRAWS = 1_000
COUNTS = st.lists(st.integers(1, 300), min_size=1, max_size=40)
STRATA = COUNTS.map(lambda counts: {f"s{place}": count for place, count in enumerate(counts)})
SHARES = st.lists(st.integers(1, 1_000), min_size=2, max_size=6)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(STRATA, SHARES, st.text(max_size=4))
def test_every_stratum_is_divided_to_within_one_customer_and_so_is_the_whole(strata: dict[str, int], shares: list[int], salt: str) -> None:
    quotas = arm_quotas(strata, shares, salt=salt)
    for stratum, count in strata.items():
        assert sum(quotas[stratum]) == count
        for got, share in zip(quotas[stratum], shares, strict=True):
            assert abs(got - count * share / sum(shares)) < 1
    total = sum(strata.values())
    for place, share in enumerate(shares):
        # Each arm is behind or ahead by less than one customer for each other arm.
        assert abs(sum(quota[place] for quota in quotas.values()) - total * share / sum(shares)) < len(shares)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(STRATA, SHARES, st.text(max_size=4), st.randoms(use_true_random=False))
def test_quotas_do_not_depend_on_the_order_of_strata(strata: dict[str, int], shares: list[int], salt: str, random: object) -> None:
    names = list(strata)
    random.shuffle(names)  # type: ignore[attr-defined]
    assert arm_quotas({name: strata[name] for name in names}, shares, salt=salt) == arm_quotas(strata, shares, salt=salt)


@pytest.mark.parametrize("size", [1, 2, 4, 7])
def test_small_strata_do_not_all_round_the_same_way(size: int) -> None:
    quotas = arm_quotas({str(number): size for number in range(500)}, [900_000, 100_000], salt="s")
    control = sum(quota[1] for quota in quotas.values())
    assert abs(control - 50 * size) <= 1


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(1, 400), st.integers(1, 400), st.data())
def test_rates_are_those_of_statsmodels(n1: int, n0: int, data: st.DataObject) -> None:
    x1, x0 = data.draw(st.integers(0, n1)), data.draw(st.integers(0, n0))
    ours = newcombe_difference(Rate(x1, n1), Rate(x0, n0))
    theirs = confint_proportions_2indep(x1, n1, x0, n0, method="newcomb", compare="diff")
    assert (ours.low, ours.high) == pytest.approx(theirs, abs=1e-9)
    assert wilson_interval(x1 / n1, n1) == pytest.approx(proportion_confint(x1, n1, method="wilson"), abs=1e-9)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_holm_is_that_of_statsmodels(p_values: list[float]) -> None:
    assert holm_adjusted(p_values) == pytest.approx(list(multipletests(p_values, method="holm")[1]), abs=1e-12)


def moments(x: np.ndarray, y: np.ndarray) -> Moments:
    sums = (float(each) for each in (y.sum(), (y * y).sum()))
    y_sum, yy = sums
    return Moments.of_sums(len(x), *map(_exact, (y_sum, yy)), x=_exact(x.sum()), xx=_exact((x * x).sum()), xy=_exact((x * y).sum()))


def _exact(value: float) -> int:
    return round(value)  # whole cents below, so that nothing is lost


@pytest.fixture(scope="module")
def shop() -> tuple[np.ndarray, np.ndarray]:
    """What 2,000 customers spent before and during, in cents: most nothing, few much, alike in both."""
    rng = np.random.default_rng(7)
    before = np.where(rng.random(2_000) < 0.6, rng.lognormal(8, 1, 2_000), 0).round()
    during = np.where(rng.random(2_000) < 0.3, before * rng.uniform(0, 0.6, 2_000) + rng.lognormal(6, 1, 2_000), 0).round()
    return before, during


def test_empty_campaigns_are_called_a_success_as_often_as_said(shop: tuple[np.ndarray, np.ndarray]) -> None:
    before, during = shop
    rng = np.random.default_rng(11)
    called = {"rate": 0, "welch": 0, "cuped": 0}
    variances = []
    for _ in range(DRAWS):
        treated = np.zeros(len(before), bool)
        treated[rng.permutation(len(before))[: len(before) // 2]] = True
        arms = [moments(before[each], during[each]) for each in (treated, ~treated)]
        rates = [Rate(int((during[each] > 0).sum()), int(each.sum())) for each in (treated, ~treated)]
        cuped = cuped_difference(*arms)
        called["rate"] += newcombe_difference(*rates).p_value < 0.05
        called["welch"] += welch_difference(*(Mean.of(arm.mean_y, arm.var_y, arm.n) for arm in arms)).p_value < 0.05
        called["cuped"] += cuped.difference.p_value < 0.05
        variances.append(cuped.variance_left)
    # 5 % of 1,000, within four standard errors.
    assert all(22 <= count <= 78 for count in called.values()), called
    assert np.mean(variances) < 0.9


def test_a_planted_effect_is_covered_by_its_interval(shop: tuple[np.ndarray, np.ndarray]) -> None:
    before, during = shop
    rng = np.random.default_rng(13)
    gain, covered, found = 400, 0, 0
    for _ in range(DRAWS):
        treated = np.zeros(len(before), bool)
        treated[rng.permutation(len(before))[: len(before) // 2]] = True
        arms = [moments(before[each], during[each] + gain * is_treated) for each, is_treated in ((treated, 1), (~treated, 0))]
        difference = cuped_difference(*arms).difference
        covered += difference.low <= gain <= difference.high
        found += difference.low > 0
    # 95 % of 1,000, less four standard errors.
    assert covered >= 0.922 * DRAWS
    assert found >= 0.5 * DRAWS


def test_four_looks_keep_the_chance_of_a_false_alarm_at_one_in_twenty() -> None:
    rng = np.random.default_rng(17)
    steps = rng.standard_normal((20_000, len(LIMITS))).cumsum(axis=1)
    scores = np.abs(steps / np.sqrt(np.arange(1, len(LIMITS) + 1)))
    assert (scores > np.array(LIMITS)).any(axis=1).mean() == pytest.approx(0.05, abs=0.007)
    assert (scores > 1.96).any(axis=1).mean() > 0.11, "at 1.96 each it would be more than twice as much"


def test_segments_of_an_empty_campaign_that_holds_back_a_tenth_seem_to_differ_as_often_as_said() -> None:
    rng = np.random.default_rng(23)
    rates = np.array([0.35, 0.22, 0.12, 0.08, 0.07, 0.04, 0.03, 0.01])
    sizes = np.array([400, 600, 400, 400, 600, 400, 480, 720])
    found = []
    for _ in range(DRAWS):
        by_segment = {}
        for arm, share in (("mail", 0.9), ("control", 0.1)):
            counts = (sizes * share).astype(int)
            for place, (count, buyers) in enumerate(zip(counts.tolist(), rng.binomial(counts, rates).tolist(), strict=True)):
                each_one = Moments.of_sums(count, buyers, buyers, x=buyers, xx=buyers, xy=buyers)
                by_segment[arm, f"segment_{place}"] = ArmSums(count, buyers, 0, each_one, each_one)
        [whole] = [
            each
            for each in arm_effects(CampaignSums(by_segment), "mail", "control", confidence=0.95, has_visits=False)
            if each.metric == "ordered" and each.segment == "all"
        ]
        found.append(whole.segments_differ_p_value)
    # 5 % of 1,000, and no more than three standard errors above it.
    assert sum(p_value is not None and p_value < 0.05 for p_value in found) <= 71
    assert None not in found


def test_a_broken_split_is_caught_and_an_even_one_is_not() -> None:
    rng = np.random.default_rng(19)
    even = [sample_ratio_p_value([count, 20_000 - count], [1, 1]) for count in rng.binomial(20_000, 0.5, 2_000).tolist()]
    assert sum(p_value < SMALLEST_P_VALUE for p_value in even) <= 8
    broken = [sample_ratio_p_value([count, 20_000 - count], [1, 1]) for count in rng.binomial(20_000, 0.52, 500).tolist()]
    assert sum(p_value < SMALLEST_P_VALUE for p_value in broken) >= 0.97 * 500
    assert sample_ratio_p_value([round(21_300 * 0.96), 21_300], [1, 1]) == pytest.approx(3e-5, rel=0.02)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.floats(0.001, 0.6), st.integers(20, 50_000), st.integers(20, 50_000))
def test_the_smallest_visible_rate_is_found_with_the_promised_power(rate: float, treated: int, control: int) -> None:
    higher = smallest_visible_rate(rate, treated, control)
    if higher is None:
        return
    error = math.sqrt(rate * (1 - rate) / control + higher * (1 - higher) / treated)
    assert rate < higher <= 1
    assert (higher - rate) / error == pytest.approx(1.959964 + 0.841621, rel=1e-4)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.tuples(st.floats(-5, 5), st.floats(0.01, 4)),
    st.lists(st.tuples(st.floats(-5, 5), st.floats(0.01, 4)), min_size=2, max_size=12),
)
def test_shrunk_effects_lie_between_their_own_and_the_overall_one(whole: tuple[float, float], parts: list[tuple[float, float]]) -> None:
    overall = Estimate(*whole)
    shrinkage = shrunk_effects(overall, [Estimate(*each) for each in parts])
    for (value, _), shrunk in zip(parts, shrinkage.effects, strict=True):
        low, high = sorted((value, overall.value))
        assert low - 1e-9 <= shrunk.value <= high + 1e-9
        assert shrunk.low <= shrunk.value <= shrunk.high
    freedom = len(parts) - 1
    if shrinkage.p_value >= chi2.sf(freedom, freedom):
        assert {shrunk.value for shrunk in shrinkage.effects} == {overall.value}, "no more spread than chance gives"
