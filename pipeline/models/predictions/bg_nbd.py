"""The classical baseline: BG/NBD for how often customers buy, Gamma-Gamma for how much, by their published likelihoods.

BG/NBD supposes that each customer buys at random at a rate of their own (gamma distributed, shape r, rate alpha) and may leave
for good after any purchase with a probability of their own (beta distributed, a and b). Gamma-Gamma supposes that amounts vary
around a mean of their own, whatever the rate. Three numbers per customer then say all: repeated order-days x, weeks from the
first to the last t_x, and weeks since the first T. Many orders and then a long silence mean that somebody has left; few orders
and the same silence need not.

Fader, Hardie & Lee (2005), "`Counting your customers` the easy way: an alternative to the Pareto/NBD model", Marketing Science
24; Fader & Hardie (2013), "The Gamma-Gamma model of monetary value".
Both are fitted to what customers did until a night, and know nothing of the days after it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.models.clusters.encoding import Numbers

DAYS_PER_WEEK = 7
# Parameters from e^-12 to e^12: room for any population, and finite likelihoods.
LARGEST_LOGARITHM = 12.0
IMPOSSIBLE = 1e9
LEAST_DISTANCE = 1e-6


@dataclass(frozen=True, slots=True)
class PurchaseHistories:
    """What customers did, a number each: repeated order-days (x), weeks from the first to the last (t_x), weeks since the first (T)."""

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
    """The parameters of Gamma-Gamma; gamma is in the unit of the amounts."""

    p: float
    q: float
    gamma: float


def fit_bg_nbd(history: PurchaseHistories) -> BgNbdParameters | None:
    """Fit BG/NBD by maximum likelihood; None where the search ends without parameters."""
    # Customers with the same history have the same likelihood: each distinct history is computed once and weighed by its count.
    rows, counts = np.unique(np.column_stack([history.repeats, history.last_week, history.weeks]), axis=0, return_counts=True)
    distinct = PurchaseHistories(*rows.T)
    best = _maximise_likelihood(lambda values: float(counts @ _bg_nbd_log_likelihood(distinct, *values)), 4, float(counts.sum()))
    if best is None:
        return None
    r, alpha, a, b = (float(value) for value in best[0])
    return BgNbdParameters(r, alpha, a, b, best[1])


def fit_gamma_gamma(order_days: Numbers, mean_amounts: Numbers) -> GammaGammaParameters | None:
    """Fit Gamma-Gamma to customers with a positive mean amount per order-day; None where there are none or the search fails."""
    is_paying = mean_amounts > 0
    if not is_paying.any():
        return None
    # The search starts at 1 for every parameter, which suits amounts around 1 whatever the currency.
    unit = float(np.median(mean_amounts[is_paying]))
    days, means = order_days[is_paying], mean_amounts[is_paying] / unit
    best = _maximise_likelihood(lambda values: float(_gamma_gamma_log_likelihood(days, means, *values).sum()), 3, float(len(days)))
    return None if best is None else GammaGammaParameters(float(best[0][0]), float(best[0][1]), float(best[0][2]) * unit)


def expected_order_days(history: PurchaseHistories, fit: BgNbdParameters, weeks: float) -> Numbers:
    """Return the order-days expected of each customer in the next `weeks`: the paper's conditional expectation E(Y(t) | x, t_x, T)."""
    from scipy.special import hyp2f1

    x, r, alpha, b = history.repeats, fit.r, fit.alpha, fit.b
    # The formula has a limit where a is 1, but no value.
    a = fit.a if abs(fit.a - 1) > LEAST_DISTANCE else 1 + LEAST_DISTANCE
    later = alpha + history.weeks + weeks
    with np.errstate(over="ignore", invalid="ignore"):
        # Of long histories the series may leave the range of doubles; what is lost then counts as nothing, below.
        series = hyp2f1(r + x, b + x, a + b + x - 1, weeks / later)
        bought = (a + b + x - 1) / (a - 1) * (1 - ((later - weeks) / later) ** (r + x) * series)
    return np.asarray(np.nan_to_num(bought * _alive_probabilities(history, fit), posinf=0.0, neginf=0.0))


def buying_probabilities(history: PurchaseHistories, fit: BgNbdParameters, weeks: float) -> Numbers:
    """Probability that each customer buys at all in the next `weeks`, 0 to 1.

    Who is still active (see `_alive_probabilities`) stays silent for t weeks with the probability of no event of a gamma-mixed
    Poisson process: ((alpha + T) / (alpha + T + t)) ^ (r + x).
    """
    waits = ((fit.alpha + history.weeks) / (fit.alpha + history.weeks + weeks)) ** (fit.r + history.repeats)
    return np.asarray(_alive_probabilities(history, fit) * (1 - waits))


def expected_amounts(order_days: Numbers, mean_amounts: Numbers, fit: GammaGammaParameters) -> Numbers:
    """Return the spend expected of each customer on an order-day, in the unit of `mean_amounts`: the posterior mean of Gamma-Gamma.

    It lies between the customer's own mean and that of everybody, the nearer to their own the more order-days they have.
    """
    spent = fit.gamma + order_days * np.maximum(mean_amounts, 0)
    return np.asarray(spent * fit.p / np.maximum(fit.p * order_days + fit.q - 1, 1e-9))


def _alive_probabilities(history: PurchaseHistories, fit: BgNbdParameters) -> Numbers:
    """Probability that each customer has not left for good; 1 before the first repeated purchase, after which alone one may leave."""
    x = history.repeats
    # At least 1: for who never came back the formula has no value, and `where` takes 0 instead; numpy works out both sides.
    odds = fit.a / (fit.b + np.maximum(x, 1) - 1) * ((fit.alpha + history.weeks) / (fit.alpha + history.last_week)) ** (fit.r + x)
    return np.asarray(1 / (1 + np.where(x > 0, odds, 0.0)))


def _bg_nbd_log_likelihood(history: PurchaseHistories, r: float, alpha: float, a: float, b: float) -> Numbers:
    """Log-likelihood per customer: either they are still active, or they left with the last purchase."""
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
    """Return the positive parameters of the greatest likelihood, and its logarithm; None where the search ends nowhere."""
    from scipy.optimize import minimize

    # Searched by logarithms, so that parameters stay positive, and per customer, so that the tolerance means the same for any number.
    def cost(logarithms: Numbers) -> float:
        value = -log_likelihood(np.exp(logarithms)) / scale
        return value if np.isfinite(value) else IMPOSSIBLE

    with warnings.catch_warnings():
        # On its way the search may try what no number can hold; such a try counts as impossible.
        warnings.simplefilter("ignore", RuntimeWarning)
        bounds = [(-LARGEST_LOGARITHM, LARGEST_LOGARITHM)] * count
        best = minimize(cost, np.zeros(count), method="L-BFGS-B", bounds=bounds, options={"maxiter": 500, "ftol": 1e-13, "gtol": 1e-9})
    return (np.exp(best.x), -float(best.fun) * scale) if np.isfinite(best.fun) and best.fun < IMPOSSIBLE else None
