"""How small an effect a campaign can show, and how many customers it takes: a two-sided test that finds 4 of 5 such effects.

Sums of two independent means or rates; see any textbook on power, such as Chow, Shao, Wang: Sample size calculations.
"""

from __future__ import annotations

import math

from scipy.special import ndtri

from pipeline.measurement.intervals import CONFIDENCE

POWER = 0.8


def noncentrality(confidence: float = CONFIDENCE) -> float:
    """Return how many standard errors an effect must measure: z of the confidence and z of the power."""
    return float(ndtri(POWER) - ndtri((1 - confidence) / 2))


def smallest_visible_mean_difference(
    deviation: float, treated: int, control: int, *, correlation: float = 0.0, confidence: float = CONFIDENCE
) -> float:
    """Return the smallest difference of means that is found, by the deviation of one customer and the correlation with the spend before."""
    return noncentrality(confidence) * deviation * math.sqrt((1 - correlation**2) * (1 / treated + 1 / control))


def smallest_visible_rate(rate: float, treated: int, control: int, *, confidence: float = CONFIDENCE) -> float | None:
    """Return the smallest rate above `rate`, which is that of the control, that is found; None where not even 1 is."""

    def is_found(higher: float) -> bool:
        return control_size_for_rates(rate, higher, ratio=treated / control, confidence=confidence) <= control

    if rate >= 1 or not is_found(1.0):
        return None
    low, high = rate, 1.0
    # Halving until the last bit: the size that is needed falls as the difference grows.
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if middle > rate and is_found(middle) else (middle, high)
    return high


def control_size_for_rates(control_rate: float, treated_rate: float, *, ratio: float = 1.0, confidence: float = CONFIDENCE) -> float:
    """Return how many customers the control needs to tell the two rates apart; the treated arm is `ratio` times as large."""
    difference = treated_rate - control_rate
    spread = control_rate * (1 - control_rate) + treated_rate * (1 - treated_rate) / ratio
    return noncentrality(confidence) ** 2 * spread / difference**2
