"""`segments backfill` on a small shop: what it does, leaves alone, resumes and tells."""

from __future__ import annotations

import json
import logging
import random
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from support.nights import night_environment, run_night, tree_bytes, write_shop
from support.published_nights import no_connections

from pipeline import cli
from pipeline.definitions.company import PROJECT_ROOT, load_company
from pipeline.lake import addresses
from pipeline.lake.lake import Lake, Version
from pipeline.lake.tables import (
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENT_INTERVALS,
    CUSTOMER_SEGMENTS,
    EXTRACTIONS,
    SEGMENT_PROFILES,
    Table,
)
from pipeline.operations.backfill import BackfillRequest, plan_backfill
from pipeline.publication.publish import current_publication
from pipeline.publication.rollback import roll_back

FIRST, LAST = date(2024, 3, 1), date(2024, 3, 3)
NIGHTS = [FIRST + timedelta(offset) for offset in range((LAST - FIRST).days + 1)]
KEPT = ("tables", "restated", "publications", "models", "definitions", "backfills")
GATES = "[gates]\nchurn_share_limit = 1.0\nswallowed_growth_limit = 1.0\n"
KNOWN = LAST + timedelta(1)


@dataclass(frozen=True, slots=True)
class Told:
    """How a command ended, and what it told."""

    exit_code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Place:
    """One shop and its lake."""

    shop: Path
    lake: Lake

    def options(self, first: date, last: date, *options: str) -> list[str]:
        places = ["--company", str(self.shop), "--lake", str(self.lake.root)]
        return ["backfill", *places, "--from", str(first), "--to", str(last), *options]

    def started(self, first: date, last: date, *options: str) -> subprocess.Popen[str]:
        command = [str(Path(sys.executable).with_name("segments")), *self.options(first, last, *options)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def orders() -> list[str]:
    chance = random.Random(3)
    lines = []
    for number in range(120):
        at = date(2024, 1, 1) + timedelta(chance.randrange(66))
        customer = f"c{chance.randrange(20)}"
        lines.append(f"o{number},1,{customer},{at} {chance.randrange(24):02}:30:00,1,{chance.randrange(1, 900) / 10},{chance.choice('ab')}")
    return lines


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Return a lake in which every night ran, one after the other."""
    folder = tmp_path_factory.mktemp("ran")
    shop = write_shop(folder / "shop", orders(), customers=[f"c{n}" for n in range(25)], settings=GATES)
    lake = Lake(folder / "lake")
    for day in NIGHTS:
        run_night(shop, lake, day)
    return Place(shop, lake)


@pytest.fixture
def again(ran: Place, tmp_path: Path) -> Place:
    """Return a copy of it all, to be changed."""
    shutil.copytree(ran.lake.root, tmp_path / "lake", symlinks=True)
    shutil.copytree(ran.shop, tmp_path / "shop")
    return Place(tmp_path / "shop", Lake(tmp_path / "lake"))


@pytest.fixture
def backfill(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def run(place: Place, first: date, last: date, *options: str) -> Told:
        monkeypatch.setattr(sys, "argv", ["segments", *place.options(first, last, *options)])
        monkeypatch.setenv("COLUMNS", "160")
        capsys.readouterr()
        with night_environment(place.shop, place.lake), pytest.raises(SystemExit) as ended:
            cli.run_command_line()
        written = capsys.readouterr()
        return Told(int(ended.value.code or 0), written.out, written.err)

    yield run
    logging.getLogger("pipeline").setLevel(logging.NOTSET)


def published_day(lake: Lake) -> date | None:
    current = current_publication(lake)
    return current.day if current else None


def test_new_nights_have_the_bytes_of_nights_run_one_by_one(ran: Place, tmp_path: Path, backfill: Any) -> None:
    place = Place(ran.shop, Lake(tmp_path / "lake"))
    told = backfill(place, FIRST, LAST)
    assert told.exit_code == 0, told.err
    assert "3 of 3 nights done: 0 differ from what was there, 0 do not, 3 are new." in told.out
    assert "Nights published: 3." in told.out
    assert tree_bytes(place.lake, *KEPT) == tree_bytes(ran.lake, *KEPT)


def test_a_dry_run_names_every_day_and_writes_nothing(ran: Place, tmp_path: Path, backfill: Any) -> None:
    place = Place(ran.shop, Lake(tmp_path / "lake"))
    told = backfill(place, FIRST, LAST, "--dry-run")
    assert told.exit_code == 0
    assert [str(day) for day in NIGHTS if str(day) not in told.out] == []
    assert not place.lake.root.exists()


def test_a_dry_run_says_what_is_read_and_what_is_published(again: Place, backfill: Any) -> None:
    told = backfill(again, LAST, LAST + timedelta(1), "--dry-run")
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in told.out.splitlines() if line.startswith("│")]
    assert rows == [
        [str(LAST), str(LAST), "already read", "features, segments", "yes"],
        [str(LAST + timedelta(1)), str(LAST + timedelta(1)), "read", "features, segments", "yes"],
    ]


def test_older_nights_run_again_change_no_byte_and_never_move_current_back(again: Place, ran: Place, backfill: Any) -> None:
    told = backfill(again, FIRST, NIGHTS[1])
    assert told.exit_code == 0, told.err
    assert "2 of 2 nights done: 0 differ from what was there, 2 do not, 0 are new." in told.out
    assert "Nights published: 0." in told.out
    assert published_day(again.lake) == LAST
    assert tree_bytes(again.lake, *KEPT) == tree_bytes(ran.lake, *KEPT)


def test_the_current_night_run_again_is_published_again(again: Place, ran: Place, backfill: Any) -> None:
    told = backfill(again, LAST, LAST)
    assert "Nights published: 1." in told.out
    assert tree_bytes(again.lake, *KEPT) == tree_bytes(ran.lake, *KEPT)


def sell(place: Place, day: date, amount: int) -> None:
    """Let the source learn of an order."""
    with (place.shop / "data" / "orders.csv").open("a") as file:
        file.write(f"late-{day},1,c1,{day} 10:00:00,1,{amount},a\n")


def rows_by_version(lake: Lake, table: Table) -> dict[Version, list[dict[str, Any]]]:
    """Return the rows of every stored version of a table of event days."""
    return {version: lake.read(table, day=version.day, known_on=version.known_on).to_pylist() for version in lake.versions(table)}


def spent_more(told: Told, against: str) -> dict[str, str]:
    """Return by day how much more was spent than what the night was compared with said."""
    return {each["day"]: each["spend_amount"] for each in json.loads(told.out)["changed"] if each["against"] == against}


def test_as_of_now_restates_beside_what_was_said_and_tells_the_difference(again: Place, backfill: Any) -> None:
    sell(again, LAST, 500)
    run_night(again.shop, again.lake, KNOWN, until="segment")
    before, intervals = tree_bytes(again.lake, *KEPT), rows_by_version(again.lake, CUSTOMER_SEGMENT_INTERVALS)
    told = backfill(again, NIGHTS[1], LAST, "--as-of-now", "--json")
    assert told.exit_code == 0, told.err
    assert spent_more(told, "the night as known") == {"2024-03-03": "500.0000"}
    assert {each["customers_changed"] > 0 for each in json.loads(told.out)["changed"]} == {True}
    after, intervals_after = tree_bytes(again.lake, *KEPT), rows_by_version(again.lake, CUSTOMER_SEGMENT_INTERVALS)
    # What is restated of intervals joins the file of the night that restates; what was said before stays in it, row for row.
    bytewise = [path for path in before if f"/{CUSTOMER_SEGMENT_INTERVALS.name}/" not in path]
    assert [path for path in bytewise if after[path] != before[path]] == []
    assert {version: intervals_after[version] for version in intervals} == intervals
    assert len(intervals_after) > len(intervals)
    again.lake.read(CUSTOMER_FEATURES, day=LAST, known_on=KNOWN)


def test_a_later_restatement_is_compared_with_the_one_before_too(again: Place, backfill: Any) -> None:
    for number, amount in enumerate((500, 40)):
        sell(again, NIGHTS[1 + number], amount)
        run_night(again.shop, again.lake, KNOWN + timedelta(number), until="segment")
        told = backfill(again, LAST, LAST, "--as-of-now", "--json")
    assert spent_more(told, "the night as known") == {str(LAST): "540.0000"}
    assert spent_more(told, f"as known on {KNOWN}") == {str(LAST): "40.0000"}


def test_reread_learns_of_days_before_the_lookback(again: Place, backfill: Any) -> None:
    sell(again, NIGHTS[1], 70)
    sell(again, FIRST - timedelta(20), 8)
    told = backfill(again, FIRST, NIGHTS[1], "--reread", "--json")
    assert told.exit_code == 0, told.err
    assert spent_more(told, "the night as known") == {"2024-03-02": "70.0000"}
    assert spent_more(told, "what was there") == {str(LAST): "70.0000"}
    assert published_day(again.lake) == LAST
    manifest = again.lake.manifest(addresses.partition(CUSTOMER_FEATURES, day=FIRST, known_on=LAST))
    assert manifest["known"] == str(LAST)


def test_nothing_later_is_known_of_a_day_after_the_newest_night(again: Place, backfill: Any) -> None:
    told = backfill(again, FIRST, KNOWN, "--as-of-now")
    assert told.exit_code == 3
    assert f"nothing later is known of {KNOWN}: the newest night that read the source is {LAST}" in told.err


def test_tables_limits_what_is_computed_and_publishes_nothing(ran: Place, tmp_path: Path, backfill: Any) -> None:
    place = Place(ran.shop, Lake(tmp_path / "lake"))
    told = backfill(place, FIRST, FIRST, "--tables", "customer_features")
    assert told.exit_code == 0, told.err
    assert place.lake.nights(CUSTOMER_FEATURES) == [FIRST]
    assert place.lake.nights(CUSTOMER_SEGMENTS) == []
    told = backfill(place, FIRST, FIRST, "--tables", "customer_segments,segment_profiles")
    assert told.exit_code == 0, told.err
    assert place.lake.nights(CUSTOMER_SEGMENTS) == [FIRST]
    assert published_day(place.lake) is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--tables", "customer_feature"), "`customer_feature` is no table of a night (did you mean `customer_features`?)"),
        (("--as-known", "--reread"), "--reread learns something new, --as-known must not"),
        (("--airflow",), "AIRFLOW_HOME is not set"),
    ],
)
def test_what_cannot_be_meant_is_refused(ran: Place, backfill: Any, options: tuple[str, ...], said: str) -> None:
    told = backfill(ran, FIRST, LAST, *options)
    assert told.exit_code == 3
    assert said in told.err


@pytest.mark.parametrize(
    ("options", "schedule", "said"),
    [
        (("--reread",), "0 4 * * *", "Airflow runs whole nights from what was read"),
        ((), "0 4 * * 1-5", "Airflow cannot name each day of the schedule `0 4 * * 1-5`"),
        ((), f'0 4 * * *"\nlast_day = {LAST} # "', f"nothing is scheduled after {LAST}, the `last_day`"),
    ],
)
def test_airflow_is_not_asked_for_what_it_cannot_do(
    ran: Place, tmp_path: Path, backfill: Any, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], schedule: str, said: str
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    shop = write_shop(tmp_path / "shop", orders(), customers=["c1"])
    (shop / "company.toml").write_text(f'schedule = "{schedule}"\n' + (shop / "company.toml").read_text())
    told = backfill(Place(shop, ran.lake), FIRST, LAST, "--airflow", *options)
    assert told.exit_code == 3
    assert said in told.err


def test_a_range_turned_round_and_a_day_that_is_not_over_are_refused(ran: Place, backfill: Any) -> None:
    assert "lies after" in backfill(ran, LAST, FIRST).err
    assert "cannot be run" in backfill(ran, FIRST, date(2124, 1, 1)).err


def test_a_night_that_fails_stops_no_other_and_is_tried_again_by_the_same_command(again: Place, backfill: Any) -> None:
    again.lake.remove(EXTRACTIONS, day=NIGHTS[1])
    query = again.shop / "sources" / "customers.sql"
    text = query.read_text()
    query.write_text("SELECT id FROM customers")
    told = backfill(again, FIRST, NIGHTS[1])
    query.write_text(text)
    assert told.exit_code == 5
    assert "1 of 2 nights done" in told.out
    assert f"{NIGHTS[1]} was not read and checked\nSchemaDrift: " in told.out
    assert "The same command tries the failed nights again." in told.out
    told = backfill(again, FIRST, NIGHTS[1])
    assert told.exit_code == 0, told.out
    assert not list((again.lake.root / "backfills").iterdir())


def test_a_killed_process_costs_its_night_alone_and_the_same_command_mends_it(ran: Place, tmp_path: Path, backfill: Any) -> None:
    place = Place(ran.shop, Lake(tmp_path / "lake"))
    with place.started(FIRST, NIGHTS[1], "--parallel", "2") as process:
        wait_for(process, "described")
        workers(process)[0].kill()
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 7, out
    assert "1 of 2 nights done" in out
    assert "TransientError: the process that worked on it ended: SIGKILL" in out
    told = backfill(place, FIRST, NIGHTS[1])
    assert told.exit_code == 0, told.err
    assert night_bytes(place.lake, *NIGHTS[:2]) == night_bytes(ran.lake, *NIGHTS[:2])


def test_a_backfill_that_is_resumed_after_a_rollback_publishes_what_it_was_asked_for(again: Place, backfill: Any) -> None:
    with again.started(LAST, LAST) as process:
        wait_for(process, "described")
        process.kill()
    roll_back(load_company(again.shop), again.lake, connections=no_connections)
    assert published_day(again.lake) == NIGHTS[-2]
    told = backfill(again, LAST, LAST)
    assert told.exit_code == 0, told.err
    assert published_day(again.lake) == LAST


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_an_interrupted_backfill_leaves_no_process_and_goes_on_where_it_stopped(
    ran: Place, tmp_path: Path, backfill: Any, number: signal.Signals, code: int
) -> None:
    place = Place(ran.shop, Lake(tmp_path / "lake"))
    with place.started(FIRST, NIGHTS[1], "--parallel", "2") as process:
        wait_for(process, f"[1/2] {FIRST} read and checked")
        children = workers(process)
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert code < 0 or "the same command goes on from there" in err
    assert psutil.wait_procs(children, timeout=30)[1] == []
    told = backfill(place, FIRST, NIGHTS[1])
    assert told.exit_code == 0, told.err
    assert f"{FIRST} read and checked" not in told.err
    assert night_bytes(place.lake, *NIGHTS[:2]) == night_bytes(ran.lake, *NIGHTS[:2])


@pytest.mark.parametrize("is_as_of_now", [False, True])
def test_a_night_done_by_other_definitions_is_not_done(again: Place, is_as_of_now: bool) -> None:
    asked, now = BackfillRequest(FIRST, LAST, is_as_of_now=is_as_of_now), datetime(2024, 4, 1, tzinfo=UTC)
    before = plan_backfill(load_company(again.shop), again.lake, asked, now=now)
    assert plan_backfill(load_company(again.shop), again.lake, asked, now=now).digest == before.digest
    (again.shop / "segments").mkdir()
    ours = (PROJECT_ROOT / "segments" / "rfm.toml").read_text("utf-8")
    (again.shop / "segments" / "rfm.toml").write_text(ours.replace("fm_score >= 4", "fm_score > 3"), "utf-8")
    assert plan_backfill(load_company(again.shop), again.lake, asked, now=now).digest != before.digest


def night_bytes(lake: Lake, *days: date) -> dict[str, bytes]:
    """Return the bytes of the tables that the nights of `days` computed."""
    tables = (CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, SEGMENT_PROFILES)
    return {f"{table.name} {day}": lake.path(table, day=day).read_bytes() for table in tables for day in days}


def wait_for(process: subprocess.Popen[str], words: str) -> None:
    """Read what the command says until it says `words`."""
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if words in line:
            return
    raise AssertionError("".join(said))


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return [child for child in psutil.Process(process.pid).children() if "serve_tasks" in " ".join(child.cmdline())]
