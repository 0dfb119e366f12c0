"""Tonight's run under a scheduler, beside a backfill by Airflow and one without, while processes of tasks are killed at random."""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import psutil
import pytest
from support.deployments import Deployment
from support.nights import NO_GATES, content_of, run_night, write_shop
from support.published_nights import published_files, target_rows
from support.served_airflow import BACKFILL, DAG, Interface, served

from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES

BEFORE = [date(2024, 3, day) for day in (29, 30)]
AGAIN = BEFORE[0].isoformat()
CUSTOMERS = [f"c{n}" for n in range(12)]
ORDERS = [f"o{n},1,c{n % 12},2024-03-{1 + n % 30:02} 10:00:00,1,{n}.25,a" for n in range(60)]
KILLS = 4
ALL_RUNS_SECONDS = 450  # each kill costs a task's start, and beside other tests that is slow
SEGMENTS = str(Path(sys.executable).parent / "segments")
TASK_TITLE = re.compile(r"airflow worker -- [0-9a-f]{8}-")


@dataclass(frozen=True, slots=True)
class Night:
    """What was left of a night on which tasks were killed, and the lake of one on which nothing happened."""

    lake: Lake
    undisturbed: Lake
    runs: dict[str, str]
    backfills: dict[str, str]
    by_hand: subprocess.CompletedProcess[str]
    killed: list[str]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    folder = tmp_path_factory.mktemp("killed")
    # The scheduled night is that of today's calendar, long after the shop's last order: gates would hold it back.
    shop = write_shop(folder / "shop", ORDERS, customers=CUSTOMERS, settings=NO_GATES)
    deployment = Deployment.of(shop, folder)
    lake = Lake(deployment.lake)
    for day in BEFORE:
        run_night(shop, lake, day)
    undisturbed = Lake(shutil.copytree(lake.root, folder / "undisturbed", symlinks=True))
    with served(deployment) as interface:
        for dag in (DAG, BACKFILL):
            interface.call("PATCH", f"{dag}?update_mask=is_paused", {"is_paused": False})
        interface.trigger({"first_day": AGAIN, "last_day": AGAIN}, dag=BACKFILL)
        asked = ["backfill", *("--company", str(shop)), *("--lake", str(lake.root)), *("--from", AGAIN), *("--to", AGAIN)]
        with subprocess.Popen([SEGMENTS, *asked], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            killed = _kill_tasks(interface, random.Random())
            said, errors = process.communicate(timeout=60)
        runs, backfills = interface.runs(), interface.runs(BACKFILL)
    run_night(shop, undisturbed, lake.nights(CUSTOMER_FEATURES)[-1])
    by_hand = subprocess.CompletedProcess(asked, process.returncode, said, errors)
    return Night(lake, undisturbed, runs, backfills, by_hand, killed)


def _kill_tasks(interface: Interface, chance: random.Random) -> list[str]:
    """Kill tasks, each after a random while, until every run has ended, and return how their processes are called."""
    killed: list[str] = []
    deadline = time.monotonic() + ALL_RUNS_SECONDS
    while time.monotonic() < deadline and interface.is_running():
        time.sleep(chance.uniform(0.2, 3))
        tasks = [child for child in psutil.Process(interface.process.pid).children(recursive=True) if TASK_TITLE.match(_title(child))]
        if tasks and len(killed) < KILLS:
            chosen = chance.choice(tasks)
            killed.append(_title(chosen))
            with suppress(psutil.NoSuchProcess):
                chosen.send_signal(signal.SIGKILL)
        interface.retry_now()
    return killed


def _title(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        return " ".join(process.cmdline()).strip()
    return ""


def test_every_run_succeeds_though_its_tasks_were_killed(night: Night) -> None:
    assert len(night.killed) == KILLS
    assert set(night.runs.values()) == {"success"}, night
    assert set(night.backfills.values()) == {"success"}, night
    assert night.by_hand.returncode == 0, night.by_hand.stderr


def test_every_night_is_as_if_nothing_had_happened(night: Night) -> None:
    here, there = (content_of(lake, "tables", "models", "definitions") for lake in (night.lake, night.undisturbed))
    assert here.keys() == there.keys()
    assert [name for name in here if here[name] != there[name]] == []


def test_readers_see_tonight_as_if_nothing_had_happened(night: Night) -> None:
    assert published_files(night.lake) == published_files(night.undisturbed)
    assert target_rows(night.lake.root / "segments.sqlite") == target_rows(night.undisturbed.root / "segments.sqlite")


def test_nothing_is_left_over(night: Night) -> None:
    assert not list((night.lake.root / "staging").iterdir())
