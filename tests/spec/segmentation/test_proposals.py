"""Proposals to refine segments: each with the figure behind it, and none where figures do not suffice."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.segmentation.insights.effectiveness import AddedR2, SchemeOutcome, SegmentOutcome
from pipeline.segmentation.insights.proposals import (
    ScoredSegments,
    empty_segment_proposals,
    merge_proposals,
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
