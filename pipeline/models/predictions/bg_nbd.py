"""The classical baseline: BG/NBD for how often customers buy, Gamma-Gamma for how much, by their published likelihoods.

Fader, Hardie & Lee (2005), "Counting your customers" the easy way; Fader & Hardie (2013), the Gamma-Gamma model.
Both are fitted to what customers did until a night, and know nothing of the days after it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.models.clusters.preparation import Numbers

DAYS_PER_WEEK = 7
LARGEST_LOGARITHM = 12.0
IMPOSSIBLE = 1e9


@dataclass(frozen=True, slots=True)
class PurchaseHistories:
    """What customers did, a number each: repeated order-days, weeks from the first to the last, and weeks since the first."""

    repeats: Numbers
    last_week: Numbers
    weeks: Numbers


@dataclass(frozen=True, slots=True)
class BgNbdParameters:
    """The parameters of BG/NBD, times in weeks, and the logarithm of their likelihood."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float


@dataclass(frozen=True, slots=True)
class GammaGammaParameters:
    """The parameters of Gamma-Gamma."""

    p: float
    q: float
    gamma: float


def fit_bg_nbd(history: PurchaseHistories) -> BgNbdParameters | None:
    """Return the most likely parameters; None where the search ends without any."""
    rows, counts = np.unique(np.column_stack([history.repeats, history.last_week, history.weeks]), axis=0, return_counts=True)
    some = PurchaseHistories(*rows.T)
    found = _maximise_likelihood(lambda values: float(counts @ _bg_nbd_log_likelihood(some, *values)), 4, float(counts.sum()))
    if found is None:
        return None
    r, alpha, a, b = (float(value) for value in found[0])
    return BgNbdParameters(r, alpha, a, b, found[1])


def fit_gamma_gamma(order_days: Numbers, mean_amounts: Numbers) -> GammaGammaParameters | None:
    """Return the most likely parameters for customers with a positive mean amount per order-day; None where there are none."""
    is_paying = mean_amounts > 0
    if not is_paying.any():
        return None
    unit = float(np.median(mean_amounts[is_paying]))
    days, means = order_days[is_paying], mean_amounts[is_paying] / unit
    found = _maximise_likelihood(lambda values: float(_gamma_gamma_log_likelihood(days, means, *values).sum()), 3, float(len(days)))
    return None if found is None else GammaGammaParameters(float(found[0][0]), float(found[0][1]), float(found[0][2]) * unit)


def expected_order_days(history: PurchaseHistories, fit: BgNbdParameters, weeks: float) -> Numbers:
    """Return how many order-days each customer is expected to have in the next weeks."""
    from scipy.special import hyp2f1

    x, r, alpha, a, b = history.repeats, fit.r, fit.alpha, fit.a, fit.b
    later = alpha + history.weeks + weeks
    with np.errstate(over="ignore", invalid="ignore"):
        series = hyp2f1(r + x, b + x, a + b + x - 1, weeks / later)
        bought = (a + b + x - 1) / (a - 1) * (1 - ((later - weeks) / later) ** (r + x) * series)
    return np.asarray(np.nan_to_num(bought * _alive_probabilities(history, fit), posinf=0.0, neginf=0.0))


def buying_probabilities(history: PurchaseHistories, fit: BgNbdParameters, weeks: float) -> Numbers:
    """Return how probable it is that each customer buys in the next weeks."""
    waits = ((fit.alpha + history.weeks) / (fit.alpha + history.weeks + weeks)) ** (fit.r + history.repeats)
    return np.asarray(_alive_probabilities(history, fit) * (1 - waits))


def expected_amounts(order_days: Numbers, mean_amounts: Numbers, fit: GammaGammaParameters) -> Numbers:
    """Return what each customer is expected to spend on an order-day."""
    spent = fit.gamma + order_days * np.maximum(mean_amounts, 0)
    return np.asarray(spent * fit.p / np.maximum(fit.p * order_days + fit.q - 1, 1e-9))


def _alive_probabilities(history: PurchaseHistories, fit: BgNbdParameters) -> Numbers:
    """Return how probable it is that each customer has not left for good."""
    x = history.repeats
    odds = fit.a / (fit.b + np.maximum(x, 1) - 1) * ((fit.alpha + history.weeks) / (fit.alpha + history.last_week)) ** (fit.r + x)
    return np.asarray(1 / (1 + np.where(x > 0, odds, 0.0)))


def _bg_nbd_log_likelihood(history: PurchaseHistories, r: float, alpha: float, a: float, b: float) -> Numbers:
    from scipy.special import betaln, gammaln

    x = history.repeats
    rate = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    stays = betaln(a, b + x) - betaln(a, b) - (r + x) * np.log(alpha + history.weeks)
    leaves = betaln(a + 1, b + np.maximum(x, 1) - 1) - betaln(a, b) - (r + x) * np.log(alpha + history.last_week)
    return np.asarray(rate + np.logaddexp(stays, np.where(x > 0, leaves, -np.inf)))


def _gamma_gamma_log_likelihood(n: Numbers, means: Numbers, p: float, q: float, gamma: float) -> Numbers:
    from scipy.special import betaln

    power = p * n
    return np.asarray(
        -betaln(power, q) + q * np.log(gamma) + (power - 1) * np.log(means) + power * np.log(n) - (power + q) * np.log(gamma + n * means)
    )


def _maximise_likelihood(log_likelihood: Callable[[Numbers], float], count: int, scale: float) -> tuple[Numbers, float] | None:
    """Return the positive parameters of the greatest likelihood, and it."""
    from scipy.optimize import minimize

    def cost(logarithms: Numbers) -> float:
        value = -log_likelihood(np.exp(logarithms)) / scale
        return value if np.isfinite(value) else IMPOSSIBLE

    with warnings.catch_warnings():
        # On its way the search may try what no number can hold; such a try counts as impossible.
        warnings.simplefilter("ignore", RuntimeWarning)
        bounds = [(-LARGEST_LOGARITHM, LARGEST_LOGARITHM)] * count
        found = minimize(cost, np.zeros(count), method="L-BFGS-B", bounds=bounds, options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-9})
    return (np.exp(found.x), -float(found.fun) * scale) if np.isfinite(found.fun) and found.fun < IMPOSSIBLE else None
