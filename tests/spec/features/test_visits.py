"""Visits: an optional source, read and checked by days like order lines."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from support.nights import run_night, write_shop

from pipeline.definitions.company import load_company
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, RAW_VISITS, REJECTED_ROWS, VALIDATION_RESULTS, VISITS
from pipeline.reporting.summary import print_whole_summary
from pipeline.reporting.terminal import Terminal

FIRST, SECOND = date(2024, 3, 27), date(2024, 3, 28)
VISITS_SQL = """
SELECT visit AS visit_id, CAST(customer AS VARCHAR) AS customer_id, CAST(came_at AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS visited_at
FROM visits
"""
ORDERS = ["o1,1,ann,2024-03-26 12:00,1,10,tea"]
ANY_SHARE = "[gates]\nrejected_share_limit = 1.0\n"
ROWS = [
    "v1,ann,2024-03-26 10:00",
    "v2,ann,2024-03-27 10:00",
    "v2,ann,2024-03-27 11:00",
    "v3,,2024-03-27 10:00",
    "v4,ann,2023-12-31 10:00",
    "v5,ann,",
    "v6,ann,2024-03-28 00:00",
    "v7,bob,2024-03-27 23:59",
]


def write_visits(shop: Path, rows: list[str]) -> None:
    (shop / "sources" / "visits.sql").write_text(VISITS_SQL, "utf-8")
    (shop / "data" / "visits.csv").write_text("\n".join(["visit,customer,came_at", *rows]) + "\n", "utf-8")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_shop(tmp_path_factory.mktemp("visits") / "shop", ORDERS, customers=["ann", "bob"], settings=ANY_SHARE)
    write_visits(folder, ROWS)
    return folder


@pytest.fixture(scope="module")
def lake(shop: Path) -> Lake:
    """Return the lake after two nights."""
    lake = Lake(shop.parent / "lake")
    for day in (FIRST, SECOND):
        run_night(shop, lake, day, until="features")
    return lake


def test_every_visit_is_clean_or_rejected_with_its_reason(lake: Lake) -> None:
    rejected = {(row["source_table"], row["rule"]): row["row"] for row in lake.read(REJECTED_ROWS, day=FIRST).to_pylist()}
    assert {rule for table, rule in rejected if table == RAW_VISITS.name} == {
        "key_is_unique",
        "customer_id_is_given",
        "visited_at_is_not_before_first_day",
        "visited_at_is_given",
    }
    partitions = [lake.read(VISITS, day=version.day, known_on=version.known_on) for version in lake.versions(VISITS)]
    clean = [visit for partition in partitions for visit in partition["visit_id"].to_pylist()]
    assert sorted(clean) == ["v1", "v6", "v7"]


def test_a_visit_counts_from_the_night_of_its_local_day(lake: Lake) -> None:
    nights = [lake.read(CUSTOMER_FEATURES, day=day).to_pylist() for day in (FIRST, SECOND)]
    counts = [{row["customer_id"]: row["visit_count_90_days"] for row in rows} for rows in nights]
    assert counts == [{"ann": 1, "bob": 1}, {"ann": 2, "bob": 1}]


def test_a_company_without_visits_is_checked_for_none_and_told_so(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", ORDERS, customers=["ann"])
    lake = Lake(tmp_path / "lake")
    run_night(shop, lake, FIRST)
    assert RAW_VISITS.name not in lake.read(VALIDATION_RESULTS, day=FIRST)["source_table"].to_pylist()
    console = Terminal(record=True, width=100)
    print_whole_summary(load_company(shop), lake, FIRST, console=console)
    assert "shopper_groups.wandering: not computed: needs visits" in console.export_text()
