"""What a source does not give is unknown, never zero: figures, as far as lines say, and from the night on that they say it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.builders import a_company, an_order_line, features_by_customer, write_customers, write_order_lines, write_rows

from pipeline.features import partly_known_columns, unknown_features
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, VISITS

NIGHT = date(2024, 3, 31)
NEEDING = {
    needs: tuple(column.name for column in CUSTOMER_FEATURES.columns if column.needs == needs)
    for needs in ("category", "channel", "discount_amount", "visits")
}
GIVEN = {"category": "tea", "channel": "web", "discount_amount": "0"}


def lines(*given: dict[str, Any]) -> list[dict[str, Any]]:
    return [an_order_line(number, **each) for number, each in enumerate(given, 1)]


def bought(day: str, customer: str, **given: Any) -> dict[str, Any]:
    return {"day": day, "customer_id": customer, "order_id": f"{customer}-{day}", **GIVEN, **given}


def computed(lake: Lake, rows: list[dict[str, Any]], day: date = NIGHT) -> dict[str, dict[str, Any]]:
    company = a_company(lake.root)
    write_customers(lake, company, [{"customer_id": "never"}], known_on=day)
    write_order_lines(lake, lines(*rows), known_on=day)
    return features_by_customer(company, lake, day)


@pytest.mark.parametrize("column", GIVEN)
def test_without_a_column_nobody_has_a_figure_that_is_made_of_it(lake: Lake, column: str) -> None:
    found = computed(lake, [bought(day, "ann", **{column: None}) for day in ("2024-01-02", "2024-02-02", "2024-02-20", "2024-03-02")])
    assert {row[name] for row in found.values() for name in NEEDING[column]} == {None}
    assert {name: needs for name, needs in unknown_features(lake, NIGHT).items() if needs != "visits"} == dict.fromkeys(
        NEEDING[column], column
    )
    others = {name for needs in GIVEN if needs != column for name in NEEDING[needs]}
    assert all(found["ann"][name] is not None for name in others)


def test_with_every_column_given_only_visits_are_unknown(lake: Lake) -> None:
    found = computed(lake, [bought(f"2024-0{month}-02", "ann") for month in (1, 2, 3)])
    assert unknown_features(lake, NIGHT) == dict.fromkeys(NEEDING["visits"], "visits")
    # Who bought nothing bought it in no category, and nothing of it at a discount: that is known.
    assert (found["never"]["category_count"], found["never"]["discounted_line_count"]) == (0, 0)
    assert (found["never"]["favourite_category"], found["never"]["discount_share"]) == (None, None)


def test_a_night_with_visits_lacks_none_of_their_figures(lake: Lake) -> None:
    visit = {"visit_id": "v", "customer_id": "ann", "visited_at": an_order_line(1, day="2024-03-02")["ordered_at"]}
    write_rows(lake, VISITS, [visit], day=date(2024, 3, 2), known_on=NIGHT)
    computed(lake, [bought("2024-03-02", "ann")])
    assert unknown_features(lake, NIGHT) == {}


def test_a_company_without_any_line_lacks_no_column(lake: Lake) -> None:
    found = computed(lake, [])
    assert set(unknown_features(lake, NIGHT).values()) == {"visits"}
    assert found["never"]["category_count"] is None


def test_figures_go_by_the_lines_that_say_something(lake: Lake) -> None:
    found = computed(
        lake,
        [
            bought("2024-03-01", "ann", net_amount="90", discount_amount="10"),
            bought("2024-03-01", "ann", net_amount="30", discount_amount="0"),
            bought("2024-03-01", "ann", net_amount="80", discount_amount=None, category=None, channel=None),
            bought("2024-03-02", "bob", discount_amount=None, category=None, channel=None),
        ],
    )
    ann, bob = found["ann"], found["bob"]
    assert (ann["line_count"], ann["discount_known_line_count"], ann["discounted_line_count"]) == (3, 2, 1)
    assert (ann["discount_share"], ann["full_price_share"]) == (0.5, 0.25)
    assert (ann["category_count"], ann["category_concentration"], ann["category_entropy"]) == (1, 1.0, 0.0)
    assert (ann["main_channel"], ann["main_channel_share"]) == ("web", 1.0)
    # 1 of 2 known lines on 2024-03-01, when the baseline was frozen: (1 + 5 * 0.5) / (2 + 5).
    assert (ann["discount_share_baseline"], ann["shrunk_discount_share"]) == (0.5, 0.5)
    own = [*NEEDING["category"], *NEEDING["channel"], *NEEDING["discount_amount"]]
    usual = ("discount_share_baseline", "category_entropy_q75", "new_category_share_q75")
    assert {bob[name] for name in own if name not in usual} == {None}
    assert partly_known_columns(lake, NIGHT) == {"discount_amount": (2, 4), "category": (2, 4), "channel": (2, 4)}


def test_a_column_that_the_source_begins_to_give_counts_from_then_on(lake: Lake) -> None:
    company, earlier = a_company(lake.root), date(2024, 3, 19)
    old = [bought(f"2024-{month:02}-05", "ann", category=None, discount_amount=None) for month in (1, 2, 3)]
    first = computed(lake, old, day=earlier)
    assert unknown_features(lake, earlier)["favourite_category"] == "category"
    new = [bought("2024-03-20", "ann", category=name, discount_amount="5") for name in ("tea", "cups")]
    write_order_lines(lake, lines(*new), known_on=date(2024, 3, 20))
    now = features_by_customer(company, lake, date(2024, 3, 20))["ann"]
    assert (now["category_count"], now["discount_share"], now["line_count"]) == (2, 1.0, 5)
    # Nobody knows whether tea and cups are new to Ann: what she bought before is unknown.
    assert now["new_category_share"] is None
    # What is usual was frozen on the first, when no discount was known.
    lacking = unknown_features(lake, date(2024, 3, 20))
    assert lacking["shrunk_discount_share"] == lacking["discount_share_baseline"] == "discount_amount on 2024-03-01"
    assert "discount_share" not in lacking
    # The next one, of whatever category, can be told.
    write_order_lines(lake, lines(bought("2024-04-01", "ann", category="cake")), known_on=date(2024, 4, 1))
    april = features_by_customer(company, lake, date(2024, 4, 1))["ann"]
    assert (april["new_category_share"], april["discount_share_baseline"]) == (1.0, 2 / 3)
    assert unknown_features(lake, date(2024, 4, 1)) == dict.fromkeys(NEEDING["visits"], "visits")
    # The night before knows what it knew.
    assert features_by_customer(company, lake, earlier) == first


def test_once_its_last_line_has_left_the_window_a_column_is_unknown_again(lake: Lake) -> None:
    company = a_company(lake.root, window_days=30)
    write_order_lines(lake, lines(bought("2024-01-31", "ann"), bought("2024-02-20", "ann", category=None)), known_on=NIGHT)
    assert "category_count" not in _unknown_on(company, lake, date(2024, 2, 29))
    assert _unknown_on(company, lake, date(2024, 3, 1))["category_count"] == "category"


def _unknown_on(company: Any, lake: Lake, day: date) -> dict[str, str]:
    features_by_customer(company, lake, day)
    return unknown_features(lake, day)


def test_rolled_forward_nights_equal_those_computed_at_once(tmp_path: Path) -> None:
    rows = [
        bought(f"2024-{month:02}-{day:02}", customer, **{name: None for name in GIVEN if (month + day + place) % 3 == 0})
        for place, customer in enumerate(("ann", "bob", "cem"))
        for month in range(1, 6)
        for day in (place + 1, place + 12)
    ]
    at_once, nightly = Lake(tmp_path / "once"), Lake(tmp_path / "nightly")
    last = date(2024, 5, 20)
    for lake in (at_once, nightly):
        (lake.root).mkdir(parents=True)
        write_order_lines(lake, lines(*rows), known_on=date(2023, 12, 31))
    for day in (date(2024, 3, 1), date(2024, 3, 2), date(2024, 4, 13), date(2024, 5, 1), last):
        found = features_by_customer(a_company(nightly.root, window_days=40), nightly, day)
    assert found == features_by_customer(a_company(at_once.root, window_days=40), at_once, last)
