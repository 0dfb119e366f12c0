"""Laws of intervals of effects per segment: critical values are those of the worst spread, and hold where effects grow with spend."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import norm

from pipeline.measurement.robust_intervals import critical_value, worst_non_coverage
from pipeline.measurement.shrinkage import Estimate, shrunk_effects

BIASES = np.linspace(0, 14, 2_801)
SEEDS = 120


def worst_spread(mean_square: float, reach: float) -> float:
    """Return the largest share of misses over all distributions of biases on a grid: a linear programme."""
    missed = norm.cdf(-reach - BIASES) + norm.cdf(BIASES - reach)
    found = linprog(-missed, A_eq=[np.ones_like(BIASES), BIASES**2], b_eq=[1, mean_square], method="highs")
    return float(-found.fun)


@pytest.mark.parametrize("mean_square", [0.05, 0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_a_critical_value_is_that_of_the_worst_spread_of_biases(mean_square: float, confidence: float) -> None:
    reach = critical_value(mean_square, confidence=confidence)
    assert worst_spread(mean_square, reach) == pytest.approx(1 - confidence, abs=1e-5)


@pytest.mark.parametrize(("mean_square", "reach"), [(0.3, 1.2), (0.01, 1.74), (1.0, 3.0), (9.0, 4.0), (30.0, 3.0)])
def test_non_coverage_is_that_of_the_worst_spread_of_biases(mean_square: float, reach: float) -> None:
    assert worst_non_coverage(mean_square, reach) == pytest.approx(worst_spread(mean_square, reach), abs=1e-5)


def test_without_bias_it_is_the_usual_critical_value() -> None:
    assert critical_value(0, confidence=0.95) == pytest.approx(1.959964, abs=1e-6)
    assert [critical_value(each, confidence=0.95) for each in (1, 2)] == pytest.approx([3.259, 4.815], abs=5e-4), "those of definitions.md"
    assert critical_value(0, confidence=float(1 - 2 * norm.sf(4.049))) == pytest.approx(4.049, abs=1e-6)


def test_parametric_intervals_of_effects_drawn_far_together_miss_a_quarter_at_worst() -> None:
    """The paper's theorem: their non-coverage approaches 1 / z squared, 0.26 at 95 %, as less and less of an effect of its own remains."""
    z, kept = 1.959964, 1e-7
    assert worst_non_coverage(1 / kept - 1, z / math.sqrt(kept)) == pytest.approx(1 / z**2, abs=1e-3)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.floats(0, 1e4), st.floats(0, 1e4), st.sampled_from([0.5, 0.8, 0.95, 0.99994]))
def test_more_bias_takes_a_longer_interval_and_never_more_than_chebyshevs(one: float, other: float, confidence: float) -> None:
    less, more = sorted((one, other))
    reaches = [critical_value(each, confidence=confidence) for each in (less, more)]
    assert reaches[0] <= reaches[1] + 1e-8
    assert reaches[1] <= math.sqrt((1 + more) / (1 - confidence)) + 1e-8


Campaign = tuple[np.ndarray, np.ndarray, np.ndarray]
"""The true effect, the variance of its estimate, and the share of customers of each segment."""


def growing_with_spend(rng: np.random.Generator, lift: float, *, segments: int, spread: float, control: float) -> Campaign:
    """Return a campaign whose segments' mean spends differ by exp(spread); effects are `lift` of them, deviations twice them."""
    shares = rng.dirichlet(np.full(segments, 3.0))
    spends = np.exp(rng.normal(3, spread, segments))
    return lift * spends, (2 * spends) ** 2 / (8_000 * shares) * (1 / control + 1 / (1 - control)), shares


def in_steps(step: float, *, segments: int) -> Campaign:
    """Return a campaign of segments alike in size, each with a larger effect than the last, and a somewhat less certain one."""
    errors = np.linspace(1, 1.4, segments)
    return step * np.arange(segments) ** 1.5, errors**2, np.full(segments, 1 / segments)


def shares_covered(campaign_of: Callable[[np.random.Generator], Campaign]) -> tuple[float, float]:
    """Return how often intervals held the truth, over segments and seeds: those drawn together, and the segments' own."""
    shrunk, own = [], []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        truths, variances, shares = campaign_of(rng)
        seen = truths + rng.normal(size=len(truths)) * np.sqrt(variances)
        whole = Estimate(float(shares @ seen), float(shares**2 @ variances))
        effects = [Estimate(float(value), float(variance)) for value, variance in zip(seen, variances, strict=True)]
        found = shrunk_effects(whole, effects).effects
        shrunk += [each.low <= truth <= each.high for each, truth in zip(found, truths, strict=True)]
        own += list(np.abs(seen - truths) <= 1.959964 * np.sqrt(variances))
    return float(np.mean(shrunk)), float(np.mean(own))


@pytest.mark.parametrize(
    ("lift", "segments", "spread", "control"), [(0, 5, 1.0, 0.2), (0.15, 8, 0.6, 0.5), (0.15, 11, 1.0, 0.2), (0.5, 5, 1.0, 0.2)]
)
def test_intervals_of_segments_hold_on_average_also_where_effects_grow_with_spend(
    lift: float, segments: int, spread: float, control: float
) -> None:
    shrunk, own = shares_covered(lambda rng: growing_with_spend(rng, lift, segments=segments, spread=spread, control=control))
    assert own == pytest.approx(0.95, abs=0.025), "what was planted is what chance gives"
    assert shrunk >= 0.94


@pytest.mark.parametrize("step", [0.2, 0.4, 0.6])
def test_intervals_of_segments_hold_on_average_where_effects_differ_more_or_less(step: float) -> None:
    shrunk, own = shares_covered(lambda _: in_steps(step, segments=6))
    assert own == pytest.approx(0.95, abs=0.025)
    assert shrunk >= 0.94


def test_an_interval_reaches_no_further_than_it_takes_to_contain_the_segments_own() -> None:
    parts = [Estimate(1.0, 0.01), Estimate(1.2, 0.02), Estimate(9.0, 25.0)]
    for part, shrunk in zip(parts, shrunk_effects(Estimate(1.1, 0.02), parts).effects, strict=True):
        assert shrunk.high - shrunk.value <= abs(part.value - shrunk.value) + 1.96 * math.sqrt(part.variance)
        assert shrunk.high > shrunk.low
