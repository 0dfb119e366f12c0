"""Files that lost or changed bytes: no step computes from one, each says which it was, and running that day again mends it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.nights import night_of, run_night, tree_bytes, write_shop

from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.checksums import is_whole, read_seal
from pipeline.lake.lake import Lake
from pipeline.lake.tables import ALL_TABLES, CUSTOMER_FEATURES, Partition
from pipeline.operations import steps

YESTERDAY, TONIGHT = date(2024, 3, 2), date(2024, 3, 3)
ORDERS = [f"o{n},1,c{n % 5},2024-02-{20 + n % 9:02} 10:00:00,1,{n}.25,a" for n in range(20)] + [
    f"p{day.day},1,c{day.day},{day} 09:00:00,1,5,b" for day in (YESTERDAY, TONIGHT)
]
KEPT = ("tables", "publications", "models", "definitions")


def flipped(content: bytes, place: int) -> bytes:
    changed = bytearray(content)
    changed[place] ^= 4
    return bytes(changed)


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "nothing left": lambda _: b"",
    "cut at 4 bytes": lambda content: content[:4],
    "cut in half": lambda content: content[: len(content) // 2],
    "cut by one byte": lambda content: content[:-1],
    "a bit of the first page flipped": lambda content: flipped(content, 40),
    "a bit in the middle flipped": lambda content: flipped(content, len(content) // 2),
    "a bit of the footer flipped": lambda content: flipped(content, len(content) - 40),
}
READ_BY_STEP = [
    ("validate", f"raw_order_lines/month=2024-03/known={TONIGHT}"),
    ("validate", f"raw_customers/known={YESTERDAY}"),
    ("features", f"order_lines/month=2024-03/known={TONIGHT}"),
    ("features", f"customers/known={YESTERDAY}"),
    ("features", f"customer_days/month=2024-03/known={YESTERDAY}"),
    ("features", f"customer_day_categories/month=2024-03/known={YESTERDAY}"),
    ("segment", f"customer_features/day={TONIGHT}"),
    ("audit", f"customer_features/day={TONIGHT}"),
    ("audit", f"customer_segments/day={TONIGHT}"),
    ("audit", f"validation_results/day={TONIGHT}"),
    ("publish", f"customer_features/day={TONIGHT}"),
    ("publish", f"customer_segments/day={TONIGHT}"),
    ("publish", f"segment_profiles/day={TONIGHT}"),
    ("publish", f"gate_results/day={TONIGHT}"),
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("shop"), ORDERS, customers=[f"c{n}" for n in range(5)])


@pytest.fixture(scope="module")
def lakes(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return copies of a lake in which tonight has come up to, but not including, each step; and one after the last."""
    folder = tmp_path_factory.mktemp("lakes")
    lake = Lake(folder / "lake")
    run_night(shop, lake, YESTERDAY)
    copies = {}
    for name in steps.STEPS:
        copies[name] = Path(shutil.copytree(lake.root, folder / name, symlinks=True))
        steps.STEPS[name](night_of(shop, lake, TONIGHT))
    return {**copies, "the end": lake.root}


@pytest.mark.parametrize("place", range(len(READ_BY_STEP)), ids=lambda place: " ".join(READ_BY_STEP[place]))
def test_no_step_computes_from_a_damaged_table(shop: Path, lakes: dict[str, Path], tmp_path: Path, place: int) -> None:
    step, partition = READ_BY_STEP[place]
    lake = Lake(shutil.copytree(lakes[step], tmp_path / "lake", symlinks=True))
    path = lake.root / "tables" / partition / "part-0.parquet"
    whole = path.read_bytes()
    live = tree_bytes(lake, "publications")
    kinds = list(DAMAGES)  # what tells a damage is the same for all tables: two of the seven for each
    for name in (kinds[place % 7], kinds[(place + 2) % 7]):
        path.write_bytes(DAMAGES[name](whole))
        with pytest.raises(DataError, match=f"{Path(partition).parts[0]} is damaged") as refused:
            steps.STEPS[step](night_of(shop, lake, TONIGHT))
        assert refused.value.where == str(path), name
        assert f"--day {partition[-10:]}" in refused.value.todo, name
        assert tree_bytes(lake, "publications") == live, name


@pytest.mark.parametrize("table", ["customer_features", "customer_segments", "customer_next_actions"])
def test_no_column_is_published_damaged_though_no_step_before_reads_it(
    shop: Path, lakes: dict[str, Path], tmp_path: Path, table: str
) -> None:
    lake = Lake(shutil.copytree(lakes["publish"], tmp_path / "lake", symlinks=True))
    path = lake.root / "tables" / table / f"day={TONIGHT}" / "part-0.parquet"
    names, end = read_seal(path).names, read_seal(path).ends[-1]
    path.write_bytes(flipped(path.read_bytes(), end - 1))
    assert is_whole(path, names[:-1])
    assert not is_whole(path, names[-1:])
    with pytest.raises(DataError, match=f"{table} is damaged") as refused:
        steps.publish(night_of(shop, lake, TONIGHT))
    assert refused.value.where == str(path)


@pytest.mark.parametrize("day", [YESTERDAY, TONIGHT], ids=str)
def test_a_night_whose_files_are_all_damaged_is_mended_by_running_it_again(
    shop: Path, lakes: dict[str, Path], tmp_path: Path, day: date
) -> None:
    lake = Lake(shutil.copytree(lakes["the end"], tmp_path / "lake", symlinks=True))
    before = tree_bytes(lake, *KEPT)
    kinds = list(DAMAGES.values())
    # Intervals are made of all stored nights, so that no single one mends them; an older night is not judged again.
    others = {"customer_segment_intervals", "gate_results"} if day == YESTERDAY else {"customer_segment_intervals"}
    files = [path for path in sorted(lake.root.glob(f"tables/**/*={day}/part-0.parquet")) if not others & {*path.parts}]
    for number, path in enumerate(files):
        path.write_bytes(kinds[number % len(kinds)](path.read_bytes()))
    assert not any(is_whole(path) for path in files)
    steps.extract(night_of(shop, lake, day), reread=True)
    for name in list(steps.STEPS)[1:]:
        steps.STEPS[name](night_of(shop, lake, day))
    assert tree_bytes(lake, *KEPT) == before


def test_a_private_cache_that_is_damaged_is_as_good_as_none(shop: Path, lakes: dict[str, Path], tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(lakes["features"], tmp_path / "lake", symlinks=True))
    for path in lake.root.glob("states/**/*.*"):
        content = path.read_bytes()
        stamp = path.stat()
        path.write_bytes(flipped(content, len(content) // 2))
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    steps.features(night_of(shop, lake, TONIGHT))
    table = f"tables/customer_features/day={TONIGHT}"
    assert tree_bytes(lake, table) == tree_bytes(Lake(lakes["the end"]), table)


def test_features_of_an_older_declaration_are_told_by_their_column_before_anything_is_fitted_to_them(
    shop: Path, lakes: dict[str, Path], tmp_path: Path
) -> None:
    lake = Lake(shutil.copytree(lakes["segment"], tmp_path / "lake", symlinks=True))
    shutil.rmtree(lake.root / "models", ignore_errors=True)
    address = addresses.partition(CUSTOMER_FEATURES, day=TONIGHT)
    rows = pq.read_table(lake.local(address), partitioning=None).drop_columns("order_day_count")
    lake.write_file(rows.schema.remove_metadata(), rows.to_batches(), address, lake.manifest(address))
    with pytest.raises(DataError, match="customer_features lacks `order_day_count`"):
        steps.segment(night_of(shop, lake, TONIGHT))


def write_as_declared_before(lake: Lake, path: Path, column: str) -> None:
    """Write the file at `path` as a program did that did not know `column` yet."""
    rows = pq.read_table(path, partitioning=None).drop_columns(column)
    address = str(path.relative_to(lake.local("")))
    [table] = [each for each in ALL_TABLES if each.name == address.split("/")[1]]
    if table.partition is not Partition.EVENT_DAY:
        lake.write_file(rows.schema.remove_metadata(), rows.to_batches(), address, lake.manifest(address))
        return
    older = replace(table, columns=tuple(each for each in table.columns if each.name != column))
    facts = {stored.version: stored.facts for stored in lake.stored_in(table, address)}
    lake.write_month_file(older, address, rows.to_batches(), facts)


@pytest.mark.parametrize(
    ("table", "column"),
    [("customer_day_categories", "category_day_count"), ("order_lines", "discount_amount"), ("customers", "is_prospect")],
)
def test_a_table_of_an_older_declaration_says_which_column_it_lacks_and_what_to_do(
    shop: Path, lakes: dict[str, Path], tmp_path: Path, table: str, column: str
) -> None:
    lake = Lake(shutil.copytree(lakes["features"], tmp_path / "lake", symlinks=True))
    paths = sorted((lake.root / "tables" / table).rglob("*.parquet"))
    for path in paths:
        write_as_declared_before(lake, path, column)
    with pytest.raises(DataError, match=f"{table} lacks `{column}`") as caught:
        steps.features(night_of(shop, lake, TONIGHT))
    assert caught.value.where == str(lake.root / "tables" / table)
    assert "Remove that folder, then run again from" in caught.value.todo
    shutil.rmtree(caught.value.where)
    for day in (YESTERDAY, TONIGHT):
        run_night(shop, lake, day, until="features")
    assert tree_bytes(lake, f"tables/{table}") == tree_bytes(Lake(lakes["the end"]), f"tables/{table}")


def test_one_older_file_among_newer_ones_is_told_by_the_column_it_lacks(shop: Path, lakes: dict[str, Path], tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(lakes["features"], tmp_path / "lake", symlinks=True))
    shutil.rmtree(lake.root / "states")
    write_as_declared_before(lake, max((lake.root / "tables" / "customer_days").rglob("*.parquet")), "order_amount")
    with pytest.raises(DataError, match="customer_days lacks `order_amount`"):
        steps.features(night_of(shop, lake, TONIGHT))
