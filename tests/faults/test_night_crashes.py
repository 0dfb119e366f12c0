"""Whole nights under SIGKILL, before events of every kind in every step; KILL_EVERYWHERE=1 takes all events, and hours."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.killing import Killer, copied
from support.nights import night_of, write_shop
from support.published_nights import published_files, target_rows

from pipeline.lake.checksums import is_whole
from pipeline.lake.lake import Lake
from pipeline.lake.parquet import read_manifest
from pipeline.operations import steps

pytestmark = [pytest.mark.timeout(0)] if os.environ.get("KILL_EVERYWHERE") else []
FIRST, MISSED, LAST, TONIGHT = date(2024, 3, 1), date(2024, 3, 2), date(2024, 3, 3), date(2024, 3, 4)
ORDERS = [f"o{n},1,c{n % 5},2024-02-{20 + n % 9:02} 10:00:00,1,{n}.25,a" for n in range(20)] + [
    f"p{day.day},1,c{day.day},{day} 09:00:00,1,5,b" for day in (FIRST, MISSED, LAST, TONIGHT)
]
LATE = f"late,1,c4,{LAST} 11:00:00,1,7,b\n"
# Private: caches that any night may rebuild, and what only running processes need.
PRIVATE = ("states", "staging", "locks")


@dataclass(frozen=True)
class Scenario:
    """A night about to run in a lake that has run FIRST and LAST; `late` rows arrived since."""

    day: date
    late: str
    most: int


SCENARIOS = {
    "a new day": Scenario(TONIGHT, "", 6),
    "the same day again, with late rows": Scenario(LAST, LATE, 2),
    "an older day that was missed": Scenario(MISSED, "", 2),
}


def run(root: Path, day: date) -> None:
    steps.extract(night_of(root / "shop", Lake(root / "lake"), day), reread=True)
    for name in list(steps.STEPS)[1:]:
        steps.STEPS[name](night_of(root / "shop", Lake(root / "lake"), day))


def seen(root: Path) -> tuple[dict[str, bytes], dict[str, list[Any]]]:
    return published_files(Lake(root / "lake")), target_rows(root / "lake" / "segments.sqlite")


def kept(root: Path) -> dict[str, object]:
    """Return every file of the lake that lasts, by its bytes or its link; the database by its rows.

    Commands on pages say where company and lake are, which is another folder in each run.
    """
    lake, here = root / "lake", str(root.resolve()).encode()
    files = [path for path in lake.rglob("*") if path.relative_to(lake).parts[0] not in PRIVATE and (path.is_file() or path.is_symlink())]
    contents = {path: path.readlink() if path.is_symlink() else path.read_bytes().replace(here, b"HERE") for path in files}
    return {
        **{str(path.relative_to(lake)): content for path, content in contents.items()},
        "segments.sqlite": target_rows(lake / "segments.sqlite"),
    }


def require_readable_tables(root: Path) -> None:
    lake = Lake(root / "lake")
    for path in lake.root.glob("tables/**/*.parquet"):
        assert is_whole(path), path
        assert pq.ParquetFile(path, page_checksum_verification=True).read().num_rows == read_manifest(path)["row_count"], path
    assert not [path for path in lake.root.glob("tables/**/*") if path.is_file() and path.name != "part-0.parquet"]


@pytest.fixture(scope="module")
def two_nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("nights") / "before"
    write_shop(root / "shop", ORDERS, customers=[f"c{n}" for n in range(5)])
    for day in (FIRST, LAST):
        run(root, day)
    return root


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_a_night_killed_anywhere_shows_nothing_by_halves_and_one_retry_makes_it_whole(
    killing: Killer, two_nights: Path, tmp_path: Path, scenario: Scenario
) -> None:
    root = Path(shutil.copytree(two_nights, tmp_path / "before", symlinks=True))
    with (root / "shop" / "data" / "orders.csv").open("a") as file:
        file.write(scenario.late)
    night = partial(run, day=scenario.day)
    whole = copied(root, "undisturbed")
    night(whole)
    old, new, converged = seen(root), seen(whole), kept(whole)
    killed = killing.killed_at_some(night, root, scenario.most)
    for lake in killed:
        files, rows = seen(lake)
        assert files in (old[0], new[0]), lake.name
        assert rows in (old[1], new[1]), lake.name
        require_readable_tables(lake)
    for lake in killed:
        night(lake)
        assert kept(lake) == converged, lake.name
        assert not list((lake / "lake" / "staging").iterdir()), lake.name
