"""Confidence intervals of the difference between two samples: rates by Newcombe, means by Welch.

Newcombe, R. G. (1998): Interval estimation for the difference between independent proportions, Statistics in Medicine 17, method 10.
Welch, B. L. (1947), degrees of freedom by Satterthwaite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from scipy.special import ndtr, ndtri, stdtr, stdtrit

from pipeline.segmentation.insights.wilson import wilson_interval

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Rate:
    """`successes` of `n` customers."""

    successes: int
    n: int

    @property
    def value(self) -> float:
        """The share of successes, 0 to 1."""
        return self.successes / self.n


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of `n` customers, with the variance of one of them."""

    value: float
    variance: float
    n: int

    @classmethod
    def of(cls, value: Fraction, variance: Fraction, n: int) -> Mean:
        """Return the mean of exact figures."""
        return cls(float(value), float(variance), n)


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference with its interval and standard error; `p_value` says how often chance alone differs as much."""

    value: float
    low: float
    high: float
    standard_error: float
    p_value: float


def newcombe_difference(treated: Rate, control: Rate, *, confidence: float = CONFIDENCE) -> Difference:
    """Return the difference of two rates with Newcombe's hybrid score interval, and the p-value of the pooled z-test."""
    p1, p0 = treated.value, control.value
    z = _normal_limit(confidence)
    (l1, u1), (l0, u0) = (wilson_interval(rate.value, rate.n, z=z) for rate in (treated, control))
    value = p1 - p0
    low, high = value - math.hypot(p1 - l1, u0 - p0), value + math.hypot(u1 - p1, p0 - l0)
    pooled = (treated.successes + control.successes) / (treated.n + control.n)
    pooled_error = math.sqrt(pooled * (1 - pooled) * (1 / treated.n + 1 / control.n))
    p_value = float(2 * ndtr(-abs(value) / pooled_error)) if pooled_error else 1.0
    # That of means, n - 1 and all: what rates and spend of segments are drawn together by.
    error = math.sqrt(sum(rate.value * (1 - rate.value) / max(rate.n - 1, 1) for rate in (treated, control)))
    return Difference(value, low, high, error, p_value)


def welch_difference(treated: Mean, control: Mean, *, confidence: float = CONFIDENCE) -> Difference:
    """Return the difference of two means with Welch's t-interval and p-value; both have two customers or more."""
    parts = treated.variance / treated.n, control.variance / control.n
    value, error = treated.value - control.value, math.sqrt(sum(parts))
    if not error:
        return Difference(value, value, value, 0.0, 1.0 if value == 0 else 0.0)
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / (treated.n - 1) + parts[1] ** 2 / (control.n - 1))
    half = -float(stdtrit(freedom, (1 - confidence) / 2)) * error
    return Difference(value, value - half, value + half, error, float(2 * stdtr(freedom, -abs(value) / error)))


def _normal_limit(confidence: float) -> float:
    return -float(ndtri((1 - confidence) / 2))
