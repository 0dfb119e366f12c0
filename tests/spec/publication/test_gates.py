"""Each gate closes on what it alone explains, and a value on its limit passes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from pipeline.definitions.gate_limits import GATES, GateLimits
from pipeline.errors import ConfigError, GateClosed
from pipeline.ingestion.vanished_rows import KnownRows
from pipeline.publication.gates import (
    AudienceSize,
    GateMeasures,
    GateResult,
    GateState,
    ImplausibleRows,
    LargestSegment,
    Override,
    ReachableCustomers,
    SchemeMoves,
    Takeovers,
    UnmatchedIds,
    VanishedAnswers,
    apply_override,
    churn_limit,
    judge_measures,
    requested_override,
    require_open,
    window_first_day,
)

DAY = date(2024, 3, 29)
EVE = DAY - timedelta(days=1)
CLOSED = {GateState.CLOSED}


def lines(count: int = 100, *, weeks: int = 8, **days_back: int) -> dict[date, int]:
    """Return `count` order lines for each day of the last weeks; `d0=7` gives the night itself 7, `d1` the eve."""
    usual = {DAY - timedelta(days=back): count for back in range(weeks * 7 + 1)}
    return usual | {DAY - timedelta(days=int(back[1:])): given for back, given in days_back.items()}


def known_rows(kept: int, known: int = 100) -> list[KnownRows]:
    return [KnownRows("order_lines", EVE, EVE, known, kept, 12)]


def a_night(**overrides: Any) -> GateMeasures:
    """Return an ordinary night: nothing of it closes a gate."""
    facts: dict[str, Any] = {
        "day": DAY,
        "before": EVE,
        "line_counts": lines(),
        "rejected": {"raw_order_lines": (5, 1000)},
        "customer_count_before": 1000,
        "vanished_count": 3,
        "takeovers": Takeovers(1000, 3),
        "largest_segments": [LargestSegment("rfm", "lost", 300, 1000, 290, 1000)],
        "moves": [SchemeMoves("rfm", 1000, 20, is_explained=False)],
        "audiences": [AudienceSize("vip", 110, 100, is_explained=False)],
        "reachable": ReachableCustomers(500, 1000, 500, 1000),
        "known_rows": known_rows(99),
        "unmatched": [UnmatchedIds("order_lines", 1000, 10)],
        "implausible": [ImplausibleRows("raw_order_lines", "sale_is_not_paid_back", 1000, 3)],
    }
    return GateMeasures(**{**facts, **overrides})


def a_first_night(**overrides: Any) -> GateMeasures:
    return replace(GateMeasures(DAY, None, {}, {}), **overrides)


def judged(measures: GateMeasures, **limits: Any) -> dict[tuple[str, str], GateResult]:
    chosen = GateLimits(**{"reachable_attribute": "is_reachable", **limits})
    return {(result.gate, result.subject): result for result in judge_measures(measures, chosen, rejected_share_limit=0.05)}


def closed(measures: GateMeasures, **limits: Any) -> set[tuple[str, str]]:
    return {key for key, result in judged(measures, **limits).items() if result.state is GateState.CLOSED}


def test_an_ordinary_night_passes_every_gate_and_each_was_measured() -> None:
    results = judged(a_night())
    assert {gate for gate, _ in results} == set(GATES)
    assert {result.state for result in results.values()} == {GateState.OPEN}


JUST_WITHIN_AND_BEYOND = [
    ("freshness", "order_lines", {"line_counts": lines(d0=0, d1=0)}, {"line_counts": lines(d0=0, d1=0, d2=0)}),
    ("volume", "too_few", {"line_counts": lines(d0=10)}, {"line_counts": lines(d0=9)}),
    ("volume", "too_many", {"line_counts": lines(d0=500)}, {"line_counts": lines(d0=501)}),
    ("rejected", "raw_order_lines", {"rejected": {"raw_order_lines": (50, 1000)}}, {"rejected": {"raw_order_lines": (51, 1000)}}),
    ("vanished", "customers", {"vanished_count": 100}, {"vanished_count": 101}),
    ("vanished", "order_lines", {"known_rows": known_rows(50)}, {"known_rows": known_rows(49)}),
    ("vanished", "order_lines", {"known_rows": known_rows(1, 19)}, {"known_rows": known_rows(0, 1)}),
    ("vanished", "consents", {"answers": VanishedAnswers(10, 1)}, {"answers": VanishedAnswers(10, 2)}),
    ("vanished", "consents", {"answers": VanishedAnswers(9, 8)}, {"answers": VanishedAnswers(1, 1)}),
    (
        "unmatched",
        "consents",
        {"unmatched": [UnmatchedIds("consents", 10, 5)]},
        {"unmatched": [UnmatchedIds("consents", 10, 6)]},
    ),
    (
        "unmatched",
        "consents",
        {"unmatched": [UnmatchedIds("consents", 9, 8)]},
        {"unmatched": [UnmatchedIds("consents", 1, 1)]},
    ),
    (
        "unmatched",
        "visits",
        {"unmatched": [UnmatchedIds("visits", 9, 9, is_of_night=True)]},
        {"unmatched": [UnmatchedIds("visits", 10, 10, is_of_night=True)]},
    ),
    (
        "implausible",
        "raw_order_lines.sale_is_not_paid_back",
        {"implausible": [ImplausibleRows("raw_order_lines", "sale_is_not_paid_back", 20, 10)]},
        {"implausible": [ImplausibleRows("raw_order_lines", "sale_is_not_paid_back", 20, 11)]},
    ),
    ("renamed", "order_lines", {"takeovers": Takeovers(1000, 100)}, {"takeovers": Takeovers(1000, 101)}),
    (
        "reachability",
        "is_reachable",
        {"reachable": ReachableCustomers(450, 1000, 500, 1000)},
        {"reachable": ReachableCustomers(449, 1000, 500, 1000)},
    ),
    (
        "swallowed",
        "rfm",
        {"largest_segments": [LargestSegment("rfm", "lost", 800, 1000, 100, 1000)]},
        {"largest_segments": [LargestSegment("rfm", "lost", 801, 1000, 100, 1000)]},
    ),
    (
        "swallowed",
        "rfm",
        {"largest_segments": [LargestSegment("rfm", "lost", 950, 1000, 850, 1000)]},
        {"largest_segments": [LargestSegment("rfm", "lost", 951, 1000, 850, 1000)]},
    ),
    (
        "churn",
        "rfm",
        {"moves": [SchemeMoves("rfm", 1000, 250, is_explained=False)]},
        {"moves": [SchemeMoves("rfm", 1000, 251, is_explained=False)]},
    ),
]


@pytest.mark.parametrize(("gate", "subject", "within", "beyond"), JUST_WITHIN_AND_BEYOND, ids=[case[0] for case in JUST_WITHIN_AND_BEYOND])
def test_a_value_on_the_limit_passes_and_one_beyond_it_closes_this_gate_alone(
    gate: str, subject: str, within: dict[str, Any], beyond: dict[str, Any]
) -> None:
    assert judged(a_night(**within))[gate, subject].state is GateState.OPEN
    assert closed(a_night(**within)) == set()
    assert closed(a_night(**beyond)) == {(gate, subject)}


@pytest.mark.parametrize(("gate", "subject", "within", "beyond"), JUST_WITHIN_AND_BEYOND, ids=[case[0] for case in JUST_WITHIN_AND_BEYOND])
def test_the_words_hold_what_was_measured_and_the_limit(gate: str, subject: str, within: dict[str, Any], beyond: dict[str, Any]) -> None:
    del within
    result = judged(a_night(**beyond))[gate, subject]
    assert result.measured is not None
    assert result.limit is not None
    assert any(f"{result.measured:{form}}" in result.words for form in (".2%", ".2f", ".0f"))
    assert any(f"{result.limit:{form}}" in result.words for form in (".2%", "g"))


@pytest.mark.parametrize(("gate", "subject", "within", "beyond"), JUST_WITHIN_AND_BEYOND, ids=[case[0] for case in JUST_WITHIN_AND_BEYOND])
def test_a_gate_that_is_off_never_closes_and_says_so(gate: str, subject: str, within: dict[str, Any], beyond: dict[str, Any]) -> None:
    del within
    result = judged(a_night(**beyond), off=(gate,))[gate, subject]
    assert (result.state, result.measured) == (GateState.OFF, None)
    assert "company.toml" in result.words


@pytest.mark.parametrize("share", [0.05, 0.07, 0.1, 0.15, 0.25, 0.29, 0.3, 0.35, 0.57, 0.58, 0.95])
def test_no_rounding_closes_a_gate_on_its_limit(share: float) -> None:
    on_it = round(1000 * share)
    night = a_night(
        vanished_count=on_it,
        moves=[SchemeMoves("rfm", 1000, on_it, is_explained=False)],
        reachable=ReachableCustomers(1000 - on_it, 1000, 1000, 1000),
    )
    assert closed(night, vanished_share_limit=share, churn_share_limit=share, reachable_fall_limit=share) == set()


def test_the_first_night_is_open_whatever_it_is_like() -> None:
    nothing = {
        "line_counts": {},
        "largest_segments": [],
        "moves": [],
        "audiences": [],
        "reachable": None,
        "known_rows": [],
        "takeovers": None,
    }
    night = a_night(before=None, customer_count_before=0, vanished_count=0, **nothing)
    results = judged(night)
    of_the_source = {"rejected", "unmatched", "implausible"}
    assert {result.state for (gate, _), result in results.items() if gate not in of_the_source} == {GateState.NOT_MEASURED}
    assert {gate for gate, _ in results} == set(GATES) - {"swallowed", "churn", "audiences"}


# --- freshness and volume


def test_an_empty_day_within_the_quiet_span_closes_nothing() -> None:
    night = a_night(line_counts=lines(d0=0))
    assert closed(night) == set()
    assert judged(night)["volume", "too_few"].state is GateState.NOT_MEASURED
    assert judged(night)["freshness", "order_lines"].measured == 1


def test_days_that_are_not_stored_are_as_quiet_as_empty_ones() -> None:
    night = a_night(line_counts={DAY - timedelta(days=back): 100 for back in range(3, 57)})
    assert closed(night) == {("freshness", "order_lines")}
    assert judged(night)["freshness", "order_lines"].measured == 3


def test_the_quiet_span_is_the_companys_own() -> None:
    week_of_rest = {f"d{back}": 0 for back in range(7)}
    assert closed(a_night(line_counts=lines(**week_of_rest)), quiet_days=7) == set()
    assert closed(a_night(line_counts=lines(**week_of_rest)), quiet_days=6) == {("freshness", "order_lines")}


def test_a_source_that_fell_silent_long_ago_is_stale_and_says_since_when() -> None:
    result = judged(a_night(line_counts={}))["freshness", "order_lines"]
    assert result.state is GateState.CLOSED
    assert "no order line since 2024-02-02" in result.words


def test_a_first_night_far_past_the_newest_lines_is_stale_and_one_within_the_weeks_looked_at_is_not_judged() -> None:
    ended = DAY - timedelta(days=57)
    assert closed(a_first_night(line_counts={}, newest_line_day=ended)) == {("freshness", "order_lines")}
    result = judged(a_first_night(line_counts={}, newest_line_day=ended))["freshness", "order_lines"]
    assert (result.measured, result.limit) == (57, 56)
    assert "the newest order lines are of 2024-02-01, 57 days back" in result.words
    within = DAY - timedelta(days=56)
    for night in ({"line_counts": {within: 1}, "newest_line_day": within}, {"line_counts": {}}, {"line_counts": {}, "reads_orders": False}):
        assert judged(a_first_night(**night))["freshness", "order_lines"].state is GateState.NOT_MEASURED


def test_a_first_night_before_lines_that_are_known_already_is_not_judged_by_freshness() -> None:
    between = a_first_night(line_counts={}, newest_line_day=DAY + timedelta(days=1))
    assert judged(between)["freshness", "order_lines"].state is GateState.NOT_MEASURED


def test_a_first_night_goes_by_the_weeks_that_the_company_set() -> None:
    ended = a_first_night(line_counts={}, newest_line_day=DAY - timedelta(days=60))
    assert ("freshness", "order_lines") in closed(ended, volume_weeks=8)
    assert closed(ended, volume_weeks=9) == set()


def test_a_first_night_that_is_stale_names_the_night_to_run_and_another_does_not() -> None:
    ended = DAY - timedelta(days=57)
    results = list(judged(a_first_night(line_counts={}, newest_line_day=ended)).values())
    with pytest.raises(GateClosed) as caught:
        require_open(DAY, results, where="the page", options=" --lake here")
    assert "and no other is live" in caught.value.what
    assert "segments run --day 2024-02-01 --lake here\n" in caught.value.todo
    assert "`last_day = 2024-02-01`" in caught.value.todo
    later = list(judged(a_night(line_counts={})).values())
    with pytest.raises(GateClosed) as caught:
        require_open(DAY, later, where="the page", live_day=EVE)
    assert "last_day" not in caught.value.todo
    assert "the last good night stays live" in caught.value.what


def test_a_sunday_is_compared_with_sundays() -> None:
    quiet_weekday = {day: (3 if day.weekday() == DAY.weekday() else 100) for day in lines()}
    assert closed(a_night(line_counts=quiet_weekday)) == set()
    assert closed(a_night(line_counts=lines() | {DAY: 3})) == {("volume", "too_few")}


def test_a_month_end_burst_as_busy_as_earlier_ones_is_no_surprise() -> None:
    assert closed(a_night(line_counts=lines(d30=9000, d0=9500))) == set()
    assert closed(a_night(line_counts=lines(d0=9500))) == {("volume", "too_many")}


def test_one_freak_week_does_not_move_what_is_usual() -> None:
    assert closed(a_night(line_counts=lines(d7=100_000, d0=20))) == set()


def test_a_small_shop_may_have_a_good_day() -> None:
    assert closed(a_night(line_counts=lines(2, d0=400))) == set()
    assert closed(a_night(line_counts=lines(2, d0=501))) == {("volume", "too_many")}


@pytest.mark.parametrize(("weeks", "state"), [(3, GateState.NOT_MEASURED), (4, GateState.OPEN)])
def test_volume_needs_four_weeks_of_history(weeks: int, state: GateState) -> None:
    results = judged(a_night(line_counts=lines(weeks=weeks)))
    assert {results["volume", subject].state for subject in ("too_few", "too_many")} == {state}


def test_after_some_nights_of_absence_all_new_days_count() -> None:
    absent = {"before": DAY - timedelta(days=5)}
    assert judged(a_night(**absent, line_counts=lines(weeks=10)))["volume", "too_few"].measured == pytest.approx(1)
    thin = lines(weeks=10, d0=9, d1=9, d2=9, d3=9, d4=9)
    assert closed(a_night(**absent, line_counts=thin)) == {("volume", "too_few")}
    assert closed(a_night(**absent, line_counts=thin | {DAY: 100})) == set()


def test_the_gates_look_at_no_more_days_after_a_year_of_absence_than_after_a_month() -> None:
    limits = GateLimits()
    assert (DAY - window_first_day(DAY, DAY - timedelta(days=365), limits)).days == 27 + 56
    assert (DAY - window_first_day(DAY, EVE, limits)).days == 56
    assert (DAY - window_first_day(DAY, EVE, GateLimits(quiet_days=90))).days == 91


# --- customers and segments


def test_a_naturally_dominant_segment_may_stay_so() -> None:
    assert closed(a_night(largest_segments=[LargestSegment("lifecycle", "prospects", 950, 1000, 940, 1000)])) == set()


def test_a_swallowing_segment_is_told_with_both_shares() -> None:
    result = judged(a_night(largest_segments=[LargestSegment("rfm", "lost", 990, 1000, 120, 1000)]))["swallowed", "rfm"]
    assert "`lost` holds 99.00%, 12.00% on 2024-03-28" in result.words


def test_a_segment_that_was_empty_may_not_swallow_the_rest() -> None:
    assert closed(a_night(largest_segments=[LargestSegment("rfm", "other", 1000, 1000, 0, 1000)])) == {("swallowed", "rfm")}


def test_a_new_scheme_has_nothing_to_be_compared_with() -> None:
    result = judged(a_night(largest_segments=[LargestSegment("new", "all", 1000, 1000, None, None)]))["swallowed", "new"]
    assert result.state is GateState.NOT_MEASURED


def test_a_new_model_or_rule_explains_churn() -> None:
    night = a_night(moves=[SchemeMoves("rfm", 1000, 900, is_explained=True), SchemeMoves("lifecycle", 1000, 900, is_explained=False)])
    assert closed(night) == {("churn", "lifecycle")}
    assert judged(night)["churn", "rfm"].state is GateState.NOT_MEASURED


def test_thirty_nights_are_not_one() -> None:
    moved = [SchemeMoves("rfm", 1000, 400, is_explained=False)]
    assert closed(a_night(moves=moved)) == {("churn", "rfm")}
    assert closed(a_night(moves=moved, before=DAY - timedelta(days=30), line_counts=lines(weeks=14))) == set()


def test_the_churn_limit_of_two_nights_is_what_two_nights_may_move() -> None:
    assert churn_limit(0.25, 1) == 0.25
    assert churn_limit(0.25, 2) == 0.4375
    assert churn_limit(0.1, 1) == 0.1
    assert churn_limit(0.0, 9) == 0.0


def test_after_a_long_absence_not_everybody_may_have_moved() -> None:
    assert churn_limit(0.25, 8) == churn_limit(0.25, 7) < 0.87
    absent = {"before": DAY - timedelta(days=30), "line_counts": lines(weeks=14)}
    assert closed(a_night(**absent, moves=[SchemeMoves("rfm", 1000, 870, is_explained=False)])) == {("churn", "rfm")}


@pytest.mark.parametrize("count", [9, 10])
def test_of_a_handful_of_customers_one_may_leave(count: int) -> None:
    assert closed(a_night(customer_count_before=count, vanished_count=2)) == ({("vanished", "customers")} if count == 10 else set())


@pytest.mark.parametrize("count", [99, 100])
def test_shares_of_few_customers_say_nothing(count: int) -> None:
    night = a_night(
        largest_segments=[LargestSegment("rfm", "lost", count, count, 0, count)],
        moves=[SchemeMoves("rfm", count, count, is_explained=False)],
        reachable=ReachableCustomers(0, count, count, count),
    )
    assert {gate for gate, _ in closed(night)} == (set() if count < 100 else {"swallowed", "churn", "reachability"})


def test_reachability_is_not_measured_where_no_attribute_tells() -> None:
    results = judged(a_night(), reachable_attribute="")
    assert results["reachability", "customers"].state is GateState.NOT_MEASURED


# --- overrides


def test_a_closed_gate_says_which_by_how_much_and_what_to_do() -> None:
    results = list(judged(a_night(vanished_count=500, moves=[SchemeMoves("rfm", 1000, 310, is_explained=False)])).values())
    with pytest.raises(GateClosed) as caught:
        require_open(DAY, results, where="the page")
    said = str(caught.value)
    assert caught.value.exit_code == 6
    assert "50.00% of the 1,000 customers of 2024-03-28 are gone; the limit is 10.00%" in said
    assert "churn (rfm): 31.00% of 1,000 customers" in said
    assert '--day 2024-03-29 --override-gate vanished --override-gate churn --reason "..."' in said
    with pytest.raises(GateClosed, match=r'--reason "\.\.\." --company shop --lake here$'):
        require_open(DAY, results, where="the page", options=" --company shop --lake here")


def test_an_override_opens_the_gates_it_names_and_records_why() -> None:
    results = list(judged(a_night(vanished_count=500, moves=[SchemeMoves("rfm", 1000, 310, is_explained=False)])).values())
    passed = apply_override(results, Override(frozenset({"churn"}), "new shop opened"))
    assert [(result.gate, result.reason) for result in passed if result.state is GateState.OVERRIDDEN] == [("churn", "new shop opened")]
    assert [result.gate for result in passed if result.state is GateState.CLOSED] == ["vanished"]


def test_an_override_of_an_open_gate_is_not_recorded() -> None:
    results = list(judged(a_night()).values())
    assert apply_override(results, Override(frozenset(GATES), "just in case")) == results


def test_a_recorded_override_stands_for_what_was_known_and_for_nothing_worse() -> None:
    known, worse, better = (
        list(judged(a_night(moves=[SchemeMoves("rfm", 1000, moved, is_explained=False)])).values()) for moved in (310, 311, 309)
    )
    standing = apply_override(known, Override(frozenset({"churn"}), "new shop opened"))
    assert apply_override(known, Override(), standing) == standing
    assert {result.state for result in apply_override(worse, Override(), standing) if result.gate == "churn"} == CLOSED
    assert {result.reason for result in apply_override(better, Override(), standing) if result.gate == "churn"} == {"new shop opened"}


def test_a_recorded_override_does_not_cover_another_subject() -> None:
    standing = apply_override(list(judged(a_night(vanished_count=500)).values()), Override(frozenset({"vanished"}), "purge"))
    other = [replace(result, subject="others") for result in judged(a_night(vanished_count=500)).values() if result.subject == "customers"]
    assert {result.state for result in apply_override(other, Override(), standing) if result.gate == "vanished"} == CLOSED


@pytest.mark.parametrize("gates", [["churn", "volume"], "churn, volume", "churn,volume,"])
def test_gates_are_named_in_a_list_or_in_text(gates: list[str] | str) -> None:
    assert requested_override(gates, " why ") == Override(frozenset({"churn", "volume"}), "why")


@pytest.mark.parametrize(
    ("gates", "reason", "words"),
    [
        (["chrun"], "x", "there is no gate `chrun` (did you mean `churn`?)"),
        (["churn"], "", "an override needs a reason"),
        (["churn"], "  ", "an override needs a reason"),
        ([], "new shop", "no gate to override"),
    ],
)
def test_an_override_that_cannot_be_meant_is_refused(gates: list[str], reason: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        requested_override(gates, reason)
    assert words in str(caught.value)


# --- corners


def test_the_busiest_of_several_new_days_is_weighed() -> None:
    absent = {"before": DAY - timedelta(days=5)}
    assert closed(a_night(**absent, line_counts=lines(weeks=10, d2=501))) == {("volume", "too_many")}
    assert closed(a_night(**absent, line_counts=lines(weeks=10, d2=500))) == set()


def test_the_recent_past_begins_on_the_same_weekday_so_many_weeks_ago() -> None:
    assert judged(a_night(line_counts=lines(weeks=4)), volume_weeks=4)["volume", "too_few"].state is GateState.OPEN


@pytest.mark.parametrize(("now", "before"), [(1000, 99), (99, 1000)])
def test_few_customers_then_or_now_say_nothing(now: int, before: int) -> None:
    held, reachable = LargestSegment("rfm", "lost", now, now, 0, before), ReachableCustomers(1, now, before, before)
    assert closed(a_night(largest_segments=[held], reachable=reachable)) == set()


def test_a_recorded_override_of_a_thin_day_covers_no_thinner_one() -> None:
    thin, thinner = (list(judged(a_night(line_counts=lines(d0=count))).values()) for count in (5, 4))
    standing = apply_override(thin, Override(frozenset({"volume"}), "tills down"))
    assert {result.state for result in apply_override(thin, Override(), standing) if result.subject == "too_few"} == {GateState.OVERRIDDEN}
    assert {result.state for result in apply_override(thinner, Override(), standing) if result.subject == "too_few"} == CLOSED


@pytest.mark.parametrize(
    ("count", "before", "is_closed"),
    [
        (20, 100, False),
        (19, 100, True),
        (500, 100, False),
        (501, 100, True),
        (0, 100, True),
        (100, 0, True),
        (99, 0, False),
        (0, 99, False),
    ],
)
def test_an_audience_that_empties_or_explodes_closes_its_gate(count: int, before: int, is_closed: bool) -> None:
    night = a_night(audiences=[AudienceSize("vip", count, before, is_explained=False)])
    said = [result for result in judge_measures(night, GateLimits(), rejected_share_limit=0.05) if result.gate == "audiences"]
    assert [result.state is GateState.CLOSED for result in said] == [is_closed]


def test_an_audience_by_another_rule_is_not_judged() -> None:
    night = a_night(audiences=[AudienceSize("vip", 0, 1_000, is_explained=True)])
    [said] = [result for result in judge_measures(night, GateLimits(), rejected_share_limit=0.05) if result.gate == "audiences"]
    assert said.state is GateState.NOT_MEASURED


def test_audiences_within_their_limits_are_one_line() -> None:
    night = a_night(audiences=[AudienceSize(name, 120, 100, is_explained=False) for name in ("a", "b", "c")])
    [said] = [result for result in judge_measures(night, GateLimits(), rejected_share_limit=0.05) if result.gate == "audiences"]
    assert (said.subject, said.state) == ("audiences", GateState.OPEN)
    assert "each of 3 holds 0.2 to 5 times as many as before" in said.words
