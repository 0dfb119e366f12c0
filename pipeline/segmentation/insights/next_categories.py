"""Which category customers buy first next, and whether naming it beats naming the popular ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.lake.rounding import rounded
from pipeline.lake.tables import NEXT_CATEGORIES
from pipeline.segmentation.insights.risk_ratios import Z_95, Numbers

NAMED = 3  # categories that are named to each customer in the backtest
FEWEST_TESTED = 100
FEWEST_OWNERS, FEWEST_BUYERS = 50, 10
MOST_PER_CATEGORY = 5
SCORE_DIGITS = 9  # scores are rounded before they are put in order: their last digits depend on the machine
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Transitions:
    """Of each category: how many owners lacked each other one, and how many of these bought it; arrays (categories, categories).

    `base_lacking` and `base_buying` count the same of all who owned anything, arrays (categories,).
    """

    lacking: Numbers
    buying: Numbers
    base_lacking: Numbers
    base_buying: Numbers

    @property
    def shares(self) -> Numbers:
        """The share of those who lacked a category who bought it, by a category that they had."""
        return self.buying / np.maximum(self.lacking, 1)

    @property
    def base_shares(self) -> Numbers:
        """The same of all who had anything."""
        return self.base_buying / np.maximum(self.base_lacking, 1)


@dataclass(frozen=True, slots=True)
class HitRates:
    """Of `customer_count` tested customers: for which share one of three named categories was right, by shares and by popularity."""

    customer_count: int
    rate: float
    base_rate: float
    is_better: bool


def transitions(owned: Flags, bought: Flags) -> Transitions:
    """Count from owned to newly bought categories; arrays (customers, categories), of which no customer has both."""
    # A sum per category rather than a product of matrices: these cost threads, and whole numbers add up alike in any order.
    owners = [np.nonzero(owned[:, place])[0] for place in range(owned.shape[1])]
    lacking, buying = (np.array([each[who].sum(axis=0) for who in owners], np.float64) for each in (~owned, bought))
    anything = owned.any(axis=1)
    base_lacking, base_buying = (each[anything].sum(axis=0).astype(np.float64) for each in (~owned, bought))
    return Transitions(lacking, buying, base_lacking, base_buying)


def backtest(learned: Transitions, owned: Flags, bought: Flags) -> HitRates:
    """Name three categories to each customer who owned some and bought a new one; shares must beat both sorts of popular ones.

    A category scores by the mean of the shares from those that the customer had. Popular are those that were newly bought most often in
    the days that the shares were learned from, and those that most customers have. Better is beyond 1.96 standard errors of the paired
    difference.
    """
    tested = owned.any(axis=1) & bought.any(axis=1)
    had, new = owned[tested], bought[tested]
    if not len(had):
        return HitRates(0, 0.0, 0.0, is_better=False)
    scores = np.zeros(had.shape)
    for place, shares in enumerate(learned.shares):
        scores[had[:, place]] += shares
    scores = np.round(scores / had.sum(axis=1, keepdims=True), SCORE_DIGITS)
    hits = _hits(scores, had, new)
    popular = [_hits(np.broadcast_to(each, had.shape), had, new) for each in (learned.base_buying, owned.sum(axis=0, dtype=np.float64))]
    base = max(popular, key=lambda each: int(each.sum()))
    difference = hits.astype(np.float64) - base
    error = math.sqrt(float(difference.var()) / len(had))
    is_better = len(had) >= FEWEST_TESTED and float(difference.mean()) > Z_95 * error
    return HitRates(len(had), float(hits.mean()), float(base.mean()), is_better=is_better)


def next_category_rows(firsts: pa.Table) -> pa.Table:
    """Return the rows of NEXT_CATEGORIES from those of `sql/first_categories.sql`."""
    categories = sorted(pc.unique(firsts["category"]).to_pylist())
    rows: list[dict[str, Any]] = []
    if categories:
        owned, learning, newest = _periods(firsts, categories)
        rates = backtest(transitions(owned, learning), owned | learning, newest)
        rows = list(_rows(categories, transitions(owned | learning, newest), rates))
    return pa.Table.from_pylist(rows, schema=NEXT_CATEGORIES.schema)


def _periods(firsts: pa.Table, categories: list[str]) -> tuple[Flags, Flags, Flags]:
    """Return who bought which category first in each of the three periods: arrays (customers, categories)."""
    columns = pc.index_in(firsts["category"], value_set=pa.array(categories, pa.string())).to_numpy()
    customers = np.unique(firsts["place"].to_numpy(), return_inverse=True)[1]
    found = np.full((int(customers.max()) + 1, len(categories)), -1, dtype=np.int8)
    found[customers, columns] = firsts["period"].to_numpy()
    return found == 0, found == 1, found == 2  # noqa: PLR2004 - as the statement numbers them


def _hits(scores: Numbers, had: Flags, new: Flags) -> Flags:
    order = np.argsort(-np.where(had, -np.inf, scores), axis=1, kind="stable")[:, :NAMED]
    return np.asarray(np.take_along_axis(new, order, axis=1).any(axis=1))


def _rows(categories: list[str], found: Transitions, rates: HitRates) -> Iterator[dict[str, Any]]:
    enough = (found.lacking >= FEWEST_OWNERS) & (found.buying >= FEWEST_BUYERS)
    for place, category in enumerate(categories):
        shares = np.where(enough[place], np.round(found.shares[place], SCORE_DIGITS), -1.0)
        for following in sorted(np.argsort(-shares, kind="stable")[:MOST_PER_CATEGORY]):
            if enough[place, following]:
                yield {
                    "category": category,
                    "next_category": categories[following],
                    "customer_count": int(found.buying[place, following]),
                    "share": rounded(found.shares[place, following]),
                    "base_share": rounded(found.base_shares[following]),
                    "hit_rate": rounded(rates.rate),
                    "base_hit_rate": rounded(rates.base_rate),
                    "is_better": rates.is_better,
                }
