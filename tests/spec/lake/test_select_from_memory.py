from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from sqlglot import exp, parse_one

from pipeline.errors import DataError
from pipeline.lake.engines.duckdb import select_from_memory
from pipeline.lake.tables import CUSTOMERS, ORDER_LINES

COUNT = parse_one("SELECT COUNT(*) AS row_count FROM customers", into=exp.Select, read="duckdb")


def test_what_one_selection_is_given_the_next_does_not_see() -> None:
    rows = pa.table({"customer_id": ["ada", "bob"]})
    assert select_from_memory(CUSTOMERS, rows, COUNT).to_pylist() == [{"row_count": 2}]
    assert select_from_memory(CUSTOMERS, rows.slice(1), COUNT).to_pylist() == [{"row_count": 1}]
    with pytest.raises(DataError):
        select_from_memory(ORDER_LINES, rows, COUNT)


def test_days_are_told_in_utc_and_no_file_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    zone = parse_one("SELECT current_setting('TimeZone') AS zone", into=exp.Select, read="duckdb")
    assert select_from_memory(CUSTOMERS, pa.table({"customer_id": ["ada"]}), zone).to_pylist() == [{"zone": "UTC"}]
    readable = tmp_path / "names.csv"
    readable.write_text("name\nada\n")
    query = parse_one(f"SELECT * FROM read_csv('{readable}')", into=exp.Select, read="duckdb")
    assert duckdb.sql(query.sql("duckdb")).fetchall() == [("ada",)]
    with pytest.raises(DataError, match="Permission Error"):
        select_from_memory(CUSTOMERS, pa.table({"customer_id": ["ada"]}), query)
