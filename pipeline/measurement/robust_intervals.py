"""Critical values that hold on average over many effects, however those are spread.

Shrinkage draws each effect away from the truth, by an amount that differs from effect to effect. An interval that takes these biases to be
normal holds the truth too rarely where they are not. This one takes only their mean square as given, and covers for the worst spread.

Armstrong, Kolesár, Plagborg-Møller (2022): Robust empirical Bayes confidence intervals, Econometrica 90, equation 9 and lemma B.1.
"""

from __future__ import annotations

import math

from scipy.special import ndtri

_ROOT_2 = math.sqrt(2)
_CONCAVE_BELOW = math.sqrt(3)
"""Up to this critical value non-coverage is concave in the squared bias."""


def critical_value(mean_square_bias: float, *, confidence: float) -> float:
    """Return how many standard errors an interval must reach so that it holds with `confidence`, on average over the effects.

    Biases are in standard errors; without any it is the usual one.
    """
    from scipy.optimize import brentq

    allowed = 1 - confidence
    lowest = -float(ndtri(allowed / 2))
    # By Chebyshev's inequality no spread needs more.
    highest = math.sqrt((1 + mean_square_bias) / allowed)
    if worst_non_coverage(mean_square_bias, lowest) <= allowed:
        return lowest
    return float(brentq(lambda reach: worst_non_coverage(mean_square_bias, reach) - allowed, lowest, highest, xtol=1e-8))


def worst_non_coverage(mean_square_bias: float, reach: float) -> float:
    """Return how often intervals of `reach` standard errors miss at most, over all spreads of biases of this mean square.

    The worst spread leaves some effects unbiased and moves all others equally far: the least concave majorant of non-coverage.
    """
    from scipy.optimize import minimize_scalar

    unbiased = _non_coverage(0, reach)
    furthest = (reach + 10) ** 2

    def slope(square: float) -> float:
        return (_non_coverage(square, reach) - unbiased) / square

    if reach <= _CONCAVE_BELOW or mean_square_bias >= furthest:
        return _non_coverage(mean_square_bias, reach)
    tangent = float(minimize_scalar(lambda square: -slope(square), bounds=(0, furthest), method="bounded", options={"xatol": 1e-6}).x)
    if mean_square_bias >= tangent:
        return _non_coverage(mean_square_bias, reach)
    return unbiased + mean_square_bias * slope(tangent)


def _non_coverage(square_bias: float, reach: float) -> float:
    bias = math.sqrt(square_bias)
    return (math.erfc((reach + bias) / _ROOT_2) + math.erfc((reach - bias) / _ROOT_2)) / 2
