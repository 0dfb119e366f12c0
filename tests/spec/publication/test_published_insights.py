"""Figures of segments in publications and the database: what is published or withheld, and what a rollback or an erasure leaves."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.insight_shops import FORMED, NEXT, REFINED, write_insight_shop
from support.killing import copied
from support.nights import run_night
from support.published_nights import manifest, no_connections

from pipeline.definitions.company import load_company
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import FEWEST_PUBLISHED, SEGMENT_FLOWS, SEGMENT_INSIGHTS, SEGMENT_PROPOSALS, Table
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers
from pipeline.publication.rollback import roll_back

FIGURES = (SEGMENT_FLOWS, SEGMENT_INSIGHTS, SEGMENT_PROPOSALS)
Row = dict[str, Any]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_insight_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def told(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("lake") / "lake")
    for day in (FORMED, REFINED, NEXT):
        run_night(shop, lake, day)
    return lake


@pytest.fixture
def lake(told: Lake, tmp_path: Path) -> Lake:
    return Lake(copied(told.root, tmp_path / "lake"))


def published(lake: Lake, table: Table) -> list[Row]:
    rows: list[Row] = pq.read_table(lake.root / "current" / f"{table.name}.parquet").to_pylist()
    return rows


def in_database(lake: Lake, table: Table) -> list[Row]:
    with closing(sqlite3.connect(lake.local(addresses.SQLITE))) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"SELECT * FROM {table.name} ORDER BY {', '.join(table.key)}")]


def test_a_first_night_has_no_flows_to_publish(told: Lake) -> None:
    names = [path.name for path in (told.root / "publications").glob(f"{FORMED}-*/*")]
    assert "segment_flows.parquet" not in names


def test_insights_are_published_until_they_are_told_anew(told: Lake) -> None:
    for table in (SEGMENT_INSIGHTS, SEGMENT_PROPOSALS):
        assert not told.has(table, day=NEXT)
        stored = told.read(table, day=REFINED).to_pylist()
        assert stored
        assert published(told, table) == [{"day": NEXT, **row, "told_on": REFINED} for row in stored]


def test_flows_of_fewer_than_ten_are_withheld_and_counted(told: Lake) -> None:
    stored = told.read(SEGMENT_FLOWS, day=NEXT).to_pylist()
    figure_rows = [{"day": NEXT, **row} for row in stored if row["customer_count"] >= FEWEST_PUBLISHED]
    assert 0 < len(figure_rows) < len(stored)
    assert published(told, SEGMENT_FLOWS) == figure_rows
    said = manifest(told)["tables"]["segment_flows"]
    assert (said["rows"], said["withheld_rows"]) == (len(figure_rows), len(stored) - len(figure_rows))


def test_the_database_holds_what_is_published(told: Lake) -> None:
    for table in FIGURES:
        names = [*table.column_names, *(each.name for each in table.published_columns)]
        keys = [tuple(row[name] or "" if name != "nights" else row[name] for name in table.key) for row in published(told, table)]
        found = in_database(told, table)
        assert list(found[0]) == names
        assert sorted(tuple(row[name] for name in table.key) for row in found) == sorted(keys)
    assert {row["told_on"] for row in in_database(told, SEGMENT_PROPOSALS)} == {REFINED.isoformat()}
    assert "" in {row["with_segment"] for row in in_database(told, SEGMENT_PROPOSALS)}


def test_a_rollback_brings_back_the_figures_of_the_night_before(shop: Path, lake: Lake) -> None:
    roll_back(load_company(shop), lake, connections=no_connections)
    flows = published(lake, SEGMENT_FLOWS)
    assert {row["day"] for row in flows} == {REFINED}
    found = [(row["nights"], row["scheme"], row["from_segment"], row["to_segment"]) for row in in_database(lake, SEGMENT_FLOWS)]
    assert sorted(found) == sorted((row["nights"], row["scheme"], row["from_segment"] or "", row["to_segment"] or "") for row in flows)


def test_an_erasure_leaves_figures_of_many_and_what_the_manifest_says_of_them(shop: Path, lake: Lake) -> None:
    before, files = manifest(lake), {table: published(lake, table) for table in FIGURES}
    erase_customers(Deployment(load_company(shop), lake, lambda name: name), ["c003"])
    after = manifest(lake)
    assert after["publication_id"] != before["publication_id"]
    for table in FIGURES:
        assert published(lake, table) == files[table]
        assert after["tables"][table.name].get("withheld_rows") == before["tables"][table.name].get("withheld_rows")
