"""Event days in files of a month: each version is found, read and replaced by itself, whatever lies beside it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from datetime import date, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlglot import exp
from support.builders import an_order_line, write_order_lines

from pipeline.errors import DataError
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake, Version
from pipeline.lake.parquet import DAYS_GROUP_ROWS
from pipeline.lake.tables import CUSTOMER_DAYS, ORDER_LINES, Kind

FIRST, LATER = date(2024, 3, 5), date(2024, 3, 9)
MONTH = [date(2024, 3, day) for day in range(1, 6)]


def lines(*names: str, day: date) -> list[dict[str, Any]]:
    return [an_order_line(number, day=day, customer_id=name, order_id=name) for number, name in enumerate(names, 1)]


def orders(lake: Lake, version: Version) -> list[str]:
    return [row["order_id"] for row in lake.read(ORDER_LINES, day=version.day, known_on=version.known_on).to_pylist()]


def visible(lake: Lake, versions: Iterable[Version]) -> list[tuple[date, date, str]]:
    """Return event day, night and order of every row that an engine reads of `versions`."""
    with closing(DuckDBEngine(lake.store, memory_limit="1GB")) as engine:
        engine.register(ORDER_LINES, lake.parts(ORDER_LINES, versions))
        query = exp.select("event_day", "known_on", "order_id").from_(ORDER_LINES.name).order_by("event_day", "known_on", "order_id")
        return [tuple(row.values()) for row in engine.run(query, {}).read_all().to_pylist()]


@pytest.fixture
def told(lake: Lake) -> Lake:
    """Return a lake in which the first night learned of five days, and a later one otherwise of two of them."""
    write_order_lines(lake, [line for day in MONTH for line in lines("a", "b", day=day)], known_on=FIRST)
    write_order_lines(lake, [line for day in MONTH[1:3] for line in lines("a", "c", day=day)], known_on=LATER)
    return lake


def test_a_month_is_one_file_for_each_night_that_learned_of_its_days(told: Lake) -> None:
    files = sorted(str(path.relative_to(told.root)) for path in told.root.rglob("*.parquet"))
    assert files == [f"tables/order_lines/month=2024-03/known={known}/part-0.parquet" for known in (FIRST, LATER)]
    assert told.versions(ORDER_LINES) == sorted([*(Version(day, FIRST) for day in MONTH), *(Version(day, LATER) for day in MONTH[1:3])])


def test_a_file_says_in_its_columns_which_version_a_row_belongs_to(told: Lake) -> None:
    rows = pq.read_table(told.path(ORDER_LINES, day=MONTH[1], known_on=LATER), partitioning=None)
    assert rows.schema.names == ["event_day", "known_on", *ORDER_LINES.column_names]
    assert {(row["event_day"], row["known_on"]) for row in rows.to_pylist()} == {(day, LATER) for day in MONTH[1:3]}


@pytest.mark.parametrize("known_on", [FIRST, LATER - timedelta(1), LATER])
def test_an_engine_reads_the_versions_that_a_night_goes_by_and_no_others(told: Lake, known_on: date) -> None:
    versions = told.versions_known(ORDER_LINES, through=LATER, known_on=known_on)
    expected = [(v.day, v.known_on, name) for v in versions for name in orders(told, v)]
    assert visible(told, versions) == expected
    assert len(expected) == 10


@pytest.mark.parametrize("first", range(5))
@pytest.mark.parametrize("last", range(5))
def test_an_engine_reads_any_choice_of_versions(told: Lake, first: int, last: int) -> None:
    chosen = [v for number, v in enumerate(told.versions(ORDER_LINES)) if number not in (first, last, 4)]
    assert visible(told, chosen) == [(v.day, v.known_on, name) for v in chosen for name in orders(told, v)]


def test_a_version_written_again_leaves_its_neighbours_as_they_were(told: Lake) -> None:
    before = told.stored_versions(ORDER_LINES)
    write_order_lines(told, lines("d", day=MONTH[2]), known_on=FIRST)
    after = told.stored_versions(ORDER_LINES)
    assert orders(told, Version(MONTH[2], FIRST)) == ["d"]
    assert before.keys() == after.keys()
    assert {v for v in after if after[v].facts != before[v].facts} == {Version(MONTH[2], FIRST)}


def test_a_version_without_rows_is_stored_and_read(lake: Lake) -> None:
    lake.write_event_days(ORDER_LINES, [], {Version(day, FIRST): {"suite": "s"} for day in MONTH})
    assert lake.versions(ORDER_LINES) == [Version(day, FIRST) for day in MONTH]
    assert lake.read(ORDER_LINES, day=MONTH[0], known_on=FIRST).equals(ORDER_LINES.schema.empty_table())
    assert {stored.facts["suite"] for stored in lake.stored_versions(ORDER_LINES).values()} == {"s"}


def test_the_digest_of_a_version_is_that_of_its_rows_wherever_and_in_whatever_pieces_they_came(lake: Lake, told: Lake) -> None:
    version = Version(MONTH[0], date(2024, 4, 1))
    rows = told.read(ORDER_LINES, day=MONTH[0], known_on=FIRST)
    pieces = [batch for at in range(rows.num_rows) for batch in rows.slice(at, 1).to_batches()]
    lake.write(ORDER_LINES, pieces, day=version.day, known_on=version.known_on)
    stored = lake.stored_versions(ORDER_LINES)
    assert stored[version].digest == stored[Version(MONTH[0], FIRST)].digest
    assert stored[version].digest != stored[Version(MONTH[1], LATER)].digest


def test_nulls_and_what_lies_beneath_them(lake: Lake) -> None:
    """What a null covers is no part of a row: a value taken away and one never given are the same."""
    rows = pa.Table.from_pylist(lines("a", "b", day=FIRST), schema=pa.schema([("day", pa.date32()), *ORDER_LINES.schema])).drop_columns(
        "day"
    )
    place = rows.schema.get_field_index("product_id")
    covered = pa.StringArray.from_buffers(2, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"xy"), pa.py_buffer(b"\0"))
    known = [date(2024, 4, day) for day in (1, 2, 3)]
    columns = [rows["product_id"], covered, pa.array(["x", "y"])]
    for night, column in zip(known, columns, strict=True):
        lake.write(ORDER_LINES, rows.set_column(place, "product_id", column).to_batches(), day=FIRST, known_on=night)
    digests = [stored.digest for stored in lake.stored_versions(ORDER_LINES).values()]
    assert digests[0] == digests[1] != digests[2]


def test_a_large_day_is_read_without_the_rows_of_others(lake: Lake) -> None:
    counts = {MONTH[0]: 10, MONTH[1]: DAYS_GROUP_ROWS + 5000, MONTH[2]: 7, MONTH[3]: 8, MONTH[4]: DAYS_GROUP_ROWS}
    for day, count in counts.items():
        lake.write(CUSTOMER_DAYS, many_days(count), day=day, known_on=FIRST)
    file = pq.read_metadata(lake.path(CUSTOMER_DAYS, day=FIRST, known_on=FIRST))
    groups = [file.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert groups == [DAYS_GROUP_ROWS, 5010, DAYS_GROUP_ROWS, 15]
    assert {day: lake.read(CUSTOMER_DAYS, day=day, known_on=FIRST).num_rows for day in MONTH} == counts


def many_days(count: int) -> list[pa.RecordBatch]:
    values = {Kind.TEXT: "a", Kind.DATE: FIRST, Kind.INTEGER: 1, Kind.MONEY: 1}
    rows = {column.name: pa.array([values[column.kind]] * count, column.kind.arrow) for column in CUSTOMER_DAYS.columns}
    return pa.table(rows | {"customer_id": pa.array([f"C{number:06}" for number in range(count)])}).to_batches()


def test_a_footer_that_lost_a_bit_is_told_with_the_night_that_mends_it(told: Lake) -> None:
    path = told.path(ORDER_LINES, day=FIRST, known_on=LATER)
    content = bytearray(path.read_bytes())
    content[content.index(b'"row_count": 4') + 13] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="order_lines is damaged") as refused:
        told.versions(ORDER_LINES)
    assert (refused.value.where, refused.value.todo) == (str(path), f"Run that day again: segments run --reread --day {LATER}.")


def test_a_lake_of_a_file_per_event_day_is_refused_rather_than_read_as_empty(lake: Lake) -> None:
    (lake.root / "tables" / "order_lines" / "day=2024-03-01" / "known=2024-03-01").mkdir(parents=True)
    with pytest.raises(DataError, match="older version of this program"):
        lake.versions(ORDER_LINES)
