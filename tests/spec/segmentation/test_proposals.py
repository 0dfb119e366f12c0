"""Proposals to refine segments: each with the figure behind it, and none where figures do not suffice."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.segmentation.insights.campaign_proposals import campaign_proposals
from pipeline.segmentation.insights.effectiveness import AddedR2, SchemeOutcome, SegmentOutcome
from pipeline.segmentation.insights.merges import merge_proposals
from pipeline.segmentation.insights.proposals import (
    ScoredSegments,
    empty_segment_proposals,
    nothing_new_proposals,
    proposal_rows,
    refit_proposals,
    split_proposals,
)


def scored(spends: list[tuple[int, float, int]]) -> ScoredSegments:
    """Return one segment of customers: so many with a spend around that, and a score."""
    chance = np.random.default_rng(1)
    spend = np.concatenate([amount * chance.uniform(0.5, 1.5, count) for count, amount, _ in spends])
    scores = np.concatenate([np.full(count, float(score)) for count, _, score in spends])
    return ScoredSegments("rfm", {0: "champions"}, np.zeros(len(spend), np.int64), spend, {"m_score": scores})


def test_a_segment_that_hides_two_is_to_be_split_where_they_differ_most_surely() -> None:
    [found] = split_proposals(scored([(400, 100, 3), (300, 3_000, 4), (200, 3_500, 5)]))
    assert (found.segment, found.rule) == ("champions", "m_score >= 4")
    assert found.measured == pytest.approx(32, rel=0.05)
    assert 2 < found.low < found.measured < found.high
    assert found.command == "segments preview \"rfm.segment = 'champions' AND m_score >= 4\""
    assert "`segments plan`" in found.edit
    row = found.row()
    assert (row["customer_count"], row["other_customer_count"]) == (500, 400)
    assert (row["amount"], row["other_amount"]) == pytest.approx((3_200, 100), rel=0.05)


@pytest.mark.parametrize(
    "spends",
    [
        [(400, 100, 3), (99, 3_000, 4)],
        [(2_000, 100, 3), (199, 3_000, 4)],
        [(400, 100, 3), (400, 450, 4)],
        [(400, 100, 3), (400, 0, 4)],
    ],
    ids=["few", "a small share", "not five to one", "spent nothing"],
)
def test_a_segment_is_not_split_for_less(spends: list[tuple[int, float, int]]) -> None:
    assert not list(split_proposals(scored(spends)))


def outcome(segment: str, mean: float, *, count: int = 1_000, repeat: float = 0.5, deviation: float = 50.0) -> SegmentOutcome:
    return SegmentOutcome("rfm", segment, count, mean, deviation**2, repeat, repeat)


def test_segments_that_behave_alike_are_to_be_merged() -> None:
    [found] = merge_proposals([outcome("a", 100), outcome("b", 103), outcome("c", 150)], [])
    assert (found.segment, found.with_segment, found.needed_count) == ("a", "b", None)
    row = found.row()
    assert [row[name] for name in ("customer_count", "amount", "other_amount", "share", "other_share")] == [1_000, 100, 103, 0.5, 0.5]
    assert (found.low, found.high) == pytest.approx((-3 - 1.644854 * 50 * np.sqrt(0.002), -3 + 1.644854 * 50 * np.sqrt(0.002)), rel=1e-5)


def test_of_too_few_customers_the_nearest_pair_is_told_with_how_many_are_needed() -> None:
    pairs = [
        outcome("a", 100, count=300, deviation=200),
        outcome("b", 103, count=300, deviation=200),
        outcome("c", 110, count=300, deviation=200),
    ]
    [found] = merge_proposals(pairs, [])
    assert (found.segment, found.with_segment) == ("a", "b")
    # Twice the variance, times the squared sum of 1.6449 and 0.8416, over the squared room of 20 less 3.
    assert found.needed_count == 1712
    assert not found.row()["is_sure"]


@pytest.mark.parametrize(
    "other",
    [outcome("b", 121), outcome("b", 100, repeat=0.56), outcome("b", 100, count=199)],
    ids=["spend", "repeat share", "few"],
)
def test_segments_that_differ_are_not(other: SegmentOutcome) -> None:
    assert not list(merge_proposals([outcome("a", 100), other], []))


def test_segments_of_which_something_is_told_are_not_merged() -> None:
    assert not list(merge_proposals([outcome("a", 100), outcome("b", 101)], [("rfm", "b")]))


@pytest.mark.parametrize(
    ("before", "is_sure"),
    [
        ([outcome("a", 90), outcome("b", 91)], [True]),
        ([outcome("a", 90)], [False]),
        ([outcome("a", 90), outcome("b", 91, count=199)], [False]),
        ([outcome("a", 90, deviation=400), outcome("b", 91, deviation=400)], [False]),
        ([outcome("a", 90), outcome("b", 120)], []),
        ([outcome("a", 90, repeat=0.4), outcome("b", 90, repeat=0.5)], []),
    ],
    ids=["alike too", "one unknown", "one of few", "not for sure", "other spend", "other repeat share"],
)
def test_a_merge_is_sure_once_two_periods_show_it(before: list[SegmentOutcome], is_sure: list[bool]) -> None:
    earlier = {(each.scheme, each.segment): each for each in before}
    found = list(merge_proposals([outcome("a", 100), outcome("b", 103)], [], lambda scheme, segment: earlier.get((scheme, segment))))
    assert [each.row()["is_sure"] for each in found] == is_sure
    assert all(each.needed_count is None for each in found)
    assert ["seen once" in each.words for each in found] == [not each for each in is_sure]


def test_where_the_pair_that_is_alike_was_not_before_the_nearest_of_the_others_is_shown() -> None:
    now = [outcome("a", 100), outcome("b", 101), outcome("c", 112, deviation=300)]
    earlier = {("rfm", "a"): outcome("a", 90), ("rfm", "b"): outcome("b", 150)}
    [found] = merge_proposals(now, [], lambda scheme, segment: earlier.get((scheme, segment)))
    assert (found.segment, found.with_segment, found.needed_count is not None) == ("b", "c", True)


def a_scheme(spend: AddedR2, buying: AddedR2) -> SchemeOutcome:
    return SchemeOutcome("tiers", 1_000, 0.5, 0.6, spend, buying)


def test_a_scheme_that_adds_nothing_is_told_with_how_many_would_be_needed() -> None:
    assert not list(nothing_new_proposals([a_scheme(AddedR2(0.02, 3.0), AddedR2(-0.001, -1.0))]))
    [sure] = nothing_new_proposals([a_scheme(AddedR2(-0.001, -2.0), AddedR2(-0.002, -1.0))])
    assert (sure.needed_count, sure.measured) == (None, -0.002)
    [unsure] = nothing_new_proposals([a_scheme(AddedR2(0.001, 0.5), AddedR2(-0.002, -1.0))])
    assert unsure.needed_count == 16_000
    assert (unsure.low, unsure.high) == pytest.approx((0.001 - 1.959964 * 0.002, 0.001 + 1.959964 * 0.002))


def test_drift_and_empty_segments_are_told() -> None:
    drifts = [
        {"scheme": "clusters", "measured": 0.3, "limit": 0.25, "words": "recency_days has moved"},
        {"scheme": "clusters", "measured": 0.9, "limit": 0.25, "words": "spend_amount has moved"},
    ]
    [refit] = refit_proposals(drifts)
    assert "spend_amount has moved" in refit.words
    empty = list(empty_segment_proposals({("rfm", "new"): 0.004, ("rfm", "lost"): 0.006}, 0.005, 90))
    assert [each.segment for each in empty] == ["new"]
    rows = proposal_rows([refit, *empty]).to_pylist()
    assert [row["kind"] for row in rows] == ["empty_segment", "refit"]
    assert (rows[1]["segment"], rows[1]["low"], rows[1]["is_sure"]) == (None, None, True)


def a_value(campaign: str, profit: float, half: float, *, count: int = 1_000, paid: float = 0.99) -> dict[str, object]:
    figures = {"profit": profit, "profit_low": profit - half, "profit_high": profit + half, "probability_paid": paid}
    return {"campaign_id": campaign, "arm": "treated", "customer_count": count, **figures}


def a_summary(campaign: str, state: str = "final", *, is_holdout: bool = False) -> dict[str, object]:
    return {"campaign_id": campaign, "state": state, "is_holdout": is_holdout}


def test_a_campaign_that_most_likely_did_not_pay_is_to_be_stopped() -> None:
    values = [a_value("bad", -300, 100, paid=0.02), a_value("good", 900, 300)]
    [found] = campaign_proposals([a_summary("bad"), a_summary("good")], values)
    assert (found.kind, found.scheme, found.measured, found.command) == ("stop_campaign", "bad", 0.02, "segments campaign results bad")


def test_budget_goes_to_what_brought_more_for_each_customer() -> None:
    # 2.00 against 0.50 for each customer, with standard errors of 0.4 and 0.3: 1.5 / 0.5 = 3 of them apart.
    values = [a_value("mail", 2_000, 1.959964 * 400), a_value("letter", 250, 1.959964 * 150, count=500)]
    [found] = campaign_proposals([a_summary("mail"), a_summary("letter")], values)
    assert (found.kind, found.scheme, found.with_segment) == ("shift_budget", "letter", "mail")
    assert found.measured == pytest.approx(0.9986501, abs=1e-6)


@pytest.mark.parametrize(
    ("summaries", "values"),
    [
        ([a_summary("bad", "running")], [a_value("bad", -300, 100, paid=0.02)]),
        ([a_summary("all", is_holdout=True)], [a_value("all", -300, 100, paid=0.02)]),
        ([a_summary("one"), a_summary("two")], [a_value("one", 500, 400), a_value("two", 400, 400)]),
        ([a_summary("one"), a_summary("two")], [a_value("one", -10, 40, paid=0.3), a_value("two", -100, 40, paid=0.2)]),
    ],
    ids=["not final", "the holdout", "too near", "neither paid"],
)
def test_nothing_is_proposed_about_other_campaigns(summaries: list[dict[str, object]], values: list[dict[str, object]]) -> None:
    assert not list(campaign_proposals(summaries, values))
