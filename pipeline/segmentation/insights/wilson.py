"""Wilson's interval of a share: of answers to a survey, and of customers of an arm who did something."""

from __future__ import annotations

import math

from pipeline.segmentation.insights.risk_ratios import Z_95


def wilson_interval(share: float, count: float, *, z: float = Z_95) -> tuple[float, float]:
    """Return Wilson's score interval of a share among `count` people (Wilson 1927), by default that of 95 %.

    `z` is the standard normal quantile of its upper end. A count need not be whole.
    """
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    # At 0 and 1 the bound is the share itself; rounding would put it a hair beside.
    return (max(0.0, middle - half) if share > 0 else 0.0), (min(1.0, middle + half) if share < 1 else 1.0)
