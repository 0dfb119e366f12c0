"""A compaction under SIGKILL, before every event that changes a file: nothing is lost, nothing is read twice, the next one ends it."""

from __future__ import annotations

import os
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.builders import an_order_line, write_order_lines
from support.killing import Killer, copied
from support.nights import tree_bytes

from pipeline.lake.checksums import is_whole
from pipeline.lake.compaction import compact_months
from pipeline.lake.lake import Lake
from pipeline.lake.local_store import LocalStore
from pipeline.lake.tables import ORDER_LINES

DAYS = [date(2024, 3, day) for day in range(1, 6)]


def compact(root: Path) -> None:
    compact_months(Lake(root / "lake"), [ORDER_LINES], before=date(2024, 5, 1))


def test_what_a_killed_compaction_left_goes_only_after_its_file_is_safe_from_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in DAYS:
        write_order_lines(Lake(tmp_path / "lake"), [an_order_line(1, day=day)], known_on=day)
    nights = copied(tmp_path / "lake", "nights")
    compact(tmp_path)
    shutil.copytree(nights / "tables", tmp_path / "lake" / "tables", dirs_exist_ok=True)  # as if killed before it removed them
    events: list[str] = []
    monkeypatch.setattr(os, "sync", lambda: events.append("sync"))
    remove = LocalStore.delete_all
    monkeypatch.setattr(LocalStore, "delete_all", lambda store, prefix: events.append("removal") or remove(store, prefix))
    compact(tmp_path)
    assert events == ["sync", *["removal"] * len(DAYS)]


def everything(root: Path) -> dict[Any, Any]:
    lake = Lake(root / "lake")
    stored = lake.stored_versions(ORDER_LINES)
    return {v: (dict(each.facts), lake.read(ORDER_LINES, day=v.day, known_on=v.known_on).to_pylist()) for v, each in stored.items()}


def test_a_compaction_killed_anywhere_loses_nothing_and_the_next_one_ends_it(killing: Killer, tmp_path: Path) -> None:
    root = tmp_path / "before"
    for day in DAYS:
        for known in (day, day + timedelta(1)):
            write_order_lines(Lake(root / "lake"), [an_order_line(1, day=day, customer_id=f"c{known}")], known_on=known)
    write_order_lines(Lake(root / "lake"), [an_order_line(1, day=date(2024, 4, 2))], known_on=date(2024, 4, 2))
    whole, before = copied(root, "undisturbed"), everything(root)
    compact(whole)
    killed = killing.killed_everywhere(compact, root)
    assert len(killed) > 12
    assert len({len(list(lake.rglob("*.parquet"))) for lake in killed}) > 4
    for lake in killed:
        assert everything(lake) == before, lake.name
        assert all(is_whole(path) for path in (lake / "lake" / "tables").rglob("*.parquet")), lake.name
    killing.done(compact, killed)
    for lake in killed:
        assert tree_bytes(Lake(lake / "lake"), "tables") == tree_bytes(Lake(whole / "lake"), "tables"), lake.name
        assert everything(lake) == before, lake.name
        with Lake(lake / "lake").private_folder() as folder:
            assert list((lake / "lake" / "staging").iterdir()) == [folder], lake.name
