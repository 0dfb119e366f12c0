"""Processes that write, compact and read the same files of event days at the same time: no version is lost, doubled or mixed up."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from sqlglot import exp
from support.builders import an_order_line, write_order_lines
from support.killing import Child, Killer

from pipeline.lake.compaction import compact_months
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake, Version
from pipeline.lake.tables import ORDER_LINES

DAYS = [date(2024, 3, day) for day in range(1, 13)]
NIGHTS = [date(2024, 4, 1) + timedelta(number) for number in range(9)]
VERSIONS = [Version(day, NIGHTS[0]) for day in DAYS]
ROUNDS = 4


def write_days(root: Path, days: Sequence[date], rounds: Sequence[int]) -> None:
    """Write each day alone, again in every round, all of them into the one file of the first night, and once into that of another."""
    for number in rounds:
        for day in days:
            write_order_lines(Lake(root), [an_order_line(1, day=day, order_id=f"{day.day}/{number}")], known_on=NIGHTS[0])
        write_order_lines(Lake(root), [an_order_line(1, day=day, order_id="other") for day in days], known_on=NIGHTS[number])


def compact_until_removed(root: Path) -> None:
    while (root / "compacting").exists():
        compact_months(Lake(root), [ORDER_LINES], before=date(2024, 5, 1))


def compact_with_a_pause(root: Path) -> None:
    """Compact, and stop this process before the first night's file goes that the compacted one has taken in."""
    is_stopped = False

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal is_stopped
        if event == "shutil.rmtree" and not is_stopped and str(arguments[0]).endswith(f"known={NIGHTS[0]}"):
            is_stopped = True
            os.kill(os.getpid(), signal.SIGSTOP)

    sys.addaudithook(hear)
    compact_months(Lake(root), [ORDER_LINES], before=date(2024, 5, 1))


def order_ids(lake: Lake) -> list[str]:
    """Return the orders of the first night's versions, by day, as an engine reads them."""
    with closing(DuckDBEngine(lake.store)) as engine:
        engine.register(ORDER_LINES, lake.parts(ORDER_LINES, VERSIONS))
        query = exp.select("order_id").from_(ORDER_LINES.name).order_by("event_day", "order_id")
        return [str(each) for each in engine.run(query, {}).read_all()["order_id"].to_pylist()]


def days_of(orders: Sequence[str]) -> list[int]:
    return [int(order.partition("/")[0]) for order in orders]


def wait_for(children: Sequence[Child]) -> None:
    for child in children:
        child.reach("Z")
        assert os.waitstatus_to_exitcode(child.exit_status) == 0


def test_versions_that_two_runs_write_into_one_file_are_all_there(killing: Killer, tmp_path: Path) -> None:
    root = tmp_path / "lake"
    Lake(root).root.mkdir()
    children = [killing.start(partial(write_days, days=days, rounds=[1, 2]), root) for days in (DAYS[::2], DAYS[1::2])]
    wait_for(children)
    assert order_ids(Lake(root)) == [f"{day.day}/2" for day in DAYS]
    assert len(Lake(root).versions(ORDER_LINES)) == 3 * len(DAYS)


def test_what_is_written_while_a_compaction_sleeps_is_not_removed_when_it_wakes_up(killing: Killer, tmp_path: Path) -> None:
    root = tmp_path / "lake"
    write_days(root, DAYS, [0, 1])
    compacting = killing.start(compact_with_a_pause, root)
    compacting.reach("T")
    writing = killing.start(partial(write_days, days=DAYS, rounds=[2]), root)
    time.sleep(1)
    compacting.signal(signal.SIGCONT)
    wait_for([compacting, writing])
    assert order_ids(Lake(root)) == [f"{day.day}/2" for day in DAYS]


def test_what_is_written_beside_a_compaction_is_neither_lost_nor_read_twice(killing: Killer, tmp_path: Path) -> None:
    root = tmp_path / "lake"
    write_days(root, DAYS, [0, 1])
    (root / "compacting").touch()
    compacting = killing.start(compact_until_removed, root)
    writing = [killing.start(partial(write_days, days=days, rounds=range(2, ROUNDS)), root) for days in (DAYS[:6], DAYS[6:])]
    looks = 0
    while any(child.state != "Z" for child in writing):
        lake = Lake(root)
        assert [version for version in lake.versions(ORDER_LINES) if version.known_on == NIGHTS[0]] == VERSIONS
        assert days_of(order_ids(lake)) == [day.day for day in DAYS]
        rows = [(version.day, *days_of(piece["order_id"].to_pylist())) for version, piece in lake.rows(ORDER_LINES, VERSIONS)]
        assert rows == [(day, day.day) for day in DAYS]
        looks += 1
    (root / "compacting").unlink()
    wait_for([compacting, *writing])
    assert order_ids(Lake(root)) == [f"{day.day}/{ROUNDS - 1}" for day in DAYS]
    assert len(Lake(root).versions(ORDER_LINES)) == ROUNDS * len(DAYS)
    assert looks > 3
