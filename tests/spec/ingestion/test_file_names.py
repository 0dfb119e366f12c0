"""A file is read by its own name, whatever DuckDB makes of such a name."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.source_folders import read_table, refused_table


def content(kind: str, number: int) -> bytes:
    if kind == "parquet":
        written = io.BytesIO()
        pq.write_table(pa.table({"id": [str(number)]}), written)
        return written.getvalue()
    return f'{{"id": {number}}}\n'.encode() if kind == "jsonl" else f"id\n{number}\n".encode(kind)


@pytest.mark.parametrize(("kind", "suffix"), [("utf-8", "csv"), ("utf-16", "csv"), ("jsonl", "jsonl"), ("parquet", "parquet")])
@pytest.mark.parametrize("name", ["export [1]", "export ?", "export*"])
def test_a_file_whose_name_is_a_pattern_is_read_itself(tmp_path: Path, kind: str, suffix: str, name: str) -> None:
    folder = tmp_path / "shop [a]"
    other = folder / "data" / "orders" / f"export 1.{suffix}"
    other.parent.mkdir(parents=True)
    other.write_bytes(content(kind, 5))
    declared = {"encoding": "utf-16"} if kind == "utf-16" else {"key": ("id",)}
    found = read_table(folder, content(kind, 1), "SELECT id FROM orders ORDER BY id", name=f"orders/{name}.{suffix}", **declared)
    assert found == [("1",), ("5",)]


def test_a_broken_line_of_a_file_whose_name_is_a_pattern_is_named(tmp_path: Path) -> None:
    error = refused_table(tmp_path, b"id,paid\nA1\n", query="SELECT id FROM orders", name="orders/export [1].csv")
    assert error.what == "export [1].csv: too few columns at paid in line 2"
