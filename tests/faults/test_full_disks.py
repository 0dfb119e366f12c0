"""Real disks that are full, out of inodes or read-only: every step says so, shows nothing by halves and may be tried again."""

from __future__ import annotations

import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from support.nights import run_night, tree_bytes, write_shop
from support.published_nights import published_files, target_rows
from support.small_disks import small_disk

from pipeline.errors import TransientError
from pipeline.lake.event_days import Version
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_SEGMENT_INTERVALS

YESTERDAY, TONIGHT = date(2024, 3, 2), date(2024, 3, 3)
ORDERS = [f"o{n},1,c{n % 5},2024-02-{20 + n % 9:02} 10:00:00,1,{n}.25,a" for n in range(20)] + [f"p,1,c1,{TONIGHT} 09:00:00,1,5,b"]
KEPT = ("tables", "publications", "models", "definitions", "reports")
PAGE = 4096

Mount = Callable[[str], Path]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("shop"), ORDERS, customers=[f"c{n}" for n in range(5)])


@pytest.fixture(scope="module")
def yesterday(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("yesterday") / "lake")
    run_night(shop, lake, YESTERDAY)
    return lake


@pytest.fixture(scope="module")
def undisturbed(shop: Path, yesterday: Lake) -> Lake:
    lake = Lake(shutil.copytree(yesterday.root, yesterday.root.parent / "undisturbed", symlinks=True))
    run_night(shop, lake, TONIGHT)
    return lake


@pytest.fixture
def disk(tmp_path: Path, yesterday: Lake) -> Iterator[Path]:
    """Yield a disk of its own, small and in memory, that holds the lake of yesterday."""
    with small_disk(tmp_path / "disk", size="16m") as place:
        shutil.copytree(yesterday.root, place / "lake", symlinks=True)
        yield place


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def leave_free(disk: Path, pages: int) -> None:
    """Fill the disk until that many pages are free."""
    ballast = disk / "ballast"
    ballast.unlink(missing_ok=True)
    with ballast.open("wb") as file:
        file.write(bytes(shutil.disk_usage(disk).free - pages * PAGE))


def refusal(shop: Path, lake: Lake) -> TransientError | None:
    """Run tonight and return what stopped it, if it may be tried again."""
    try:
        run_night(shop, lake, TONIGHT)
    except TransientError as error:
        return error
    return None


def require_refused(shop: Path, yesterday: Lake, lake: Lake) -> None:
    """See that tonight stops, that it may be tried again, and that readers have yesterday, all of it."""
    refused = refusal(shop, lake)
    assert refused is not None
    assert "run again" in refused.todo
    assert published_files(lake) == published_files(yesterday)
    assert target_rows(lake.root / "segments.sqlite") == target_rows(yesterday.root / "segments.sqlite")


def require_mended(shop: Path, undisturbed: Lake, lake: Lake) -> None:
    run_night(shop, lake, TONIGHT)
    assert tree_bytes(lake, *KEPT) == tree_bytes(undisturbed, *KEPT)
    assert published_files(lake) == published_files(undisturbed)
    assert not list((lake.root / "staging").iterdir())


def test_a_full_disk_stops_the_night_wherever_it_fills_up(shop: Path, yesterday: Lake, undisturbed: Lake, disk: Path) -> None:
    lake = Lake(disk / "lake")
    refusals = []
    for pages in range(0, 200, 19):
        leave_free(disk, pages)
        refusals.append(refusal(shop, lake))
        if refusals[-1] is None:
            break
        assert published_files(lake) in (published_files(yesterday), published_files(undisturbed))
        assert not list((lake.root / "staging").rglob("*.parquet"))
    assert len({refused.where for refused in refusals if refused}) > 3
    (disk / "ballast").unlink()
    require_mended(shop, undisturbed, lake)


def test_a_disk_that_is_full_for_a_file_of_a_transaction_is_told_as_any_other(lake: Lake) -> None:
    version, limits = Version(YESTERDAY, YESTERDAY), resource.getrlimit(resource.RLIMIT_FSIZE)
    with lake.store.transaction("intervals") as folder:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
        try:
            with pytest.raises(TransientError, match="could not write"):
                lake.write_event_days(CUSTOMER_SEGMENT_INTERVALS, [], {version: {}}, folder=folder)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_without_inodes_stops_the_night(shop: Path, yesterday: Lake, undisturbed: Lake, disk: Path) -> None:
    lake = Lake(disk / "lake")
    used = sum(1 for _ in disk.rglob("*")) + 2
    for free in (0, 4, 20):
        remount(disk, f"nr_inodes={used + free}")
        require_refused(shop, yesterday, lake)
        used = sum(1 for _ in disk.rglob("*")) + 2
    remount(disk, "nr_inodes=100000")
    require_mended(shop, undisturbed, lake)


def test_a_disk_that_turned_read_only_stops_the_night_and_names_a_place(shop: Path, yesterday: Lake, undisturbed: Lake, disk: Path) -> None:
    remount(disk, "ro")
    require_refused(shop, yesterday, Lake(disk / "lake"))
    remount(disk, "rw")
    require_mended(shop, undisturbed, Lake(disk / "lake"))


def test_a_file_that_may_not_grow_stops_the_night(shop: Path, yesterday: Lake, undisturbed: Lake, tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(yesterday.root, tmp_path / "lake", symlinks=True))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in (0, 1_000, 6_000, 12_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            require_refused(shop, yesterday, lake)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    require_mended(shop, undisturbed, lake)
