"""How well predictions order customers by what they then spent."""

from __future__ import annotations

import numpy as np

from pipeline.models.clusters.encoding import Numbers, round_figures


def gini_of_order(predicted: Numbers, amounts: Numbers) -> float:
    """Gini coefficient of `amounts` along the order of predictions: 1 for a perfect order and 0 for one by chance.

    It is divided by the coefficient of perfect foresight, which depends on how unevenly customers spend.
    """
    return _gini_coefficient(predicted, amounts) / (_gini_coefficient(amounts, amounts) or 1.0)


def _gini_coefficient(predicted: Numbers, amounts: Numbers) -> float:
    """Gini coefficient of amounts along the order of predictions: 1 where the first customer spends all, 0 for any order by chance.

    Customers with equal predictions are one step of the curve, so that no order among them is rewarded.
    """
    # Rounded: predictions that differ in their last digits alone are in an order by chance, which depends on the machine.
    labels = np.unique(-round_figures(predicted), return_inverse=True)[1]
    counts, sums = np.bincount(labels), np.bincount(labels, weights=amounts)
    people, money = (np.concatenate([[0.0], np.cumsum(part) / part.sum()]) for part in (counts, sums))
    return float(2 * np.trapezoid(money, people) - 1)
