"""Where a text is found in a lake: in any cell of any Parquet file, its footer, or the raw bytes of any other file."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.lake.lake import Lake


def traces(lake: Lake, text: str) -> set[str]:
    """Return the places that hold `text`: tables by their folders, other files by their own names."""
    files = [path for path in lake.root.rglob("*") if path.is_file() and not path.is_symlink()]
    return {_place(lake, path) for path in files if _holds(path, text)}


def _holds(path: Path, text: str) -> bool:
    return text.encode() in path.read_bytes() or (path.suffix == ".parquet" and _has_cell(path, text))


def _has_cell(path: Path, text: str) -> bool:
    table = pq.ParquetFile(path).read()
    columns = [column for column in table.columns if pa.types.is_string(column.type)]
    return any(pc.any(pc.match_substring(column, text)).as_py() for column in columns)


def _place(lake: Lake, path: Path) -> str:
    parts = path.relative_to(lake.root).parts
    return "/".join(parts[:2]) if parts[0] in ("tables", "restated") else parts[0]
