"""Months long past become one file each, and nobody can tell: not by a version, a row, a night's view or its bytes."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.builders import an_order_line, write_order_lines
from support.nights import NO_GATES, night_of, run_night, tree_bytes, write_shop

from pipeline.lake.checksums import is_whole
from pipeline.lake.compaction import FILES_WORTH_REWRITING, compact_months
from pipeline.lake.lake import Lake
from pipeline.lake.tables import ALL_TABLES, ORDER_LINES, RAW_ORDER_LINES, Partition
from pipeline.operations import steps

EVENT_TABLES = [table for table in ALL_TABLES if table.partition is Partition.EVENT_DAY]
MARCH = [date(2024, 3, day) for day in range(1, 32)]
END = date(2024, 4, 1)


def files(lake: Lake) -> list[str]:
    return sorted(str(path.relative_to(lake.root / "tables")) for path in (lake.root / "tables").rglob("*.parquet"))


def everything(lake: Lake) -> dict[Any, Any]:
    """Return every version of every table of event days, with its rows and what is said of it."""
    return {
        (table.name, version): (dict(stored.facts), lake.read(table, day=version.day, known_on=version.known_on).to_pylist())
        for table in EVENT_TABLES
        for version, stored in lake.stored_versions(table).items()
    }


def compact(lake: Lake, *, before: date = END) -> int:
    return compact_months(lake, EVENT_TABLES, before=before)


@pytest.fixture
def march(lake: Lake) -> Lake:
    """Return a lake in which each night of March learned of its day, and otherwise of the one before."""
    for day in MARCH:
        for known in (day, day + timedelta(1)):
            if known < END:
                write_order_lines(lake, [an_order_line(1, day=day, customer_id=f"c{known.day}")], known_on=known)
    return lake


def test_a_month_becomes_one_file_that_holds_every_version_as_it_was(march: Lake) -> None:
    before = everything(march)
    assert len(before) == 61
    assert compact(march) == 1
    assert files(march) == ["order_lines/month=2024-03/known=all/part-0.parquet"]
    assert everything(march) == before
    assert all(is_whole(path) for path in march.root.rglob("*.parquet"))


@pytest.mark.parametrize("known_on", MARCH[::10])
def test_what_a_night_goes_by_is_the_same(march: Lake, known_on: date) -> None:
    before = march.versions_known(ORDER_LINES, through=known_on, known_on=known_on)
    compact(march)
    assert march.versions_known(ORDER_LINES, through=known_on, known_on=known_on) == before


def test_a_month_that_a_night_still_looks_at_keeps_the_files_of_its_nights(march: Lake) -> None:
    before = files(march)
    assert compact(march, before=MARCH[-1]) == 0
    assert files(march) == before


def test_compacting_twice_is_compacting_once(march: Lake) -> None:
    compact(march)
    before = tree_bytes(march, "tables")
    assert compact(march) == 0
    assert tree_bytes(march, "tables") == before


def test_a_version_that_is_written_again_takes_the_place_of_the_compacted_one(march: Lake) -> None:
    compact(march)
    write_order_lines(march, [an_order_line(1, day=MARCH[3], customer_id="anew")], known_on=MARCH[3])
    compact(march)
    assert len(files(march)) == 2
    assert march.read(ORDER_LINES, day=MARCH[3], known_on=MARCH[3])["customer_id"].to_pylist() == ["anew"]
    assert len(march.versions(ORDER_LINES)) == 61


def test_a_few_late_files_wait_and_many_are_taken_in(march: Lake) -> None:
    compact(march)
    counts = []
    for night in range(FILES_WORTH_REWRITING):
        write_order_lines(march, [an_order_line(1, day=MARCH[3], customer_id=f"late{night}")], known_on=END + timedelta(night))
        before = everything(march)
        compact(march)
        counts.append(len(files(march)))
        assert everything(march) == before
    assert counts == [*range(2, FILES_WORTH_REWRITING + 1), 1]


def test_files_left_of_a_compaction_that_was_killed_are_read_once_and_swept(march: Lake, tmp_path: Path) -> None:
    before = everything(march)
    killed = Lake(shutil.copytree(march.root, tmp_path / "killed"))
    compact(killed)
    for file in files(march)[::3]:
        shutil.copytree(march.root / "tables" / Path(file).parent, killed.root / "tables" / Path(file).parent)
    assert len(files(killed)) == 12
    assert everything(killed) == before
    compact(killed)
    assert files(killed) == ["order_lines/month=2024-03/known=all/part-0.parquet"]
    assert everything(killed) == before


@pytest.mark.parametrize("place", [40, -40])
def test_a_month_with_a_damaged_file_is_left_as_it_is(march: Lake, place: int) -> None:
    path = march.path(ORDER_LINES, day=MARCH[3], known_on=MARCH[3])
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    before = tree_bytes(march, "tables")
    assert compact(march) == 0
    assert tree_bytes(march, "tables") == before


# Nights that compact

NIGHTS = [date(2024, 1, day) for day in range(4, 32, 9)]
SECOND, LAST = date(2024, 3, 20), date(2024, 3, 21)
ORDERS = [f"o{n},1,c{n % 9},2024-01-{1 + n % 30:02} 10:00:00,1,{n}.25,a" for n in range(60)] + [
    f"p{day.day},1,c{day.day % 9},{day} 09:00:00,1,5,b" for day in (SECOND, LAST)
]
STRAY = "stray,1,c4,2024-01-03 11:00:00,1,7,b\n"
NIGHT_TABLES = [f"tables/{table.name}" for table in ALL_TABLES if table.partition is Partition.NIGHT]


@pytest.fixture(scope="module")
def young(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of a shop, and of a lake that has run nights of a January whose files are not compacted yet."""
    folder = tmp_path_factory.mktemp("young")
    shop = write_shop(folder / "shop", ORDERS, customers=[f"c{n}" for n in range(9)], settings=NO_GATES)
    for day in NIGHTS:
        run_night(shop, Lake(folder / "lake"), day, until="segment")
    return folder


def test_the_first_night_after_a_month_was_looked_at_last_compacts_it_and_changes_no_byte_of_any_night(young: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(young, tmp_path / "copy", symlinks=True))
    shop, lake = folder / "shop", Lake(folder / "lake")
    before, nights = everything(lake), tree_bytes(lake, *NIGHT_TABLES)
    run_night(shop, lake, SECOND, until="segment")
    known = {file.split("/")[2] for file in files(lake) if "/month=2024-01/" in file}
    assert known == {"known=all"}
    assert {key: value for key, value in everything(lake).items() if key in before and key[0] != "customer_segment_intervals"} == {
        key: value for key, value in before.items() if key[0] != "customer_segment_intervals"
    }
    assert {name: content for name, content in tree_bytes(lake, *NIGHT_TABLES).items() if name in nights} == nights
    for day in NIGHTS[::3]:
        run_night(shop, lake, day, until="segment")
    assert {name: content for name, content in tree_bytes(lake, *NIGHT_TABLES).items() if name in nights} == nights


def test_a_stray_line_of_an_old_month_costs_one_file_per_table(young: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(young, tmp_path / "copy", symlinks=True))
    shop, lake = folder / "shop", Lake(folder / "lake")
    run_night(shop, lake, SECOND, until="segment")
    with (shop / "data" / "orders.csv").open("a") as file:
        file.write(STRAY)
    before = {file for file in files(lake) if "/month=2024-01/" in file}
    night = night_of(shop, lake, LAST)
    steps.extract(night, since=date(2024, 1, 3))
    for step in (steps.validate, steps.features, steps.segment):
        step(night)
    tables = ["customer_day_categories", "customer_days", "order_lines", "raw_order_lines"]
    added = {file for file in files(lake) if "/month=2024-01/" in file} - before
    assert sorted(added) == [f"{table}/month=2024-01/known={LAST}/part-0.parquet" for table in tables]
    assert [each.day for each in lake.versions(RAW_ORDER_LINES) if each.known_on == LAST] == [date(2024, 1, 3), LAST]
