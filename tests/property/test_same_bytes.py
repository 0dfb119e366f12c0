"""Same rows, same bytes: it is no matter in which batches they arrive, and every reader finds the same amounts."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.lake.parquet import ROW_GROUP_ROWS, write_parquet
from pipeline.lake.tables import Kind

COUNT = 2 * ROW_GROUP_ROWS + 7
HIGHEST = Decimal("99999999999999.9999")
SCHEMA = pa.schema([("customer_id", Kind.TEXT.arrow), ("amount", Kind.MONEY.arrow), ("is_new", Kind.FLAG.arrow)])


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    ids = [f"c{number:07}" for number in range(COUNT)]
    amounts = [[HIGHEST, -HIGHEST, None, Decimal(number) / 10_000][number % 4] for number in range(COUNT)]
    return pa.table([ids, amounts, [[True, None, False][number % 3] for number in range(COUNT)]], schema=SCHEMA)


@pytest.mark.parametrize("size", [1_013, ROW_GROUP_ROWS - 1, ROW_GROUP_ROWS, ROW_GROUP_ROWS + 1, COUNT])
def test_files_of_many_groups_are_the_same_in_whatever_batches_their_rows_come(rows: pa.Table, tmp_path: Path, size: int) -> None:
    whole, pieces = tmp_path / "whole.parquet", tmp_path / "pieces.parquet"
    write_parquet(SCHEMA, rows.combine_chunks().to_batches(max_chunksize=2_048), whole, {})
    write_parquet(SCHEMA, rows.combine_chunks().to_batches(max_chunksize=size), pieces, {})
    assert pieces.read_bytes() == whole.read_bytes()
    assert pq.ParquetFile(pieces, page_checksum_verification=True).read().equals(rows)


def test_amounts_are_exact_for_another_reader(rows: pa.Table, tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    write_parquet(SCHEMA, rows.to_batches(), path, {})
    [found] = duckdb.sql(f"SELECT MAX(amount), MIN(amount), COUNT(amount), SUM(amount) FROM '{path}'").fetchall()
    amounts = [amount for amount in rows["amount"].to_pylist() if amount is not None]
    assert found == (HIGHEST, -HIGHEST, len(amounts), sum(amounts))
