"""Row groups encoded in a thread of their own lie in the file as if they had been written one after the other."""

from __future__ import annotations

import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.lake.row_group_writer import ROWS_WORTH_THREAD, open_row_group_writer

SCHEMA = pa.schema([("number", pa.int64()), ("text", pa.string())])
SIZES = (3, ROWS_WORTH_THREAD, 5, 2 * ROWS_WORTH_THREAD, 1, ROWS_WORTH_THREAD)


def groups() -> list[pa.Table]:
    return [pa.table({"number": [*range(size)], "text": [f"{place} {size}"] * size}, SCHEMA) for place, size in enumerate(SIZES)]


def test_large_and_small_groups_have_the_bytes_of_one_thread(tmp_path: Path) -> None:
    with open_row_group_writer(tmp_path / "ours.parquet", SCHEMA) as writer:
        for rows in groups():
            writer.write(rows)
        writer.add_metadata({b"night": b"first"})
    with pq.ParquetWriter(tmp_path / "plain.parquet", SCHEMA) as plain:
        for rows in groups():
            plain.write_table(rows, row_group_size=rows.num_rows)
        plain.add_key_value_metadata({"night": "first"})
    assert (tmp_path / "ours.parquet").read_bytes() == (tmp_path / "plain.parquet").read_bytes()


def test_a_group_that_cannot_be_written_is_an_error_of_whoever_writes(tmp_path: Path) -> None:
    wrong = pa.table({"other": [*range(ROWS_WORTH_THREAD)]})
    with pytest.raises(ValueError, match="schema"), open_row_group_writer(tmp_path / "rows.parquet", SCHEMA) as writer:
        writer.write(wrong)


def test_no_thread_is_left_where_whoever_makes_the_rows_fails(tmp_path: Path) -> None:
    def fail_after_all() -> None:
        with open_row_group_writer(tmp_path / "rows.parquet", SCHEMA) as writer:
            for rows in groups():
                writer.write(rows)
            raise RuntimeError("no more rows")

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="no more rows"):
        fail_after_all()
    assert threading.active_count() == before
