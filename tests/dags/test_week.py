"""A week of nights under a scheduler: power is cut in one, the disk is full in another, a certificate ends, and summer time begins.

Its clock is set by the test, from morning to morning; nothing else is made up.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from datetime import time as day_time
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from support.certificates import Authority
from support.deployments import Deployment
from support.nights import content_of, run_night, write_shop
from support.postgres import fresh_database, running_postgres, socket_of
from support.published_nights import published_files
from support.served_airflow import DAG, Interface, served
from support.set_clock import WHY_NOT, Clock, clock_set_to
from support.small_disks import small_disk
from support.tls_servers import TlsServer, running_tls_server

from pipeline.lake.lake import Lake

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
BERLIN = ZoneInfo("Europe/Berlin")
# Its Sunday is an hour short.
MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = WEEK = [date(2030, 3, 25) + timedelta(days=n) for n in range(7)]
CUSTOMERS = [f"c{n}" for n in range(12)]
ORDERS = [f"o{n},1,c{n % 12},2030-03-{1 + n % 31:02} 10:00:00,1,{n}.25,a" for n in range(93)]
SETTINGS = """
[publish]
kind = "postgresql"
connection = "crm"
[gates]
off = ["churn", "volume"]
"""
PATIENCE_SECONDS = 120
RETRY_DELAY = timedelta(minutes=61)  # of any try, at most
MEBIBYTE = 1 << 20
BEATS_MISSED = timedelta(minutes=20)


@dataclass(slots=True)
class Week:
    """A company's machine and what became of its nights; `seen` is what was live, and what the log said, while something was wrong."""

    deployment: Deployment
    disk: Path
    server: TlsServer
    database: str
    clock: Clock
    seen: dict[date, tuple[str, str]] = field(default_factory=dict)
    runs: dict[str, str] = field(default_factory=dict)

    @property
    def lake(self) -> Lake:
        return Lake(self.deployment.lake)

    def look(self, day: date) -> None:
        """Note what is live while the night of this day cannot be finished, and what its tasks log."""
        live = Path(self.lake.root / "current").resolve().name
        logs = sorted((self.deployment.home / "logs" / "dag_id=nightly_segments").rglob("*.log"), key=lambda path: path.stat().st_mtime)
        self.seen[day] = (live, logs[-1].read_text())


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Week]:
    folder = tmp_path_factory.mktemp("week")
    company = write_shop(folder / "shop", ORDERS, customers=CUSTOMERS, settings=SETTINGS)
    authority = Authority.of(folder / "authority")
    with ExitStack() as stack:
        postgres = stack.enter_context(running_postgres())
        database = stack.enter_context(fresh_database(postgres))
        ends = datetime.combine(SATURDAY, day_time(12), UTC)
        context = authority.server_context("localhost", until=ends)
        server = stack.enter_context(running_tls_server(context, behind=socket_of(database)))
        disk = stack.enter_context(small_disk(folder / "disk", size="64m"))
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        name = conninfo_to_dict(database)["dbname"]
        address = f"postgresql://postgres@localhost:{server.port}/{name}?sslmode=verify-full&sslrootcert={authority.file}"
        environment.setenv("SEGMENTS_CONNECTION_CRM", address)
        clock = stack.enter_context(clock_set_to(datetime.combine(TUESDAY, day_time(9), BERLIN), folder))
        found = Week(Deployment(company, disk / "lake", folder / "airflow"), disk, server, database, clock)
        live_through(found, renewed=lambda: authority.server_context("localhost"))
        yield found


def live_through(week: Week, *, renewed: Callable[[], ssl.SSLContext]) -> None:
    with served(week.deployment) as interface:
        # On Tuesday at nine a person switches the nights on: that of Monday has been due since four.
        interface.call("PATCH", f"{DAG}?update_mask=is_paused", {"is_paused": False})
        end(week, interface, MONDAY)
        begin(week, interface, TUESDAY)
        end(week, interface, TUESDAY)
        begin(week, interface, WEDNESDAY)
        await_it(lambda: is_any(interface, "running"), "no task runs")
        interface.cut_power()
    week.look(WEDNESDAY)
    week.clock.set(week.clock.now + BEATS_MISSED)
    with served(week.deployment) as interface:
        end(week, interface, WEDNESDAY)
        ballast = week.disk / "ballast"
        with ballast.open("wb") as file, suppress(OSError):
            while True:
                file.write(bytes(MEBIBYTE))
        begin(week, interface, THURSDAY)
        await_it(lambda: is_any(interface, "up_for_retry"), "no task failed on the full disk")
        week.look(THURSDAY)
        ballast.unlink()
        end(week, interface, THURSDAY)
        begin(week, interface, FRIDAY)
        end(week, interface, FRIDAY)
        begin(week, interface, SATURDAY)
        await_it(lambda: is_any(interface, "up_for_retry"), "no task failed at the certificate")
        week.look(SATURDAY)
        week.server.context = renewed()
        end(week, interface, SATURDAY)
        begin(week, interface, SUNDAY)
        end(week, interface, SUNDAY)
        week.runs = interface.runs()


def begin(week: Week, interface: Interface, day: date) -> None:
    """Let it be four o'clock in the morning after this day."""
    week.clock.set(datetime.combine(day + timedelta(days=1), day_time(4), BERLIN) - timedelta(seconds=2))
    interface.log_in()


def end(week: Week, interface: Interface, day: date) -> None:
    """Wait for the end of the night of this day; where a task is to be tried again later, let it be later."""

    def has_ended() -> bool:
        if is_any(interface, "up_for_retry"):
            week.clock.set(week.clock.now + RETRY_DELAY)
            await_it(lambda: not is_any(interface, "up_for_retry"), "the task is not tried again")
        return len(interface.runs()) == WEEK.index(day) + 1 and not interface.is_running()

    await_it(has_ended, f"the night of {day} has not ended")


def is_any(interface: Interface, state: str) -> bool:
    """Return whether any task is in this state."""
    return bool(interface.call("GET", f"{DAG}/dagRuns/~/taskInstances?state={state}&limit=1")["task_instances"])


def await_it(look: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not look():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.2)


def test_each_night_is_run_once_at_four_by_the_clock_of_the_company(week: Week) -> None:
    assert set(week.runs.values()) == {"success"}
    mornings = [datetime.combine(day + timedelta(days=1), day_time(4), BERLIN).astimezone(UTC) for day in WEEK]
    assert sorted(week.runs) == [f"scheduled__{morning:%Y-%m-%dT%H:%M:%S+00:00}" for morning in mornings]


@pytest.mark.parametrize("day", [WEDNESDAY, THURSDAY, SATURDAY], ids=["power", "disk", "certificate"])
def test_the_night_before_stays_live_while_one_cannot_be_finished(week: Week, day: date) -> None:
    live, _ = week.seen[day]
    assert live.startswith(str(day - timedelta(days=1)))


def test_the_log_says_what_is_in_the_way(week: Week) -> None:
    assert "the rows could not be staged: No space left on device" in week.seen[THURSDAY][1]
    assert "the publish target cannot be reached: its certificate has expired" in week.seen[SATURDAY][1]


def test_in_the_end_all_is_as_if_nothing_had_happened(week: Week, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = Lake(tmp_path / "lake")
    with fresh_database(week.database) as database:
        monkeypatch.setenv("SEGMENTS_CONNECTION_CRM", database)
        for day in WEEK:
            run_night(week.deployment.company, undisturbed, day)
        assert rows_of(week.database) == rows_of(database)
    here, there = (content_of(lake, "tables", "models", "definitions") for lake in (week.lake, undisturbed))
    assert here.keys() == there.keys()
    assert [name for name in here if here[name] != there[name]] == []
    assert published_files(week.lake) == published_files(undisturbed)
    assert list((week.lake.root / "staging").iterdir()) == []


def rows_of(database: str) -> dict[str, list[str]]:
    """Return the rows of every table that was published there, as texts, in order."""
    # But `publication_state`, which knows transactions of its server by number.
    tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'segments' AND table_name <> 'publication_state'"
    with psycopg.connect(database) as connection:
        names = [name for (name,) in connection.execute(tables).fetchall()]
        every = {name: sql.SQL("SELECT t::text FROM segments.{} t ORDER BY 1").format(sql.Identifier(name)) for name in names}
        return {name: [row for (row,) in connection.execute(query)] for name, query in every.items()}
