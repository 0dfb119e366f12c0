"""The gap statistic: clusters count only where they are tighter than clusters of data without structure of the same shape.

After Tibshirani, Walther & Hastie (2001), "Estimating the number of clusters in a data set via the gap statistic", Journal of
the Royal Statistical Society B 63. K-means finds clusters in anything, so its dispersion W (the sum of squared distances to the
nearest centre) is compared with that of reference data: gap = mean log W(reference) - log W(customers).

They draw the reference uniformly from a box, which every skewed or correlated population beats without having any groups. We
draw four kinds, each of which keeps one thing of the customers and destroys what groups would be: the distribution of each
feature, the principal directions, how features go together by rank, or the covariance alone. Whatever is kept of a feature has
a single peak (see `unimodality`). None of them has groups, so customers have to beat the one that k-means does best on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pipeline.models.clusters.algorithms import fit_k_means, sum_of_squares
from pipeline.models.clusters.preparation import Numbers, round_figures
from pipeline.models.clusters.unimodality import nearest_single_peak, spread_ties

MOST_ROWS = 5_000
DRAWS = 3
INITIALISATIONS = 3
GAP_FLOOR = 0.015
# The paper's rule allows for one standard error; we want more certainty, as clusters of noise do more harm than none.
DEVIATIONS = 3
SWEEPS = 10
RIDGE, TINY = 1e-6, 1e-9

_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")

ReferenceDraw = Callable[[np.random.Generator], Numbers]


@dataclass(frozen=True, slots=True)
class Gap:
    """How much tighter customers are than the hardest reference, as a difference of natural logarithms, and what is needed."""

    gap: float
    needed: float


def gap_beyond_reference(points: Numbers, count: int, seed: int) -> Gap:
    """Return the smallest gap between `count` clusters of `points`, a row per customer, and as many of any reference."""
    random = np.random.default_rng([seed, count, len(points)])
    tied = points[random.permutation(len(points))[:MOST_ROWS]]
    rows = spread_ties(tied, random)
    own = _log_dispersion(rows, count, seed)
    drawn = np.array([[_log_dispersion(draw(random), count, seed) for _ in range(DRAWS)] for draw in _reference_draws(tied, rows, random)])
    # Three draws say little about the variance of one kind of reference; pooled over all kinds they say enough. The factor
    # 1 + 1/B, for the error of a mean of B draws, is that of the paper.
    deviation = float(np.sqrt(drawn.var(axis=1, ddof=1).mean() * (1 + 1 / DRAWS)))
    return Gap(float(round_figures(drawn.mean(axis=1).min() - own)), float(round_figures(max(GAP_FLOOR, DEVIATIONS * deviation))))


def _reference_draws(tied: Numbers, rows: Numbers, random: np.random.Generator) -> tuple[ReferenceDraw, ...]:
    """Return a function per kind of reference that draws as many rows as there are."""
    features, spread = _draws_of_same_features(rows), _draws_of_same_covariance(rows)
    if rows.shape[1] == 1:  # a single feature has no directions, and goes together with nothing
        return features, spread
    return features, spread, _draws_of_same_directions(rows), _draws_of_same_features_and_ranks(tied, features, random)


def _log_dispersion(points: Numbers, count: int, seed: int) -> float:
    centres = fit_k_means(points, count, seed, initialisations=INITIALISATIONS)
    return float(np.log(max(sum_of_squares(points, centres), np.finfo(float).tiny)))


def _draws_of_same_features(rows: Numbers) -> ReferenceDraw:
    peaks = [nearest_single_peak(column) for column in rows.T]
    return lambda random: np.column_stack([peak.draw(len(rows), random) for peak in peaks])


def _draws_of_same_directions(rows: Numbers) -> ReferenceDraw:
    centre = rows.mean(axis=0)
    axes = np.linalg.svd(rows - centre, full_matrices=False)[2]
    along = _draws_of_same_features((rows - centre) @ axes.T)
    return lambda random: along(random) @ axes + centre


def _draws_of_same_covariance(rows: Numbers) -> ReferenceDraw:
    covariance = np.cov(rows.T).reshape(rows.shape[1], -1)
    return lambda random: random.multivariate_normal(rows.mean(axis=0), covariance, len(rows), method="eigh")


def _draws_of_same_features_and_ranks(tied: Numbers, features: ReferenceDraw, random: np.random.Generator) -> ReferenceDraw:
    """Draw features that go together by rank as those of the rows do: a Gaussian copula, which has no groups."""
    covariance = np.cov(_normal_scores(tied, random).T)

    def draw(random: np.random.Generator) -> Numbers:
        bell = random.multivariate_normal(np.zeros(tied.shape[1]), covariance, len(tied), method="eigh")
        return np.take_along_axis(np.sort(features(random), axis=0), np.argsort(np.argsort(bell, axis=0), axis=0), axis=0)

    return draw


def _normal_scores(tied: Numbers, random: np.random.Generator) -> Numbers:
    """Return the normal score of each value: its quantile on a standard normal distribution.

    Where half of all customers have one order, they share half of the distribution: ranks given to them by chance would hide
    how that feature goes together with the others. So a tied score is drawn from the normal distribution that the other
    features leave for it, truncated to the part that the tie covers: Gibbs sampling, as for a copula with ties in Hoff (2007),
    "Extending the rank likelihood for semiparametric copula estimation", Annals of Applied Statistics 1.
    """
    from scipy.special import ndtr, ndtri

    parts = [np.searchsorted(np.sort(column), column, side=side) / len(tied) for column in tied.T for side in _SIDES]
    low, high = np.column_stack(parts[0::2]), np.column_stack(parts[1::2])
    scores = np.asarray(ndtri((low + high) / 2))
    open_features = [place for place, width in enumerate((high - low).max(axis=0) * len(tied)) if width > 1]
    for place in open_features * SWEEPS:
        others = np.delete(scores, place, axis=1)
        covariance = np.cov(others.T).reshape(others.shape[1], -1) + RIDGE * np.eye(others.shape[1])
        weights = np.linalg.solve(covariance, (others * scores[:, [place]]).mean(axis=0))
        mean = others @ weights
        spread = np.sqrt(max(1 - float(weights @ covariance @ weights), RIDGE))
        bounds = [ndtr((ndtri(side[:, place]) - mean) / spread) for side in (low, high)]
        drawn = mean + spread * ndtri(np.clip(random.uniform(*bounds), TINY, 1 - TINY))
        scores[:, place] = np.clip(drawn, ndtri(np.maximum(low[:, place], TINY)), ndtri(np.minimum(high[:, place], 1 - TINY)))
    return scores
