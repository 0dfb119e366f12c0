"""What a feature would look like without groups: the nearest distribution with a single peak, of the same mean and spread.

Groups show in a feature as peaks with hollows between them; skew, heavy tails, many zeros and steps make no second peak. That
is the idea of Hartigan & Hartigan (1985), "The dip test of unimodality", Annals of Statistics 13, which measures how far a
distribution is from the nearest unimodal one. The dip itself has no such distribution to draw from, and we need one: it is the
structureless reference of `gap_statistic`. So the density is estimated by a histogram, and for each possible peak the nearest
density that rises up to it and falls from there is found by isotonic regression; the peak with the smallest distance wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pipeline.models.clusters.encoding import WINSOR_QUANTILES, Numbers

CELLS = 100
FEWEST_IN_CELL = 10
# Winsorising puts a hundredth of customers on each limit. More than half as many again are there for a reason of their own.
HELD_SHARE = 1.5 * WINSOR_QUANTILES[0]
# Who has nothing at all of something, such as returns, is no group of customers where most have nothing.
MOST_CUSTOMERS = 0.6
# Every fifth cell is tried as the peak, then the cells around the best: a fifth of the regressions for the same peak.
STRIDE = 5
COMPARED_DRAWS = 20
# A feature has more than one peak where it is farther from one peak than what is drawn from one peak ever is, by this much.
CLEAR_EXCESS = 1.5


@dataclass(frozen=True)
class SinglePeak:
    """The nearest distribution with a single peak, as cumulative shares at knots, in units of the feature.

    `distance` is the largest difference of cumulative shares from the values, 0 to 1, as in the Kolmogorov-Smirnov statistic.
    """

    knots: Numbers
    shares: Numbers
    distance: float
    mean: float
    deviation: float

    def draw(self, count: int, random: np.random.Generator) -> Numbers:
        """Draw `count` values with the mean and deviation of the values that it is nearest to."""
        return self.quantiles(random.random(count))

    def quantiles(self, shares: Numbers) -> Numbers:
        """Return the values at cumulative `shares`, together with the mean and deviation of the values that it is nearest to."""
        values = np.interp(shares, self.shares, self.knots)
        # Filling a hollow makes a distribution narrower or wider, and clusters of it tighter or looser for no other reason.
        return np.asarray((values - values.mean()) / max(values.std(), np.finfo(float).tiny) * self.deviation + self.mean)


@dataclass(frozen=True)
class DensityHistogram:
    """Cells of about equal share; those of a hollow are wide."""

    knots: Numbers
    shares: Numbers

    @classmethod
    def of(cls, column: Numbers) -> DensityHistogram:
        """Return the histogram of the values, with fewer cells for fewer values."""
        cells = max(2, min(CELLS, len(column) // FEWEST_IN_CELL))
        knots = np.unique(np.quantile(column, np.linspace(0, 1, cells + 1)))
        return cls(knots, np.histogram(column, knots)[0] / len(column))

    @cached_property
    def widths(self) -> Numbers:
        return np.diff(self.knots)

    @cached_property
    def densities(self) -> Numbers:
        return self.shares / self.widths

    def with_peak(self, peak: int) -> tuple[float, Numbers]:
        """Return how far the nearest densities are that rise up to the cell `peak` and fall from there, and their cumulative shares."""
        from scipy.optimize import isotonic_regression

        up = isotonic_regression(self.densities[: peak + 1], weights=self.widths[: peak + 1]).x
        down = isotonic_regression(self.densities[peak:], weights=self.widths[peak:], increasing=False).x
        # Both regressions give the peak's own cell a height; the higher one keeps either side rising towards it.
        mass = np.concatenate([up[:-1], [max(up[-1], down[0])], down[1:]]) * self.widths
        cumulative = np.cumsum(mass) / mass.sum()
        return float(np.abs(cumulative - np.cumsum(self.shares)).max()), cumulative


def spread_ties(points: Numbers, random: np.random.Generator) -> Numbers:
    """Spread equal values of a feature over the room they have: counts come in steps, and each step would look like a peak.

    `points` has a row per customer and a column per feature; so has the result.
    """
    return np.column_stack([_spread_column(column, random) for column in points.T])


def nearest_single_peak(column: Numbers) -> SinglePeak:
    """Find the distribution with a single peak that is nearest to the values of one feature, which must not all be equal."""
    low, high = float(column.min()), float(column.max())
    is_low, is_high = _is_at_limit(column, low), _is_at_limit(column, high)
    # Winsorised values pile up on the limits. That is our doing and no peak: they keep their share, and the rest is fitted.
    histogram = DensityHistogram.of(column[~(is_low | is_high)])
    cells = len(histogram.shares)
    coarse = min(range(0, cells, STRIDE), key=lambda peak: histogram.with_peak(peak)[0])
    near = range(max(0, coarse - STRIDE + 1), min(cells, coarse + STRIDE))
    distance, cumulative = min((histogram.with_peak(peak) for peak in near), key=lambda fit: fit[0])
    inner = np.concatenate([[0.0], cumulative]) * (1 - is_low.mean() - is_high.mean()) + is_low.mean()
    # Those on a limit are a step of the shares: two knots of one value.
    knots = np.concatenate([[low, low], histogram.knots, [high, high]])
    shares = np.concatenate([[0.0, inner[0]], inner, [inner[-1], 1.0]])
    return SinglePeak(knots, shares, distance, float(column.mean()), float(column.std()))


def has_several_peaks(column: Numbers, random: np.random.Generator) -> bool:
    """Return whether the values of one feature have clearly more than one peak.

    A parametric bootstrap: as many values drawn from the nearest single peak show how far chance alone strays from it.
    """
    single = nearest_single_peak(column)
    by_chance = max(nearest_single_peak(single.draw(len(column), random)).distance for _ in range(COMPARED_DRAWS))
    return single.distance > CLEAR_EXCESS * by_chance


def _spread_column(column: Numbers, random: np.random.Generator) -> Numbers:
    """Spread shared values half way to their neighbours, unless winsorising put them on a limit."""
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
    """Return which values were put on a limit by winsorising, or are a limit that most customers share, such as none."""
    is_there = column == limit
    is_held = 1 < is_there.sum() <= HELD_SHARE * len(column) or MOST_CUSTOMERS * len(column) <= is_there.sum() < len(column)
    return is_there if is_held else np.zeros(len(column), np.bool_)
