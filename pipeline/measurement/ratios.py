"""Ratios of sums, such as spend per order: customers are drawn, orders are not, so the variance is that of the delta method.

Deng, Knoblich, Lu (2018): Applying the delta method in metric analytics. y is what is divided, x what it is divided by.
"""

from __future__ import annotations

from pipeline.measurement.intervals import CONFIDENCE, Difference, Mean, welch_difference
from pipeline.measurement.moments import Moments


def ratio_mean(sample: Moments) -> Mean:
    """Return the ratio of mean y to mean x as a mean of customers: variance (s_yy - 2 R s_xy + R R s_xx) / mean x squared."""
    ratio = sample.mean_y / sample.mean_x
    variance = (sample.var_y - 2 * ratio * sample.cov + ratio * ratio * sample.var_x) / (sample.mean_x * sample.mean_x)
    return Mean.of(ratio, variance, sample.n)


def ratio_difference(treated: Moments, control: Moments, *, confidence: float = CONFIDENCE) -> Difference:
    """Return the difference of two ratios; in each sample some x is above 0."""
    return welch_difference(ratio_mean(treated), ratio_mean(control), confidence=confidence)
