"""What validation survives: damaged files, text and dates that fit nowhere, a crash at any write."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from support.builders import a_company, an_attribute
from support.nights import tree_bytes
from support.raw_nights import NIGHT, a_raw_line, clean_lines, rejected, write_raw

from pipeline.definitions.company import Company
from pipeline.errors import DataError, PipelineError, SchemaDrift
from pipeline.ingestion.validate import validate_sources
from pipeline.ingestion.validation.batches import PartitionRef, read_pieces
from pipeline.lake.lake import Lake
from pipeline.lake.parquet import ROW_GROUP_ROWS
from pipeline.lake.tables import CUSTOMERS, ORDER_LINES, RAW_CUSTOMERS, RAW_ORDER_LINES, Column, Kind


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return a_company(tmp_path / "company", rejected_share_limit=1.0)


def write_lines_with(lake: Lake, count: int, **columns: pa.Array) -> None:
    """Write `count` raw lines whose given columns hold what no Python object could."""
    rows = [{name: a_raw_line(number).get(name) for name in RAW_ORDER_LINES.column_names} for number in range(count)]
    data = pa.Table.from_pylist(rows, schema=RAW_ORDER_LINES.schema)
    for name, values in columns.items():
        data = data.set_column(data.column_names.index(name), name, values)
    lake.write(RAW_ORDER_LINES, data.to_batches(), day=NIGHT, known_on=NIGHT)


def text_of(*values: bytes) -> pa.Array:
    """Return an Arrow text column of any bytes, as a careless writer can produce."""
    offsets = np.cumsum([0, *map(len, values)], dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), len(values), [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(b"".join(values))])


def test_text_that_is_no_unicode_is_set_aside_and_stays_readable(company: Company, lake: Lake) -> None:
    write_raw(company, lake, [])
    write_lines_with(
        lake, 4, category=text_of(b"tea", b"caf\xe9", b"\xed\xa0\x80", "🫖".encode()), customer_id=text_of(b"c1", b"c1", b"c\xff", b"c1")
    )
    validate_sources(company, lake, NIGHT)
    assert [line["category"] for line in clean_lines(lake)] == ["tea", "🫖"]
    assert [(row["rule"], json.loads(row["row"])["category"]) for row in rejected(lake)] == [
        ("text_is_readable", "\\xed\\xa0\\x80"),
        ("text_is_readable", "caf\\xe9"),
    ]


def test_instants_and_days_outside_any_calendar_are_set_aside(company: Company, lake: Lake) -> None:
    write_raw(company, lake, [])
    instants = pa.array([0, 2**62, -(2**62), 1_704_193_200_000_000], pa.int64()).cast(pa.timestamp("us", "UTC"))
    days = pa.array([None, None, None, 2**30], pa.int32()).cast(pa.date32())
    write_lines_with(lake, 4, ordered_at=instants, refunded_order_day=days)
    validate_sources(company, lake, NIGHT)
    shown = [json.loads(row["row"]) for row in rejected(lake)]
    assert [row["rule"] for row in rejected(lake)] == [
        "ordered_at_is_not_after_night",
        "ordered_at_is_not_before_first_day",
        "ordered_at_is_not_before_first_day",
        "refunded_order_day_is_not_after_the_line",
    ]
    assert shown[0]["ordered_at"] == f"1970-01-01T00:00:00+00:00 and {2**62} microseconds"
    assert shown[3]["refunded_order_day"] == f"1970-01-01 and {2**30} days"


def test_whole_numbers_beyond_a_float_stay_different_beside_a_null(company: Company, lake: Lake) -> None:
    write_raw(company, lake, [a_raw_line(0, order_id="o", line_number=number) for number in (2**53, 2**53 + 1, None)])
    validate_sources(company, lake, NIGHT)
    assert [line["line_number"] for line in clean_lines(lake)] == [2**53, 2**53 + 1]


def test_equal_keys_stay_together_however_small_the_batches(company: Company, lake: Lake) -> None:
    write_raw(company, lake, [a_raw_line(number // 5, net_amount=Decimal(number)) for number in range(10)] + [a_raw_line(9)])
    validate_sources(company, lake, NIGHT, batch_rows=3)
    assert [line["order_id"] for line in clean_lines(lake)] == ["o9"]
    assert {row["rule"] for row in rejected(lake)} == {"key_is_unique"}


def test_a_large_partition_that_is_not_sorted_is_refused_rather_than_half_checked(lake: Lake) -> None:
    count = ROW_GROUP_ROWS + 1
    line = pa.Table.from_pylist([{name: a_raw_line(0).get(name) for name in RAW_ORDER_LINES.column_names}], schema=RAW_ORDER_LINES.schema)
    falling = pa.array(np.arange(count)[::-1])
    rows = line.take(np.zeros(count, np.int64)).set_column(1, "line_number", falling)
    lake.write(RAW_ORDER_LINES, rows.to_batches(), day=NIGHT, known_on=NIGHT)
    partition = PartitionRef(RAW_ORDER_LINES, NIGHT, NIGHT)
    with pytest.raises(DataError, match="raw_order_lines is not sorted by order_id, line_number"):
        list(read_pieces(lake, [partition], limit=ROW_GROUP_ROWS // 2))
    ((_, whole),) = read_pieces(lake, [partition], limit=count)
    assert whole["line_number"].equals(pa.chunked_array([pa.array(np.arange(count))]))


def test_a_damaged_raw_partition_stops_the_night_and_names_the_file(company: Company, lake: Lake) -> None:
    write_raw(company, lake, [a_raw_line(number) for number in range(1000)])
    path = lake.path(RAW_ORDER_LINES, day=NIGHT, known_on=NIGHT)
    content = bytearray(path.read_bytes())
    content[len(content) // 4] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match="raw_order_lines is damaged") as stopped:
        validate_sources(company, lake, NIGHT)
    assert stopped.value.where == str(path)
    assert not lake.versions(ORDER_LINES)


def test_an_attribute_declared_after_the_snapshot_was_read_is_named(company: Company, lake: Lake) -> None:
    write_raw(company, lake, [a_raw_line(1)])
    with pytest.raises(SchemaDrift, match="raw_customers lacks household_size"):
        validate_sources(replace(company, attributes=(an_attribute(Column("household_size", Kind.INTEGER, "Heads.")),)), lake, NIGHT)


def a_lake_to_crash(root: Path, company: Company) -> Lake:
    lake = Lake(root)
    days = [NIGHT - timedelta(days=1), NIGHT]
    for day in days:
        write_raw(
            company,
            lake,
            [a_raw_line(1, day=day), a_raw_line(2, day=day, customer_id=None)],
            day=day,
            known_on=day,
            prospects=[{"customer_id": "p"}],
        )
    return lake


def fail_at(write: int, root: Path) -> Callable[[Path, Path], Path]:
    """Return a stand-in for Path.replace that fails like a full disk at the `write`-th file that is to appear below `root`."""
    count = 0
    original = Path.replace

    def replace_path(self: Path, target: Path) -> Path:
        nonlocal count
        count += target.is_relative_to(root)
        if count == write:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(self, target)

    return replace_path


def test_a_crash_at_any_write_leaves_nothing_half_and_the_rerun_heals_it(
    tmp_path: Path, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm = a_lake_to_crash(tmp_path / "calm", company)
    validate_sources(company, calm, NIGHT)
    expected = tree_bytes(calm, "tables", "reports")
    crashes = 0
    for write in range(1, 99):
        lake = a_lake_to_crash(tmp_path / f"crash-{write}", company)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", fail_at(write, lake.root / "tables"))
            try:
                validate_sources(company, lake, NIGHT)
            except PipelineError:
                crashes += 1
            else:
                break
        validate_sources(company, lake, NIGHT)
        assert tree_bytes(lake, "tables", "reports") == expected, f"crash at write {write}"
    # rejected rows, results, customers and two event days
    assert crashes == 5


def test_a_night_that_was_refused_leaves_the_clean_tables_of_the_night_before(company: Company, lake: Lake) -> None:
    earlier = NIGHT - timedelta(days=1)
    write_raw(company, lake, [a_raw_line(1, day=earlier)], day=earlier, known_on=earlier)
    validate_sources(company, lake, earlier)
    before = tree_bytes(lake, "tables/order_lines", "tables/customers")
    write_raw(company, lake, [a_raw_line(2)], customers=[])
    with pytest.raises(DataError):
        validate_sources(company, lake, NIGHT)
    assert tree_bytes(lake, "tables/order_lines", "tables/customers") == before


def test_a_file_sent_twice_collapses_to_one_copy_of_each_row(company: Company, lake: Lake) -> None:
    rows = [a_raw_line(number) for number in range(20)]
    write_raw(company, lake, rows + rows, customers=[{"customer_id": "c1"}] * 2)
    validate_sources(company, lake, NIGHT)
    assert len(clean_lines(lake)) == 20
    assert lake.read(CUSTOMERS, known_on=NIGHT).num_rows == 1
    assert [row["rule"] for row in rejected(lake)] == ["row_is_not_repeated"] * 21
    assert lake.read(RAW_CUSTOMERS, known_on=NIGHT).num_rows == 2
