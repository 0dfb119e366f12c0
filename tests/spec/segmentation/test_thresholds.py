"""Limits of rules that lie elsewhere than where they would tell most of who orders in the next 90 days."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.nights import write_shop
from support.schemes import yes_or_no_scheme

from pipeline.definitions.company import load_company
from pipeline.definitions.schemes import load_schemes
from pipeline.segmentation.insights.thresholds import Threshold, best_cut, threshold_proposals, thresholds_of

RECENCY = np.arange(1_000) % 200.0


def ordered(last: float, *, seed: int = 1) -> np.ndarray:
    """Return who orders: four of five customers up to that recency, one of five beyond it."""
    chance = np.random.default_rng(seed).random(len(RECENCY))
    return (chance < np.where(last >= RECENCY, 0.8, 0.2)).astype(float)


def proposed(limit: float, is_back: np.ndarray, *, sign: str = "<=") -> list[str]:
    threshold = Threshold("mine", "yes", "recency_days", sign, limit)
    return [each.rule for each in threshold_proposals([threshold], {"mine": {"recency_days": RECENCY}}, {"mine": is_back})]


@pytest.mark.parametrize(("sign", "best"), [("<=", "<= 60"), ("<", "< 61"), (">", "> 60"), (">=", ">= 61")])
def test_a_limit_far_from_where_buying_changes_is_to_be_moved_there(sign: str, best: str) -> None:
    assert proposed(120, ordered(60), sign=sign) == [f"recency_days {best}"]
    assert proposed(60 if sign in ("<=", ">") else 61, ordered(60), sign=sign) == []


def test_where_recency_tells_nothing_no_limit_is_better() -> None:
    for seed in range(40):
        is_back = (np.random.default_rng(seed).random(len(RECENCY)) < 0.5).astype(float)
        assert proposed(120, is_back) == []


def test_the_order_of_customers_is_no_matter() -> None:
    is_back, mixed = ordered(60), np.random.default_rng(2).permutation(len(RECENCY))
    threshold = Threshold("mine", "yes", "recency_days", "<=", 120)
    assert best_cut(threshold, RECENCY[mixed], is_back[mixed]) == best_cut(threshold, RECENCY, is_back)


def test_limits_between_which_nobody_lies_are_one() -> None:
    cut = best_cut(Threshold("mine", "yes", "recency_days", "<=", 69.5), np.where(RECENCY <= 60, 10, 70.0), ordered(60))
    assert cut is not None
    assert (cut.today, cut.limit, cut.is_elsewhere) == (10, 10, False)


def test_few_customers_and_a_feature_that_is_the_same_for_all_tell_nothing() -> None:
    threshold = Threshold("mine", "yes", "recency_days", "<=", 120)
    assert best_cut(threshold, RECENCY[:199], ordered(60)[:199]) is None
    assert best_cut(threshold, np.full(1_000, 3.0), ordered(60)) is None
    assert best_cut(threshold, np.full(1_000, np.nan), ordered(60)) is None


def test_limits_are_read_from_rules_whichever_side_they_stand_on(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", [], customers=["ann"])
    (shop / "segments").mkdir()
    rule = "recency_days < 90 AND 3 <= order_count OR spend_amount > 99.5 OR r_score >= 4 OR order_count > lifetime_order_count"
    (shop / "segments" / "mine.toml").write_text(yes_or_no_scheme(rule))
    found = [each for each in thresholds_of(load_schemes(load_company(shop)).schemes) if each.scheme == "mine"]
    assert [(each.feature, each.sign, each.limit) for each in found] == [
        ("order_count", ">=", 3),
        ("recency_days", "<", 90),
        ("spend_amount", ">", 99.5),
    ]
