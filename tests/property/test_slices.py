"""Customers computed slice by slice are those computed at once, in the same order."""

from __future__ import annotations

from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.builders import an_order_line, write_order_lines

from pipeline.features import compute_rollups
from pipeline.features.customer_slices import Slice, cut_points, rows_by_slice, slices_between, slices_of_rollup
from pipeline.features.rollup_set import ROLLUPS, FeatureWindow
from pipeline.features.state_sql import STATE_INPUTS, all_states_statement
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_ARCHIVES, CUSTOMER_DAY_CATEGORIES, CUSTOMER_DAYS, Kind, Table

NIGHT = date(2024, 3, 31)
SLICED = [table.name for table in STATE_INPUTS]
NAMES = ["", "0001", "C1", "c1", "c1 ", "i", "ı", "ÿ", "ქ", "😀", "z" * 40]


def test_slices_leave_nobody_out_and_nobody_twice() -> None:
    for part_count in range(1, 9):
        parts = slices_between(cut_points(NAMES, part_count))
        for name in NAMES:
            assert sum((part.first or "") <= name and (part.end is None or name < part.end) for part in parts) == 1


def test_few_rows_are_one_slice_without_bounds(lake: Lake) -> None:
    with closing(DuckDBEngine(lake.store, memory_limit="1GB")) as engine:
        assert slices_of_rollup(lake, engine, CUSTOMER_DAY_CATEGORIES, lake.versions(CUSTOMER_DAY_CATEGORIES)) == [Slice()]


@pytest.mark.parametrize("rows_per_slice", [1, 7, 40])
def test_states_of_all_slices_are_the_states_of_everyone_in_order(lake: Lake, rows_per_slice: int) -> None:
    engine = DuckDBEngine(lake.store, memory_limit="1GB")
    engine.register(CUSTOMER_ARCHIVES, [])
    for table in ROLLUPS:
        engine.register(table, lake.parts(table, lake.versions(table)))
    parts = slices_of_rollup(lake, engine, CUSTOMER_DAY_CATEGORIES, lake.versions(CUSTOMER_DAY_CATEGORIES), limit=rows_per_slice)
    parameters = FeatureWindow(NIGHT, NIGHT, 365).parameters
    whole = engine.run(all_states_statement(), parameters).read_all()
    batches = rows_by_slice(engine, all_states_statement(), parameters, tables=SLICED, slices=parts)
    assert len(parts) > 1
    assert [row for batch in batches for row in batch.to_pylist()] == whole.to_pylist()
    engine.close()


@pytest.mark.parametrize("table", [CUSTOMER_DAYS, CUSTOMER_DAY_CATEGORIES])
def test_a_range_of_customers_leaves_out_most_of_a_large_day(tmp_path: Path, table: Table) -> None:
    lake, count = Lake(tmp_path / "large"), 200_000
    values = {Kind.TEXT: "a", Kind.DATE: NIGHT, Kind.INTEGER: 1, Kind.MONEY: 1}
    rows = {column.name: pa.array([values[column.kind]] * count, column.kind.arrow) for column in table.columns}
    rows["customer_id"] = pa.array([f"C{number:06}" for number in range(count)])
    lake.write(table, pa.table(rows).to_batches(), day=NIGHT, known_on=NIGHT)
    file = pq.read_metadata(lake.path(table, day=NIGHT, known_on=NIGHT))
    place = file.schema.to_arrow_schema().get_field_index("customer_id")
    ids = [file.row_group(number).column(place).statistics for number in range(file.num_row_groups)]
    assert sum(group.min < "C050000" and group.max >= "C040000" for group in ids) <= 2 < len(ids) // 2


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    lines = [
        an_order_line(number, day=NIGHT - timedelta(number % 13), customer_id=NAMES[number * number % 11], category="ab"[number % 2])
        for number in range(1, 120)
    ]
    write_order_lines(lake, lines, known_on=NIGHT)
    engine = DuckDBEngine(lake.store, memory_limit="1GB")
    compute_rollups(lake, engine, NIGHT)
    engine.close()
    return lake
