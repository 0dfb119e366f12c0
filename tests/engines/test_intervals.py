"""Intervals and restatements have the same bytes whichever engine computed them."""

from __future__ import annotations

from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

from support.builders import write_rows
from support.local_spark import SparkOver
from support.nights import tree_bytes

from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.local_store import LocalStore
from pipeline.lake.tables import CUSTOMER_SEGMENT_INTERVALS, CUSTOMER_SEGMENTS
from pipeline.segmentation import write_intervals

FIRST = date(2024, 2, 28)
BEFORE = {0: {"c1": "a", "C1": "a", "ı": "b", "i": "b"}, 3: {"c1": "a", "C1": "b", "ı": "b"}}
BETWEEN = {"c1": "b", "C1": "b", "ქ": "a"}
RESTATED = {"c1": "a", "C1": "b"}


def store(lake: Lake, day: date, known_on: date, segments: dict[str, str]) -> None:
    rows = [{"customer_id": customer, "scheme": "s", "segment": segment} for customer, segment in segments.items()]
    write_rows(lake, CUSTOMER_SEGMENTS, rows, day=day, known_on=known_on)


def prepared(folder: Path) -> Lake:
    """Tell two nights, and store one between them and its restatement untold."""
    lake, between = Lake(folder), FIRST + timedelta(1)
    with closing(DuckDBEngine(LocalStore(folder), memory_limit="200MB", threads=1)) as engine:
        for offset, segments in BEFORE.items():
            store(lake, FIRST + timedelta(offset), FIRST + timedelta(offset), segments)
            write_intervals(lake, engine, FIRST + timedelta(offset))
    store(lake, between, between, BETWEEN)
    store(lake, between, FIRST + timedelta(3), RESTATED)
    return lake


def test_every_engine_tells_a_night_between_and_its_restatement_alike(tmp_path: Path, spark: SparkOver) -> None:
    here, there = prepared(tmp_path / "duckdb"), prepared(tmp_path / "spark")
    with closing(DuckDBEngine(here.store, memory_limit="200MB", threads=1)) as engine:
        write_intervals(here, engine, FIRST + timedelta(1))
    write_intervals(there, spark(there), FIRST + timedelta(1))
    table = f"tables/{CUSTOMER_SEGMENT_INTERVALS.name}"
    assert tree_bytes(there, table) == tree_bytes(here, table)
    assert len(tree_bytes(here, table)) == 5
