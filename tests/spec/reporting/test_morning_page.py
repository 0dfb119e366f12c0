"""The morning page as a person reads it: what it says of small tables, and what it withholds."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any
from urllib.parse import unquote

import pytest
from support.morning_tables import (
    CARD,
    DAY,
    ENGLISH,
    a_flow,
    a_night,
    a_night_of_everything,
    a_profile,
    a_proposal,
    html_of,
    sales_of,
)

from pipeline.ingestion.validation import WITHIN_LIMIT
from pipeline.publication.gates import GateResult, GateState
from pipeline.publication.rollback_log import Rollback
from pipeline.reporting.next_actions import NextActionCount
from pipeline.reporting.pages.morning.cards import actions_of
from pipeline.reporting.pages.morning.figures import scheme_figures, score_grid
from pipeline.reporting.pages.morning.flow_diagram import SEVERAL, drawn_flows, flow_diagram
from pipeline.reporting.pages.morning.in_short import sentences_of
from pipeline.reporting.pages.morning.language import PageLanguage
from pipeline.reporting.pages.morning.movement import Cause, Flow, changes_of, flows_of
from pipeline.reporting.pages.morning.night_tables import NightTables, SchemeSummary
from pipeline.reporting.pages.morning.page import morning_page
from pipeline.reporting.pages.morning.rendering import csv_link, csv_segments, render_page
from pipeline.reporting.pages.morning.sales import sales_trend
from pipeline.reporting.pages.morning.verdict import NightOutcome, outcome_of, verdict_of


def said(tables: NightTables) -> list[str]:
    return [sentence.text for sentence in sentences_of(tables, verdict_of(tables, figures_day=DAY), ENGLISH)]


def test_a_fall_of_sales_comes_first_and_is_an_alarm() -> None:
    tables = a_night(sales=sales_of(1000, 30, a_year_ago=2000), flows=[a_flow("lost", "champions", "own_purchase", 20)])
    first, *others = sentences_of(tables, verdict_of(tables, figures_day=DAY), ENGLISH)
    assert first.is_alarm
    assert first.text.startswith("Sales fell by 97%: €840 in the last 28 days, after €28,000 in the 28 days before.")
    assert "a year ago it was €56,000" in first.text
    assert others
    assert not any(sentence.is_alarm for sentence in others)


@pytest.mark.parametrize(("before", "now", "is_alarm"), [(100, 121, True), (100, 120, False), (100, 80, False), (100, 79, True)])
def test_sales_alarm_beyond_a_fifth_either_way(before: int, now: int, is_alarm: bool) -> None:
    tables = a_night(sales=sales_of(before, now))
    assert any(sentence.is_alarm for sentence in sentences_of(tables, verdict_of(tables, figures_day=DAY), ENGLISH)) is is_alarm


def test_a_handful_of_orders_gives_no_alarm() -> None:
    sales = [{**row, "order_count": 0} for row in sales_of(100, 10)]
    tables = a_night(sales=sales)
    assert not any(sentence.is_alarm for sentence in sentences_of(tables, verdict_of(tables, figures_day=DAY), ENGLISH))


def test_at_most_four_sentences() -> None:
    flows = [a_flow("lost", "champions", "own_purchase", 20), a_flow("champions", "lost", "population_shift", 40)]
    tables = a_night(
        sales=sales_of(1000, 30),
        flows=flows,
        concentration=[{"customer_percent": 10, "customer_count": 10, "spend_share": 0.7}],
        rule_results=[{"source_table": "raw_orders", "rule": "r", "checked_count": 100, "failed_count": 9, "is_passed": True}],
        rejected=[("raw_orders", "r", 9)],
    )
    assert len(said(tables)) == 4
    assert said(tables)[1].startswith("9 rows that were read tonight are wrong and were left out (9% of them)")
    assert said(tables)[3] == ("40 of 60 moves happened to customers who did nothing: others bought more or less, and the ranking shifted.")


def test_without_days_before_there_is_no_comparison() -> None:
    sales = [row for row in sales_of(1, 10) if row["order_day"] > DAY - timedelta(days=28)]
    trend = sales_trend(a_night(sales=sales), "spend_amount")
    assert trend is not None
    assert (trend.total, trend.before, trend.year_before, trend.change_share) == (280, None, None, None)


def test_change_is_split_into_by_themselves_and_by_others() -> None:
    rows = [
        a_flow("champions", "lost", "ageing", 12),
        a_flow("lost", "champions", "own_purchase", 5),
        a_flow("lost", "champions", "population_shift", 3),
        a_flow(None, "lost", "new_customer", 2),
    ]
    changes = changes_of(flows_of(rows, "rfm"))
    assert (changes["champions"].by_themselves, changes["champions"].by_others) == (-7, 3)
    assert (changes["lost"].by_themselves, changes["lost"].by_others, changes["lost"].total) == (9, -3, 6)
    assert (changes["lost"].came, changes["lost"].left) == (14, 8)


OTHERS_REASONS = ("population_shift", "threshold_refreeze", "rule_change", "model_refit", "source_change", "late_data", "erasure")


@pytest.mark.parametrize("reason", OTHERS_REASONS)
def test_only_whom_the_ranking_moved_is_said_to_have_been_moved_by_what_others_bought(reason: str) -> None:
    is_ranking = reason in OTHERS_REASONS[:2]
    text = " ".join(said(a_night(flows=[a_flow("lost", "champions", "own_purchase", 20), a_flow("champions", "lost", reason, 40)])))
    assert ("40 of 60 moves happened to customers who did nothing: others bought" in text) is is_ranking
    assert ("Customers who changed segment in the last seven nights: 60." in text) is not is_ranking
    assert "In the last seven nights: 0 new customers; 20 moved up by buying" in text


@pytest.mark.parametrize("reason", OTHERS_REASONS)
def test_table_diagram_and_download_set_whom_the_ranking_moved_apart_from_whom_rules_or_data_moved(reason: str) -> None:
    is_ranking = reason in OTHERS_REASONS[:2]
    tables = a_night(flows=[a_flow("lost", "champions", "own_purchase", 20), a_flow("champions", "lost", reason, 40)])
    page = html_of(tables)
    for column, is_there in (("By ranking", is_ranking), ("By rules or data", not is_ranking)):
        assert re.findall(f'data-label="{column}">([^<]*)', page) == (["−40", "+40"] if is_there else [])
        assert (f'<th scope="col" class="n">{column}</th>' in page) is is_there
    assert ("“By rules or data” counts those who moved because a rule" in page) is not is_ranking
    assert ("others changed: 40" in page) is is_ranking
    assert ("rules or data changed: 40" in page) is not is_ranking
    download = re.findall(r'download="segments-[^"]*" href="data:text/csv;charset=utf-8,([^"]*)"', page)
    [champions, _] = csv.DictReader(StringIO(unquote(download[0]).removeprefix("\ufeff")))
    assert (champions["by_themselves"], champions["by_ranking"], champions["by_rules_or_data"]) == (
        ("20", "-40", "0") if is_ranking else ("20", "0", "-40")
    )


@pytest.mark.parametrize("reason", OTHERS_REASONS)
def test_no_card_for_whom_others_moved(reason: str) -> None:
    tables = a_night(flows=[a_flow("champions", "lost", reason, 500)], cards={("rfm", "lost"): {"priority": 1, **CARD}})
    assert not actions_of(tables).cards


def test_cards_are_for_who_entered_by_themselves_the_most_urgent_first() -> None:
    segments = {
        "a": (3, 10, 900),
        "b": (1, 10, 10),
        "c": (2, 10, 20),
        "d": (2, 12, 30),
        "e": (4, 99, 99),
        "f": (1, 9, 999),
        "g": (3, 11, 1),
    }
    flows = [a_flow("lost", name, "ageing", customers, spend) for name, (_, customers, spend) in segments.items()]
    cards = {("rfm", name): {"priority": priority, **CARD} for name, (priority, _, _) in segments.items()}
    actions = actions_of(a_night(flows=flows, cards=cards, titles={("rfm", "lost"): "Lost"}))
    # f is entered by fewer than ten, the card of e can wait, and g is the fifth.
    assert [card.segment for card in actions.cards] == ["b", "d", "c", "a"]
    assert actions.are_of_entries
    assert [(origin.title, origin.customer_count) for origin in actions.cards[0].origins] == [("Lost", 10)]
    assert actions.cards[1].causes == [(Cause.SLID, 12)]
    page = html_of(a_night(flows=flows, cards=cards))
    assert "segments members --scheme rfm --segment b --entered-since 2024-03-24 --by-themselves" in page


def test_origins_of_a_card_add_up_with_several_of_few_each() -> None:
    counts = {"champions": 40, "loyal": 30, "promising": 20, "new": 12, "hibernating": 6, "lost": 3}
    flows = [a_flow(start, "at_risk", "ageing", count) for start, count in counts.items()]
    night = a_night(flows=flows, cards={("rfm", "at_risk"): {"priority": 1, **CARD}})
    [card] = actions_of(night).cards
    assert card.customer_count == sum(each.customer_count for each in card.origins)
    assert (card.origins[-1].title, card.origins[-1].customer_count) == (None, 21)
    assert "several (21)" in html_of(night)


def test_standing_cards_where_nobody_moved_and_without_a_count_of_a_few() -> None:
    counts = [NextActionCount("rfm", "lost", 1, 3, Decimal(40)), NextActionCount("rfm", "champions", 2, 30, Decimal(50))]
    cards = {("rfm", name): {"priority": 1, **CARD} for name in ("lost", "champions")}
    actions = actions_of(a_night(next_actions=counts, cards=cards))
    assert not actions.are_of_entries
    assert [(card.segment, card.spend_amount) for card in actions.cards] == [("lost", None), ("champions", Decimal(50))]
    page = html_of(a_night(next_actions=counts, cards=cards))
    assert "The next task for fewer than 10 customers." in page
    assert "segments history" not in page, "that lists those who said no as well"


def test_small_segments_are_withheld_and_an_empty_one_is_not() -> None:
    profiles = [a_profile("champions", 9), a_profile("lost", 10, position=2), a_profile("new", 0, position=3)]
    champions, lost, new = scheme_figures(a_night(profiles=profiles), "rfm").segments
    assert champions.is_withheld
    assert (champions.customer_share, champions.spend_share, champions.mean_spend_amount, champions.change) == (None,) * 4
    assert (lost.customer_count, lost.spend_share) == (10, 0.25)
    assert not new.is_withheld


def test_values_of_a_few_customers_are_counted_and_never_named() -> None:
    rfm, cities = (
        a_profile("lost", 50),
        [a_profile("Hidden Hamlet", 9, scheme="city"), a_profile("Big Town", 40, scheme="city", position=2)],
    )
    schemes = [SchemeSummary("rfm", "RFM", "", "behavioural", "rules"), SchemeSummary("city", "Cities", "", "geographic", "values")]
    tables = a_night(profiles=[rfm, *cities], schemes=schemes)
    figures = scheme_figures(tables, "city")
    assert ([each.title for each in figures.segments], figures.small_count) == (["Big Town"], 1)
    page = html_of(tables)
    assert "Big Town" in page
    assert "Hidden Hamlet" not in page
    assert "1 has fewer than 10 customers." in page


def test_the_chosen_scheme_is_told_most_of_and_the_first_where_it_is_not_computed() -> None:
    schemes = [SchemeSummary("lifecycle", "Lifecycle", "", "behavioural", "rules"), SchemeSummary("rfm", "RFM", "", "behavioural", "rules")]
    assert a_night(schemes=schemes).main_scheme == "rfm"
    assert a_night(schemes=schemes, chosen_scheme="lifecycle").main_scheme == "lifecycle"
    assert a_night(schemes=schemes, chosen_scheme="not_computed").main_scheme == "lifecycle"


def test_a_handful_of_new_customers_is_not_counted() -> None:
    sales = [{**row, "new_customer_count": int(row["order_day"].day % 7 == 0)} for row in sales_of(100, 100, a_year_ago=100)]
    tile = html_of(a_night(sales=sales)).partition("<span>New customers, 28 days")[2].partition("</div>")[0]
    assert "<strong>&lt;\xa010</strong>" in tile
    assert "a year ago: &lt;\xa010" in tile


NOBODY = dict.fromkeys(range(56), 0)


def test_sales_of_a_few_customers_are_withheld_on_tile_and_in_sentence() -> None:
    tables = a_night(sales=sales_of(0, 77, customers={**NOBODY, 3: 9}))
    assert said(tables)[0] == "Fewer than 10 customers ordered in the last 28 days, so their sales are not shown."
    page = html_of(tables)
    assert not re.findall(r"2,156|>77|140<", page)
    tile = page.partition("<span>Sales, 28 days")[2].partition("</div>")[0]
    assert "<strong>–</strong><small>fewer than 10 customers</small>" in tile
    assert "<svg" not in tile
    assert "2,156" in html_of(a_night(sales=sales_of(0, 77, customers={**NOBODY, 3: 10})))


def test_sales_that_fell_to_those_of_a_few_are_an_alarm_all_the_same() -> None:
    tables = a_night(sales=sales_of(1000, 77, customers={**dict.fromkeys(range(28), 0), 3: 9}))
    [first, *_] = sentences_of(tables, verdict_of(tables, figures_day=DAY), ENGLISH)
    assert first.is_alarm
    assert first.text.startswith("Fewer than 10 customers ordered in the last 28 days, after sales of €28,000 in the 28 days before. Check")


def test_sales_are_not_compared_with_those_of_a_few() -> None:
    few_before = {**dict.fromkeys(range(28, 56), 0), 30: 9, **dict.fromkeys(range(364, 392), 0), 370: 9}
    tables = a_night(sales=sales_of(20, 100, a_year_ago=50, customers=few_before))
    assert said(tables)[0] == "Sales in the last 28 days: €2,800."
    tile = html_of(tables).partition("<span>Sales, 28 days")[2].partition("</div>")[0]
    assert "28 days before" not in tile
    assert "a year ago: fewer than 10 customers" in tile
    assert "1,400" not in tile


def test_refunds_on_days_without_a_customer_are_withheld() -> None:
    sales = [{**row, "customer_count": 0, "spend_amount": Decimal(-33 if row["order_day"] == DAY else 0)} for row in sales_of(0, 0)]
    assert "33" not in html_of(a_night(sales=sales)).partition("<span>Sales, 28 days")[2].partition("</div>")[0]


@pytest.mark.parametrize(("customers", "points"), [(10, 28), (9, 4), (1, 0)])
def test_a_trend_is_drawn_by_day_or_by_week_or_not_at_all(customers: int, points: int) -> None:
    trend = sales_trend(a_night(sales=sales_of(10, 10, customers=dict.fromkeys(range(56), customers))), "spend_amount")
    assert trend is not None
    assert len(trend.points) == points
    assert sum(trend.points) == (280 if points else 0)


def test_a_handful_of_people_has_no_sales_however_often_they_order() -> None:
    assert "€280" not in html_of(a_night(profiles=[a_profile("lost", 9)], sales=sales_of(10, 10)))


def test_a_change_of_a_few_is_withheld_in_table_and_download() -> None:
    flows = [
        a_flow("lost", "champions", "own_purchase", 12),
        a_flow("champions", "lost", "ageing", 4),
        a_flow("champions", "lost", "population_shift", 23),
    ]
    profiles = [a_profile("champions", 30), a_profile("lost", 50, position=2), a_profile("new", 20, position=3)]
    champions, lost, new = (each.change for each in scheme_figures(a_night(flows=flows, profiles=profiles), "rfm").segments)
    assert champions
    assert lost
    assert (champions.by_themselves, champions.by_others, champions.came, champions.left) == (None, -23, 12, 27)
    assert (lost.by_themselves, lost.by_others) == (None, 23)
    assert new
    assert (new.by_themselves, new.by_others) == (0, 0)
    figures = scheme_figures(a_night(flows=flows, profiles=profiles), "rfm")
    assert [row[3:5] for row in csv_segments(figures)] == [(None, -23), (None, 23), (0, 0)]
    assert "8" not in re.findall(r'data-label="In 7 nights[^"]*">([^<]*)', html_of(a_night(flows=flows, profiles=profiles)))


def test_moves_of_a_few_do_not_follow_from_all_and_those_of_others() -> None:
    flows = [a_flow("champions", "lost", "population_shift", 40), a_flow("lost", "champions", "own_purchase", 3)]
    assert not [text for text in said(a_night(flows=flows)) if "43" in text]


def test_grid_withholds_small_cells_and_colours_at_most_to_its_largest() -> None:
    cells = [(5, 5, 40), (1, 1, 9), (3, 3, 10)]
    grid = [{"r_score": r, "fm_score": fm, "customer_count": count, "spend_amount": Decimal(count)} for r, fm, count in cells]
    rows = score_grid(a_night(grid=grid))
    assert rows[0][4].heat == 1
    assert (rows[2][2].customer_count, rows[2][2].spend_amount) == (10, Decimal(10))
    assert (rows[4][0].spend_amount, rows[4][0].heat) == (None, 0)
    assert (rows[0][0].customer_count, rows[0][0].heat) == (0, 0)


def test_small_flows_are_joined_so_that_totals_stay() -> None:
    flows = [Flow("a", "z", Cause.ROSE, 44), *(Flow(f"s{n}", "z", Cause.ROSE, 4) for n in range(3)), Flow("a", "y", Cause.SLID, 2)]
    drawn, left_out = drawn_flows(flows)
    assert drawn == [Flow("a", "z", Cause.ROSE, 44), Flow(SEVERAL, "z", Cause.ROSE, 12)]
    assert sum(flow.customer_count for flow in drawn) + left_out == sum(flow.customer_count for flow in flows)
    diagram = flow_diagram(flows, ["a", "z"])
    assert diagram is not None
    assert [(node.segment, node.customer_count) for node in diagram.targets] == [("z", 56)]


def test_moves_that_are_left_out_are_counted() -> None:
    ways = [("champions", "lost", "ageing", 20), ("lost", "champions", "own_purchase", 9), ("lost", "champions", "refund", 8)]
    for count, words in ((3, "17"), (2, "fewer than 10")):
        page = html_of(a_night(flows=[a_flow(*way) for way in ways[:count]]))
        assert f"Customers who moved in ways that only a few did, and are not shown: {words}." in page
    assert "are not shown:" not in html_of(a_night(flows=[a_flow(*ways[0])]))


def test_nothing_is_drawn_of_a_few_moves() -> None:
    assert flow_diagram([Flow("a", "b", Cause.ROSE, 9)], ["a", "b"]) is None


def test_outcome_tells_bad_data_from_a_closed_gate() -> None:
    closed = GateResult("churn", "rfm", GateState.CLOSED, "90% moved", 0.9, 0.25)
    passed = replace(closed, state=GateState.OPEN)
    let_pass = replace(closed, state=GateState.OVERRIDDEN, reason="a fair")
    broken = [{"rule": "id_is_given", "is_passed": False}]
    taken_back = Rollback("2024-03-31-bb", "2024-03-30-aa", "wrong prices")
    assert outcome_of(a_night(gates=[closed])) is NightOutcome.HELD_BACK
    assert outcome_of(a_night(gates=[passed], rule_results=broken)) is NightOutcome.STOPPED
    assert outcome_of(a_night(gates=[let_pass])) is NightOutcome.OVERRIDDEN
    assert outcome_of(a_night(gates=[passed])) is NightOutcome.PASSED
    assert outcome_of(a_night(gates=[passed], rollback=taken_back)) is NightOutcome.TAKEN_BACK
    assert outcome_of(a_night()) is NightOutcome.NOT_JUDGED


def test_held_back_night_shows_the_last_good_one_and_what_to_do() -> None:
    closed = GateResult("vanished", "order_lines", GateState.CLOSED, "90% are gone", 0.9, 0.5)
    judged = NightTables("Shop", "EUR", 365, DAY + timedelta(days=1), gates=[closed])
    page = render_page(morning_page(judged, a_night(), ENGLISH), ENGLISH)
    assert "This night was held back" in page
    assert "Below are the figures of Sunday, March 31, 2024" in page
    assert "90% are gone" in page
    assert "segments run --day 2024-04-01 --override-gate vanished --reason" in page
    assert '<meta name="description" content="90% are gone">' in page


CLOSED = GateResult("churn", "rfm", GateState.CLOSED, "90% moved", 0.9, 0.25)
LET_PASS = GateResult("audiences", "vip", GateState.OVERRIDDEN, "50% fewer", 0.5, 0.2, "a fair")
BROKEN = {"source_table": "raw_customers", "rule": "customer_id_is_given", "checked_count": 300, "failed_count": 12, "is_passed": False}
CROWDED = {**BROKEN, "rule": WITHIN_LIMIT.name}


def refused(figures_day: date | None = DAY, live_day: date | None = DAY, **judged: Any) -> str:
    night = NightTables("Shop", "EUR", 365, DAY + timedelta(days=1), **judged)
    return render_page(morning_page(night, a_night() if figures_day else None, ENGLISH, live_day=live_day), ENGLISH)


def test_a_gate_that_was_let_pass_is_no_reason_but_must_be_let_pass_again() -> None:
    page = refused(gates=[LET_PASS, CLOSED])
    assert '<meta name="description" content="90% moved">' in page
    why, _, what_to_do = page.partition("<h3>Why</h3>")[2].partition("<h3>What to do</h3>")
    assert "90% moved" in why
    assert "50% fewer" not in why
    assert "--override-gate audiences --override-gate churn" in what_to_do


@pytest.mark.parametrize(("rule", "option"), [(BROKEN, ""), (CROWDED, "--override-gate rejected --reason")])
def test_gates_of_an_earlier_run_are_not_those_of_a_night_that_its_rows_stopped(rule: dict[str, Any], option: str) -> None:
    page = refused(gates=[LET_PASS, CLOSED], rule_results=[rule])
    assert "90% moved" not in page
    assert "50% fewer" not in page
    assert "This night was not compared." in page
    assert ("--override-gate" in page) is bool(option)
    assert option in page


def test_rules_of_an_earlier_run_are_not_those_of_a_night_whose_reading_was_refused() -> None:
    page = refused(gates=[replace(CLOSED, gate="vanished", words="90% are gone")], rule_results=[BROKEN])
    assert "This night was held back" in page
    assert '<meta name="description" content="90% are gone">' in page
    assert "customer id is given" not in page


@pytest.mark.parametrize(
    ("live_day", "words"),
    [
        (DAY, "They are still what everybody sees."),
        (DAY + timedelta(days=1), "Everybody still sees this night as it was published before."),
        (DAY + timedelta(days=9), "Everybody sees the night of Tuesday, April 9, 2024."),
        (None, ""),
    ],
)
def test_a_refused_night_says_what_everybody_sees(live_day: date | None, words: str) -> None:
    page = refused(live_day=live_day, gates=[CLOSED])
    assert "Below are the figures of Sunday, March 31, 2024, the last good night." in page
    assert re.findall(r"(?:They are still what e|E)verybody [^<]*\.", page) == ([words] if words else [])


def test_a_first_night_that_is_live_and_refused_when_it_is_run_again_was_published() -> None:
    page = refused(figures_day=None, live_day=DAY + timedelta(days=1), gates=[CLOSED])
    assert "Everybody still sees this night as it was published before." in page
    assert "No night has been published yet" not in page


def test_several_checks_of_a_kind_say_how_many_are_fine() -> None:
    gates = [GateResult("churn", scheme, GateState.OPEN, "1% moved", 0.01, 0.25) for scheme in ("rfm", "lifecycle")]
    gates += [
        GateResult("churn", "regions", GateState.OVERRIDDEN, "90% moved", 0.9, 0.25),
        GateResult("vanished", "order_lines", GateState.OPEN, "1% are gone", 0.01, 0.5),
    ]
    trust = html_of(a_night(gates=gates)).partition('id="trust"')[2]
    assert re.findall(r'<span class="badge [^"]*">([^<]*)</span>', trust) == ["fine", "1 of 3 let pass", "2 of 3 fine"]


def test_stopped_night_names_the_rule_and_how_many_rows_break_it() -> None:
    broken = {"source_table": "raw_customers", "rule": "customer_id_is_given", "checked_count": 300, "failed_count": 12, "is_passed": False}
    judged = NightTables("Shop", "EUR", 365, DAY + timedelta(days=1), rule_results=[broken])
    page = render_page(morning_page(judged, a_night(), ENGLISH), ENGLISH)
    assert "This night was stopped: its data is wrong" in page
    assert "12 of 300 rows break this rule." in page
    assert '<meta name="description" content="customers: customer id is given">' in page
    assert "--override-gate" not in page


def test_first_night_that_is_refused_has_nothing_to_show() -> None:
    closed = GateResult("vanished", "order_lines", GateState.CLOSED, "90% are gone", 0.9, 0.5)
    judged = NightTables("Shop", "EUR", 365, DAY, gates=[closed])
    page = render_page(morning_page(judged, None, ENGLISH), ENGLISH)
    assert "No night has been published yet, so there are no figures to show." in page
    assert "Your customers" not in page


def test_what_has_no_figures_is_named_at_the_end() -> None:
    page = html_of(a_night())
    assert "Not shown, as this night has no figures for it: Sales of the last 28 days, Who moved, and why," in page


def test_page_loads_nothing_and_runs_nothing() -> None:
    page = html_of(a_night(sales=sales_of(10, 10), titles={("rfm", "champions"): "<script>alert(1)</script>", ("rfm", "lost"): "\"'&"}))
    assert "default-src &#39;none&#39;" in page
    assert "<script" not in page
    assert not re.findall(r'(?:src|href)="(?!#|data:|validation\.html|\.\./index\.html)', page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "&amp;lt;" not in page
    assert "&amp;#" not in page


OPTIONS = " --company /srv/shop --lake /srv/lake"


def test_every_command_names_company_and_lake() -> None:
    groups = SchemeSummary("groups", "Groups", "", "behavioural", "clusters")
    means = {"feature": "spend_amount", "value": None, "cluster_mean": 2.0, "overall_mean": 1.0}
    everything = a_night_of_everything()
    night = replace(
        everything,
        schemes=[*everything.schemes, groups],
        profiles=[*everything.profiles, a_profile("big", 90, scheme="groups")],
        cluster_profiles=[{"scheme": "groups", "segment": "big", **means, "known_count": 90, "difference_rank": 1}],
        drifts=[{"scheme": "groups", "is_beyond": True}],
        campaigns=[*everything.campaigns, *everything.campaigns],
        proposals=[a_proposal("split", edit="Edit `segments/rfm.toml`, then run `segments plan`.")],
    )
    pages = [
        html_of(replace(night, command_options=OPTIONS)),
        html_of(a_night(profiles=[a_profile("lost", 3)], command_options=OPTIONS)),
        refused(gates=[CLOSED], command_options=OPTIONS),
    ]
    commands = [command for page in pages for command in re.findall(r"<code>(segments [^<]*)</code>", page)]
    assert {command.split()[1] for command in commands} == {"members", "refit", "campaign", "plan", "explain", "run"}
    assert [command for command in commands if not command.endswith(OPTIONS)] == []
    assert "<code>segments/rfm.toml</code>" in pages[0]


def test_same_night_same_page() -> None:
    tables = a_night(sales=sales_of(10, 10), flows=[a_flow("lost", "champions", "ageing", 20), a_flow("champions", "lost", "refund", 20)])
    assert html_of(tables) == html_of(replace(tables, flows=list(reversed(tables.flows)), profiles=list(reversed(tables.profiles))))


def test_download_holds_what_is_shown_and_no_formula() -> None:
    text = unquote(csv_link(("name", "count"), [("=1+1", 5), ("a,b", None)]).removeprefix("data:text/csv;charset=utf-8,"))
    assert list(csv.reader(StringIO(text.removeprefix("\ufeff")))) == [["name", "count"], ["'=1+1", "5"], ["a,b", ""]]


def test_numbers_are_written_as_the_reader_writes_them() -> None:
    assert (ENGLISH.money(Decimal("23.294"), "USD"), ENGLISH.money(Decimal("23.5"), "JPY")) == ("$23.29", "¥24")
    assert (ENGLISH.percent(0.0432), ENGLISH.percent(0.0001), ENGLISH.percent(0)) == ("4.3%", "<\xa00.1%", "0%")
    assert (ENGLISH.count(9), ENGLISH.count(0), ENGLISH.cell(3)) == ("fewer than 10", "0", "<\xa010")


def test_language_without_texts_is_english() -> None:
    assert PageLanguage.of("fr").code == "en"
