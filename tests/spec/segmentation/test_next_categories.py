"""Which category comes next: counted by hand, and told only where that beats the popular ones."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from pipeline.segmentation.insights.next_categories import backtest, next_category_rows, transitions


def flags(rows: list[str]) -> np.ndarray:
    return np.array([[cell == "x" for cell in row] for row in rows])


def test_shares_are_of_those_who_had_the_one_and_lacked_the_other() -> None:
    owned = flags(["x..", "x..", "xx.", ".x.", "..."])
    bought = flags([".x.", "..x", "..x", "...", "x.."])
    found = transitions(owned, bought)
    assert found.lacking[0].tolist() == [0, 2, 3]
    assert found.buying[0].tolist() == [0, 1, 2]
    assert found.shares[0].tolist() == pytest.approx([0, 1 / 2, 2 / 3])
    assert found.base_shares.tolist() == pytest.approx([0 / 1, 1 / 2, 2 / 4]), "of who had anything and lacked it"


def shop(*, is_linked: bool, seed: int = 1) -> pa.Table:
    """Return first purchases of 600 customers of 12 categories; linked ones buy next what belongs to what they have."""
    chance = random.Random(seed)
    rows = []
    for place in range(600):
        had = chance.randrange(12)
        bought = {had: 0}
        for period in (1, 2):
            # Each of four goes with its own three others.
            goes_with = [had % 4 + 4 * n for n in range(3)] if is_linked else range(12)
            following = [each for each in goes_with if each not in bought]
            if following and chance.random() < 0.7:
                bought[chance.choice(following)] = period
        rows += [{"place": place, "category": f"c{category:02}", "period": period} for category, period in bought.items()]
    return pa.Table.from_pylist(rows)


def test_it_is_told_where_it_beats_the_popular_ones() -> None:
    rows = next_category_rows(shop(is_linked=True)).to_pylist()
    assert rows
    assert all(row["is_better"] and row["hit_rate"] > row["base_hit_rate"] + 0.3 for row in rows)
    assert all(int(row["category"][1:]) % 4 == int(row["next_category"][1:]) % 4 for row in rows if row["share"] > 0.2)


@pytest.mark.parametrize("seed", range(6))
def test_it_is_not_told_where_customers_buy_by_chance(seed: int) -> None:
    assert not any(row["is_better"] for row in next_category_rows(shop(is_linked=False, seed=seed)).to_pylist())


def test_too_few_customers_are_not_tested() -> None:
    owned, bought = flags(["x..."] * 40), flags([".x.."] * 40)
    rates = backtest(transitions(owned, bought), owned, bought)
    assert (rates.customer_count, rates.rate, rates.is_better) == (40, 1.0, False)


def test_the_order_of_rows_is_no_matter() -> None:
    table = shop(is_linked=True)
    mixed = table.take(np.random.default_rng(3).permutation(table.num_rows))
    assert next_category_rows(mixed).equals(next_category_rows(table))
    assert next_category_rows(table.slice(0, 0)).num_rows == 0
