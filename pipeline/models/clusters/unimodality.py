"""What a feature would look like without groups: the nearest distribution with a single peak, of the same mean and spread.

Groups show in a feature as peaks with hollows between them. Skew, heavy tails, many zeros and steps do not make a second peak.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pipeline.models.clusters.preparation import WINSOR_QUANTILES, Numbers

CELLS = 100
FEWEST_IN_CELL = 10
HELD_SHARE = 1.5 * WINSOR_QUANTILES[0]
STRIDE = 5
COMPARED_DRAWS = 20
# A feature has more than one peak where it is farther from one peak than what is drawn from one peak ever is, by this much.
CLEAR_EXCESS = 1.5


@dataclass(frozen=True)
class SinglePeak:
    """The nearest distribution with a single peak, as cumulative shares at knots; `distance` is the largest difference of shares."""

    knots: Numbers
    shares: Numbers
    distance: float
    mean: float
    deviation: float

    def drawn(self, count: int, random: np.random.Generator) -> Numbers:
        """Return values drawn from it, as far apart as those that it is nearest to."""
        values = np.interp(random.random(count), self.shares, self.knots)
        return np.asarray((values - values.mean()) / max(values.std(), np.finfo(float).tiny) * self.deviation + self.mean)


@dataclass(frozen=True)
class DensityHistogram:
    """Cells of about equal share; those of a hollow are wide."""

    knots: Numbers
    shares: Numbers

    @cached_property
    def widths(self) -> Numbers:
        return np.diff(self.knots)

    @cached_property
    def densities(self) -> Numbers:
        return self.shares / self.widths

    def with_peak(self, peak: int) -> tuple[float, Numbers]:
        """Return the cumulative shares of the nearest densities that rise up to a cell and fall from there, and how far they are."""
        from scipy.optimize import isotonic_regression

        up = isotonic_regression(self.densities[: peak + 1], weights=self.widths[: peak + 1]).x
        down = isotonic_regression(self.densities[peak:], weights=self.widths[peak:], increasing=False).x
        mass = np.concatenate([up[:-1], [max(up[-1], down[0])], down[1:]]) * self.widths
        cumulative = np.cumsum(mass) / mass.sum()
        return float(np.abs(cumulative - np.cumsum(self.shares)).max()), cumulative


def spread_ties(points: Numbers, random: np.random.Generator) -> Numbers:
    """Return the points with equal values of a feature spread over the room that they have: steps are no peaks."""
    return np.column_stack([_spread_column(column, random) for column in points.T])


def nearest_single_peak(column: Numbers) -> SinglePeak:
    """Return the distribution with a single peak that is nearest to the values, which differ."""
    low, high = float(column.min()), float(column.max())
    is_low, is_high = _is_at_limit(column, low), _is_at_limit(column, high)
    histogram = _density_histogram(column[~(is_low | is_high)])
    cells = len(histogram.shares)
    coarse = min(range(0, cells, STRIDE), key=lambda peak: histogram.with_peak(peak)[0])
    near = range(max(0, coarse - STRIDE + 1), min(cells, coarse + STRIDE))
    distance, cumulative = min((histogram.with_peak(peak) for peak in near), key=lambda found: found[0])
    inner = np.concatenate([[0.0], cumulative]) * (1 - is_low.mean() - is_high.mean()) + is_low.mean()
    knots, shares = np.concatenate([[low], histogram.knots, [high]]), np.concatenate([[0.0], inner, [1.0]])
    return SinglePeak(knots, shares, distance, float(column.mean()), float(column.std()))


def has_several_peaks(column: Numbers, random: np.random.Generator) -> bool:
    """Return whether the values have clearly more than one peak."""
    one = nearest_single_peak(column)
    chance = max(nearest_single_peak(one.drawn(len(column), random)).distance for _ in range(COMPARED_DRAWS))
    return one.distance > CLEAR_EXCESS * chance


def _density_histogram(column: Numbers) -> DensityHistogram:
    cells = max(2, min(CELLS, len(column) // FEWEST_IN_CELL))
    knots = np.unique(np.quantile(column, np.linspace(0, 1, cells + 1)))
    return DensityHistogram(knots, np.histogram(column, knots)[0] / len(column))


def _spread_column(column: Numbers, random: np.random.Generator) -> Numbers:
    """Return the values spread over what is theirs of the room to their neighbours, where they are shared and not held by a limit."""
    values, places, counts = np.unique(column, return_inverse=True, return_counts=True)
    steps = np.diff(values)
    before, after = np.insert(steps, 0, steps[:1]), np.append(steps, steps[-1:])
    # Steps of a logarithm are uneven; a hollow is wider than that, and stays empty.
    reach = np.where(counts > 1, np.minimum(before, after), 0.0)[places] * ~(
        _is_at_limit(column, values[0]) | _is_at_limit(column, values[-1])
    )
    low, high = (np.minimum(side[places] / 2, reach) for side in (before, after))
    return np.asarray(column - low + random.random(len(column)) * (low + high))


def _is_at_limit(column: Numbers, limit: float) -> npt.NDArray[np.bool_]:
    """Return which values are at a limit of the feature because they are beyond it; what more have is a value like any other."""
    is_there = column == limit
    return is_there if 1 < is_there.sum() <= HELD_SHARE * len(column) else np.zeros(len(column), np.bool_)
