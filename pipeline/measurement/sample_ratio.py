"""Sample ratio: arms that are not as large as they should be were not drawn as they should be, or lost customers since.

Fabijan et al. (2019): Diagnosing sample ratio mismatch in online controlled experiments.
"""

from __future__ import annotations

from collections.abc import Sequence

from scipy.special import bdtrc, chdtrc

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


def lost_alike_p_value(assigned: Sequence[int], measured: Sequence[int]) -> float:
    """Return how often chance alone takes as many customers from any one arm as from that which lost the most, given how many are lost.

    Each who is lost is of an arm with its share of the assigned: a binomial tail, times the number of arms. The ratio of sizes says little
    of it: an arm that loses a tenth is hardly smaller than chance could have drawn it, yet chance does not lose a tenth of one arm alone.
    """
    lost = [before - after for before, after in zip(assigned, measured, strict=True)]
    all_lost, whole = sum(lost), sum(assigned)
    tails = [float(bdtrc(count - 1, all_lost, size / whole)) for count, size in zip(lost, assigned, strict=True) if count]
    return min([1.0, *(len(assigned) * tail for tail in tails)])


def chi_square(counts: Sequence[int], expected: Sequence[float]) -> float:
    """Return the sum of squared deviations over what is expected, all of which is above 0."""
    return sum((count - mean) ** 2 / mean for count, mean in zip(counts, expected, strict=True))
