"""Work side by side gives what it gives one after the other, and whatever becomes of a process, whoever waits hears of it."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
from support.worker_tasks import (
    UnreadableItem,
    after_a_while,
    die,
    divide,
    hold_folder,
    key_of,
    refuse_odd,
    refuse_strangely,
    square,
    warn,
)

from pipeline.errors import DataError, TransientError
from pipeline.lake.bucket.bucket_store import BucketStore
from pipeline.lake.bucket.settings import BucketSettings, Credentials
from pipeline.lake.lake import Lake
from pipeline.lake.workers import OwnProcess, WorkerProcesses


@pytest.fixture(scope="module")
def workers() -> Iterator[WorkerProcesses]:
    pool = WorkerProcesses(2)
    yield pool
    pool.close()


def test_answers_come_in_the_order_of_items_from_several_processes(workers: WorkerProcesses) -> None:
    answers = list(workers.map(square, range(6)))
    assert [answer for answer, _ in answers] == [answer for answer, _ in OwnProcess().map(square, range(6))] == [0, 1, 4, 9, 16, 25]
    assert os.getpid() not in {process for _, process in answers}
    assert list(workers.map(after_a_while, [0.3, 0.0, 0.1])) == [0.3, 0.0, 0.1]


def test_a_single_item_needs_no_process(workers: WorkerProcesses) -> None:
    assert list(workers.map(square, [3])) == [(9, os.getpid())]
    assert list(workers.map(square, [])) == []


def test_the_error_of_the_first_item_that_fails_is_raised_as_it_is(workers: WorkerProcesses) -> None:
    answers = workers.map(refuse_odd, [2, 3, 5, 7])
    assert next(answers) == 2
    with pytest.raises(DataError, match="3 is odd") as raised:
        next(answers)
    assert (raised.value.what, raised.value.where, raised.value.todo) == ("3 is odd", "here", "Take an even one.")


def test_an_unforeseen_error_says_where_it_came_from(workers: WorkerProcesses) -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        list(workers.map(divide, [1, 0]))
    assert "in divide" in "".join(raised.value.__notes__)
    with pytest.raises(RuntimeError, match=r"^LocalError in a worker$"):
        list(workers.map(refuse_strangely, [1, 2]))


def test_what_a_worker_cannot_take_in_is_an_error_and_nobody_waits_for_ever(workers: WorkerProcesses) -> None:
    with pytest.raises(DataError, match="5 is odd"):
        list(workers.map(str, [UnreadableItem(), UnreadableItem()]))


def test_a_process_that_is_killed_is_told_of_and_the_next_call_starts_anew(workers: WorkerProcesses) -> None:
    with pytest.raises(TransientError, match="the process that worked on it ended: SIGKILL"):
        list(workers.map(die, [1, 2, 3]))
    assert [answer for answer, _ in workers.map(square, [1, 2])] == [1, 4]


def test_what_workers_log_is_logged_here(workers: WorkerProcesses, caplog: pytest.LogCaptureFixture) -> None:
    workers.close()
    with caplog.at_level(logging.WARNING, logger="pipeline"):
        list(workers.map(warn, [1, 2]))
    assert sorted(record.getMessage() for record in caplog.records) == ["1 is told", "2 is told"]
    assert {record.name for record in caplog.records} == {"pipeline.test"}


def test_whoever_stops_listening_ends_the_work(workers: WorkerProcesses, tmp_path: Path) -> None:
    lake = Lake(tmp_path)
    answers = workers.map(partial(hold_folder, lake), [0.0, 60.0, 60.0])
    next(answers)
    started = time.monotonic()
    answers.close()  # type: ignore[attr-defined]  # a generator
    assert time.monotonic() - started < 10
    assert not list((tmp_path / "staging").iterdir())


def test_a_lake_in_a_bucket_is_opened_by_workers_and_its_credentials_travel_to_nobody_else(
    workers: WorkerProcesses, tmp_path: Path
) -> None:
    lake = Lake(BucketStore(BucketSettings("shop", "lake", tmp_path), Credentials("the key", "the secret")))
    assert list(workers.map(key_of, [lake, lake])) == [("shop", "the key")] * 2
    elsewhere = pickle.dumps(lake)  # as executors of a cluster get it
    assert b"the secret" not in elsewhere
    assert key_of(pickle.loads(elsewhere)) == ("shop", "")  # noqa: S301 - our own


SCRIPT = """
import sys, time
from pipeline.lake.workers import WorkerProcesses
for _ in WorkerProcesses(2).map(time.sleep, [0, 0, 60, 60]):
    print("done", flush=True)
"""


def test_workers_of_a_process_without_a_main_file_end_with_it_however_it_ends() -> None:
    with subprocess.Popen([sys.executable, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(SCRIPT)
        process.stdin.close()
        assert process.stdout.readline() == process.stdout.readline() == "done\n"
        children = psutil.Process(process.pid).children()
        process.kill()
    assert len(children) == 2
    _, alive = psutil.wait_procs(children, timeout=10)
    assert not alive
