"""Runs that meet: they take turns, `current` never goes back, and who wakes up late changes nothing."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.killing import Child, Killer
from support.nights import night_of, run_night, tree_bytes, write_shop
from support.published_nights import no_connections, published_files, target_rows

from pipeline.definitions.company import load_company
from pipeline.errors import GateClosed, LockTimeout, TransientError
from pipeline.lake.lake import Lake
from pipeline.operations import steps
from pipeline.publication.publish import current_publication
from pipeline.publication.rollback import roll_back

FIRST, MISSED, TONIGHT, TOMORROW = date(2024, 3, 1), date(2024, 3, 2), date(2024, 3, 3), date(2024, 3, 4)
ORDERS = [f"o{n},1,c{n % 5},2024-02-{20 + n % 9:02} 10:00:00,1,{n}.25,a" for n in range(20)] + [
    f"p{day.day},1,c{day.day},{day} 09:00:00,1,5,b" for day in (FIRST, MISSED, TONIGHT, TOMORROW)
]
# Which night learned of a day first, and against which one gates compared, depends on the order of the nights.
NIGHT_TABLES = ("customer_features", "customer_segments", "segment_profiles", "population_rhythm", "population_baselines")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("shop"), ORDERS, customers=[f"c{n}" for n in range(5)])


@pytest.fixture(scope="module")
def first_night(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("first") / "lake")
    run_night(shop, lake, FIRST)
    return lake


@pytest.fixture
def lake(first_night: Lake, tmp_path: Path) -> Lake:
    return Lake(shutil.copytree(first_night.root, tmp_path / "lake", symlinks=True))


@pytest.fixture(scope="module")
def in_turn(shop: Path, first_night: Lake) -> Lake:
    """Return a lake in which MISSED and TONIGHT ran one after the other."""
    lake = Lake(shutil.copytree(first_night.root, first_night.root.parent / "in-turn", symlinks=True))
    for day in (MISSED, TONIGHT):
        run_night(shop, lake, day)
    return lake


def lasting(lake: Lake) -> dict[str, bytes]:
    published = {name: content for name, content in published_files(lake).items() if name.endswith(".parquet")}
    return {**tree_bytes(lake, *(f"tables/{name}" for name in NIGHT_TABLES)), **published}


def night(root: Path, shop: Path, day: date) -> None:
    run_night(shop, Lake(root), day)


def paused_night(root: Path, shop: Path, day: date, event: str, place: str, step: str = "publish") -> None:
    """Run a night in this process, which stops itself in `step` before the first `event` at a path that ends with `place`.

    Ends it with the exit code of a closed gate.
    """
    stopped = False

    def hear(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal stopped
        if name == event and not stopped and any(str(argument).endswith(place) for argument in arguments):
            stopped = True
            os.kill(os.getpid(), signal.SIGSTOP)

    for name in steps.STEPS:
        if name == step:
            sys.addaudithook(hear)
        try:
            steps.STEPS[name](night_of(shop, Lake(root), day))
        except GateClosed as closed:
            os._exit(closed.exit_code)


@contextmanager
def paused(killing: Killer, lake: Lake, shop: Path, event: str, place: str, *, step: str = "publish", ends_with: int = 0) -> Iterator[None]:
    """Start TONIGHT, which stops itself; within the block it is stopped, afterwards it wakes up and ends with that code."""
    child = killing.start(partial(paused_night, shop=shop, day=TONIGHT, event=event, place=place, step=step), lake.root)
    try:
        child.reach("T")
        yield
        child.signal(signal.SIGCONT)
        child.reach("Z")
        assert os.waitstatus_to_exitcode(child.exit_status) == ends_with
    finally:
        child.signal(signal.SIGKILL)


def days_seen(root: Path, children: list[Child]) -> list[str]:
    """Poll the pointer until all children have ended; return the days that it showed, in order."""
    seen = []
    while any(child.state != "Z" for child in children):
        seen.append((root / "current").readlink().name[:10])
        time.sleep(0.0005)
    return seen


def test_two_runs_of_tonight_beside_a_backfill_give_what_one_after_the_other_gives(
    killing: Killer, shop: Path, lake: Lake, in_turn: Lake
) -> None:
    children = [killing.start(partial(night, shop=shop, day=day), lake.root) for day in (TONIGHT, MISSED, TONIGHT)]
    seen = days_seen(lake.root, children)
    assert [child.exit_status for child in children] == [0, 0, 0]
    assert seen == sorted(seen), "the pointer went back"
    assert len(seen) > 100
    assert lasting(lake) == lasting(in_turn)
    assert not list((lake.root / "staging").iterdir())


def test_a_paused_holder_of_the_lock_is_waited_for_as_long_as_set_and_no_longer(
    killing: Killer, shop: Path, lake: Lake, in_turn: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEGMENTS_LOCK_SECONDS", "0.5")
    run_night(shop, lake, MISSED)
    before = published_files(lake)
    with paused(killing, lake, shop, "os.rename", "/lake/current"):
        begun = time.monotonic()
        with pytest.raises(LockTimeout) as refused:
            run_night(shop, lake, TONIGHT)
        assert time.monotonic() - begun < 30
        assert refused.value.exit_code == 7
        assert published_files(lake) == before
    assert lasting(lake) == lasting(in_turn)
    assert not list((lake.root / "staging").iterdir())


@pytest.mark.parametrize("later", [TONIGHT, TOMORROW], ids=["its retry", "the next night"])
def test_an_attempt_that_wakes_up_after_others_published_changes_nothing(killing: Killer, shop: Path, lake: Lake, later: date) -> None:
    with paused(killing, lake, shop, "open", f"locks/day={TONIGHT}"):
        for day in sorted({TONIGHT, later}):
            run_night(shop, lake, day)
        before = published_files(lake), target_rows(lake.root / "segments.sqlite"), tree_bytes(lake, "tables")
    assert (published_files(lake), target_rows(lake.root / "segments.sqlite"), tree_bytes(lake, "tables")) == before
    current = current_publication(lake)
    assert current is not None
    assert current.day == later


@pytest.mark.parametrize("step", ["extract", "segment", "audit", "publish"])
def test_an_attempt_that_wakes_up_after_its_night_was_taken_back_is_refused_wherever_it_slept(
    killing: Killer, shop: Path, lake: Lake, step: str
) -> None:
    company = load_company(shop)
    with paused(killing, lake, shop, "open", f"locks/day={TONIGHT}", step=step, ends_with=GateClosed.exit_code):
        run_night(shop, lake, TONIGHT)
        roll_back(company, lake, connections=no_connections)
        before = published_files(lake), target_rows(lake.root / "segments.sqlite")
    assert (published_files(lake), target_rows(lake.root / "segments.sqlite")) == before


def test_a_step_without_enough_memory_may_be_tried_again_with_more(
    shop: Path, lake: Lake, in_turn: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_night(shop, lake, MISSED)
    before = published_files(lake)
    with monkeypatch.context() as small:
        small.setenv("SEGMENTS_MEMORY_LIMIT", "1MB")
        with pytest.raises(TransientError, match=r"out of memory|Out of Memory|could not be staged"):
            run_night(shop, lake, TONIGHT)
    assert published_files(lake) == before
    run_night(shop, lake, TONIGHT)
    assert lasting(lake) == lasting(in_turn)
