"""Mantel-Haenszel risk ratios: how many times as common something is in a group as in the rest, among customers who buy as much.

Customers are compared within strata only, so a group that merely buys more is not said to like everything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Z_95 = 1.959963984540054
"""The standard normal quantile of 97.5 %."""


@dataclass(frozen=True, slots=True)
class RiskRatios:
    """One ratio per row with its 95 % interval and two-sided p-value; NaN where nothing can be compared."""

    ratio: Numbers
    low: Numbers
    high: Numbers
    p_value: Numbers


def mantel_haenszel(with_it: Numbers, size: Numbers, others_with_it: Numbers, others_size: Numbers) -> RiskRatios:
    """Return the risk ratios of rows of counts by stratum, arrays of shape (rows, strata).

    In stratum k, a of n1 customers of the group have it and c of the n0 others, N = n1 + n0. The ratio is the sum of a n0 / N divided
    by the sum of c n1 / N (Mantel & Haenszel 1959). The variance of its logarithm is the sum of (n1 n0 (a + c) - a c N) / N^2 divided by
    the product of both sums (Greenland & Robins 1985). The p-value is that of log(ratio) / standard error against the normal distribution.
    """
    everybody = np.maximum(size + others_size, 1.0)
    group = (with_it * others_size / everybody).sum(axis=1)
    others = (others_with_it * size / everybody).sum(axis=1)
    both = size * others_size * (with_it + others_with_it) - with_it * others_with_it * everybody
    variance = (both / everybody**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where((group > 0) & (others > 0), group / others, np.nan)
        error = np.sqrt(variance / (group * others))
        logarithm = np.log(ratio)
        low, high = np.exp(logarithm - Z_95 * error), np.exp(logarithm + Z_95 * error)
        scores = np.abs(logarithm) / error
    p_values = np.array([math.erfc(score / math.sqrt(2)) if np.isfinite(score) else np.nan for score in scores])
    return RiskRatios(ratio, low, high, p_values)


def benjamini_hochberg(p_values: Numbers, rate: float) -> NDArray[np.bool_]:
    """Return which of the p-values stand out so that at most `rate` of those said to are expected to be chance; NaN never does.

    The largest k with p(k) <= rate * k / m, of m p-values in order (Benjamini & Hochberg 1995).
    """
    known = np.isfinite(p_values)
    ordered = np.sort(p_values[known])
    holds = np.nonzero(ordered <= rate * np.arange(1, len(ordered) + 1) / max(len(ordered), 1))[0]
    limit = ordered[holds[-1]] if len(holds) else -1.0
    return known & (np.nan_to_num(p_values, nan=2.0) <= limit)
