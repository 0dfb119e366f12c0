"""Structureless reference data: each kind keeps one thing of the customers, and has no groups.

    sampled  the distribution of each feature, the principal directions, the covariance, or how features go together by rank
    paired   the customers themselves, blurred: how their features go together, bends and corners included, but no hollows

Whatever is kept of a continuous feature has a single peak (see `unimodality`). A discrete one keeps its values: counts up to
ten and shares of a few orders have steps by nature, and a step is no group.

What is kept of answers is one common trait (see `common_trait`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from pipeline.models.clusters.algorithms import Labels
from pipeline.models.clusters.common_trait import with_one_trait
from pipeline.models.clusters.encoding import Numbers, Variable
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
    orders = _text_orders(tied, variables)
    margins = _sampled_margins(rows, variables, orders)
    independent = _draws_by_rank(margins, variables, rows.shape[1], lambda random: random.random((len(rows), len(variables))))
    if len(variables) == 1:  # a single feature has no directions, and goes together with nothing
        return (independent,) if variables[0].is_discrete else (independent, _draws_of_same_covariance(rows))
    given = _ordinal_columns(tied, variables, orders)
    correlations = with_one_trait(np.cov(_normal_scores(given, random).T), given, variables, random)
    gaussian = _draws_by_rank(margins, variables, rows.shape[1], lambda random: _normal_rows(correlations, len(rows), random))
    if not any(variable.is_spread for variable in variables):
        return independent, gaussian
    return independent, _draws_of_same_covariance(rows), _draws_of_same_directions(rows), gaussian


def paired_references(
    tied: Numbers, rows: Numbers, variables: Sequence[Variable], random: np.random.Generator
) -> tuple[ReferenceDraw, ...]:
    """Return the function that draws the customers blurred; none for a single feature, or where there are answers alone.

    Answers beside features are drawn as the blurred features lead to expect, and by one common trait.
    """
    if len(variables) == 1 or all(variable.is_answer for variable in variables):
        return ()
    orders = _text_orders(tied, variables)
    given = _ordinal_columns(tied, variables, orders)
    scores = _normal_scores(given, random)
    covariance = np.cov(scores.T)
    traits = with_one_trait(covariance, given, variables, random)
    answers = np.array([variable.is_answer for variable in variables])
    weights = np.linalg.lstsq(traits[np.ix_(~answers, ~answers)], traits[np.ix_(~answers, answers)])[0]

    def blur(random: np.random.Generator) -> Numbers:
        blurred = scores + BLUR * _normal_rows(covariance, len(scores), random)
        if answers.any():
            drawn = _normal_rows(traits, len(scores), random)
            blurred[:, answers] = drawn[:, answers] + (blurred[:, ~answers] / np.sqrt(1 + BLUR**2) - drawn[:, ~answers]) @ weights
        return np.asarray(blurred)

    return (_draws_by_rank(_exact_margins(rows, variables, orders), variables, rows.shape[1], blur),)


def _exact_margins(rows: Numbers, variables: Sequence[Variable], orders: Sequence[Numbers]) -> MarginDraw:
    """Return per variable the values of a reference, in order: a row each, with a column per coordinate of the variable.

    They are the same in each draw.
    """
    shares = (np.arange(len(rows)) + 0.5) / len(rows)
    pairs = zip(variables, orders, strict=True)
    margins = [_quantile_rows(rows[:, variable.columns], variable, order, shares) for variable, order in pairs]
    return lambda _: margins


def _sampled_margins(rows: Numbers, variables: Sequence[Variable], orders: Sequence[Numbers]) -> MarginDraw:
    """Return the same, sampled anew in each draw: the customers are a sample too."""
    peaks = [None if variable.is_discrete else nearest_single_peak(rows[:, variable.columns[0]]) for variable in variables]

    def draw(random: np.random.Generator) -> list[Numbers]:
        margins = []
        for peak, variable, order in zip(peaks, variables, orders, strict=True):
            if peak is None:
                # How many give which answer tells nothing of groups, and drawn anew it would vary more than all that does.
                drawn = slice(None) if variable.is_answer else random.integers(len(rows), size=len(rows))
                values = rows[drawn][:, variable.columns]
                margins.append(values[np.argsort(_ordinal_column(values, order), kind="stable")])
            else:
                margins.append(np.sort(peak.draw(len(rows), random))[:, None])
        return margins

    return draw


def _quantile_rows(values: Numbers, variable: Variable, order: Numbers, shares: Numbers) -> Numbers:
    if variable.is_discrete:
        return values[np.argsort(_ordinal_column(values, order), kind="stable")]
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
    # A covariance of which one part was simplified, or rounded, may have eigenvalues just below 0.
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(random.normal(size=(count, len(values))) * np.sqrt(np.maximum(values, 0)) @ vectors.T)


def _text_orders(points: Numbers, variables: Sequence[Variable]) -> list[Numbers]:
    """Return per variable the place of each of its texts, and of the rest; nothing for a variable of one column.

    Texts have no order of their own. They get the one in which they go together with all else most: by the mean of the customers who
    have them along the first principal direction.
    """
    if all(len(variable.columns) == 1 for variable in variables):
        return [np.empty(0)] * len(variables)
    centred = points - points.mean(axis=0)
    along = centred @ np.linalg.svd(centred, full_matrices=False)[2][0]
    return [_mean_by_text(points[:, variable.columns], along) for variable in variables]


def _mean_by_text(values: Numbers, along: Numbers) -> Numbers:
    if values.shape[1] == 1:
        return np.empty(0)
    held, width = _held_texts(values), values.shape[1] + 1
    return np.asarray(np.bincount(held, along, width) / np.maximum(np.bincount(held, minlength=width), 1))


def _held_texts(values: Numbers) -> Labels:
    # Of a text that is none of the frequent ones no coordinate is above 0.
    return np.asarray(np.where((values > 0).any(axis=1), np.argmax(values, axis=1), values.shape[1]))


def _ordinal_columns(points: Numbers, variables: Sequence[Variable], orders: Sequence[Numbers]) -> Numbers:
    """Return a column of numbers per variable."""
    pairs = zip(variables, orders, strict=True)
    return np.column_stack([_ordinal_column(points[:, variable.columns], order) for variable, order in pairs])


def _ordinal_column(values: Numbers, order: Numbers) -> Numbers:
    return order[_held_texts(values)] if len(order) else values[:, 0]


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
