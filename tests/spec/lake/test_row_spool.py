"""Rows put aside come back in their order, and leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.errors import TransientError
from pipeline.lake.addresses import STAGING
from pipeline.lake.lake import Lake
from pipeline.lake.row_spool import RowSpool

SCHEMA = pa.schema([("number", pa.int64())])


def batches(*numbers: int) -> list[pa.RecordBatch]:
    return [pa.record_batch({"number": [number]}, SCHEMA) for number in numbers]


def files(lake: Lake) -> list[Path]:
    return [path for path in (lake.root / STAGING).rglob("*.arrows") if path.is_file()]


def test_rows_come_back_in_the_order_in_which_they_were_put(lake: Lake) -> None:
    with lake.row_spool(SCHEMA) as spool:
        spool.append(batches(3, 1))
        spool.append(batches(2))
        assert len(files(lake)) == 1
        assert [row["number"] for batch in spool.batches() for row in batch.to_pylist()] == [3, 1, 2]
    assert files(lake) == []


def test_without_rows_nothing_is_written(lake: Lake) -> None:
    with lake.row_spool(SCHEMA) as spool:
        spool.append([])
        assert not (lake.root / STAGING).exists()
        assert list(spool.batches()) == []


def fail_with_rows_in(spool: RowSpool) -> None:
    spool.append(batches(1))
    raise ZeroDivisionError


def test_nothing_is_left_where_the_step_fails(lake: Lake) -> None:
    with pytest.raises(ZeroDivisionError), lake.row_spool(SCHEMA) as spool:
        fail_with_rows_in(spool)
    assert files(lake) == []


def test_a_disk_that_refuses_is_told(lake: Lake) -> None:
    lake.root.mkdir()
    (lake.root / STAGING).write_text("no folder")
    with lake.row_spool(SCHEMA) as spool, pytest.raises(TransientError, match="could not set rows aside"):
        spool.append(batches(1))
