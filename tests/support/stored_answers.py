"""What the stored tables of a lake add up to, asked of its files."""

from __future__ import annotations

from typing import Any

import duckdb

from pipeline.lake.lake import Lake
from pipeline.lake.tables import Table

ALL_DAYS = "month=*/known=*/part-0.parquet"


def answers(lake: Lake, table: Table, select: str) -> tuple[Any, ...]:
    """Return the row that `select` makes of all versions of a table of event days."""
    files = str(lake.root / "tables" / table.name / ALL_DAYS)
    rows: list[tuple[Any, ...]] = duckdb.execute(f"SELECT {select} FROM read_parquet(?)", [files]).fetchall()
    return rows[0]
