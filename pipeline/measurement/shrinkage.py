"""Effects per segment, drawn towards that of everybody as far as chance alone could have spread them.

Best and worst of many segments are mostly luck. How much segments differ beyond chance is estimated by DerSimonian and Laird (1986); each
effect is then moved towards the overall difference, and not towards the mean weighted by precision, which is biased for spend:
segments that spend little have both a small effect and a small variance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import chdtrc, ndtri

from pipeline.measurement.intervals import CONFIDENCE


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
    """Shrunk effects in the order given; `q` is Cochran's, `p_value` says how often equal segments differ as much."""

    effects: tuple[ShrunkEffect, ...]
    q: float
    p_value: float


def shrunk_effects(overall: Estimate, effects: Sequence[Estimate], *, confidence: float = CONFIDENCE) -> Shrinkage:
    """Return the effects of two or more segments drawn towards `overall`; all variances are above 0."""
    weights = [1 / each.variance for each in effects]
    total = sum(weights)
    middle = sum(weight * each.value for weight, each in zip(weights, effects, strict=True)) / total
    q = sum(weight * (each.value - middle) ** 2 for weight, each in zip(weights, effects, strict=True))
    freedom = len(effects) - 1
    between = max(0.0, (q - freedom) / (total - sum(weight**2 for weight in weights) / total))
    z = -float(ndtri((1 - confidence) / 2))
    shrunk = []
    for each in effects:
        kept = between / (between + each.variance)
        value = overall.value + kept * (each.value - overall.value)
        half = z * math.sqrt(kept * each.variance + (1 - kept) ** 2 * overall.variance)
        shrunk.append(ShrunkEffect(value, value - half, value + half))
    return Shrinkage(tuple(shrunk), q, float(chdtrc(freedom, q)))
