"""CUPED: what customers had spent before explains much of what they spend, whichever arm they are in, and is taken off.

Deng, Xu, Kohavi, Walker (2013): Improving the sensitivity of online controlled experiments by utilizing pre-experiment data.
x is the spend before, as money and not as its logarithm, which explains far less.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.measurement.intervals import CONFIDENCE, Difference, Mean, welch_difference
from pipeline.measurement.moments import Moments

SMALLEST_CORRELATION_SQUARED = 0.05
"""Below this share of variance explained the plain difference is told."""


@dataclass(frozen=True, slots=True)
class CupedDifference:
    """The adjusted difference; `variance_left` is the share of the variance of y that x does not explain, 0 to 1."""

    difference: Difference
    treated: Mean
    control: Mean
    theta: float
    variance_left: float

    @property
    def is_worthwhile(self) -> bool:
        """Whether x explains enough to tell the adjusted difference first."""
        return 1 - self.variance_left >= SMALLEST_CORRELATION_SQUARED


def cuped_difference(treated: Moments, control: Moments, *, confidence: float = CONFIDENCE) -> CupedDifference:
    """Return Welch's difference of y - theta (x - mean of x), with theta = Cov(y, x) / Var(x) over both arms together."""
    both = treated + control
    theta = both.cov / both.var_x if both.var_x else both.cov * 0
    means = []
    for arm in (treated, control):
        value = arm.mean_y - theta * (arm.mean_x - both.mean_x)
        variance = arm.var_y - 2 * theta * arm.cov + theta * theta * arm.var_x
        means.append(Mean.of(value, variance, arm.n))
    explained = both.cov * both.cov / (both.var_x * both.var_y) if both.var_x and both.var_y else both.cov * 0
    return CupedDifference(welch_difference(*means, confidence=confidence), means[0], means[1], float(theta), float(1 - explained))
