"""SIGKILL before the N-th event that changes a file or runs a statement, in a child forked for the purpose."""

from __future__ import annotations

import gc
import multiprocessing
import os
import re
import shutil
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any, NoReturn

from pipeline.definitions.schemes import load_schemes
from pipeline.ingestion.validation import expectations
from pipeline.lake.statements import PACKAGES, statement
from support.builders import a_company
from support.disk_states import StateCopies, contents_but_databases, read_states

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.symlink", "os.link", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
REAL_KILLS = 6
PATIENCE_SECONDS = 120
# Two events of one kind differ in days, digests and random names only.
VARIABLE = re.compile(r"tmp\w{8}|\d{4}-\d\d-\d\d(-[0-9a-f]{12})?|part-\d+")

Work = Callable[[Path], None]
Listener = Callable[[int, str], object]  # is told the number of an event and what it is


@dataclass(frozen=True)
class Child:
    """A process at work; the one that forked it does not wait for it."""

    pid: int

    @property
    def state(self) -> str:
        """Return the letter of the process's state: T is stopped, Z has ended."""
        return Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]

    @property
    def exit_status(self) -> int:
        return int(Path(f"/proc/{self.pid}/stat").read_text("utf-8").split()[-1])

    def reach(self, state: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (now := self.state) != state:
            assert now != "Z", "it ended before"
            assert time.monotonic() < deadline, f"it is {now}, not {state}"
            time.sleep(0.01)

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)


@dataclass(frozen=True)
class Killer:
    """A fresh process without threads, which forks the children that die: forking another one may hang."""

    pool: ProcessPoolExecutor

    def events(self, work: Work, root: Path) -> list[str]:
        """Let `work` end in a copy of `root` and return its events, one word of their kind each."""
        return self.pool.submit(_events, work, root).result()

    def killed(self, work: Work, root: Path, points: Iterable[int]) -> list[Path]:
        """Return a copy of `root` for each point, in which `work` was killed before the event of that number."""
        return list(self.pool.map(partial(_killed, work, root), points))

    def killed_everywhere(self, work: Work, root: Path) -> list[Path]:
        """Return a copy of `root` for each state in which a kill of `work` can leave it.

        A kill leaves what is on the disk at that moment, so one run is looked at before each of its events. Real kills before events
        of some kinds show that it is so.
        """
        events, states = self.pool.submit(_states, work, root).result()
        numbers = some_of_each_kind(events, REAL_KILLS)
        for number, lake in zip(numbers, self.killed(work, root, numbers), strict=True):
            assert contents_but_databases(lake) == contents_but_databases(states[number - 1]), events[number - 1]
        return list(dict.fromkeys(states))

    def killed_at_some(self, work: Work, root: Path, most: int) -> list[Path]:
        """Return the lakes killed before at most that many events of kinds of their own; before all where KILL_EVERYWHERE is set."""
        events = self.events(work, root)
        every = range(1, len(events) + 1)
        return self.killed(work, root, every if os.environ.get("KILL_EVERYWHERE") else some_of_each_kind(events, most))

    def start(self, work: Work, root: Path) -> Child:
        """Let `work` begin in `root` and return its process at once."""
        return Child(self.pool.submit(_started, work, root).result())

    def done(self, work: Work, roots: Iterable[Path]) -> None:
        """Let `work` end in each of `roots`, in a child of its own."""
        list(self.pool.map(partial(_done, work), roots))


@contextmanager
def killer() -> Iterator[Killer]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), load_night) as pool:  # to load it is what costs
        yield Killer(pool)


def load_night() -> None:
    """Load what a night loads, once and not in every child, also one with wrong rows; nothing of it starts a thread."""
    load_steps()
    expectations._batch_definition()
    gc.freeze()  # a child that collects garbage would otherwise copy every page of what is loaded


def load_steps() -> None:
    """Load what a night without wrong rows loads; nothing of it starts a thread."""
    for name in (
        "pandas",
        "pipeline.features.features",
        "pipeline.ingestion.extract",
        "pipeline.ingestion.validate",
        "pipeline.models.measure_drift",
        "pipeline.models.predict",
        "pipeline.operations.compaction",
        "pipeline.operations.erasure.erase",
        "pipeline.operations.readiness",
        "pipeline.publication.gates.audit",
        "pipeline.publication.gates.table_checks",
        "pipeline.publication.publish",
        "pipeline.publication.rollback",
        "pipeline.reporting.pages",
        "pipeline.segmentation.memberships",
    ):
        import_module(name)
    for file in PACKAGES.glob("*/sql/*.sql"):
        statement(file.stem)
    load_schemes(a_company(Path("no such folder")))
    gc.freeze()


def some_of_each_kind(events: Sequence[str], most: int) -> list[int]:
    """Return the numbers of the first events of at most `most` kinds, evenly over the run, the last kind among them."""
    firsts = sorted({kind: number for number, kind in reversed(list(enumerate(events, 1)))}.values())
    step = max(1, -(-len(firsts) // most))
    return firsts[::-1][::step][::-1]


def copied(root: Path, name: str) -> Path:
    return Path(shutil.copytree(root, root.parent / name, symlinks=True))


def _events(work: Work, root: Path) -> list[str]:
    heard, log = copied(root, "heard"), root.parent / "events.txt"
    with log.open("w", encoding="utf-8", buffering=1) as file:
        assert _exit_status(work, heard, lambda _, event: file.write(f"{event}\n")) == 0
    return log.read_text("utf-8").splitlines()


def _states(work: Work, root: Path) -> tuple[list[str], list[Path]]:
    watched, log = copied(root, "watched"), root.parent / "states.txt"
    with log.open("w", encoding="utf-8", buffering=1) as file:
        assert _exit_status(work, watched, StateCopies(watched, file).add) == 0
    return read_states(log)


def _killed(work: Work, root: Path, fatal: int) -> Path:
    def die(number: int, _event: str) -> None:
        if number == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    lake = copied(root, f"killed-{fatal}")
    assert _exit_status(work, lake, die) == -signal.SIGKILL, f"it ended before event {fatal}"
    return lake


def _done(work: Work, root: Path) -> None:
    assert _exit_status(work, root, lambda _number, _event: None) == 0, root.name


def _started(work: Work, root: Path) -> int:
    return os.fork() or _ended(work, root)


def _exit_status(work: Work, root: Path, before: Listener) -> int:
    child = os.fork() or _ended(lambda place: (_listen(place, before), work(place)), root)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _ended(work: Callable[[Path], object], root: Path) -> NoReturn:
    """End this process with `work`: a forked child must not return into the pool."""
    try:
        work(root)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _listen(root: Path, before: Listener) -> None:
    """Number the events of this process, and tell `before` of each just before it happens."""
    numbers = count(1)
    is_listening = True

    def live(event: str) -> None:
        nonlocal is_listening
        if is_listening:
            is_listening = False  # whatever the listener itself does is no event
            before(next(numbers), event)
            is_listening = True

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        is_write = event == "open" and bool(arguments[2] & WRITING) and str(arguments[0]).startswith(str(root))
        if is_write or event in CHANGES:
            places = [str(place).removeprefix(str(root)) for place in arguments if isinstance(place, str | Path)]
            live(VARIABLE.sub("", " ".join([event, *places])))

    def connect(*arguments: Any, opened: Callable[..., sqlite3.Connection] = sqlite3.connect, **settings: Any) -> sqlite3.Connection:
        connection = opened(*arguments, **settings)
        connection.set_trace_callback(lambda statement: live(" ".join(statement.split()[:3])))
        return connection

    sqlite3.connect = connect
    sys.addaudithook(hear)
