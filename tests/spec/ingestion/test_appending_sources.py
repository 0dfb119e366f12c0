"""Sources that hold only what is new: noticed where they are taken for everything, and added to what is known where declared."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.extractions import (
    ORDER_LINES_SQL,
    Shop,
    a_customer,
    a_line,
    a_shop_folder,
    order_ids,
    raw_lines,
    run_extract,
    write_files,
    write_query,
)
from support.nights import tree_bytes

from pipeline.definitions.company import Company
from pipeline.definitions.gate_limits import GateLimits
from pipeline.errors import GateClosed
from pipeline.lake.lake import Lake
from pipeline.lake.tables import EXTRACTIONS, LATE_DAYS, RAW_CUSTOMERS, RAW_ORDER_LINES, RAW_VISITS

FIRST, SECOND, THIRD = date(2024, 3, 10), date(2024, 3, 11), date(2024, 3, 12)
Row = dict[str, Any]
ORDER_LINES_WITHOUT_VISITS = ORDER_LINES_SQL.replace("WHERE (", "WHERE order_id NOT LIKE 'v%' AND (")


def sold(order: int, day: int, **given: Any) -> Row:
    return a_line(order, f"2024-03-{day:02} 12:00", **given)


def give(company: Company, lines: list[Row], *customers: Row) -> None:
    write_files(company, Shop(list(customers) or [a_customer(1)], lines))


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return a_shop_folder(tmp_path / "shop", first_day=date(2024, 3, 1))


@pytest.fixture
def lake(company: Company, tmp_path: Path) -> Lake:
    """Return a lake that knows two lines of the first night and one of the day before."""
    lake = Lake(tmp_path / "lake")
    give(company, [sold(1, 10), sold(2, 10), sold(3, 9)])
    run_extract(company, lake, FIRST)
    return lake


def appending(company: Company, *sources: str) -> Company:
    return replace(company, source=replace(company.source, appended=frozenset(sources or ("order_lines",))))


# A source that is taken for everything


@pytest.mark.parametrize("lines", [[sold(4, 11)], []], ids=["the new day alone", "nothing at all"])
def test_a_source_without_any_known_line_is_not_read_and_the_setting_for_it_is_named(
    company: Company, lake: Lake, lines: list[Row]
) -> None:
    before = tree_bytes(lake, "tables")
    give(company, lines)
    with pytest.raises(GateClosed) as refused:
        run_extract(company, lake, SECOND)
    assert f"the source has none of the 3 order lines known of 2024-03-09 to 2024-03-10, and {len(lines)} order line" in str(refused.value)
    assert 'write `order_lines = "append"` under [source]' in str(refused.value)
    assert tree_bytes(lake, "tables") == before


@pytest.mark.parametrize(("lookback", "checked"), [(1, 30), (3, 0), (1, 1)])
def test_it_is_noticed_whether_its_days_are_read_or_only_checked(tmp_path: Path, lake: Lake, lookback: int, checked: int) -> None:
    company = a_shop_folder(tmp_path / "shop", first_day=date(2024, 3, 1), lookback_days=lookback, late_check_days=checked)
    give(company, [sold(4, 11)])
    with pytest.raises(GateClosed, match="none of the"):
        run_extract(company, lake, SECOND)


def test_days_that_are_neither_read_nor_checked_are_not_missed(tmp_path: Path, lake: Lake) -> None:
    company = a_shop_folder(tmp_path / "shop", first_day=date(2024, 3, 1), lookback_days=1, late_check_days=0)
    give(company, [sold(4, 11)])
    run_extract(company, lake, SECOND)
    assert order_ids(lake, FIRST, SECOND) == ["o1", "o2"]


@pytest.mark.parametrize(("kept", "is_read"), [(9, False), (10, True)])
def test_half_of_many_known_lines_may_be_gone_and_not_more(company: Company, tmp_path: Path, kept: int, *, is_read: bool) -> None:
    lake, lines = Lake(tmp_path / "other"), [sold(n, 9) for n in range(20)]
    give(company, lines)
    run_extract(company, lake, FIRST)
    give(company, [*lines[:kept], *(sold(n, 11) for n in range(50, 90))])
    if is_read:
        run_extract(company, lake, SECOND)
    else:
        with pytest.raises(GateClosed, match="has 9 of the 20 order lines known of 2024-03-09, and 40 order lines of the night"):
            run_extract(company, lake, SECOND)


def test_some_of_few_known_lines_may_be_gone(company: Company, lake: Lake) -> None:
    give(company, [sold(1, 10)])
    run_extract(company, lake, SECOND)
    assert order_ids(lake, FIRST, SECOND) == ["o1"]


def test_who_accepts_the_loss_or_switched_the_gate_off_may_read_it(company: Company, lake: Lake) -> None:
    give(company, [sold(4, 11)])
    run_extract(replace(company, limits=GateLimits(off=("vanished",))), lake, SECOND)
    assert order_ids(lake, FIRST, SECOND) == []
    give(company, [sold(5, 12)])
    run_extract(company, lake, THIRD, is_loss_accepted=True)
    assert order_ids(lake, SECOND, THIRD) == []


# A source that appends


def test_days_that_it_does_not_give_stay_as_known_and_nothing_is_called_late(company: Company, lake: Lake) -> None:
    give(company, [sold(4, 11)])
    run_extract(appending(company), lake, SECOND)
    assert [order_ids(lake, day, SECOND) for day in (date(2024, 3, 9), FIRST, SECOND)] == [["o3"], ["o1", "o2"], ["o4"]]
    assert not lake.has(LATE_DAYS, day=SECOND)


def test_a_line_given_later_is_added_to_its_day_however_old_and_one_of_a_known_key_replaces_it(company: Company, lake: Lake) -> None:
    give(company, [sold(4, 11), sold(5, 10), sold(2, 10, paid=Decimal(1), cancelled=True), sold(6, 2)])
    run_extract(appending(company), lake, SECOND)
    assert [(row["order_id"], row["net_amount"], row["is_cancelled"]) for row in raw_lines(lake, FIRST, SECOND)] == [
        ("o1", Decimal("9.99"), None),
        ("o2", Decimal(1), True),
        ("o5", Decimal("9.99"), None),
    ]
    assert order_ids(lake, date(2024, 3, 2), SECOND) == ["o6"]
    assert order_ids(lake, FIRST, FIRST) == ["o1", "o2"]  # the first night keeps what it knew


def test_reading_again_adds_nothing_twice_not_even_rows_without_a_key_or_an_instant(company: Company, lake: Lake) -> None:
    give(company, [sold(4, 11), sold(5, 10), {**sold(6, 10), "order_id": None}, a_line(7, None), sold(8, 11), sold(8, 11)])
    run_extract(appending(company), lake, SECOND)
    once = tree_bytes(lake, "tables")
    run_extract(appending(company), lake, SECOND, reread=True)
    assert tree_bytes(lake, "tables") == once
    assert lake.read(EXTRACTIONS, day=SECOND)["first_day"].to_pylist() == [None, None]


def test_a_night_read_again_after_the_next_delivery_keeps_what_it_was_given(company: Company, lake: Lake) -> None:
    give(company, [sold(4, 11)])
    run_extract(appending(company), lake, SECOND)
    give(company, [sold(5, 12), sold(6, 11)])
    run_extract(appending(company), lake, SECOND, reread=True)
    run_extract(appending(company), lake, THIRD)
    assert [order_ids(lake, day, THIRD) for day in (FIRST, SECOND, THIRD)] == [["o1", "o2"], ["o4", "o6"], ["o5"]]


def test_lines_given_in_several_overlapping_deliveries_are_known_once_each(company: Company, tmp_path: Path) -> None:
    lake, lines = Lake(tmp_path / "other"), [sold(n, 1 + n % 12) for n in range(24)]
    for day, delivery in zip((FIRST, SECOND, THIRD), (lines[:10], lines[5:23], lines[10:]), strict=True):
        give(company, delivery)
        run_extract(appending(company), lake, day)
    expected = {day: sorted(f"o{n}" for n in range(24) if 1 + n % 12 == day) for day in range(1, 13)}
    assert {day: order_ids(lake, date(2024, 3, day), THIRD) for day in range(1, 13)} == expected


def test_customers_given_as_changes_stay_known_and_the_changed_ones_are_replaced(company: Company, lake: Lake) -> None:
    give(company, [sold(1, 10), sold(2, 10), sold(3, 9)], a_customer(2), a_customer(1, name="new name"))
    run_extract(appending(company, "customers"), lake, SECOND)
    rows = lake.read(company.table(RAW_CUSTOMERS), known_on=SECOND).to_pylist()
    assert [(row["customer_id"], row["nickname"]) for row in rows] == [("c1", "new name"), ("c2", None)]
    give(company, [sold(1, 10), sold(2, 10), sold(3, 9)], a_customer(3))
    run_extract(appending(company, "customers"), lake, THIRD)
    assert lake.read(company.table(RAW_CUSTOMERS), known_on=THIRD)["customer_id"].to_pylist() == ["c1", "c2", "c3"]


def test_visits_are_read_as_before_beside_lines_that_append(company: Company, lake: Lake) -> None:
    visits = "SELECT order_id AS visit_id, customer_id, sold_at AS visited_at FROM lines WHERE sold_at >= $day_start AND sold_at < $day_end"
    write_query(company.folder, "visits", visits)
    give(company, [sold(4, 11), sold(5, 8)])
    for night, first in ((SECOND, None), (THIRD, date(2024, 3, 10))):  # the first night that reads visits reads all of them
        run_extract(appending(company), lake, night)
        read = {row["source_table"]: row["first_day"] for row in lake.read(EXTRACTIONS, day=night).to_pylist()}
        assert read == {RAW_ORDER_LINES.name: None, RAW_CUSTOMERS.name: None, RAW_VISITS.name: first}
    before = tree_bytes(lake, "tables")
    run_extract(appending(company), lake, THIRD, reread=True)
    assert tree_bytes(lake, "tables") == before


def test_visits_of_the_new_day_alone_are_not_read_as_all_visits(company: Company, lake: Lake) -> None:
    query = "SELECT order_id AS visit_id, customer_id, sold_at AS visited_at FROM lines WHERE order_id {} LIKE 'v%'"
    write_query(company.folder, "visits", query.format(""))
    kept = [sold(1, 10), sold(2, 10), sold(3, 9)]
    give(company, [*kept, *(sold(n, 10, order_id=f"v{n}") for n in range(3))])
    run_extract(company, lake, FIRST, reread=True)
    give(company, [*kept, sold(9, 11, order_id="v9")])
    write_query(company.folder, "order_lines", ORDER_LINES_WITHOUT_VISITS)
    with pytest.raises(
        GateClosed, match="the source has none of the 3 visits known of 2024-03-10, and 1 visit of the night itself"
    ) as refused:
        run_extract(company, lake, SECOND)
    assert 'write `visits = "append"`' in str(refused.value)
    run_extract(appending(company, "visits"), lake, SECOND)
    assert [len(raw_lines(lake, day, SECOND, RAW_VISITS)) for day in (FIRST, SECOND)] == [3, 1]
