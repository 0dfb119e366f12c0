"""Memberships are computed for some customers after the others: the same bytes, however many at a time."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from support.builders import a_company, write_rows
from support.nights import tree_bytes
from support.published_nights import a_row

from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS
from pipeline.segmentation import write_memberships

DAY = date(2024, 3, 1)
# Categories are ranked by how many customers buy them: no customer's own row tells.
CATEGORIES = {f"c{number}": "wine" if number % 3 else f"rare {number}" for number in range(20)}


def memberships(root: Path) -> tuple[dict[str, bytes], set[str]]:
    company, lake = a_company(root), Lake(root / "lake")
    rows = [
        a_row(CUSTOMER_FEATURES, customer_id=name, favourite_category=category, order_day_count=3)
        for name, category in sorted(CATEGORIES.items())
    ]
    write_rows(lake, CUSTOMER_FEATURES, rows, day=DAY)
    with closing(DuckDBEngine(lake.store)) as engine:
        write_memberships(company, lake, engine, DAY)
    segments = lake.read(CUSTOMER_SEGMENTS, day=DAY).to_pylist()
    return tree_bytes(lake, "tables"), {row["segment"] for row in segments if row["scheme"] == "category_affinity"}


def test_slices_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("whole", "sliced"):
        (tmp_path / name).mkdir()
    whole, segments = memberships(tmp_path / "whole")
    monkeypatch.setattr("pipeline.segmentation.memberships.MEMBERSHIPS_PER_SLICE", 30)
    assert memberships(tmp_path / "sliced") == (whole, segments)
    assert segments == {"wine", "other"}
