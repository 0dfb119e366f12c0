"""What a night says of a campaign, from small sums: looks, costs, segments, spend before, and what is withheld."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from scipy import stats

from pipeline.lake.tables import CAMPAIGN_RESULTS, CAMPAIGN_SUMMARIES
from pipeline.measurement.arm_sums import ArmSums, CampaignSums
from pipeline.measurement.campaign import OWN, SOURCE, Campaign, MeasuredArm
from pipeline.measurement.looks import LIMITS
from pipeline.measurement.moments import Moments
from pipeline.measurement.results import CampaignRows, Observations, arm_costs, reported_rows, unreported_rows
from pipeline.measurement.sums import first_day_read
from pipeline.reporting.campaigns.reports import CampaignReport
from pipeline.reporting.campaigns.view import render

START, END, LOOKBACK = date(2026, 3, 1), date(2026, 3, 28), 3
ARMS = (
    MeasuredArm("mail", is_control=False, planned_share=0.5, cost_per_contact=Decimal("0.1"), assigned_count=1_000),
    MeasuredArm("call", is_control=False, planned_share=0.25, cost_per_contact=Decimal(2), assigned_count=500),
    MeasuredArm("control", is_control=True, planned_share=0.25, cost_per_contact=Decimal(0), assigned_count=500),
)
CAMPAIGN = Campaign(
    campaign_id="spring",
    title="Spring",
    origin=OWN,
    audience="everybody",
    scheme="rfm",
    channel="mail",
    start_day=START,
    end_day=END,
    look_count=1,
    primary_metric="ordered",
    margin_share=0.5,
    fixed_cost=Decimal(100),
    is_holdout=False,
    is_random=True,
    arms=ARMS,
)


def sums(n: int, buyers: int, *, spend: int = 20, before: int = 0) -> ArmSums:
    """Return `n` customers of whom `buyers` order once and spend so much; buyers had spent `before` times as much, others nothing."""
    x = before * spend
    return ArmSums(
        n,
        buyers,
        0,
        Moments.of_sums(n, buyers * spend, buyers * spend**2, x=buyers * x, xx=buyers * x * x, xy=buyers * x * spend),
        Moments.of_sums(n, buyers * spend, buyers * spend**2, x=buyers, xx=buyers, xy=buyers * spend),
    )


SEEN = Observations(
    CampaignSums({("mail", "loyal"): sums(1_000, 180), ("call", "loyal"): sums(500, 90), ("control", "loyal"): sums(500, 60)}),
    has_visits=False,
)


def told(campaign: Campaign = CAMPAIGN, seen: Observations = SEEN, *, night: date = END + timedelta(days=LOOKBACK)) -> CampaignRows:
    look = campaign.look_on(night, LOOKBACK)
    return reported_rows(campaign, look, seen, LOOKBACK) if look else unreported_rows(campaign, night, LOOKBACK)


def row(rows: CampaignRows, **wanted: Any) -> dict[str, Any]:
    [found] = [each for each in rows.results if all(each[name] == value for name, value in wanted.items())]
    return found


def test_of_an_arm_without_an_order_there_is_no_spend_per_order() -> None:
    arms = tuple(
        replace(arm, planned_share=share, assigned_count=n) for arm, share, n in zip(ARMS[::2], (1 / 3, 2 / 3), (500, 1_000), strict=True)
    )
    seen = CampaignSums({("mail", "loyal"): sums(500, 100), ("control", "loyal"): sums(1_000, 0)})
    rows = told(replace(CAMPAIGN, arms=arms), Observations(seen, has_visits=False))
    assert row(rows, metric="spend", is_headline=True, segment="all")["control_value"] == 0
    assert not [each for each in rows.results if each["metric"] == "spend_per_order"]


def test_a_fixed_date_is_kept_to_the_day() -> None:
    assert told(night=START - timedelta(days=1)).summary["state"] == "planned"
    eve = told(night=END + timedelta(days=LOOKBACK - 1))
    assert (eve.summary["state"], eve.results, eve.values, eve.checks) == ("running", [], [], [])
    due = told()
    assert (due.summary["state"], due.summary["due_date"], due.summary["look"]) == ("final", END + timedelta(days=LOOKBACK), None)
    assert len(due.values) == 2


def test_early_looks_have_wider_intervals_and_stricter_limits() -> None:
    campaign = replace(CAMPAIGN, look_count=4)
    widths = []
    for number, limit in enumerate(LIMITS, 1):
        last = START + timedelta(days=7 * number - 1)
        assert told(campaign, night=last + timedelta(days=LOOKBACK - 1)).summary.get("look") == (number - 1 or None)
        rows = told(campaign, night=last + timedelta(days=LOOKBACK))
        assert rows.summary["look"] == number
        assert rows.summary["state"] == ("final" if number == 4 else "running")
        found = row(rows, arm="mail", metric="ordered", segment="all")
        widths.append(found["high"] - found["low"])
        assert found["is_significant"] == (found["adjusted_p_value"] < 2 * stats.norm.sf(limit))
    assert widths == sorted(widths, reverse=True)
    assert not row(told(campaign, night=START + timedelta(days=6 + LOOKBACK)), arm="mail", metric="ordered", segment="all")[
        "is_significant"
    ]


def test_costs_are_contacts_and_a_part_of_what_is_fixed_exactly() -> None:
    costs = arm_costs(CAMPAIGN)
    assert costs == {"mail": Decimal("166.6667"), "call": Decimal("1033.3333")}
    assert sum(costs.values()) == Decimal(100) + Decimal("0.1") * 1_000 + Decimal(2) * 500


def test_profit_is_margin_less_cost_and_says_whether_it_paid() -> None:
    values = {value["arm"]: value for value in told().values}
    # 18 % against 12 % of customers who spend 20: 1.20 more each.
    assert values["mail"]["incremental_amount"] == pytest.approx(1_200)
    assert values["mail"]["profit"] == pytest.approx(600 - 166.6667)
    assert values["call"]["profit"] == pytest.approx(300 - 1033.3333)
    assert {arm: value["verdict"] for arm, value in values.items()} == {"mail": "paid", "call": "did not pay"}
    assert values["call"]["probability_paid"] < 0.01
    assert values["mail"]["probability_paid"] > 0.98
    bare = told(replace(CAMPAIGN, margin_share=None)).values[0]
    assert bare["incremental_amount"] is not None
    assert {bare.get(name) for name in ("profit", "verdict", "probability_paid")} == {None}


def test_spend_before_is_taken_off_where_it_explains_something() -> None:
    unlike = told()
    assert row(unlike, arm="mail", metric="spend", method="welch", segment="all")["is_headline"]
    arms = {("mail", ""): sums(1_000, 180, before=1), ("call", ""): sums(500, 90, before=1), ("control", ""): sums(500, 90, before=1)}
    alike = told(seen=replace(SEEN, sums=CampaignSums(arms)))
    cuped = row(alike, arm="mail", metric="spend", method="welch_cuped", segment="all")
    assert cuped["is_headline"]
    assert cuped["variance_left"] == 0
    assert cuped["difference"] == pytest.approx(0, abs=1e-9)
    assert not row(alike, arm="mail", metric="spend", method="welch", segment="all")["is_headline"]


def test_small_segments_are_withheld_and_others_drawn_together() -> None:
    arms = {
        ("mail", "loyal"): sums(500, 150),
        ("mail", "lost"): sums(490, 49),
        ("mail", "rare"): sums(10, 9),
        ("call", "loyal"): sums(500, 90),
        ("control", "loyal"): sums(250, 50),
        ("control", "lost"): sums(241, 24),
        ("control", "rare"): sums(9, 0),
    }
    rows = told(seen=replace(SEEN, sums=CampaignSums(arms)))
    segments = {each["segment"]: each for each in rows.results if (each["arm"], each["metric"]) == ("mail", "ordered")}
    assert set(segments) == {"all", "loyal", "lost"}
    assert segments["all"]["customer_count"] == 1_000
    for name in ("loyal", "lost"):
        between = sorted((segments[name]["difference"], segments["all"]["difference"]))
        assert between[0] <= segments[name]["shrunk_difference"] <= between[1]
        assert segments[name].get("p_value") is None
    assert 0 < segments["all"]["segments_differ_p_value"] <= 1


@pytest.mark.parametrize(
    ("control", "state"),
    [(sums(500, 60), "final"), (sums(480, 58), "final"), (sums(420, 50), "sample ratio"), (sums(330, 40), "sample ratio")],
)
def test_an_arm_that_shrank_by_more_than_chance_withholds_everything(control: ArmSums, state: str) -> None:
    seen = replace(SEEN, sums=CampaignSums({**SEEN.sums.by_segment, ("control", "loyal"): control}))
    rows = told(seen=seen)
    assert rows.summary["state"] == state
    assert bool(rows.values) == (state == "final")
    assert {each.get("difference") is None for each in rows.results} == {state != "final"}


@pytest.mark.parametrize(("share", "needed"), [(0.5, 30), (0.2, 30), (0.19, 50), (0.1, 50), (0.09, 100)])
def test_smaller_controls_take_more_buyers(share: float, needed: int) -> None:
    n = 10_000
    held = round(share * n)
    for buyers, is_told in ((needed - 1, False), (needed, True)):
        arms = {("mail", ""): sums(n - held, 2_000), ("control", ""): sums(held, buyers)}
        parts = (replace(ARMS[0], assigned_count=n - held, planned_share=None), replace(ARMS[2], assigned_count=held, planned_share=None))
        rows = told(replace(CAMPAIGN, arms=parts), replace(SEEN, sums=CampaignSums(arms)))
        [spend] = [each for each in rows.results if each["metric"] == "spend" and each["is_headline"] and each["segment"] == "all"]
        assert (spend["state"] == "final", spend["needed_count"]) == (is_told, None if is_told else 1)


def test_an_arm_without_anybody_left_is_told_of_as_nothing() -> None:
    arms = {("mail", ""): sums(1_000, 180), ("control", ""): sums(500, 60)}
    rows = told(seen=replace(SEEN, sums=CampaignSums(arms)))
    assert rows.summary["state"] == "sample ratio", "an arm is gone"


@pytest.mark.parametrize("state", ["final", "running"])
def test_an_arm_of_one_customer_is_too_few_to_tell_anything_and_says_so(state: str) -> None:
    """Both arms lost nobody: there is no variance of one customer, so no effect, whatever the metric."""
    parts = (replace(ARMS[0], assigned_count=19, planned_share=0.95), replace(ARMS[2], assigned_count=1, planned_share=0.05))
    arms = CampaignSums({("mail", ""): sums(19, 4), ("control", ""): sums(1, 0)})
    campaign = replace(CAMPAIGN, arms=parts, look_count=1 if state == "final" else 4)
    night = END + timedelta(days=LOOKBACK) if state == "final" else START + timedelta(days=6 + LOOKBACK)
    rows = told(campaign, replace(SEEN, sums=arms), night=night)
    assert rows.summary["state"] == ("too few" if state == "final" else "running")
    [withheld] = rows.results
    assert (withheld["arm"], withheld["metric"], withheld["state"]) == ("mail", "ordered", "too few")
    assert (withheld["customer_count"], withheld["control_count"], withheld.get("difference")) == (19, 1, None)
    assert rows.values == []


@pytest.mark.parametrize(
    ("needed", "said"),
    [
        (None, "nothing can be told; the arm or its control has fewer than two customers left."),
        (1, "spend cannot be told; it needs 1 more buyer in the smaller arm."),
        (2, "spend cannot be told; it needs 2 more buyers in the smaller arm."),
    ],
)
def test_what_is_lacking_is_said_in_a_sentence_that_is_true(needed: int | None, said: str) -> None:
    """Of an arm that nobody is left of, too: one of few customers may lose all of them by chance."""
    parts = tuple(replace(arm, assigned_count=3, planned_share=0.5) for arm in ARMS[::2])
    rows = told(replace(CAMPAIGN, arms=parts), replace(SEEN, sums=CampaignSums({("mail", ""): sums(3, 1)})))
    assert rows.summary["state"] == "too few"
    [withheld] = rows.results
    stored = {**dict.fromkeys(CAMPAIGN_RESULTS.column_names), **withheld, "needed_count": needed}
    report = CampaignReport(END, {**dict.fromkeys(CAMPAIGN_SUMMARIES.column_names), **rows.summary}, (stored,))
    *_, sentence = render(report, currency="EUR")
    assert str(sentence).strip() == f"mail: {said}"


def test_what_fewer_than_ten_customers_had_spent_before_is_in_no_check() -> None:
    parts = (replace(ARMS[0], assigned_count=9, planned_share=9 / 509), replace(ARMS[2], planned_share=500 / 509))
    arms = CampaignSums({("mail", ""): sums(9, 4, before=2), ("control", ""): sums(500, 60, before=2)})
    [before] = [check for check in told(replace(CAMPAIGN, arms=parts), replace(SEEN, sums=arms)).checks if check["check"] == "spend_before"]
    assert (before["arm_value"], before["control_value"]) == (None, None), "of neither, as they are told beside each other"
    assert before["measured"] is not None


def test_one_arm_too_small_leaves_the_others_told() -> None:
    parts = (replace(ARMS[0], planned_share=1000 / 1501), replace(ARMS[1], assigned_count=1, planned_share=1 / 1501), ARMS[2])
    parts = (*parts[:2], replace(parts[2], planned_share=500 / 1501))
    arms = {("mail", ""): sums(1_000, 180), ("call", ""): sums(1, 0), ("control", ""): sums(500, 60)}
    rows = told(replace(CAMPAIGN, arms=parts), replace(SEEN, sums=CampaignSums(arms)))
    assert rows.summary["state"] == "too few"
    assert row(rows, arm="call")["state"] == "too few"
    assert row(rows, arm="mail", metric="ordered")["difference"] is not None


def test_as_many_days_are_read_as_any_campaign_looks_back() -> None:
    listed = replace(CAMPAIGN, origin=SOURCE)
    assert first_day_read(365, [CAMPAIGN]) == START
    assert first_day_read(365, [CAMPAIGN, listed]) == START - timedelta(days=365)
    assert first_day_read(30, [listed]) == START - timedelta(days=90)
    assert first_day_read(30, []) is None


def test_figures_have_nine_significant_digits() -> None:
    for each in told().results:
        for name, value in each.items():
            if isinstance(value, float):
                assert value == float(f"{value:.9g}"), name


@pytest.mark.parametrize(
    ("measured", "is_broken"),
    [
        ((900, 100), False),
        ((810, 90), False),  # a tenth of both
        ((900, 85), True),  # 15 of 100 and none of 900: chance would take 1 or 2, though it may draw a control of 85
        ((872, 100), False),  # 28 of the larger arm, 3 points more: mailings make a few say no
        ((900, 99), False),
    ],
)
def test_customers_lost_by_one_arm_alone_are_a_broken_split(measured: tuple[int, int], is_broken: bool) -> None:
    parts = (replace(ARMS[0], assigned_count=900, planned_share=0.9), replace(ARMS[2], assigned_count=100, planned_share=0.1))
    arms = {("mail", ""): sums(measured[0], 180), ("control", ""): sums(measured[1], 12)}
    rows = told(replace(CAMPAIGN, arms=parts), replace(SEEN, sums=CampaignSums(arms)))
    assert rows.summary["state"] == ("sample ratio" if is_broken else "final")
    passed = {check["check"]: check["is_passed"] for check in rows.checks}
    assert passed["sample_ratio_measured"], "sizes alone do not show it"
    assert passed["sample_ratio_lost"] == (not is_broken)


def test_segments_in_which_hardly_anybody_orders_are_not_said_to_differ() -> None:
    """Nobody of 30 ordered where 3 would have by chance: that is no reason to call segments different, nor certain of the effect."""
    arms = {
        ("mail", "loyal"): sums(900, 180),
        ("mail", "lost"): sums(270, 27),
        ("control", "loyal"): sums(100, 20),
        ("control", "lost"): sums(30, 0),
    }
    parts = (replace(ARMS[0], assigned_count=1_170, planned_share=0.9), replace(ARMS[2], assigned_count=130, planned_share=0.1))
    rows = told(replace(CAMPAIGN, arms=parts), replace(SEEN, sums=CampaignSums(arms)))
    whole = row(rows, metric="ordered", segment="all")
    assert whole["segments_differ_p_value"] is None
    lost = row(rows, metric="ordered", segment="lost")
    assert (lost["difference"], lost.get("shrunk_difference")) == (0.1, None)
