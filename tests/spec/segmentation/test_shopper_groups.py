"""The five shopper groups: who shows one, who just does not, and what decides between two."""

from __future__ import annotations

from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.builders import a_company, an_order_line, features_by_customer, parsed, write_order_lines, write_rows

from pipeline.definitions.company import PROJECT_ROOT, load_company
from pipeline.definitions.schemes import Scheme, load_schemes, without_unknown
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, MONTHLY_FEATURES, VISITS
from pipeline.reporting.explain.decide import SchemeCase

NIGHT = date(2024, 3, 31)
USUAL = {
    "discount_share_baseline": 0.05,
    "new_category_share_q75": 0.5,
    "category_entropy_q75": 1.5,
    "add_on_share_q75": 0.4,
    "return_share_q75": 0.1,
}
NOTHING = {
    **USUAL,
    "order_count": 5,
    "order_day_count": 5,
    "recency_days": 200,
    "rhythm_days": 40.0,
    "full_price_share": 0.9,
    "shrunk_discount_share": 0.06,
    "category_count": 4,
    "category_concentration": 0.3,
    "gap_variation": 0.8,
    "new_category_share": 0.5,
    "category_entropy": 1.5,
    "add_on_share": 0.4,
    "return_share": 0.1,
    "visit_count_90_days": None,
    "conversion_share": None,
    "conversion_share_q25": 0.1,
}
LOYAL = {"recency_days": 60, "order_day_count": 4, "full_price_share": 0.5}
BARGAIN = {"shrunk_discount_share": 0.3}
IMPULSE = {"new_category_share": 0.51, "add_on_share": 0.41, "gap_variation": 1.01}
NEED = {"category_concentration": 0.6, "gap_variation": 0.5, "shrunk_discount_share": 0.05}


@cache
def shopper_groups(example: str = "adventureworks") -> Scheme:
    found = load_schemes(load_company(PROJECT_ROOT / "examples" / example)).schemes
    return next(scheme for scheme in found if scheme.name == "shopper_groups")


def group(**row: Any) -> str | None:
    return SchemeCase(shopper_groups(), {}).segment_of({**NOTHING, **row})


@pytest.mark.parametrize(
    ("expected", "shown", "just_not"),
    [
        ("loyal", LOYAL, {"recency_days": 61}),
        ("loyal", LOYAL, {"order_day_count": 3}),
        ("loyal", LOYAL, {"full_price_share": 0.49}),
        ("bargain_hunter", BARGAIN, {"shrunk_discount_share": 0.29}),
        ("bargain_hunter", BARGAIN, {"discount_share_baseline": 0.11}),
        ("impulse", IMPULSE, {"new_category_share": 0.5}),
        ("impulse", IMPULSE, {"add_on_share": 0.4}),
        ("impulse", IMPULSE, {"gap_variation": 1.0}),
        ("impulse", {"category_entropy": 1.51, "return_share": 0.11, "add_on_share": 0.5}, {"return_share": 0.1}),
        ("need_based", NEED, {"category_concentration": 0.59}),
        ("need_based", NEED, {"gap_variation": 0.51}),
        ("need_based", NEED, {"shrunk_discount_share": 0.06}),
        ("need_based", {**NEED, "category_count": 2, "category_concentration": 0.5}, {"category_count": 3}),
    ],
)
def test_a_group_takes_who_shows_it_and_nobody_just_below(expected: str, shown: dict[str, Any], just_not: dict[str, Any]) -> None:
    assert group(**shown) == expected
    assert group(**{**shown, **just_not}) == "undetermined"


@pytest.mark.parametrize("shown", [LOYAL, BARGAIN, IMPULSE, NEED, {}])
def test_two_orders_are_too_few_to_tell(shown: dict[str, Any]) -> None:
    assert group(**{**shown, "order_count": 2}) == "insufficient_evidence"
    assert group(**{**shown, "order_count": 3}) != "insufficient_evidence"


def test_nobody_who_never_ordered_is_left_out() -> None:
    assert group(**{**dict.fromkeys(NOTHING), "order_count": 0}) == "insufficient_evidence"


def test_three_of_five_impulses_are_a_weaker_sign_than_all_of_another_group() -> None:
    assert group(**LOYAL, **IMPULSE) == "loyal"
    assert group(**BARGAIN, **IMPULSE) == "bargain_hunter"


def test_of_groups_that_are_shown_alike_the_narrower_one_wins() -> None:
    assert group(**LOYAL, **BARGAIN) == "bargain_hunter"
    assert group(**LOYAL, **NEED) == "need_based"


def test_what_is_not_known_is_no_sign() -> None:
    assert group(**{**LOYAL, "full_price_share": None}) == "undetermined"
    assert group(**IMPULSE, add_on_share_q75=None) == "undetermined"


LINES = """
    day        | customer_id | order_id | net_amount | discount_amount | category
    2024-01-05 | often       | o1       | 100        | 0               | tea
    2024-01-05 | often       | o1       | 25         | 0               | cups
    2024-01-05 | often       | o1       | 26         | 5               | cups
    2024-01-05 | often       | o1       | 0          | 0               | gifts
    2024-01-09 | often       | o2       | 10         | 0               | tea
    2024-02-09 | often       | o3       | 10         | 5               | tea
    2024-02-10 | once        | o4       | 10         | 0               | tea
    2024-02-10 | once        | o4       | 10         | 0               | tea
    """


def features(lake: Lake, text: str, *, day: date = NIGHT) -> dict[str, dict[str, Any]]:
    write_order_lines(lake, [an_order_line(number, **row) for number, row in enumerate(parsed(text), 1)], known_on=day)
    return features_by_customer(a_company(lake.root), lake, day)


def test_a_small_add_on_costs_at_most_a_quarter_of_the_dearest_line_of_its_order(lake: Lake) -> None:
    found = features(lake, LINES)
    assert found["often"]["add_on_share"] == 1 / 6
    assert found["once"]["add_on_share"] == 0


def test_entropy_is_nought_for_one_category_and_grows_with_their_number(lake: Lake) -> None:
    found = features(lake, LINES)
    assert found["once"]["category_entropy"] == 0
    assert found["often"]["category_entropy"] == pytest.approx(1.0114043, abs=1e-6)


def test_a_discount_share_is_shrunk_towards_that_of_all_lines(lake: Lake) -> None:
    found = features(lake, LINES)
    assert found["often"]["discount_share_baseline"] == 2 / 8
    assert found["often"]["shrunk_discount_share"] == pytest.approx((2 + 5 * 0.25) / (6 + 5))
    assert found["once"]["shrunk_discount_share"] == pytest.approx((0 + 5 * 0.25) / (2 + 5))


def test_what_is_usual_is_a_figure_of_a_customer_with_three_orders(lake: Lake) -> None:
    often = features(lake, LINES)["often"]
    for name in ("new_category_share", "category_entropy", "add_on_share", "return_share"):
        assert often[f"{name}_q75"] == often[name], name


def test_three_quarters_of_those_with_three_orders_are_at_or_below_what_is_usual(lake: Lake) -> None:
    orders = [
        f"2024-02-{day:02} | c{number} | c{number}-{day} | {price} | c{number}"
        for number in range(8)
        for day in range(1, 4)
        for price in (100, *[10] * number)
    ]
    found = features(lake, "\n".join(["day | customer_id | order_id | net_amount | category", *orders]))
    assert found["c0"]["add_on_share_q75"] == found["c5"]["add_on_share"] == 5 / 6


def test_nobody_is_moved_within_a_month_by_what_others_do(lake: Lake, tmp_path: Path) -> None:
    later = "\n".join(f"    2024-03-{day:02} | other{day} | p{day} | 10 | 5 | books" for day in range(2, 31))
    # Limits of scores are frozen once five customers have bought in 90 days.
    before = LINES + "\n".join(f"    2023-11-{day:02} | early{day} | e{day} | {day} | 0 | tea" for day in range(1, 7))
    quiet, busy = features(lake, before), features(Lake(tmp_path / "busy"), f"{before}\n{later}")
    assert {name: busy["often"][name] for name in MONTHLY_FEATURES} == {name: quiet["often"][name] for name in MONTHLY_FEATURES}
    assert busy["often"]["shrunk_discount_share"] == quiet["often"]["shrunk_discount_share"]


def test_a_new_month_brings_what_is_usual_then(lake: Lake) -> None:
    later = "\n".join(f"    2024-03-{day:02} | other{day} | p{day} | 10 | 5 | books" for day in range(2, 31))
    march = features(lake, LINES + later)
    april = features_by_customer(a_company(lake.root), lake, date(2024, 4, 1))
    assert march["often"]["discount_share_baseline"] == 2 / 8
    assert april["often"]["discount_share_baseline"] == (2 + 29) / (8 + 29)


def test_a_definition_that_is_edited_is_read_anew_by_the_same_process(tmp_path: Path) -> None:
    company, mine = a_company(tmp_path), tmp_path / "segments" / "shopper_groups.toml"
    before = {scheme.name: scheme for scheme in load_schemes(company).schemes}["shopper_groups"]
    mine.parent.mkdir(exist_ok=True)
    mine.write_text(before.file.read_text("utf-8").replace('title = "', 'title = "Our ', 1), "utf-8")
    after = {scheme.name: scheme for scheme in load_schemes(company).schemes}["shopper_groups"]
    assert (after.title, after.file) == (f"Our {before.title}", mine)


WANDERING = {"visit_count_90_days": 5, "conversion_share": 0.2, "conversion_share_q25": 0.2}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (WANDERING, "wandering"),
        ({**WANDERING, "order_count": 0}, "wandering"),
        ({**WANDERING, "visit_count_90_days": 4}, "undetermined"),
        ({**WANDERING, "conversion_share": 0.21}, "undetermined"),
        ({**WANDERING, "conversion_share_q25": None}, "undetermined"),
        ({**WANDERING, **LOYAL}, "loyal"),
        ({**WANDERING, **IMPULSE}, "wandering"),
        ({"visit_count_90_days": 3, "order_count": 2}, "undetermined"),
        ({"visit_count_90_days": 2, "order_count": 2}, "insufficient_evidence"),
    ],
)
def test_a_wanderer_visits_often_and_seldom_buys(row: dict[str, Any], expected: str) -> None:
    assert group(**row) == expected


@pytest.mark.parametrize(
    ("needs", "left"),
    [
        ("visits", ["insufficient_evidence", "bargain_hunter", "need_based", "loyal", "impulse", "undetermined"]),
        ("discount_amount", ["insufficient_evidence", "impulse", "wandering", "undetermined"]),
        ("category", ["insufficient_evidence", "bargain_hunter", "loyal", "wandering", "undetermined"]),
    ],
)
def test_without_what_tells_of_a_group_nobody_is_said_to_be_in_it_and_the_company_is_told_why(needs: str, left: list[str]) -> None:
    loaded = load_schemes(load_company(PROJECT_ROOT / "examples" / "adventureworks"))
    told = without_unknown(loaded, {column.name: needs for column in CUSTOMER_FEATURES.columns if column.needs == needs})
    found = next(scheme for scheme in told.schemes if scheme.name == "shopper_groups")
    assert [segment.id for segment in found.segments] == left
    gone = {segment.id for segment in shopper_groups().segments} - set(left)
    assert {name: reason for name, reason in told.not_computed.items() if name.startswith("shopper_groups")} == {
        f"shopper_groups.{name}": f"needs {needs}" for name in gone
    }
    everybody = {**NOTHING, **dict.fromkeys(column.name for column in CUSTOMER_FEATURES.columns if column.needs == needs)}
    for shown in (LOYAL, BARGAIN, IMPULSE, NEED, WANDERING, {}):
        row = {**NOTHING, **shown, **{name: None for name, value in everybody.items() if value is None}}
        assert SchemeCase(found, {}).segment_of(row) in left


def visits(lake: Lake, text: str, *, known_on: date = NIGHT) -> None:
    """Write clean visits; the day of each is its event day."""
    rows = [{"visit_id": f"{known_on}-{number}", **row} for number, row in enumerate(parsed(text))]
    for day in {row["day"] for row in rows}:
        at = datetime.fromisoformat(f"{day}T12:00:00+00:00")
        of_day = [{**row, "visited_at": at} for row in rows if row["day"] == day]
        write_rows(lake, VISITS, of_day, day=date.fromisoformat(day), known_on=known_on)


SEEN = """
    day        | customer_id
    2024-01-01 | often
    2024-01-02 | often
    2024-02-09 | often
    2024-02-20 | often
    2024-03-31 | often
    2024-02-10 | once
    2024-03-30 | never
    """


def test_conversion_is_order_days_per_visit_in_90_days(lake: Lake) -> None:
    visits(lake, SEEN)
    found = features(lake, LINES)
    assert [found[name]["visit_count_90_days"] for name in ("often", "once")] == [4, 1]
    assert [found[name]["conversion_share"] for name in ("often", "once")] == [3 / 4, 1]
    assert "never" not in found


def test_what_visitors_usually_buy_is_frozen_and_counts_those_with_three_visits(lake: Lake) -> None:
    visits(lake, SEEN)
    march = features(lake, LINES)
    april = features_by_customer(a_company(lake.root), lake, date(2024, 4, 1))
    assert march["once"]["conversion_share_q25"] == 3 / 4  # on 1 March, of four visits
    assert april["once"]["conversion_share_q25"] == 3 / 3  # on 1 April, without those of 1 and 2 January


def test_visits_that_became_known_later_change_nothing_of_an_earlier_night(lake: Lake) -> None:
    visits(lake, SEEN)
    before = features(lake, LINES)
    visits(lake, SEEN.replace("2024-01-01 | often", "2024-03-31 | often"), known_on=date(2024, 4, 1))
    assert features_by_customer(a_company(lake.root), lake, NIGHT) == before
    assert features_by_customer(a_company(lake.root), lake, date(2024, 4, 1))["often"]["visit_count_90_days"] == 4
