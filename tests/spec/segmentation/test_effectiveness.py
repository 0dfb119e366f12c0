"""What schemes add to tenths of spend, and what segments did since: by hand, by planted effects and by chance."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from pipeline.segmentation.insights.effectiveness import (
    FOLDS,
    FormedCustomers,
    added_r2,
    scheme_outcome,
    segment_outcomes,
    segment_rows,
    spend_tenths,
)

NIGHT = date(2024, 1, 1)


def least_squares(columns: np.ndarray, outcome: np.ndarray) -> np.ndarray:
    """Predict each row from those of the other folds, by an explicit regression."""
    predicted = np.empty(len(outcome))
    for fold in range(FOLDS):
        own = np.arange(len(outcome)) % FOLDS == fold
        predicted[own] = columns[own] @ np.linalg.lstsq(columns[~own], outcome[~own], rcond=None)[0]
    return predicted


def test_what_groups_add_is_the_gain_of_an_explicit_regression() -> None:
    chance = np.random.default_rng(2)
    tenths, groups = chance.integers(0, 10, 700), chance.integers(0, 4, 700)
    outcome = tenths * 0.3 + (groups == 2) * 0.8 + chance.normal(size=700)
    ones = np.ones((700, 1))
    alone = np.hstack([ones, *((tenths == each)[:, None] for each in range(1, 10))])
    together = np.hstack([alone, *((groups == each)[:, None] for each in range(1, 4))])
    errors = [(outcome - least_squares(each.astype(float), outcome)) ** 2 for each in (alone, together)]
    differences = errors[0] - errors[1]
    found = added_r2(tenths, groups, outcome)
    assert found.gain == pytest.approx(differences.sum() / ((outcome - outcome.mean()) ** 2).sum(), abs=1e-9)
    assert found.z == pytest.approx(differences.mean() / (differences.std(ddof=1) / np.sqrt(700)), abs=1e-6)
    assert found.z > 4


def test_groups_by_chance_add_nothing_in_19_of_20() -> None:
    chance = np.random.default_rng(4)
    tenths = chance.integers(0, 10, 2_000)
    outcome = tenths * 0.3 + chance.normal(size=2_000)
    found = [added_r2(tenths, chance.integers(0, 6, 2_000), outcome) for _ in range(40)]
    assert sum(each.gain > 0 and each.z >= 2 for each in found) <= 2
    assert np.mean([each.gain for each in found]) < 0


def test_who_never_differs_adds_nothing() -> None:
    same = np.zeros(50, np.int64)
    assert (added_r2(same, same, np.ones(50)).gain, added_r2(same, same, np.ones(50)).z) == (0, 0)


def customers(count: int = 1_000) -> FormedCustomers:
    chance = np.random.default_rng(6)
    spend = np.round(chance.gamma(2, 50, count), 2)
    is_back = (chance.random(count) < 0.5).astype(float)
    return FormedCustomers(
        NIGHT, spend, is_back * np.round(chance.gamma(2, 20, count), 2), is_back, (chance.random(count) < 0.4).astype(float)
    )


def test_a_scheme_that_is_spend_again_adds_nothing_and_one_that_tells_who_is_back_does() -> None:
    everybody = customers()
    halves = np.minimum(spend_tenths(everybody.spend) // 5, 1)
    again = scheme_outcome("halves", everybody, halves)
    assert not again.adds
    telling = scheme_outcome("back", everybody, everybody.is_back.astype(np.int64))
    assert telling.adds
    assert telling.buying.gain > 0.99
    assert telling.gini > again.gini
    assert again.gini_of_tenths == telling.gini_of_tenths


def test_equal_spend_is_in_one_tenth() -> None:
    spend = np.array([0.0] * 60 + list(range(1, 41)))
    tenths = spend_tenths(spend)
    assert len(set(tenths[:60])) == 1
    assert len(set(tenths)) == 5
    assert (np.diff(tenths) >= 0).all()


def test_segments_are_told_by_what_their_customers_did() -> None:
    four = FormedCustomers(NIGHT, *(np.array(each, float) for each in ([9, 9, 9, 9], [10, 20, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0])))
    found = segment_outcomes("rfm", four, np.array([0, 0, 0, 1]), {0: "loyal", 1: "lost"})
    rows = segment_rows(found, NIGHT).to_pylist()
    assert [row["segment"] for row in rows] == ["lost", "loyal"]
    assert (rows[1]["customer_count"], rows[1]["next_90_day_spend"], rows[1]["repeat_share"], rows[1]["retention_share"]) == (
        3, 10.0, pytest.approx(2 / 3), 0.5,
    )  # fmt: skip
    assert rows[0]["retention_share"] is None, "nobody of them had ordered in the 90 days before"
