"""Effects per segment, drawn towards that of everybody as far as chance alone could have spread them.

Best and worst of many segments are mostly luck. How much segments differ beyond chance is estimated by DerSimonian and Laird (1986); each
effect is then moved towards the overall difference, and not towards the mean weighted by precision, which is biased for spend:
segments that spend little have both a small effect and a small variance.

Intervals hold on average over the segments, however their effects are spread: see `robust_intervals`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import chdtrc

from pipeline.measurement.intervals import CONFIDENCE
from pipeline.measurement.robust_intervals import critical_value


@dataclass(frozen=True, slots=True)
class Estimate:
    """An effect and the variance of its estimate."""

    value: float
    variance: float


@dataclass(frozen=True, slots=True)
class ShrunkEffect:
    """An effect drawn towards the overall one, with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """Shrunk effects in the order given; `p_value`, of Cochran's Q, says how often equal segments differ as much."""

    effects: tuple[ShrunkEffect, ...]
    p_value: float


def shrunk_effects(overall: Estimate, effects: Sequence[Estimate], *, confidence: float = CONFIDENCE) -> Shrinkage:
    """Return the effects of two or more segments drawn towards `overall`; all variances are above 0."""
    weights = [1 / each.variance for each in effects]
    total = sum(weights)
    middle = sum(weight * each.value for weight, each in zip(weights, effects, strict=True)) / total
    q = sum(weight * (each.value - middle) ** 2 for weight, each in zip(weights, effects, strict=True))
    freedom = len(effects) - 1
    between = max(0.0, (q - freedom) / (total - sum(weight**2 for weight in weights) / total))
    spread = _mean_square_deviation(overall, effects)
    usual = critical_value(0, confidence=confidence)
    shrunk = []
    for each in effects:
        kept = between / (between + each.variance)
        value = overall.value + kept * (each.value - overall.value)
        own_error = math.sqrt(each.variance)
        # That of a sum whose parts go together as far as they can: the segment's customers are among everybody.
        error = kept * own_error + (1 - kept) * math.sqrt(overall.variance)
        half = error * critical_value(spread * ((1 - kept) / error) ** 2, confidence=confidence)
        # What contains the segment's own interval holds as often as that does, however segments differ.
        half = min(half, abs(each.value - value) + usual * own_error)
        shrunk.append(ShrunkEffect(value, value - half, value + half))
    return Shrinkage(tuple(shrunk), float(chdtrc(freedom, q)))


def _mean_square_deviation(overall: Estimate, effects: Sequence[Estimate]) -> float:
    """Return the mean square of how far the segments' true effects are from `overall`, all segments counting alike.

    Weights by precision would say too little where large effects go with large variances, as where both grow with what a segment spends.
    What is added is the paper's floor (section 3.2): of few segments the estimate is as uncertain as that, whether it is 0 or not.
    """
    count, variances = len(effects), [each.variance for each in effects]
    seen = sum((each.value - overall.value) ** 2 - each.variance + overall.variance for each in effects) / count
    return max(seen, 0.0) + 2 * sum(variance**2 for variance in variances) / (count * sum(variances))
