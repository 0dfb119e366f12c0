"""The gap statistic: clusters count only where they are tighter than clusters of data without structure of the same shape.

After Tibshirani, Walther & Hastie (2001), "Estimating the number of clusters in a data set via the gap statistic", Journal of
the Royal Statistical Society B 63. K-means finds clusters in anything, so its dispersion W (the sum of squared distances to the
nearest centre) is compared with that of reference data: gap = mean log W(reference) - log W(customers).

They draw the reference uniformly from a box, along the features or the principal directions, which every skewed or correlated
population beats without having any groups. Our references (see `reference_distributions`) keep one thing of the customers each,
and none of them has groups, so customers have to beat them all: the test of Huang, Liu, Yuan & Marron (2015), "Statistical
significance of clustering using soft thresholding", Journal of Computational and Graphical Statistics 24, with more than its one
normal distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.models.clusters.algorithms import fit_k_means, sum_of_squares
from pipeline.models.clusters.encoding import Numbers, Variable, round_figures
from pipeline.models.clusters.reference_distributions import ReferenceDraw, paired_references, sampled_references, smooth_ties

MOST_ROWS = 5_000
DRAWS, PAIRED_DRAWS, ANSWER_DRAWS = 3, 5, 8
INITIALISATIONS = 3
GAP_FLOOR = 0.015
# Customers must be so many standard deviations of a draw below the mean of the draws: two, and more for each number of clusters that was
# tried before, by Bonferroni's correction (2.3 for the second, 2.7 for the sixth). This is our choice, the paper has no such number: its
# one standard error answers whether k + 1 clusters are worth more than k, ours whether there are any, for each k. Two alone would let
# one normal deviate in 44 pass; having to beat every kind of reference makes it fewer, which
# tests/property/test_structureless_customers.py holds us to. Three refused the clusters of real shops for nothing.
DEVIATIONS = 2


@dataclass(frozen=True, slots=True)
class Gap:
    """How much tighter customers are than a reference, as a difference of natural logarithms, and what is needed."""

    gap: float
    needed: float


def gap_beyond_reference(points: Numbers, variables: Sequence[Variable], count: int, seed: int, *, attempt: int = 1) -> Gap:
    """Return the gap between `count` clusters of `points`, a row per customer, and as many of the reference that is hardest to beat.

    `attempt` is 1 for the first number of clusters whose gap is measured, 2 for the second, and so on.
    """
    from scipy.special import ndtr, ndtri

    deviations = float(-ndtri(ndtr(-DEVIATIONS) / attempt))
    # By the count too: the draws for one number of clusters then do not depend on which were tried before it.
    random = np.random.default_rng([seed, count, len(points)])
    tied = points[random.permutation(len(points))[:MOST_ROWS]]
    rows = smooth_ties(tied, variables, random)
    own = _log_dispersion(rows, count, seed)
    # Answers alone have two kinds of reference, of which one varies more than the other: too few to pool.
    draws = ANSWER_DRAWS if all(variable.is_answer for variable in variables) else DRAWS
    sampled = _draw_dispersions(sampled_references(tied, rows, variables, random), draws, random, count, seed)
    # Three draws say little about the variance of one kind of reference; pooled over all kinds they say enough. The factor
    # 1 + 1/B, for the error of a mean of B draws, is that of the paper.
    variances = sampled.var(axis=1, ddof=1)
    deviation = float(np.sqrt((variances.max() if draws == ANSWER_DRAWS else variances.mean()) * (1 + 1 / draws)))
    gaps = [_rounded_gap(sampled.mean(axis=1).min() - own, deviations * deviation)]
    for kind in _draw_dispersions(paired_references(tied, rows, variables, random), PAIRED_DRAWS, random, count, seed):
        needed = deviations * kind.std(ddof=1) * np.sqrt(1 + 1 / PAIRED_DRAWS)
        gaps.append(_rounded_gap(kind.mean() - own, needed))
    return min(gaps, key=lambda gap: gap.gap - gap.needed)


def _rounded_gap(gap: float, needed: float) -> Gap:
    return Gap(float(round_figures(gap)), float(round_figures(max(GAP_FLOOR, needed))))


def _draw_dispersions(references: Sequence[ReferenceDraw], draws: int, random: np.random.Generator, count: int, seed: int) -> Numbers:
    """Return the log dispersion of each draw, a row per kind of reference."""
    return np.array([[_log_dispersion(draw(random), count, seed) for _ in range(draws)] for draw in references]).reshape(-1, draws)


def _log_dispersion(points: Numbers, count: int, seed: int) -> float:
    centres = fit_k_means(points, count, seed, initialisations=INITIALISATIONS)
    return float(np.log(max(sum_of_squares(points, centres), np.finfo(float).tiny)))
