"""Rows that the source learned, changed or dropped after their day was read: inside the lookback, before it, and on request."""

from __future__ import annotations

import logging
import shutil
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from support.extractions import Shop, a_customer, a_line, a_shop_folder, local, order_ids, run_extract, write_files
from support.nights import night_of, run_night, tree_bytes, write_shop

from pipeline.calendar import days_between
from pipeline.definitions.company import Company, load_company
from pipeline.errors import ConfigError, GateClosed
from pipeline.ingestion.compared_days import days_to_compare
from pipeline.ingestion.versions import stored_facts
from pipeline.lake import addresses
from pipeline.lake.lake import Lake, Version
from pipeline.lake.tables import CUSTOMER_FEATURES, EXTRACTIONS, LATE_DAYS, RAW_ORDER_LINES
from pipeline.operations import steps
from pipeline.reporting.source_notices import late_days_of

FIRST, LAST, NEXT = date(2024, 3, 10), date(2024, 3, 20), date(2024, 3, 21)
Row = dict[str, Any]


def sold(order: int, day: int, **given: Any) -> Row:
    return a_line(order, f"2024-03-{day:02} 12:00", **given)


LINES = [sold(number, 1 + number) for number in range(19)]


def read(company: Company, lake: Lake, day: date, lines: list[Row], **options: Any) -> None:
    write_files(company, Shop([a_customer(1)], lines))
    run_extract(company, lake, day, **options)


def late(lake: Lake, night: date = NEXT) -> dict[int, tuple[Any, ...]]:
    """Return by day of March what source and lake have: rows, rows, amount, amount."""
    if not lake.has(LATE_DAYS, day=night):
        return {}
    rows = lake.read(LATE_DAYS, day=night).drop_columns(["source_table"]).to_pylist()
    return {row.pop("event_day").day: tuple(row.values()) for row in rows}


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return a_shop_folder(tmp_path / "shop", first_day=date(2024, 3, 1))


@pytest.fixture(scope="module")
def read_to_last(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a lake that has read every line up to LAST."""
    folder = tmp_path_factory.mktemp("read")
    shop = a_shop_folder(folder / "shop", first_day=date(2024, 3, 1))
    for day in (FIRST, LAST):
        read(shop, Lake(folder / "lake"), day, LINES)
    return folder / "lake"


@pytest.fixture
def lake(company: Company, read_to_last: Path, tmp_path: Path) -> Lake:
    """Return a lake that has read every line of the company up to LAST."""
    write_files(company, Shop([a_customer(1)], LINES))
    return Lake(shutil.copytree(read_to_last, tmp_path / "lake", symlinks=True))


# What a night says of days that it does not read


def test_nothing_is_late_while_the_source_only_grows(company: Company, lake: Lake) -> None:
    read(company, lake, NEXT, [*LINES, sold(99, 21)])
    assert [late(lake, night) for night in (FIRST, LAST, NEXT)] == [{}, {}, {}]


def test_late_vanished_and_changed_lines_before_the_lookback_are_counted_and_named_and_leave_what_is_known(
    company: Company, lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    before = tree_bytes(lake, "tables/raw_order_lines")
    changed = [*LINES[:6], {**LINES[6], "paid": Decimal("4.50")}, *LINES[8:], sold(50, 4), sold(51, 4), sold(52, 5)]
    with caplog.at_level(logging.WARNING):
        read(company, lake, NEXT, changed)
    price = Decimal("9.9900")
    assert late(lake) == {
        4: (3, 1, 3 * price, price),
        5: (2, 1, 2 * price, price),
        7: (1, 1, Decimal("4.5000"), price),
        8: (0, 1, Decimal(0), price),
    }
    assert (
        "3 late lines and 1 vanished line and 1 changed amount of 4 days before the lookback, 2024-03-04 to 2024-03-08: "
        "segments backfill --reread --from 2024-03-04 --to 2024-03-08"
    ) in caplog.text
    after = tree_bytes(lake, "tables/raw_order_lines")
    assert {name: content for name, content in after.items() if "known=2024-03-21" not in name} == before
    assert [version.day for version in lake.versions(RAW_ORDER_LINES) if version.known_on == NEXT] == [NEXT]


@pytest.mark.parametrize(
    "change",
    [
        {"cancelled": True},
        {"customer_id": "c2"},
        {"order_id": "o8"},
        {"line": 2},
        {"sold_at": local("2024-03-07 12:00:00.000001")},
        {"pieces": Decimal("1.001")},
        {"discount": Decimal("0.5")},
        {"product": ""},
        {"category": "b"},
        {"refund_of": date(2024, 3, 1)},
        {"currency": "EUR"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_line_that_says_something_else_is_named_though_count_and_sum_of_its_day_are_as_known(
    company: Company, lake: Lake, caplog: pytest.LogCaptureFixture, change: Row
) -> None:
    with caplog.at_level(logging.WARNING):
        read(company, lake, NEXT, [*LINES[:6], {**LINES[6], **change}, *LINES[7:]])
    assert late(lake) == {7: (1, 1, Decimal("9.9900"), Decimal("9.9900"))}
    assert "changed lines of 1 day before the lookback, 2024-03-07 to 2024-03-07: segments backfill --reread" in caplog.text
    read(company, lake, NEXT, [*LINES[:6], {**LINES[6], **change}, *LINES[7:]], since=date(2024, 3, 7))
    assert late(lake) == {}


def test_a_line_without_a_value_is_no_line_whose_value_is_empty(company: Company, lake: Lake) -> None:
    swapped = [*LINES[:6], {**LINES[6], "product": "1:a", "category": None}, *LINES[7:]]
    read(company, lake, LAST, swapped, since=date(2024, 3, 7))
    read(company, lake, NEXT, [*LINES[:6], {**LINES[6], "product": None, "category": "1:a"}, *LINES[7:]])
    assert list(late(lake)) == [7]


def test_a_late_line_inside_the_lookback_is_read_and_not_called_late(company: Company, lake: Lake) -> None:
    read(company, lake, NEXT, [*LINES, sold(50, 19)])
    assert late(lake) == {}
    assert order_ids(lake, date(2024, 3, 19), NEXT) == ["o18", "o50"]


def test_days_that_a_night_caught_up_on_are_not_called_late(company: Company, lake: Lake) -> None:
    later = date(2024, 3, 27)
    read(company, lake, later, [*LINES, sold(50, 22), sold(51, 23), sold(52, 20)])
    assert late(lake, later) == {20: (1, 0, Decimal("9.9900"), Decimal(0))}


@pytest.mark.parametrize(("days", "expected"), [(0, []), (1, [1, 18]), (5, [1, 18]), (12, [1, 7, 18]), (10**6, [1, 7, 18])])
def test_a_night_looks_back_as_far_as_the_company_says_and_never_before_its_first_day(
    tmp_path: Path, lake: Lake, days: int, expected: list[int]
) -> None:
    # Of what lies before, as many days beginning with the first, whose turn it is.
    company = a_shop_folder(tmp_path / "shop", first_day=date(2024, 3, 1), late_check_days=days)
    lines = [*LINES, *(sold(60 + day, day) for day in (1, 7, 18)), a_line(90, "2024-02-29 12:00"), a_line(91, None)]
    read(company, lake, NEXT, lines)
    assert list(late(lake)) == expected


def test_older_days_are_compared_in_turn_and_what_differs_is_named_until_it_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    company, lake = a_shop_folder(tmp_path / "shop", first_day=date(2023, 1, 1), late_check_days=10), Lake(tmp_path / "lake")
    days = [date(2024, 3, 1) - timedelta(days=back) for back in range(45)]  # from the 17th of January on
    lines = [a_line(n, local(f"{day} 12:00")) for n, day in enumerate(days)]
    read(company, lake, days[0], lines)
    nights = [days[0] + timedelta(days=number) for number in range(1, 10)]
    cancelled = [line | ({"cancelled": True} if line["order_id"] in ("o44", "o20") else {}) for line in lines]  # 17 January, 10 February
    found: list[list[str]] = []
    for night in nights[:5]:
        read(company, lake, night, cancelled)
        found.append([str(day) for day in late_days_of(lake, night)])
    # Compared are the 10 days up to two days before, and of those before them 17 to 26 January, then 27 January to 5 February, ...
    assert found == [
        ["2024-01-17"],
        ["2024-01-17"],
        ["2024-01-17", "2024-02-10"],
        ["2024-01-17", "2024-02-10"],
        ["2024-01-17", "2024-02-10"],
    ]
    read(company, lake, date(2024, 2, 10), cancelled, reread=True)
    with caplog.at_level(logging.WARNING):
        read(company, lake, nights[5], cancelled)
    assert (
        "changed lines of 1 day before the lookback, 2024-01-17 to 2024-01-17: segments backfill --reread --from 2024-01-17" in caplog.text
    )
    read(company, lake, nights[6], cancelled, since=date(2024, 1, 17))
    read(company, lake, nights[7], lines)
    read(company, lake, nights[8], lines)
    assert [list(late(lake, night)) for night in (nights[6], nights[8])] == [[], [17]]


@pytest.mark.parametrize("step", [1, 3, 7])
def test_every_older_day_has_its_turn_however_seldom_nights_are_run(tmp_path: Path, step: int) -> None:
    company, lake = a_shop_folder(tmp_path / "shop", first_day=date(2023, 6, 1), late_check_days=20), Lake(tmp_path / "lake")
    lines = [a_line(n, local(f"{date(2023, 6, 1) + timedelta(days=n)} 12:00")) for n in range(0, 270, 5)]
    write_files(company, Shop([a_customer(1)], lines))
    compared: set[date] = set()
    night, last = date(2024, 3, 1), None
    for _ in range(14):
        run_extract(company, lake, night)
        first = stored_facts(lake, addresses.partition(EXTRACTIONS, day=night))["first_day"]
        if first and (days := days_to_compare(company, lake, "order_lines", date.fromisoformat(first), last)):
            compared.update(day for span in days.spans for day in days_between(span.first, span.last))
            assert sum((span.last - span.first).days + 1 for span in days.spans) <= 40
        night, last = night + timedelta(days=step), night
    assert compared >= set(days_between(date(2023, 6, 1), date(2024, 3, 1) - timedelta(days=3)))


def test_a_night_run_out_of_turn_compares_with_all_that_is_known_by_now(company: Company, lake: Lake) -> None:
    mended = [*LINES, sold(50, 12)]
    read(company, lake, NEXT, mended, since=date(2024, 3, 12))
    read(company, lake, date(2024, 3, 18), mended)
    assert late(lake, date(2024, 3, 18)) == {}


def test_days_whose_stored_file_is_damaged_are_named(company: Company, lake: Lake) -> None:
    lake.path(RAW_ORDER_LINES, day=date(2024, 3, 5), known_on=FIRST).write_bytes(b"torn")
    read(company, lake, NEXT, LINES)
    named = late(lake)
    assert named[5] == (1, None, Decimal("9.9900"), None)
    assert list(named) == list(range(1, 19))
    assert {row[1] for row in named.values()} == {None}


def test_a_night_that_is_not_read_again_keeps_what_it_said(company: Company, lake: Lake) -> None:
    read(company, lake, NEXT, [*LINES, sold(50, 4)])
    before = tree_bytes(lake, "tables/late_days")
    read(company, lake, NEXT, [*LINES, sold(50, 4), sold(51, 5)])
    assert tree_bytes(lake, "tables/late_days") == before
    read(company, lake, NEXT, [*LINES, sold(50, 4), sold(51, 5)], reread=True)
    assert list(late(lake)) == [4, 5]


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Pacific/Apia", "America/Santiago", "Asia/Kathmandu"])
def test_a_source_counts_days_as_the_lake_cuts_them(tmp_path: Path, zone: str) -> None:
    company = a_shop_folder(tmp_path / "shop", first_day=date(2024, 3, 1), zone=ZoneInfo(zone))
    lake = Lake(tmp_path / "lake")
    quarters = [datetime(2024, 3, 9, tzinfo=UTC) + n * timedelta(minutes=15) for n in range(96 * 3)]
    lines = [a_line(number, at) for number, at in enumerate(quarters)]
    for night in (date(2024, 3, 15), date(2024, 3, 19)):
        read(company, lake, night, lines)
    assert late(lake, date(2024, 3, 19)) == {}


# Reading further back on request


def test_reading_since_a_day_learns_what_differs_from_there_on_and_rereading_the_night_reads_as_far(company: Company, lake: Lake) -> None:
    mended = [*LINES, sold(50, 4), sold(51, 12)]
    read(company, lake, NEXT, mended, since=date(2024, 3, 12))
    assert [version.day.day for version in lake.versions(RAW_ORDER_LINES) if version.known_on == NEXT] == [12, 21]
    assert list(late(lake)) == [4]
    read(company, lake, NEXT, [*mended, sold(52, 13)], reread=True)
    assert order_ids(lake, date(2024, 3, 13), NEXT) == ["o12", "o52"]
    firsts = [row["first_day"] for row in lake.read(EXTRACTIONS, day=NEXT).to_pylist() if row["first_day"]]
    assert firsts == [date(2024, 3, 12)]


def test_reading_since_a_day_inside_the_window_reads_no_less_than_before(company: Company, lake: Lake) -> None:
    read(company, lake, NEXT, LINES)
    read(company, lake, NEXT, [*LINES, sold(50, 19)], since=NEXT)
    assert order_ids(lake, date(2024, 3, 19), NEXT) == ["o18", "o50"]


def test_a_first_night_read_since_a_day_still_reads_everything(company: Company, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "other")
    read(company, lake, NEXT, LINES, since=date(2024, 3, 15))
    assert order_ids(lake, date(2024, 3, 1), NEXT) == ["o0"]


def test_what_is_read_since_a_day_never_changes_what_later_nights_know(company: Company, lake: Lake) -> None:
    read(company, lake, NEXT, [*LINES, sold(50, 12)], since=date(2024, 3, 12))
    read(company, lake, date(2024, 3, 20), [], since=date(2024, 3, 12), is_loss_accepted=True)
    assert order_ids(lake, date(2024, 3, 12), NEXT) == ["o11", "o50"]


def test_reading_since_a_day_before_the_company_began_reads_since_its_first_day(company: Company, lake: Lake) -> None:
    read(company, lake, NEXT, [*LINES, sold(50, 2)], since=date(1, 1, 5))
    assert order_ids(lake, date(2024, 3, 2), NEXT) == ["o1", "o50"]
    assert late(lake) == {}


def test_what_a_failed_attempt_stored_is_read_again_by_the_next_one_whatever_it_is_asked(company: Company, lake: Lake) -> None:
    read(company, lake, NEXT, [{**line, "paid": Decimal(500)} for line in LINES], since=date(2024, 3, 5))
    lake.remove(EXTRACTIONS, day=NEXT)  # as validation leaves a night that it stopped
    read(company, lake, NEXT, LINES)
    versions = lake.versions_known(RAW_ORDER_LINES, through=NEXT, known_on=NEXT)
    paid = {
        row["net_amount"]
        for version in versions
        for row in lake.read(RAW_ORDER_LINES, day=version.day, known_on=version.known_on).to_pylist()
    }
    assert paid == {Decimal("9.99")}


def test_a_night_cannot_be_read_since_a_later_day(company: Company, lake: Lake) -> None:
    before = tree_bytes(lake, "tables")
    with pytest.raises(ConfigError, match=r"night 2024-03-20 cannot be read since 2024-03-21"):
        run_extract(company, lake, LAST, since=NEXT)
    assert tree_bytes(lake, "tables") == before


def test_a_line_whose_day_moved_by_more_than_the_lookback_is_shown_on_both_days_and_mended_by_reading_them(
    company: Company, lake: Lake
) -> None:
    moved = [*LINES[:4], sold(4, 13), *LINES[5:]]
    read(company, lake, NEXT, moved)
    assert {day: counts[:2] for day, counts in late(lake).items()} == {5: (0, 1), 13: (2, 1)}
    read(company, lake, NEXT, moved, since=date(2024, 3, 5))
    assert late(lake) == {}
    assert [order_ids(lake, date(2024, 3, day), NEXT) for day in (5, 13)] == [[], ["o12", "o4"]]
    assert [order_ids(lake, date(2024, 3, day), LAST) for day in (5, 13)] == [["o4"], ["o12"]]


def test_a_night_read_since_an_old_day_counts_its_late_order(tmp_path: Path) -> None:
    orders = [f"o{day},1,c1,2024-03-{day:02} 12:00:00,1,5,tea" for day in range(1, 12)]
    shop = write_shop(tmp_path / "shop", orders, customers=["c1"])
    lake = Lake(tmp_path / "lake")
    for day in (FIRST, date(2024, 3, 11)):
        run_night(shop, lake, day, until="features")
    write_shop(shop, [*orders, "late,1,c1,2024-03-02 12:00:00,1,5,tea"], customers=["c1"])
    steps.extract(night_of(shop, lake, date(2024, 3, 11)), since=date(2024, 3, 2))
    run_night(shop, lake, date(2024, 3, 11), until="features")
    [features] = lake.read(load_company(shop).table(CUSTOMER_FEATURES), day=date(2024, 3, 11)).to_pylist()
    assert (features["order_count"], features["spend_amount"]) == (12, Decimal(60))
    assert Version(date(2024, 3, 2), date(2024, 3, 11)) in lake.versions(RAW_ORDER_LINES)


def test_an_older_night_that_a_stricter_limit_stops_keeps_what_it_knew(tmp_path: Path) -> None:
    orders = [f"o{day},1,c1,2024-03-{day:02} 12:00:00,1,5,tea" for day in range(1, 12)]
    orders.append("nobody,1,,2024-03-10 12:00:00,1,5,tea")
    lake, shop = Lake(tmp_path / "lake"), tmp_path / "shop"
    write_shop(shop, orders, customers=["c1"], settings="[gates]\nrejected_share_limit = 0.5\n")
    for day in (FIRST, date(2024, 3, 11)):
        run_night(shop, lake, day, until="features")
    before = tree_bytes(lake, "tables/raw_order_lines", "tables/extractions", "tables/customer_features")
    write_shop(shop, [*orders, "late,1,c1,2024-03-09 12:00:00,1,5,tea"], customers=["c1"], settings="[gates]\nrejected_share_limit = 0\n")
    with pytest.raises(GateClosed):
        run_night(shop, lake, FIRST, until="features")
    (shop / "company.toml").write_text((shop / "company.toml").read_text().replace("limit = 0", "limit = 0.5"))
    run_night(shop, lake, FIRST, until="features")
    assert tree_bytes(lake, "tables/raw_order_lines", "tables/extractions", "tables/customer_features") == before
