"""Limits of rules that lie elsewhere than where they would tell most of who orders in the next 90 days."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from sqlglot import exp
from support.nights import write_shop
from support.schemes import yes_or_no_scheme

from pipeline.definitions.company import load_company
from pipeline.definitions.rules import Vocabulary, parse_rule
from pipeline.definitions.schemes import load_schemes
from pipeline.lake.tables import Kind
from pipeline.segmentation.insights.thresholds import Threshold, best_cut, plain_limit, threshold_proposals, thresholds_of

RECENCY = np.arange(1_000) % 200.0


def ordered(last: float, *, seed: int = 1) -> np.ndarray:
    """Return who orders: four of five customers up to that recency, one of five beyond it."""
    chance = np.random.default_rng(seed).random(len(RECENCY))
    return (chance < np.where(last >= RECENCY, 0.8, 0.2)).astype(float)


def proposed(limit: float, is_back: np.ndarray, *, sign: str = "<=") -> list[str]:
    threshold = Threshold("mine", "yes", "recency_days", sign, Decimal(limit))
    return [each.rule for each in threshold_proposals([threshold], {"mine": {"recency_days": RECENCY}}, {"mine": is_back})]


@pytest.mark.parametrize(("sign", "best"), [("<=", "<= 60"), ("<", "< 61"), (">", "> 60"), (">=", ">= 61")])
def test_a_limit_far_from_where_buying_changes_is_to_be_moved_there(sign: str, best: str) -> None:
    assert proposed(120, ordered(60), sign=sign) == [f"recency_days {best}"]
    assert proposed(60 if sign in ("<=", ">") else 61, ordered(60), sign=sign) == []


@pytest.mark.parametrize(
    ("before", "is_sure"),
    [
        (ordered(60, seed=2), [True]),
        (ordered(40, seed=2), [True]),
        (ordered(170, seed=2), []),
        (ordered(120, seed=2), []),
        (None, [False]),
    ],
    ids=["there too", "on the same side", "on the other side", "where it is today", "unknown"],
)
def test_a_limit_is_surely_to_be_moved_once_two_periods_show_it(before: np.ndarray | None, is_sure: list[bool]) -> None:
    threshold = Threshold("mine", "yes", "recency_days", "<=", Decimal(120))
    cut = None if before is None else best_cut(threshold, RECENCY, before)
    found = list(threshold_proposals([threshold], {"mine": {"recency_days": RECENCY}}, {"mine": ordered(60)}, lambda _: cut))
    assert [each.row()["is_sure"] for each in found] == is_sure
    assert ["seen once" in each.words for each in found] == [not each for each in is_sure]


def test_a_cut_of_few_customers_confirms_no_other() -> None:
    threshold = Threshold("mine", "yes", "recency_days", "<=", Decimal(120))
    cut = best_cut(threshold, RECENCY[:300], ordered(20)[:300])
    assert cut is not None
    assert min(cut.counts) < 100
    [found] = threshold_proposals([threshold], {"mine": {"recency_days": RECENCY}}, {"mine": ordered(60)}, lambda _: cut)
    assert not found.is_sure


def test_where_recency_tells_nothing_no_limit_is_better() -> None:
    for seed in range(40):
        is_back = (np.random.default_rng(seed).random(len(RECENCY)) < 0.5).astype(float)
        assert proposed(120, is_back) == []


def test_the_order_of_customers_is_no_matter() -> None:
    is_back, mixed = ordered(60), np.random.default_rng(2).permutation(len(RECENCY))
    threshold = Threshold("mine", "yes", "recency_days", "<=", Decimal(120))
    assert best_cut(threshold, RECENCY[mixed], is_back[mixed]) == best_cut(threshold, RECENCY, is_back)


def test_limits_between_which_nobody_lies_are_one() -> None:
    cut = best_cut(Threshold("mine", "yes", "recency_days", "<=", Decimal("69.5")), np.where(RECENCY <= 60, 10, 70.0), ordered(60))
    assert cut is not None
    assert (cut.today, cut.limit, cut.is_elsewhere) == (10, 10, False)


def test_few_customers_and_a_feature_that_is_the_same_for_all_tell_nothing() -> None:
    threshold = Threshold("mine", "yes", "recency_days", "<=", Decimal(120))
    assert best_cut(threshold, RECENCY[:199], ordered(60)[:199]) is None
    assert best_cut(threshold, np.full(1_000, 3.0), ordered(60)) is None
    assert best_cut(threshold, np.full(1_000, np.nan), ordered(60)) is None


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">="])
def test_where_no_cut_leaves_a_tenth_on_both_sides_none_is_best(sign: str) -> None:
    spend = np.where(np.arange(10_000) < 500, 1.0 + np.arange(10_000) % 50, 0.0)
    is_back = (np.arange(10_000) % 10 < np.where(spend > 0, 9, 1)).astype(float)
    threshold = Threshold("mine", "yes", "spend_amount", sign, Decimal(10))
    assert best_cut(threshold, spend, is_back) is None
    assert not list(threshold_proposals([threshold], {"mine": {"spend_amount": spend}}, {"mine": is_back}))


def test_the_interval_is_that_of_draws_which_have_a_cut() -> None:
    # One customer in ten has spent, as just suffices: about half of the draws have fewer. Some got back more than they spent.
    spend = np.where(np.arange(2_000) % 10 == 0, 50.0, np.where(np.arange(2_000) % 50 == 1, -20.0, 0.0))
    is_back = (np.arange(2_000) % 30 < np.where(spend > 0, 20, 3)).astype(float)
    cut = best_cut(Threshold("mine", "yes", "spend_amount", ">=", Decimal(10)), spend, is_back)
    assert cut is not None
    assert (cut.limit, cut.low, cut.high, sorted(cut.counts)) == (50, 50, 50, [200, 1_800])


@pytest.mark.parametrize(
    ("sign", "written"),
    [("<=", "1234567.89"), (">", "1234567.89"), ("<", "7654321.01"), (">=", "7654321.01")],
)
def test_an_edit_names_limits_as_the_file_has_them_and_as_a_rule_reads_them(sign: str, written: str) -> None:
    spend = np.where(RECENCY <= 60, 1_234_567.89, np.where(RECENCY <= 150, 7_654_321.01, 9_999_999.0))
    threshold = Threshold("mine", "yes", "spend_amount", sign, Decimal("8000000.50"))
    [found] = threshold_proposals([threshold], {"mine": {"spend_amount": spend}}, {"mine": ordered(60)})
    assert found.rule == f"spend_amount {sign} {written}"
    assert f"write spend_amount {sign} {written} in place of spend_amount {sign} 8000000.50 (" in found.edit
    assert f"(between {written} and {written})" in found.words


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">="])
@pytest.mark.parametrize(("below", "above"), [(1 / 7, 5 / 7), (1e-7, 2e-7), (-2 / 3, 0.0), (100.0, 1e14 / 3), (98.0, 1e6)])
def test_a_new_limit_is_a_number_that_rules_read_and_that_parts_customers_alike(sign: str, below: float, above: float) -> None:
    share = np.where(RECENCY <= 60, below, above)
    threshold = Threshold("mine", "yes", "discount_share", sign, Decimal(1))
    cut = best_cut(threshold, share, ordered(60))
    assert cut is not None
    text = plain_limit(cut.limit, sign)
    limit = parse_rule(f"discount_share {sign} {text}", Vocabulary({"discount_share": Kind.NUMBER}, {}), where="rule")
    assert "E" not in text.upper()
    assert limit.find(exp.Literal).name == text.lstrip("-")
    is_true = {"<": share < float(text), "<=": share <= float(text), ">": share > float(text), ">=": share >= float(text)}[sign]
    assert set(share[is_true]) == {below if sign in ("<", "<=") else above}


def test_limits_are_read_from_rules_whichever_side_they_stand_on(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", [], customers=["ann"])
    (shop / "segments").mkdir()
    rule = "recency_days < 90 AND 3 <= order_count OR spend_amount > 99.50 OR r_score >= 4 OR order_count > lifetime_order_count"
    (shop / "segments" / "mine.toml").write_text(yes_or_no_scheme(rule))
    found = [each for each in thresholds_of(load_schemes(load_company(shop)).schemes) if each.scheme == "mine"]
    assert [(each.feature, each.sign, each.limit) for each in found] == [
        ("order_count", ">=", 3),
        ("recency_days", "<", 90),
        ("spend_amount", ">", 99.5),
    ]
    assert f"{found[2].limit:f}" == "99.50", "as it is written"
