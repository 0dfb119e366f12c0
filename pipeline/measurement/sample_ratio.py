"""Sample ratio: arms that are not as large as they should be were not drawn as they should be, or lost customers since.

Fabijan et al. (2019): Diagnosing sample ratio mismatch in online controlled experiments.
"""

from __future__ import annotations

from collections.abc import Sequence

from scipy.special import chdtrc

SMALLEST_P_VALUE = 0.001
"""Below this the results are withheld."""


def sample_ratio_p_value(counts: Sequence[int], shares: Sequence[float]) -> float:
    """Return how often chance alone strays as far from `shares`, which are proportional to what is expected; by chi square.

    1 where there is nobody, or one arm alone.
    """
    total, whole = sum(counts), sum(shares)
    if not total or len(counts) < 2:  # noqa: PLR2004 - one arm has no ratio
        return 1.0
    expected = [total * share / whole for share in shares]
    return float(chdtrc(len(counts) - 1, chi_square(counts, expected)))


def chi_square(counts: Sequence[int], expected: Sequence[float]) -> float:
    """Return the sum of squared deviations over what is expected, all of which is above 0."""
    return sum((count - mean) ** 2 / mean for count, mean in zip(counts, expected, strict=True))
