"""Law 9 under SIGKILL: die before every event that changes a file or runs a statement, one after the other."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd  # noqa: F401 - pyarrow imports it when first asked for rows: once here, not in every child
import pytest
from builders import a_company
from published_nights import no_connections, published_files, target_rows, write_night

from pipeline.errors import TransientError
from pipeline.lake import Lake
from pipeline.publish.publication import current_publication, publish

Killing = Callable[[Path, date], list[Path]]
MONDAY, TUESDAY, WEDNESDAY = date(2025, 3, 3), date(2025, 3, 4), date(2025, 3, 5)
BEFORE = {"ada": "loyal", "bob": "lost", "cleo": "loyal"}
AFTER = {"ada": "lost", "bob": "lost", "dan": "loyal"}
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.link", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


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


def publish_until_killed(root: Path, day: date, fatal: int) -> None:
    """Publish in a child process that dies before its event number `fatal`."""
    events = count(1)

    def live(*_: object) -> None:
        if next(events) == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES or (event == "open" and arguments[2] & WRITING and str(arguments[0]).startswith(str(root))):
            live()

    def connect(*arguments: Any, opened: Callable[..., sqlite3.Connection] = sqlite3.connect, **settings: Any) -> sqlite3.Connection:
        connection = opened(*arguments, **settings)
        connection.set_trace_callback(live)
        return connection

    sqlite3.connect = connect
    sys.addaudithook(hear)
    publish_in(root, day)


def publish_in(root: Path, day: date) -> None:
    publish(a_company(root), Lake(root), day, connections=no_connections)


def seen(root: Path) -> Seen:
    return Seen(published_files(Lake(root)), target_rows(root / "segments.sqlite"))


def stored(root: Path) -> dict[str, object]:
    """Return every path of the lake with its bytes or its link; the database by its rows, locks not at all."""
    contents = {str(path.relative_to(root)): _content(path) for path in root.rglob("*") if path.parent.name != "locks"}
    return {**contents, "segments.sqlite": target_rows(root / "segments.sqlite")}


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


def copied(root: Path, name: str) -> Path:
    return Path(shutil.copytree(root, root.parent / name, symlinks=True))


def killed_lakes(root: Path, day: date) -> list[Path]:
    """Return a copy of the lake for each event of publishing `day`, killed before that event."""
    lakes = []
    for fatal in count(1):
        lake = copied(root, f"killed-{fatal}")
        if exit_status(lake, day, fatal) == 0:
            return lakes
        lakes.append(lake)
    raise AssertionError("unreachable")


def exit_status(lake: Path, day: date, fatal: int) -> int:
    child = os.fork()
    if child == 0:
        try:
            publish_until_killed(lake, day, fatal)
        except BaseException:  # noqa: BLE001 - a forked child must not return into the test runner
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status


@pytest.fixture(scope="module")
def killing() -> Iterator[Killing]:
    """Return `killed_lakes`, run by a fresh process without threads: forking another one may hang."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        yield lambda root, day: pool.apply(killed_lakes, (root, day))


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_a_reader_sees_all_old_or_all_new_wherever_publish_is_killed(killing: Killing, tmp_path: Path, scenario: Scenario) -> None:
    root = prepared(tmp_path, scenario)
    undisturbed = copied(root, "undisturbed")
    publish_in(undisturbed, scenario.day)
    old, new, converged = seen(root), seen(undisturbed), stored(undisturbed)
    killed = {lake: seen(lake) for lake in killing(root, scenario.day)}
    assert any(state.rows == new.rows and state.files == old.files for state in killed.values()), "no kill between database and pointer"
    for lake, state in killed.items():
        assert state.files in (old.files, new.files), lake.name
        assert state.rows in (old.rows, new.rows), lake.name
        assert state.files == old.files or state.rows == new.rows, "the pointer moved before the database"
        assert all(is_whole(folder) for folder in (lake / "publications").glob("*")), lake.name
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


def test_what_a_dead_run_left_is_swept_by_the_next_night(killing: Killing, tmp_path: Path) -> None:
    scenario = SCENARIOS["the same day with other content"]
    root = prepared(tmp_path, scenario)
    for lake in killing(root, scenario.day):
        write_night(Lake(lake), a_company(lake), WEDNESDAY, BEFORE)
        publish_in(lake, WEDNESDAY)
        current = current_publication(Lake(lake))
        assert current is not None
        assert {path.name for path in (lake / "publications").iterdir()} == {current.publication_id, current.previous}
        assert not list((lake / "staging").iterdir()), lake.name
