"""Law 9 under SIGKILL: die before every event that changes a file or runs a statement, one after the other."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd  # noqa: F401 - pyarrow imports it when first asked for rows: once here, not in every child
import pytest
from support.builders import a_company
from support.killing import Killer, copied
from support.published_nights import no_connections, published_files, target_rows, write_night

from pipeline.errors import TransientError
from pipeline.lake.lake import Lake
from pipeline.publication.publish import current_publication, publish

MONDAY, TUESDAY, WEDNESDAY = date(2025, 3, 3), date(2025, 3, 4), date(2025, 3, 5)
BEFORE = {"ada": "loyal", "bob": "lost", "cleo": "loyal"}
AFTER = {"ada": "lost", "bob": "lost", "dan": "loyal"}


@dataclass(frozen=True)
class Seen:
    """What readers see: the files behind `current`, and the rows of the database target."""

    files: dict[str, bytes]
    rows: dict[str, list[Any]]


@dataclass(frozen=True)
class Scenario:
    """A lake with the nights of `published` published, and the night of `day` about to be."""

    day: date
    segments: dict[str, str]
    published: tuple[date, ...] = (MONDAY, TUESDAY)


SCENARIOS = {
    "the first day ever": Scenario(MONDAY, AFTER, published=()),
    "a new day": Scenario(WEDNESDAY, AFTER),
    "the same day with other content": Scenario(TUESDAY, AFTER),
    "the same day with the same content": Scenario(TUESDAY, BEFORE),
    "an older day": Scenario(MONDAY, AFTER),
}


def publish_in(root: Path, day: date) -> None:
    publish(a_company(root), Lake(root), day, connections=no_connections)


def seen(root: Path) -> Seen:
    return Seen(published_files(Lake(root)), target_rows(root / "segments.sqlite"))


def stored(root: Path) -> dict[str, object]:
    """Return every path of the lake with its bytes or its link; the database by its rows, locks not at all."""
    contents = {str(path.relative_to(root)): _content(path) for path in root.rglob("*") if path.parent.name != "locks"}
    return {**contents, "segments.sqlite": target_rows(root / "segments.sqlite")}


def lasting_paths(root: Path) -> list[str]:
    names = (str(path.relative_to(root)) for path in root.rglob("*"))
    return sorted(name for name in names if not name.startswith(("staging", "locks")))


def _content(path: Path) -> object:
    if path.is_symlink():
        return str(path.readlink())
    return path.read_bytes() if path.is_file() else "folder"


def is_whole(folder: Path) -> bool:
    said = json.loads((folder / "manifest.json").read_text("utf-8"))["tables"]
    return all(sha256((folder / f"{name}.parquet").read_bytes()).hexdigest() == table["sha256"] for name, table in said.items())


def prepared(folder: Path, scenario: Scenario) -> Path:
    root = folder / "before"
    company, lake = a_company(root), Lake(root)
    for day in scenario.published:
        write_night(lake, company, day, BEFORE)
        publish_in(root, day)
    write_night(lake, company, scenario.day, scenario.segments)
    return root


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_a_reader_sees_all_old_or_all_new_wherever_publish_is_killed(killing: Killer, tmp_path: Path, scenario: Scenario) -> None:
    root = prepared(tmp_path, scenario)
    undisturbed = copied(root, "undisturbed")
    publish_in(undisturbed, scenario.day)
    old, new, converged = seen(root), seen(undisturbed), stored(undisturbed)
    killed = {lake: seen(lake) for lake in killing.killed_everywhere(partial(publish_in, day=scenario.day), root)}
    assert any(state.rows == new.rows and state.files == old.files for state in killed.values()), "no kill between database and pointer"
    for lake, state in killed.items():
        assert state.files in (old.files, new.files), lake.name
        assert state.rows in (old.rows, new.rows), lake.name
        assert state.files == old.files or state.rows == new.rows, "the pointer moved before the database"
        assert all(is_whole(folder) for folder in (lake / "publications").glob("*")), lake.name
    # What a dead run has staged is nothing to the next one: its retry is tried from each state that differs otherwise.
    differing = {repr((state, lasting_paths(lake))): lake for lake, state in killed.items()}
    for lake in differing.values():
        publish_in(lake, scenario.day)
        assert stored(lake) == converged, lake.name


def test_the_pointer_waits_until_the_disk_has_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = SCENARIOS["a new day"]
    root = prepared(tmp_path, scenario)
    undisturbed = copied(root, "undisturbed")
    publish_in(undisturbed, scenario.day)
    outcomes = []
    for fatal in count(1):
        lake = copied(root, f"unflushed-{fatal}")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", failing(os.fsync, fatal))
            try:
                publish_in(lake, scenario.day)
                break
            except TransientError:
                outcomes.append(seen(lake).files)
        publish_in(lake, scenario.day)
        assert stored(lake) == stored(undisturbed), lake.name
    old, new = seen(root).files, seen(undisturbed).files
    assert outcomes == [old] * (len(outcomes) - 1) + [new], "only the last flush, that of the pointer itself, may come after the swap"
    assert len(outcomes) > len(new)


def failing(flush: Callable[[int], None], fatal: int) -> Callable[[int], None]:
    flushes = count(1)

    def broken(descriptor: int) -> None:
        if next(flushes) == fatal:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        flush(descriptor)

    return broken


def test_what_a_dead_run_left_is_swept_by_the_next_night(killing: Killer, tmp_path: Path) -> None:
    scenario = SCENARIOS["the same day with other content"]
    root = prepared(tmp_path, scenario)
    for lake in killing.killed_at_some(partial(publish_in, day=scenario.day), root, 20):
        write_night(Lake(lake), a_company(lake), WEDNESDAY, BEFORE)
        publish_in(lake, WEDNESDAY)
        current = current_publication(Lake(lake))
        assert current is not None
        assert {path.name for path in (lake / "publications").iterdir()} == {current.publication_id, current.previous}
        assert not list((lake / "staging").iterdir()), lake.name
