"""Rows that no night reads, since their dates cannot be right: counted and named every night."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.extractions import Shop, a_customer, a_line, a_shop_folder, run_extract, write_files, write_query
from support.nights import run_night, write_shop

from pipeline.definitions.company import Company
from pipeline.lake.lake import Lake
from pipeline.lake.tables import MISDATED_DAYS

FIRST, NIGHT = date(2024, 3, 10), date(2024, 3, 11)
GOOD = [a_line(1, "2024-03-09 12:00"), a_line(2, "2024-03-10 12:00"), a_line(3, "2024-03-11 12:00")]


def at(year: int, month: int = 1, day: int = 6) -> datetime:
    return datetime(year, month, day, 12, tzinfo=UTC)


def misdated(lake: Lake, night: date = NIGHT) -> list[tuple[Any, ...]]:
    rows = lake.read(MISDATED_DAYS, day=night).to_pylist() if lake.has(MISDATED_DAYS, day=night) else []
    return [tuple(row.values())[1:] for row in rows]


def read(company: Company, lake: Lake, lines: list[dict[str, Any]], night: date = NIGHT) -> None:
    write_files(company, Shop([a_customer(1)], lines))
    run_extract(company, lake, night)


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return a_shop_folder(tmp_path / "shop", first_day=date(2024, 3, 1))


@pytest.fixture
def lake(company: Company, tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    read(company, lake, GOOD[:2], FIRST)
    return lake


@pytest.mark.parametrize("query", ["with bounds", "without bounds"])
def test_rows_outside_of_the_companys_days_are_counted_every_night(
    company: Company, lake: Lake, caplog: pytest.LogCaptureFixture, query: str
) -> None:
    if query == "without bounds":
        text = "SELECT order_id, line AS line_number, customer_id, sold_at AS ordered_at, pieces AS quantity, paid AS net_amount FROM lines"
        write_query(company.folder, "order_lines", text)
    wrong = [a_line(n, moment) for n, moment in enumerate([at(1970), at(24), at(24), at(2042), at(2024, 2, 29)], 10)]
    for night in (NIGHT, date(2024, 3, 12)):
        with caplog.at_level(logging.WARNING):
            read(company, lake, [*GOOD, *wrong], night)
        assert misdated(lake, night) == [(date(24, 1, 6), 2), (date(1970, 1, 6), 1), (date(2024, 2, 29), 1), (date(2042, 1, 6), 1)]
    assert caplog.text.count(
        "raw_order_lines: 4 rows before the first day, 2024-03-01 (0024-01-06 to 2024-02-29) and 1 row long after the night (2042-01-06)"
    ) == 2  # fmt: skip


@pytest.mark.parametrize(("days", "expected"), [(["2024-03-12", "2024-06-01", "2024-09-01"], []), (["2024-06-12"], ["2024-06-12"])])
def test_days_that_nights_to_come_will_read_are_not_misdated(company: Company, lake: Lake, days: list[str], expected: list[str]) -> None:
    read(company, lake, [*GOOD, *(a_line(day, f"{day} 12:00") for day in days)])
    assert [str(day) for day, _ in misdated(lake)] == expected


def test_a_night_read_again_forgets_rows_that_the_source_has_mended(company: Company, lake: Lake) -> None:
    read(company, lake, [*GOOD, a_line(10, at(1970))])
    assert misdated(lake)
    write_files(company, Shop([a_customer(1)], GOOD))
    run_extract(company, lake, NIGHT, reread=True)
    assert not lake.has(MISDATED_DAYS, day=NIGHT)


def test_a_first_night_reads_what_is_before_the_first_day_and_counts_what_is_long_after(company: Company, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "other")
    read(company, lake, [*GOOD, a_line(10, at(1970)), a_line(11, at(2042))])
    assert misdated(lake) == [(date(2042, 1, 6), 1)]


def test_what_a_source_that_appends_gives_for_a_day_to_come_is_counted_for_it_may_not_be_given_again(company: Company, lake: Lake) -> None:
    appending = replace(company, source=replace(company.source, appended=frozenset({"order_lines"})))
    read(appending, lake, [a_line(3, "2024-03-11 12:00"), a_line(4, "2024-03-13 12:00")])
    assert misdated(lake) == [(date(2024, 3, 13), 1)]


def test_visits_are_counted_too(company: Company, lake: Lake) -> None:
    write_query(company.folder, "visits", "SELECT order_id AS visit_id, customer_id, sold_at AS visited_at FROM lines")
    read(company, lake, [*GOOD, a_line(10, at(1970))])  # the first night that reads visits reads these as well
    run_extract(company, lake, NIGHT + timedelta(1))
    counted = lake.read(MISDATED_DAYS, day=NIGHT + timedelta(1))
    assert counted["source_table"].to_pylist() == ["raw_order_lines", "raw_visits"]


def test_files_of_text_are_counted_in_the_pass_that_looks_for_late_days(tmp_path: Path) -> None:
    orders = ["A,1,1,2024-01-02 10:00,1,5,x", "B,1,2,2024-01-20 10:00,1,5,x"]
    folder, lake = write_shop(tmp_path / "shop", orders, customers=["1", "2"]), Lake(tmp_path / "lake")
    run_night(folder, lake, date(2024, 1, 20), until="extract")
    wrong = ["C,1,2,1970-01-01 10:00,1,5,x", "D,1,2,2042-01-20 10:00,1,5,x", "E,1,2,2024-01-03 10:00,1,5,x"]
    write_shop(tmp_path / "shop", [*orders, *wrong], customers=["1", "2"])
    run_night(folder, lake, date(2024, 1, 21), until="extract")
    assert misdated(lake, date(2024, 1, 21)) == [(date(1970, 1, 1), 1), (date(2042, 1, 20), 1)]
