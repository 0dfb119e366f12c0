"""What the morning page says of campaigns, tastes and ideas: only what the night's tables allow to be told."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from support.morning_tables import (
    DAY,
    RESULT,
    VALUE,
    a_campaign_night,
    a_night,
    a_night_of_everything,
    a_profile,
    a_proposal,
    a_taste,
    an_answer,
    html_of,
)

from pipeline.reporting.pages.morning.campaigns import campaign_cards
from pipeline.reporting.pages.morning.insights import next_categories, segment_tastes, telling_schemes
from pipeline.reporting.pages.morning.proposals import proposals
from pipeline.reporting.pages.morning.surveys import survey_questions


def test_a_final_campaign_tells_money_first_then_whether_it_paid() -> None:
    page = html_of(a_campaign_night())
    assert "€16,403 more than without it" in page
    assert "between €10,337 and €22,469" in page
    assert "After costs: €4,430. It paid with a probability of more than 99%." in page
    assert "it paid</span>" in page
    assert "Sales per customer: €1.42, without it €0.65" in page


def test_a_loss_is_told_as_less() -> None:
    tables = replace(a_campaign_night(), campaign_values=[{**VALUE, "incremental_amount": -500.0, "verdict": "did not pay"}])
    page = html_of(tables)
    assert "€500 less than without it" in page
    assert "it did not pay</span>" in page


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("planned", "Starts on March 1, 2024."),
        ("not comparable", "Those chosen had spent €281 each before, others €90.00."),
        ("sample ratio", "The groups are not as large as planned"),
    ],
)
def test_what_may_not_be_told_is_not(state: str, words: str) -> None:
    page = html_of(a_campaign_night(state=state))
    assert words in page
    assert "16,403" not in page
    assert "Sales per customer" not in page


def test_a_running_campaign_says_when_and_nothing_else() -> None:
    tables = replace(a_campaign_night(state="running", due_date=date(2024, 4, 20)), campaign_results=[], campaign_values=[])
    assert "Results on April 20, 2024. Looking earlier would mislead." in html_of(tables)


def test_too_few_buyers_leave_the_rate() -> None:
    ordered = {**RESULT, "metric": "ordered", "arm_value": 0.0125, "control_value": 0.0057}
    unknown = {**RESULT, "difference": None}
    tables = replace(a_campaign_night(state="too few"), campaign_results=[ordered, unknown], campaign_values=[])
    page = html_of(tables)
    assert "Too few customers ordered to tell what it brought in money." in page
    assert "Customers who ordered: 1.3%, without it 0.6%" in page


def test_a_rate_says_whether_it_may_be_chance() -> None:
    for is_significant, words in ((True, "This is more than chance."), (False, "This may be chance.")):
        tables = replace(a_campaign_night(), campaign_results=[{**RESULT, "is_significant": is_significant}], campaign_values=[])
        assert words in html_of(tables)
    assert (
        "chance." not in html_of(replace(a_campaign_night(), campaign_results=[{**RESULT, "is_significant": None}])).split("achieved")[-1]
    )


def test_own_campaigns_come_first_and_those_left_out_are_counted() -> None:
    [first] = a_campaign_night().campaigns
    listed = [{**first, "campaign_id": f"crm_{number}", "origin": "source"} for number in range(10)]
    tables = replace(a_campaign_night(), campaigns=[*listed, {**first, "campaign_id": "z_own", "origin": "own"}])
    assert campaign_cards(tables)[0].campaign["campaign_id"] == "z_own"
    assert "Campaigns that are not shown here: 3." in html_of(tables)
    assert "not shown here" not in html_of(a_campaign_night())


@pytest.mark.parametrize("small", [{"customer_count": 9}, {"control_count": 9}])
def test_an_arm_of_a_few_customers_is_withheld(small: dict[str, int]) -> None:
    tables = replace(a_campaign_night(), campaign_results=[{**RESULT, **small}])
    [card] = campaign_cards(tables)
    assert card.arms == []


@pytest.mark.parametrize(
    ("sizes", "people", "is_told"),
    [
        ({}, 80, True),
        ({"customer_count": 9}, 80, False),
        ({"control_count": 9}, 80, False),
        # Compared with all customers outside the campaign.
        ({"control_count": 0}, 42_623, True),
        ({"control_count": 0}, 42_622, False),
    ],
)
def test_what_a_few_had_spent_before_is_withheld(sizes: dict[str, int], people: int, is_told: bool) -> None:
    tables = replace(a_campaign_night(state="not comparable"), campaign_results=[{**RESULT, **sizes}], profiles=[a_profile("lost", people)])
    [card] = campaign_cards(tables)
    assert (card.spend_before is not None) is is_told


def test_tastes_are_the_surest_categories_then_products_and_never_chance_or_a_few_customers() -> None:
    rows = [
        a_taste("diapers", 1.4),
        a_taste("toys", 1.5),
        a_taste("P-1", 9.0, subject_kind="product"),
        a_taste("chance", 2.0, is_significant=False),
        a_taste("few", 2.0, customer_count=9),
        a_taste("no news", 1.1, lift=1.19),
        a_taste("elsewhere", 2.0, scheme="other"),
    ]
    [taste] = segment_tastes(a_night(insights=rows))
    assert [row["subject"] for row in taste.subjects] == ["toys", "diapers", "P-1"]
    page = html_of(a_night(insights=rows, refined_on=date(2024, 3, 1)))
    assert "1.8 × as common" in page
    assert "36% bought it; others who buy as much: 21%" in page
    assert "As of March 1, 2024." in page
    assert "As of" not in html_of(a_night(insights=rows, refined_on=DAY))


def test_all_that_the_first_night_of_a_month_found_says_of_which_night_it_is() -> None:
    page = html_of(replace(a_night_of_everything(), refined_on=date(2024, 3, 1)))
    for section in ("tastes", "surveys", "ideas"):
        assert "As of March 1, 2024." in page.partition(f'id="{section}"')[2].partition("</p>")[0], section
    assert "As of" not in html_of(replace(a_night_of_everything(), refined_on=DAY))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"subject_kind": "channel"}, "36% bought through it; others who buy as much: 21%"),
        ({"subject_kind": "discount"}, "36% bought at a discount; others who buy as much: 21%"),
        ({"subject_kind": "product"}, "36% bought it; others who buy as much: 21%"),
        ({"expected_share": 0.0009}, "36% bought it; others who buy as much: hardly anybody"),
        ({"expected_share": 0.001}, "36% bought it; others who buy as much: 0.1%"),
    ],
)
def test_how_common_a_taste_is_goes_by_its_kind(given: dict[str, Any], text: str) -> None:
    assert text in html_of(a_night(insights=[a_taste("internet", 1.5, **given)]))


def test_what_comes_next_is_told_where_it_foretells() -> None:
    row = {"category": "bikes", "next_category": "helmets", "customer_count": 40, "share": 0.2, "base_share": 0.05, "is_better": True}
    tables = a_night(
        next_categories=[row, {**row, "next_category": "chance", "is_better": False}, {**row, "next_category": "few", "customer_count": 3}]
    )
    assert [each["next_category"] for each in next_categories(tables)] == ["helmets"]


def test_ideas_that_are_sure_come_first_and_others_say_what_is_lacking() -> None:
    tables = a_night(proposals=[a_proposal("merge", is_sure=False), a_proposal("split", is_sure=True)])
    assert [row["kind"] for row in proposals(tables)] == ["split", "merge"]
    page = html_of(tables)
    assert "To be sure, 800 customers are needed in each of the two." in page
    assert "wait until a second one confirms it" not in page
    assert "wait until a second one confirms it" in html_of(a_night(proposals=[a_proposal("merge", is_sure=False, needed_count=None)]))
    assert "Edit <code>&lt;it&gt;</code>." in page


def test_at_most_four_ideas_are_shown_and_of_as_many_kinds_as_there_are() -> None:
    splits = [a_proposal("split", segment=f"s{number}", measured=float(number)) for number in range(5, 12)]
    unsure = a_proposal("merge", is_sure=False)
    shown = proposals(a_night(proposals=[*splits, unsure, a_proposal("refit")]))
    assert [(row["kind"], row["segment"]) for row in shown] == [("refit", "lost"), ("split", "s11"), ("split", "s10"), ("merge", "lost")]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"kind": "split"},
            "“Lost” holds two kinds of customers: in the last 365 days, 535 of them spent €476 each, the other 1,354 only €41.00.",
        ),
        (
            # The rule takes those who spend less.
            {"kind": "split", "amount": 41.0, "other_amount": 476.2},
            "“Lost” holds two kinds of customers: in the last 365 days, 1,354 of them spent €476 each, the other 535 only €41.00.",
        ),
        (
            {"kind": "merge"},
            "“Champions” do the same: in 90 days they spent €476 and €41.00 each, and 50% and 48% of them ordered again.",
        ),
        ({"kind": "empty_segment"}, "“Lost” is nearly empty: in 90 days it never held more than 0.2% of the customers."),
        (
            {"kind": "stop_campaign", "scheme": "spring", "segment": None, "rule": "letter", "amount": -40.0},
            "“Spring letter” most likely did not pay: after costs it brought -€40.00 (between -€70.00 and -€10.00).",
        ),
        (
            {"kind": "shift_budget", "scheme": "old", "segment": None, "with_segment": "spring", "rule": "letter"},
            "After costs, “Spring letter” brought €476 for each customer, “old” only €41.00. Move some of the budget to the first.",
        ),
        ({"kind": "move_threshold"}, "With another limit “Lost” would tell better who orders in the next 90 days."),
        ({"kind": "refit", "segment": None}, "Customers have changed since the groups of “RFM” were found."),
        ({"kind": "tells_nothing_new", "segment": None}, "“RFM” does not help to tell who will buy in the next 90 days"),
        ({"kind": "split", "amount": None}, "split in words"),
        ({"kind": "something_new"}, "something_new in words"),
    ],
)
def test_an_idea_is_a_sentence_with_titles_and_money(given: dict[str, Any], sentence: str) -> None:
    titles = {("rfm", "lost"): "Lost", ("rfm", "champions"): "Champions"}
    tables = replace(a_campaign_night(), proposals=[a_proposal(**given)], titles=titles)
    page = html_of(tables)
    card, _, details = page.partition('id="ideas"')[2].partition("How to try it")
    assert sentence in card
    assert "m_score" not in card
    assert "segments plan" in details


def test_schemes_that_add_something_come_first() -> None:
    rows = [
        {"scheme": "none", "adds": False, "added_r2_spend": 0.5, "added_r2_buying": 0.5},
        {"scheme": "some", "adds": True, "added_r2_spend": 0.01, "added_r2_buying": 0.0},
        {"scheme": "most", "adds": True, "added_r2_spend": 0.0, "added_r2_buying": 0.066},
    ]
    tables = a_night(effectiveness=rows, proposals=[a_proposal("split", is_sure=True)])
    assert [row["scheme"] for row in telling_schemes(tables)] == ["most", "some", "none"]
    assert "tells no more than last year’s spend does" in html_of(tables)


def test_answers_are_told_with_their_interval_and_where_they_are_clearly_more_common() -> None:
    rows = [
        an_answer("price", 0.3),
        an_answer("choice", 0.6),
        an_answer(None, 0.1),
        an_answer("price", 0.8, segment="lost"),
        an_answer("price", 0.35, segment="champions"),
        an_answer("few", 0.04, count=4),
    ]
    tables = a_night(surveys=rows, titles={("rfm", "lost"): "Lost"})
    [question] = survey_questions(tables)
    assert [(each.answer, list(each.segments)) for each in question.answers] == [("choice", []), ("price", ["Lost"]), ("", [])]
    page = html_of(tables)
    assert "between 25% and 35%; more often in:" in page
    assert "other answers" in page
    assert "few" not in page.partition('id="surveys"')[2].partition("</details>")[0]


def test_a_question_that_a_few_answered_is_not_told() -> None:
    assert survey_questions(a_night(surveys=[an_answer("price", 1.0, count=9, of=9)])) == []
