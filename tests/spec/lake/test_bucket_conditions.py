"""What writers of a bucket decide between them: one wins, every change counts, and nobody loses to an answer that was lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from support.fault_proxy import Weather, store_in_weather
from support.object_store import CREDENTIALS, ObjectStore, reopened
from support.publishing_races import winners_of_races

from pipeline.errors import TransientError
from pipeline.lake.bucket import index
from pipeline.lake.bucket.bucket_store import BucketStore
from pipeline.lake.bucket.client import RETRIES, BucketClient

RACES, CREATORS = 20, 16


@pytest.fixture
def client(object_store: ObjectStore, tmp_path: Path) -> BucketClient:
    return BucketClient(object_store.settings(object_store.new_bucket(), tmp_path), CREDENTIALS)


@pytest.fixture
def store(object_store: ObjectStore, tmp_path: Path) -> BucketStore:
    return object_store.new_store(tmp_path / "cache")


@pytest.fixture
def weather() -> Weather:
    return Weather()


@pytest.fixture
def rained_on(object_store: ObjectStore, weather: Weather, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BucketStore]:
    """A store behind a proxy that throttles, drops and swallows answers; it is as patient as ever, but waits less."""
    monkeypatch.setitem(RETRIES["backoff"], "init_backoff", timedelta(milliseconds=2))
    with store_in_weather(object_store, weather, tmp_path / "cache") as made:
        yield made


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    barrier = Barrier(count)

    def begin(number: int) -> Any:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(begin, range(count)))


def test_of_many_who_create_the_same_object_one_wins(client: BucketClient) -> None:
    for race in range(RACES):
        tags = at_once(CREATORS, lambda number, race=race: client.put_where(f"races/{race}", b"by %d" % number, expected=None))
        winners = [number for number, tag in enumerate(tags) if tag is not None]
        assert len(winners) == 1
        assert client.read(f"races/{race}").content == b"by %d" % winners[0]


def test_no_increment_is_lost_between_threads(client: BucketClient) -> None:
    client.put("counter", b'{"count": 0}')

    def increment(thread: int) -> None:
        for step in range(10):
            while True:
                found = client.read("counter")
                content = json.dumps({"count": json.loads(found.content)["count"] + 1, "by": f"{thread} {step}"}).encode()
                if client.put_where("counter", content, expected=found.tag):
                    break

    at_once(8, increment)
    assert json.loads(client.read("counter").content)["count"] == 80


def test_a_stale_tag_writes_nothing_and_a_fresh_one_does(client: BucketClient) -> None:
    first = client.put("a", b"one")
    second = client.put_where("a", b"two", expected=first)
    assert second not in (None, first)
    assert client.put_where("a", b"three", expected=first) is None
    assert client.put_where("nothing", b"one", expected=first) is None
    assert client.read("a").content == b"two"


def test_every_listing_shows_what_was_written_before_it(client: BucketClient) -> None:
    for number in range(30):
        client.put(f"listed/{number:02}", b"")
        assert len(list(client.list_objects("listed/"))) == number + 1


def test_in_bad_weather_no_write_is_lost_and_nobody_loses_to_itself(rained_on: BucketStore, weather: Weather) -> None:
    for number in range(24):
        assert rained_on.create_secret(f"created/{number}", b"by this one %d" % number)
        rained_on.write(f"written/{number}", b"%d" % number)
        rained_on.append("lines.txt", b"%d\n" % number)
    assert rained_on.read("lines.txt").split() == [b"%d" % number for number in range(24)]
    assert all(rained_on.read(f"written/{number}") == b"%d" % number for number in range(24))
    assert not rained_on.create_secret("created/0", b"by another one")
    assert all(count > 2 for count in weather.counts.values()), weather.counts


def test_in_bad_weather_locks_are_taken_and_given_back(rained_on: BucketStore) -> None:
    for _ in range(10):
        with rained_on.lock("day=2024-01-01", timeout_seconds=20), rained_on.lock("erasure", timeout_seconds=20, is_shared=True):
            pass


def test_of_two_publishers_one_wins_each_race(store: BucketStore, tmp_path: Path) -> None:
    winners = winners_of_races(store, reopened(store, tmp_path / "other"), 100)
    assert [len(each) for each in winners] == [1] * 100


def test_in_bad_weather_one_publisher_wins_each_race(rained_on: BucketStore, tmp_path: Path) -> None:
    winners = winners_of_races(rained_on, reopened(rained_on, tmp_path / "other"), 8)
    assert [len(each) for each in winners] == [1] * 8


def test_a_pointer_that_came_back_is_not_the_one_that_was_read(store: BucketStore, tmp_path: Path) -> None:
    """A publisher that slept while another published and was rolled back must not win by the same name."""
    other = reopened(store, tmp_path / "other")
    for name in ("x", "y", "z"):
        store.write(f"publications/{name}/manifest.json", b"{}")
    assert store.swap_pointer("current", "publications/x/", expected=None)
    assert other.read_pointer("current") == "publications/x/"
    assert store.swap_pointer("current", "publications/y/", expected="publications/x/")
    assert store.swap_pointer("current", "publications/x/", expected="publications/y/")
    assert not other.swap_pointer("current", "publications/z/", expected="publications/x/")


def test_a_pointer_that_was_removed_is_not_laid_again_by_who_had_read_it(store: BucketStore, tmp_path: Path) -> None:
    """A publisher that slept while all was withdrawn."""
    other = reopened(store, tmp_path / "other")
    for name in ("x", "y"):
        store.write(f"publications/{name}/manifest.json", b"{}")
    assert store.swap_pointer("current", "publications/x/", expected=None)
    assert other.read_pointer("current") == "publications/x/"
    store.remove_pointer("current")
    assert not other.swap_pointer("current", "publications/y/", expected="publications/x/")
    assert store.read_pointer("current") is None


def test_the_pointer_names_the_files_of_the_publication_with_their_tags(store: BucketStore, tmp_path: Path) -> None:
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "a.parquet").write_bytes(b"12345")
    store.install_folder(
        "publications/2024-01-01-x/", folder, '{"publication_id": "2024-01-01-x", "day": "2024-01-01", "tables": {"a": {}}}'
    )
    assert store.swap_pointer("current", "publications/2024-01-01-x/", expected=None)
    said = json.loads(store.read("current.json"))
    assert (said["publication_id"], said["day"], said["files"]["a.parquet"]["size"]) == ("2024-01-01-x", "2024-01-01", 5)
    assert said["files"].keys() == {"a.parquet", "manifest.json"}


def test_a_publication_whose_files_are_gone_does_not_become_live(store: BucketStore) -> None:
    store.write("publications/x/manifest.json", b'{"tables": {"a": {}}}')
    assert not store.swap_pointer("current", "publications/x/", expected=None)


@pytest.mark.parametrize("seconds_fresh", [30.0, 0.0])  # however long ago the listing was read under the lock
def test_a_file_of_event_days_that_another_run_wrote_meanwhile_is_not_overwritten(
    store: BucketStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds_fresh: float
) -> None:
    monkeypatch.setattr(index, "SECONDS_FRESH", seconds_fresh)
    address = "tables/order_lines/month=2024-01/known=2024-01-02/part-0.parquet"
    other = reopened(store, tmp_path / "other")
    with store.stage(address) as new:
        new.write_bytes(b"one")
    with store.lock("x", timeout_seconds=0):
        assert store.exists(address)
        with other.stage(address) as new:
            new.write_bytes(b"theirs")
        with pytest.raises(TransientError, match="another run wrote this file meanwhile"), store.stage(address) as new:
            new.write_bytes(b"ours")
    assert store.read(address) == b"theirs"
    with store.lock("x", timeout_seconds=0), store.stage(address) as new:
        new.write_bytes(b"ours after theirs")
    assert other.read(address) == b"ours after theirs"


def test_a_file_of_event_days_is_compared_with_what_it_was_before_its_writer_began(store: BucketStore, tmp_path: Path) -> None:
    address = "tables/order_lines/month=2024-01/known=2024-01-02/part-0.parquet"
    store.write(address, b"one")
    with ExitStack() as stack:
        stack.enter_context(store.stage(address)).write_bytes(b"one and ours")
        reopened(store, tmp_path / "other").write(address, b"theirs")
        with store.lock("x", timeout_seconds=0):  # after which all is listed anew
            assert store.exists(address)
        with pytest.raises(TransientError, match="another run wrote this file meanwhile"):
            stack.close()
    assert store.read(address) == b"theirs"
