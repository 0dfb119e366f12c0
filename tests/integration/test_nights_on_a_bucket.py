"""Nights with the lake in a bucket: every object has the bytes of the file in a folder, whatever happens in between."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from queue import Queue
from unittest import mock
from urllib.parse import unquote, urlsplit

import pytest
from support.bucket_nights import environment, lasting, run_on_machine, run_steps
from support.fault_proxy import Weather, proxied
from support.killing import Killer
from support.nights import NO_GATES, write_shop
from support.object_store import ObjectStore, copy_lake

from pipeline.lake.bucket.client import RETRIES
from pipeline.operations.deployment import Deployment, open_lake
from pipeline.operations.erasure.erase import erase_customers
from pipeline.operations.export import export_live
from pipeline.operations.rollback import roll_back
from pipeline.operations.withdrawal import withdraw
from pipeline.reporting.summary.where_next import NightPlaces

FIRST, SECOND, THIRD = (date(2024, 3, day) for day in (1, 2, 3))
ORDERS = [f"o{n},1,c{n % 5},2024-02-{20 + n % 9:02} 10:00:00,1,{n}.25,a" for n in range(20)] + [
    f"p{day.day},1,c{day.day},{day} 09:00:00,1,5,b" for day in (FIRST, SECOND, THIRD)
]
LATE = f"late,1,c4,{FIRST} 11:00:00,1,7,b\n"
# Of all requests of a night: while segments are computed; with KILL_EVERYWHERE=1 while the source is read and while it is published, too.
KILLED_AFTER = (0.12, 0.6, 0.95) if os.environ.get("KILL_EVERYWHERE") else (0.6,)


@dataclass
class Machines:
    """One company whose lake is in a folder, and in a bucket that each deed opens from another machine, without copies of anything."""

    server: ObjectStore
    root: Path
    bucket: str
    numbers: Iterator[int] = field(default_factory=count)

    @property
    def company(self) -> Path:
        return self.root / "shop"

    @property
    def folder(self) -> str:
        return str(self.root / "lake")

    @property
    def url(self) -> str:
        return self.url_of("one")

    def url_of(self, name: str) -> str:
        return f"s3://{self.bucket}/lakes/{name}"

    def copied(self, name: str) -> str:
        """Copy the lake in the bucket and return the address of the copy."""
        copy_lake(self.server, self.bucket, "lakes/one", f"lakes/{name}", self.root / "copying")
        return self.url_of(name)

    def do(self, deed: Callable[[str], object]) -> None:
        """Do the same in the folder and in the bucket."""
        deed(self.folder)
        with self.another():
            deed(self.url)

    def another(self, **others: str) -> AbstractContextManager[None]:
        """Return what makes this process one on another machine, for the time of a block."""
        return environment(self.server, self.root / f"cache-{next(self.numbers)}", **others)

    def in_folder(self) -> dict[str, object]:
        return lasting(open_lake(self.folder).store, {self.folder: "LAKE", str(self.company): "SHOP"})

    def in_bucket(self, url: str) -> dict[str, object]:
        with self.another():
            return lasting(open_lake(url).store, {url: "LAKE", self.url: "LAKE", str(self.company): "SHOP"})


@pytest.fixture(scope="module")
def machines(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Machines:
    """Return the machines after a first night."""
    root = tmp_path_factory.mktemp("bucket")
    write_shop(root / "shop", ORDERS, customers=[f"c{n}" for n in range(5)], settings=NO_GATES)
    machines = Machines(object_store, root, object_store.new_bucket())
    machines.do(lambda place: run_steps(machines.company, place, FIRST))
    machines.copied("first")
    return machines


@pytest.fixture(scope="module")
def second_night(machines: Machines) -> dict[str, object]:
    """Return what lasts of the folder after a second night in it and in the bucket."""
    machines.do(lambda place: run_steps(machines.company, place, SECOND))
    return machines.in_folder()


def test_what_the_morning_page_leads_to_is_on_this_machine_too(machines: Machines) -> None:
    with machines.another():
        deployment = Deployment.of(machines.company, machines.url_of("first"))
        address = NightPlaces(deployment.company, deployment.lake, FIRST).page
    page = Path(unquote(urlsplit(address).path))
    links = re.findall(r'href="([^":#]+)', page.read_text())
    assert {"validation.html", "../index.html"} <= {*links}
    assert [link for link in links if not (page.parent / link).is_file()] == []


@contextmanager
def late_line(company: Path) -> Iterator[None]:
    """Let the source have another line of the first night's day within the block."""
    orders = company / "data" / "orders.csv"
    before = orders.read_text()
    orders.write_text(before + LATE)
    yield
    orders.write_text(before)


def differences(ours: dict[str, object], theirs: dict[str, object]) -> set[str]:
    return {name for name in ours | theirs if ours.get(name) != theirs.get(name)}


def test_every_object_after_every_deed_has_the_bytes_of_the_folder(
    machines: Machines, second_night: dict[str, object], tmp_path: Path
) -> None:
    assert differences(machines.in_bucket(machines.url), second_night) == set()

    def require_same() -> None:
        assert differences(machines.in_bucket(machines.url), machines.in_folder()) == set()

    with machines.another():
        run_steps(machines.company, machines.url, SECOND)  # the same again changes nothing
    require_same()
    with late_line(machines.company):
        machines.do(lambda place: run_steps(machines.company, place, THIRD))
    machines.do(lambda place: run_steps(machines.company, place, FIRST, known_on=THIRD))  # restated
    require_same()
    machines.do(lambda place: roll_back(Deployment.of(machines.company, place)))
    require_same()
    machines.do(lambda place: erase_customers(Deployment.of(machines.company, place), ["c3"]))
    require_same()
    exports = {machines.folder: tmp_path / "of-folder", machines.url: tmp_path / "of-bucket"}
    machines.do(lambda place: export_live(open_lake(place), exports[place]))
    exported = [{path.name: path.read_bytes() for path in folder.glob("current/*")} for folder in exports.values()]
    assert exported[0] == exported[1]
    machines.do(lambda place: withdraw(Deployment.of(machines.company, place), FIRST))  # after which nothing is live
    require_same()
    machines.do(lambda place: run_steps(machines.company, place, FIRST))
    require_same()


@pytest.fixture(scope="module")
def rained_on(machines: Machines) -> tuple[str, Weather]:
    """Return a bucket that had its second night in bad weather, and what became of the requests."""
    url, weather = copy_of_first(machines, "rained-on"), Weather(seed=7)
    backoff = {**RETRIES["backoff"], "init_backoff": timedelta(milliseconds=2)}
    with (
        proxied(machines.server.endpoint, weather) as endpoint,
        machines.another(AWS_ENDPOINT_URL=endpoint),
        mock.patch.dict(RETRIES, backoff=backoff),
    ):
        run_steps(machines.company, url, SECOND)
    return url, weather


def test_in_bad_weather_a_night_has_the_same_bytes(
    machines: Machines, second_night: dict[str, object], rained_on: tuple[str, Weather]
) -> None:
    url, weather = rained_on
    assert differences(machines.in_bucket(url), second_night) == set()
    assert min(weather.counts.values()) > 5, weather.counts


@pytest.mark.parametrize("share", KILLED_AFTER)
def test_a_night_killed_at_a_request_is_made_whole_by_the_next_on_another_machine(
    machines: Machines, second_night: dict[str, object], rained_on: tuple[str, Weather], killing: Killer, share: float
) -> None:
    url, victims = copy_of_first(machines, f"killed-{share}"), Queue[int]()
    counts = rained_on[1].counts
    fatal = round((counts["fine"] + counts["unanswered"]) * share)

    def kill(number: int, *_: str) -> str | None:
        if number == fatal:
            os.kill(victims.get(), signal.SIGKILL)
            return "dropped" if fatal % 2 else "unanswered"  # before or after the store has done it
        return None

    weather = Weather.fine()
    weather.on_request = kill
    with proxied(machines.server.endpoint, weather) as endpoint:
        cache = str(machines.root / f"cache-killed-{share}")
        environment = {**machines.server.environment(), "AWS_ENDPOINT_URL": endpoint, "SEGMENTS_CACHE": cache}
        child = killing.start(partial(run_on_machine, environment=environment, place=url, day=SECOND), machines.company)
        victims.put(child.pid)
        child.reach("Z")
    assert child.exit_status == signal.SIGKILL
    assert machines.in_bucket(url)["live"] in (machines.in_bucket(machines.url_of("first"))["live"], second_night["live"])
    with machines.another():
        run_steps(machines.company, url, SECOND)
    assert differences(machines.in_bucket(url), second_night) == set(), f"killed at request {fatal}"


def copy_of_first(machines: Machines, name: str) -> str:
    copy_lake(machines.server, machines.bucket, "lakes/first", f"lakes/{name}", machines.root / "copying")
    return machines.url_of(name)
