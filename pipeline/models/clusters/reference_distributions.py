"""Structureless reference data: each kind keeps one thing of the customers, and has no groups.

    sampled  the distribution of each feature, the principal directions, the covariance, or how features go together by rank
    paired   the customers themselves, blurred: how their features go together, bends and corners included, but no hollows

Whatever is kept of a continuous feature has a single peak (see `unimodality`). A discrete one keeps its values: counts up to
ten and shares of a few orders have steps by nature, and a step is no group.

The blurred kind is the smoothed bootstrap of Silverman (1981), "Using kernel density estimates to investigate multimodality",
Journal of the Royal Statistical Society B 43, on the ranks. Without it features that go together in a bent way pass for groups:
of customers who order at random, new ones cannot be gone for long, and half of such shops with 1,000 customers had clusters.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from pipeline.models.clusters.preparation import Numbers, Variable
from pipeline.models.clusters.unimodality import nearest_single_peak, spread_ties

# Of the customers' own spread. At 0.35 hollows are hardly filled, from 0.5 on bends are straightened.
BLUR = 0.4
SWEEPS = 10
RIDGE, TINY = 1e-6, 1e-9

_SIDES: tuple[Literal["left"], Literal["right"]] = ("left", "right")

ReferenceDraw = Callable[[np.random.Generator], Numbers]
MarginDraw = Callable[[np.random.Generator], list[Numbers]]


def smooth_ties(points: Numbers, variables: Sequence[Variable], random: np.random.Generator) -> Numbers:
    """Spread equal values of each feature over the room they have, where that may be done."""
    smooth = points.copy()
    places = [variable.columns[0] for variable in variables if variable.is_spread]
    if places:
        smooth[:, places] = spread_ties(points[:, places], random)
    return smooth


def sampled_references(
    tied: Numbers, rows: Numbers, variables: Sequence[Variable], random: np.random.Generator
) -> tuple[ReferenceDraw, ...]:
    """Return a function per kind that draws as many rows as there are; `rows` are the `tied` points with ties spread."""
    margins = _sampled_margins(rows, variables)
    independent = _draws_by_rank(margins, variables, rows.shape[1], lambda random: random.random((len(rows), len(variables))))
    if len(variables) == 1:  # a single feature has no directions, and goes together with nothing
        return (independent,) if variables[0].is_discrete else (independent, _draws_of_same_covariance(rows))
    scores = _normal_scores(tied, random)
    correlations = np.cov(scores.T)
    gaussian = _draws_by_rank(margins, variables, rows.shape[1], lambda random: _normal_rows(correlations, len(rows), random))
    if not any(variable.is_spread for variable in variables):
        return independent, gaussian
    return independent, _draws_of_same_covariance(rows), _draws_of_same_directions(rows), gaussian


def paired_references(
    tied: Numbers, rows: Numbers, variables: Sequence[Variable], random: np.random.Generator
) -> tuple[ReferenceDraw, ...]:
    """Return the function that draws the customers blurred; none for a single feature."""
    if len(variables) == 1:
        return ()
    scores = _normal_scores(tied, random)
    covariance = np.cov(scores.T)

    def blur(random: np.random.Generator) -> Numbers:
        return np.asarray(scores + BLUR * _normal_rows(covariance, len(scores), random))

    return (_draws_by_rank(_exact_margins(rows, variables), variables, rows.shape[1], blur),)


def _exact_margins(rows: Numbers, variables: Sequence[Variable]) -> MarginDraw:
    """Return per variable the values of a reference, in order: a row each, with a column per coordinate of the variable.

    They are the same in each draw.
    """
    shares = (np.arange(len(rows)) + 0.5) / len(rows)
    margins = [_quantile_rows(rows[:, variable.columns], variable, shares) for variable in variables]
    return lambda _: margins


def _sampled_margins(rows: Numbers, variables: Sequence[Variable]) -> MarginDraw:
    """Return the same, sampled anew in each draw: the customers are a sample too."""
    peaks = [None if variable.is_discrete else nearest_single_peak(rows[:, variable.columns[0]]) for variable in variables]

    def draw(random: np.random.Generator) -> list[Numbers]:
        margins = []
        for peak, variable in zip(peaks, variables, strict=True):
            if peak is None:
                values = rows[random.integers(len(rows), size=len(rows))][:, variable.columns]
                margins.append(values[np.argsort(values[:, 0], kind="stable")])
            else:
                margins.append(np.sort(peak.draw(len(rows), random))[:, None])
        return margins

    return draw


def _quantile_rows(values: Numbers, variable: Variable, shares: Numbers) -> Numbers:
    if variable.is_discrete:
        return values[np.argsort(values[:, 0], kind="stable")]
    return nearest_single_peak(values[:, 0]).quantiles(shares)[:, None]


def _draws_by_rank(margins: MarginDraw, variables: Sequence[Variable], width: int, draw_scores: ReferenceDraw) -> ReferenceDraw:
    """Draw rows whose values are those of the margins, given out in the order of scores: a column per variable."""

    def draw(random: np.random.Generator) -> Numbers:
        scores = draw_scores(random)
        drawn = np.empty((len(scores), width))
        for place, (values, variable) in enumerate(zip(margins(random), variables, strict=True)):
            drawn[:, variable.columns] = values[np.argsort(np.argsort(scores[:, place]))]
        return drawn

    return draw


def _draws_of_same_directions(rows: Numbers) -> ReferenceDraw:
    centre = rows.mean(axis=0)
    axes = np.linalg.svd(rows - centre, full_matrices=False)[2]
    peaks = [nearest_single_peak(column) for column in ((rows - centre) @ axes.T).T if np.ptp(column) > TINY]
    return lambda random: np.column_stack([peak.draw(len(rows), random) for peak in peaks]) @ axes[: len(peaks)] + centre


def _draws_of_same_covariance(rows: Numbers) -> ReferenceDraw:
    covariance = np.cov(rows.T).reshape(rows.shape[1], -1)
    return lambda random: rows.mean(axis=0) + _normal_rows(covariance, len(rows), random)


def _normal_rows(covariance: Numbers, count: int, random: np.random.Generator) -> Numbers:
    # Rounding may leave an eigenvalue of a covariance just below 0.
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(random.normal(size=(count, len(values))) * np.sqrt(np.maximum(values, 0)) @ vectors.T)


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
