"""CDNOW's published 1/10th sample: one-time buyers stay together, and row order is irrelevant."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest
from support.nights import run_night, tree_bytes

from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES

NIGHT = date(1998, 6, 30)
COMPANY = """
name = "CDNOW"
time_zone = "America/New_York"
currency = "USD"
first_day = 1997-01-01
window_days = 600
"""
CUSTOMERS = "SELECT DISTINCT master_id AS customer_id FROM sample"
ORDER_LINES = """
SELECT
  master_id || '-' || "date" AS order_id,
  ROW_NUMBER() OVER (PARTITION BY master_id, "date" ORDER BY cds, value_usd) AS line_number,
  master_id AS customer_id,
  CAST(SUBSTRING("date", 1, 4) || '-' || SUBSTRING("date", 5, 2) || '-' || SUBSTRING("date", 7, 2) AS TIMESTAMP)
    AT TIME ZONE 'America/New_York' AS ordered_at,
  CAST(cds AS DECIMAL(18, 4)) AS quantity,
  CAST(value_usd AS DECIMAL(18, 4)) AS net_amount
FROM sample
"""


def cdnow_night(folder: Path, data: Path, order: str) -> Lake:
    for name, text in {"company.toml": COMPANY, "sources/customers.sql": CUSTOMERS, "sources/order_lines.sql": ORDER_LINES}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "data").mkdir()
    duckdb.execute(
        f"COPY (SELECT * FROM '{data / 'cdnow' / 'sample.parquet'}' ORDER BY {order}) TO '{folder / 'data' / 'sample.parquet'}'"
    ).fetchall()
    lake = Lake(folder / "lake")
    run_night(folder, lake, NIGHT)
    return lake


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> list[Lake]:
    orders = ["master_id, date, cds", "hash(master_id || date || value_usd), cds"]
    return [cdnow_night(tmp_path_factory.mktemp("cdnow"), shared_data, order) for order in orders]


def test_all_one_time_buyers_have_the_lowest_frequency_score(nights: list[Lake]) -> None:
    rows = nights[0].read(CUSTOMER_FEATURES, day=NIGHT).to_pylist()
    assert len(rows) == 2357
    once = [row["f_score"] for row in rows if row["order_day_count"] == 1]
    assert len(once) > 1000
    assert set(once) == {1}
    assert {row["f_score"] for row in rows if row["order_day_count"] > 1} == {3, 4, 5}


def test_shuffling_the_rows_changes_no_byte(nights: list[Lake]) -> None:
    first, second = (tree_bytes(lake, "tables", "publications", "models") for lake in nights)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
