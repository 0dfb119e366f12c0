"""Structureless data of the same shape: clusters count only where they hold customers together better than they would in it.

Each kind of reference keeps one thing of the customers and destroys what groups would be: the values of each feature, the
directions they spread in, both, or the spread alone. Skew and correlation make k-means look good on some of them; none of
them has groups, so the one that k-means does best on is what customers are measured by.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.clusters.algorithms import dispersion, k_means
from pipeline.clusters.preparation import Numbers, rounded

ROWS = 5_000
DRAWS = 3
INITIALISATIONS = 3
GAP_FLOOR = 0.015
DEVIATIONS = 2


@dataclass(frozen=True, slots=True)
class Gap:
    """How much tighter customers are than the hardest reference, as a difference of log dispersions, and what is needed."""

    gap: float
    needed: float


def gap_beyond_reference(points: Numbers, count: int, seed: int) -> Gap:
    """Return the smallest gap between `count` clusters of the points and as many of any reference."""
    random = np.random.default_rng([seed, count, len(points)])
    rows = points[random.permutation(len(points))[:ROWS]]
    own = _log_dispersion(rows, count, seed)
    kinds = (_of_same_directions, _of_same_spread, *((_of_same_values, _of_same_values_and_ranks) if points.shape[1] > 1 else ()))
    drawn = np.array([[_log_dispersion(draw(rows, random), count, seed) for _ in range(DRAWS)] for draw in kinds])
    deviation = float(np.sqrt(drawn.var(axis=1, ddof=1).mean() * (1 + 1 / DRAWS)))
    return Gap(float(rounded(drawn.mean(axis=1).min() - own)), float(rounded(max(GAP_FLOOR, DEVIATIONS * deviation))))


def _log_dispersion(points: Numbers, count: int, seed: int) -> float:
    centres = k_means(points, count, seed, initialisations=INITIALISATIONS)
    return float(np.log(max(dispersion(points, centres), np.finfo(float).tiny)))


def _of_same_values(points: Numbers, random: np.random.Generator) -> Numbers:
    return np.column_stack([random.permutation(column) for column in points.T])


def _of_same_directions(points: Numbers, random: np.random.Generator) -> Numbers:
    centre = points.mean(axis=0)
    axes = np.linalg.svd(points - centre, full_matrices=False)[2]
    return np.asarray(_of_same_values((points - centre) @ axes.T, random) @ axes + centre)


def _of_same_spread(points: Numbers, random: np.random.Generator) -> Numbers:
    covariance = np.cov(points.T).reshape(points.shape[1], -1)
    return random.multivariate_normal(points.mean(axis=0), covariance, len(points), method="eigh")


def _of_same_values_and_ranks(points: Numbers, random: np.random.Generator) -> Numbers:
    """Return points whose features have the same values, and are related as their ranks are, as if all came from one bell."""
    from scipy.special import ndtri

    scores = ndtri((_ranks(points + random.normal(0, 1e-9, points.shape)) + 0.5) / len(points))
    bell = random.multivariate_normal(np.zeros(points.shape[1]), np.cov(scores.T), len(points), method="eigh")
    return np.take_along_axis(np.sort(points, axis=0), _ranks(bell), axis=0)


def _ranks(points: Numbers) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    return np.asarray(np.argsort(np.argsort(points, axis=0), axis=0))
