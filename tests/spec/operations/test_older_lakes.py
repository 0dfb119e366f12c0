"""A lake of an older version, with a file per event day: it is left alone, and what the message says to do works."""

from __future__ import annotations

import re
import shlex
from datetime import date
from pathlib import Path

import pytest
from support.nights import night_environment, run_night, tree_bytes, write_shop
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.errors import DataError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import ALL_TABLES, RAW_ORDER_LINES, Partition

NIGHT = date(2024, 3, 1)
ORDERS = [f"o{n},1,c{n % 5},2024-02-{20 + n % 9:02} 10:00:00,1,{n}.25,a" for n in range(20)]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write_shop(tmp_path / "shop", ORDERS, customers=[f"c{n}" for n in range(5)])


@pytest.fixture
def older(shop: Path, tmp_path: Path) -> Lake:
    """Return a lake as an older version left it: each event day in a folder of its own."""
    lake = Lake(tmp_path / "older")
    run_night(shop, lake, NIGHT)
    for table in ALL_TABLES:
        if table.partition is Partition.EVENT_DAY:
            for path in sorted((lake.root / "tables" / table.name).glob("month=*")):
                path.rename(path.with_name(f"day={path.name.partition('=')[2]}-01"))
    return lake


def test_an_older_lake_is_refused_before_anything_is_written(shop: Path, older: Lake) -> None:
    before = tree_bytes(older, "tables", "restated", "publications", "models", "definitions")
    with pytest.raises(DataError, match="written by an older version") as refused:
        run_night(shop, older, NIGHT)
    assert Path(refused.value.where).parent == older.root / "tables" / RAW_ORDER_LINES.name
    assert tree_bytes(older, "tables", "restated", "publications", "models", "definitions") == before


@pytest.mark.parametrize("way", ["option", "environment"])
def test_what_the_message_says_begins_a_lake_of_its_own(shop: Path, older: Lake, tmp_path: Path, way: str) -> None:
    with pytest.raises(DataError) as refused:
        run_night(shop, older, NIGHT)
    told = re.search(r"segments (run --lake ANOTHER_FOLDER), or set (SEGMENTS_LAKE)", refused.value.todo)
    assert told, refused.value.todo
    another = Lake(tmp_path / "another")
    command = told[1].replace("ANOTHER_FOLDER", str(another.root)) if way == "option" else "run"
    with night_environment(shop, older if way == "option" else another):
        run = CliRunner().invoke(app, [*shlex.split(command), "--day", str(NIGHT)])
    assert run.exit_code == 0, run.output
    assert (another.root / "current" / "customer_segments.parquet").is_file()
