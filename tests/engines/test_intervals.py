"""Intervals and restatements have the same bytes whichever engine computed them."""

from __future__ import annotations

from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

from builders import write_rows
from nights import tree_bytes

from pipeline.engines import Engine
from pipeline.engines.duckdb import DuckDBEngine
from pipeline.intervals import keep_intervals
from pipeline.lake import Lake
from pipeline.tables import CUSTOMER_SEGMENT_INTERVALS, CUSTOMER_SEGMENTS

FIRST = date(2024, 2, 28)
NIGHTS = {
    0: {"c1": "a", "C1": "a", "ı": "b", "i": "b"},
    3: {"c1": "a", "C1": "b", "ı": "b"},
    1: {"c1": "b", "C1": "b", "ქ": "a"},
}
RESTATED = {"c1": "a", "C1": "b"}


def told(folder: Path, engine: Engine) -> Lake:
    lake = Lake(folder)
    told = [(offset, offset, segments) for offset, segments in NIGHTS.items()] + [(1, 3, RESTATED)]
    for offset, later, segments in told:
        day, known = FIRST + timedelta(offset), FIRST + timedelta(later)
        rows = [{"customer_id": customer, "scheme": "s", "segment": segment} for customer, segment in segments.items()]
        write_rows(lake, CUSTOMER_SEGMENTS, rows, day=day, known=known)
        keep_intervals(lake, engine, day, known=known)
    return lake


def test_every_engine_tells_the_same_intervals(tmp_path: Path, spark: Engine) -> None:
    with closing(DuckDBEngine(tmp_path / "duckdb", memory_limit="200MB")) as engine:
        here = told(tmp_path / "duckdb", engine)
    there = told(tmp_path / "spark", spark)
    table = f"tables/{CUSTOMER_SEGMENT_INTERVALS.name}"
    assert tree_bytes(there, table) == tree_bytes(here, table) != {}
