"""A damaged file of a month long past: the night that needs it says which it is, and what its message says to do mends it."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from support.nights import NO_GATES, night_environment, run_night, tree_bytes, write_shop
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.errors import DataError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import ALL_TABLES, CUSTOMER_SEGMENT_INTERVALS, ORDER_LINES, RAW_ORDER_LINES, Partition, Table
from pipeline.segmentation.history import reading_intervals

JANUARY = [date(2024, 1, day) for day in (10, 20, 31)]
MARCH, TONIGHT = date(2024, 3, 20), date(2024, 3, 21)
ORDERS = [f"o{n},1,c{n % 9},2024-01-{1 + n % 30:02} 10:00:00,1,{n}.25,a" for n in range(60)] + [
    f"p{day.day},1,c{day.day % 9},{day} 09:00:00,1,5,b" for day in (MARCH, TONIGHT)
]
# What a night read and checked is another matter: the one that mends reads January again.
TABLES = [f"tables/{name}" for name in ("customer_features", "customer_segments", "segment_profiles", "segment_moves")]
COMPACTED = [table for table in ALL_TABLES if table.partition is Partition.EVENT_DAY and "visits" not in table.name]


def flipped(content: bytes, place: int) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 4
    return bytes(changed)


DAMAGES: list[Callable[[bytes], bytes]] = [
    lambda content: content[: len(content) // 2],
    lambda content: flipped(content, 40),  # in the first page
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("shop"), ORDERS, customers=[f"c{n}" for n in range(9)], settings=NO_GATES)


@pytest.fixture(scope="module")
def compacted(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return a lake of a few nights of January, whose files a night of March has compacted."""
    lake = Lake(tmp_path_factory.mktemp("compacted") / "lake")
    for day in (*JANUARY, MARCH):
        run_night(shop, lake, day)
    return lake


@pytest.fixture(scope="module")
def undisturbed(shop: Path, compacted: Lake) -> Lake:
    """Return a lake in which tonight found all as it was."""
    lake = Lake(shutil.copytree(compacted.root, compacted.root.parent / "undisturbed", symlinks=True))
    run_night(shop, lake, TONIGHT)
    return lake


def compacted_path(lake: Lake, table: Table) -> Path:
    return lake.root / "tables" / table.name / "month=2024-01" / "known=all" / "part-0.parquet"


def obey(error: DataError, shop: Path, lake: Lake) -> None:
    """Do what a message says, to the letter."""
    if error.todo.startswith("Remove this folder: the next night"):
        shutil.rmtree(error.where)
        return
    told = re.fullmatch(r"Remove that file, then run: segments (.+)\.", error.todo)
    assert told, error
    Path(error.where).unlink()
    with night_environment(shop, lake):
        run = CliRunner().invoke(app, shlex.split(told[1]))
    assert run.exit_code == 0, run.output


@pytest.mark.parametrize("table", COMPACTED, ids=lambda table: str(table.name))
def test_what_the_message_of_a_night_says_mends_a_compacted_file(
    shop: Path, compacted: Lake, undisturbed: Lake, tmp_path: Path, table: Table
) -> None:
    lake = Lake(shutil.copytree(compacted.root, tmp_path / "lake", symlinks=True))
    shutil.rmtree(lake.root / "states", ignore_errors=True)  # caches would spare the night from reading old days
    path = compacted_path(lake, table)
    whole, refusals = path.read_bytes(), list[DataError]()
    for damage in DAMAGES:
        path.write_bytes(damage(whole))
        with pytest.raises(DataError, match=f"{table.name} is damaged") as refused:
            read_again(shop, lake, table)
        refusals.append(refused.value)
    assert str(path).startswith(refusals[0].where)
    assert len({(each.where, each.todo) for each in refusals}) == 1
    obey(refusals[-1], shop, lake)
    run_night(shop, lake, TONIGHT)
    assert tree_bytes(lake, *TABLES) == tree_bytes(undisturbed, *TABLES)
    now = {day: lake.versions_known(table, through=day, known_on=TONIGHT) for day in (JANUARY[-1], TONIGHT)}
    before = {day: undisturbed.versions_known(table, through=day, known_on=TONIGHT) for day in (JANUARY[-1], TONIGHT)}
    assert {day: [each.day for each in now[day]] for day in now} == {day: [each.day for each in before[day]] for day in before}
    assert [rows.to_pylist() for rows in rows_of(lake, table)] == [rows.to_pylist() for rows in rows_of(undisturbed, table)]


def read_again(shop: Path, lake: Lake, table: Table) -> None:
    """Read all of January as who asks for it does, and run tonight, which needs the rollups of it alone."""
    if table in {RAW_ORDER_LINES, ORDER_LINES}:
        for _ in lake.rows(table, lake.versions(table)):
            pass
    if table is CUSTOMER_SEGMENT_INTERVALS:
        with reading_intervals(lake):
            rows_of(lake, table)
    run_night(shop, lake, TONIGHT)


def rows_of(lake: Lake, table: Table) -> list[pa.Table]:
    versions = lake.versions_known(table, through=date.max, known_on=TONIGHT)
    return [lake.read(table, day=version.day, known_on=version.known_on) for version in versions]
