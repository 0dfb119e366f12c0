"""Several arms: p-values by Holm, which keep the chance of any false alarm at that of one test.

Holm, S. (1979): A simple sequentially rejective multiple test procedure.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.measurement.intervals import CONFIDENCE


def strictest_confidence(test_count: int) -> float:
    """Return the confidence that the smallest of so many p-values must reach, 0 to 1: whichever arm's it is, that suffices."""
    return 1 - (1 - CONFIDENCE) / test_count


def holm_adjusted(p_values: Sequence[float]) -> list[float]:
    """Return the adjusted p-values, in the order given."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
