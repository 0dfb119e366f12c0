"""Copies of objects on this machine: of this very object, whole, and no more of them than fit."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from support.fault_proxy import Weather, store_in_weather
from support.object_store import CREDENTIALS, ObjectStore, reopened

from pipeline.errors import TransientError
from pipeline.lake.bucket.bucket_store import BucketStore
from pipeline.lake.bucket.cache import SPARED_SECONDS
from pipeline.lake.parquet import write_parquet

FILE = "states/x/a.parquet"


@pytest.fixture
def quiet() -> Weather:
    return Weather.fine()


@pytest.fixture
def store(object_store: ObjectStore, quiet: Weather, tmp_path: Path) -> Iterator[BucketStore]:
    """A store whose requests are counted."""
    with store_in_weather(object_store, quiet, tmp_path / "cache") as made:
        yield made


def a_parquet_file(path: Path, value: int = 1) -> Path:
    path.parent.mkdir(exist_ok=True)
    rows = pa.table({"customer_id": pa.array([str(value)] * 5)})
    write_parquet(rows.schema, rows.to_batches(), path, {})
    return path


def test_a_copy_is_fetched_once_and_again_where_the_object_is_another(store: BucketStore, quiet: Weather, tmp_path: Path) -> None:
    store.put_file(first := a_parquet_file(tmp_path / "1"), FILE)
    other = reopened(store, tmp_path / "other")
    assert other.local(FILE).read_bytes() == first.read_bytes()
    number = quiet.number
    assert other.local(FILE).read_bytes() == first.read_bytes()
    assert quiet.number == number
    store.put_file(second := a_parquet_file(tmp_path / "2", 2), FILE)
    with other.lock("x", timeout_seconds=0):
        assert other.local(FILE).read_bytes() == second.read_bytes()


def test_what_this_process_wrote_is_not_fetched(store: BucketStore, quiet: Weather, tmp_path: Path) -> None:
    written = []

    def note(_: int, method: str, path: str) -> None:
        written.append((method, path.partition("?")[0].rpartition("/")[2]))

    quiet.on_request = note
    store.put_file(a_parquet_file(tmp_path / "1"), FILE)
    store.local(FILE)
    assert ("PUT", "a.parquet") in written
    assert ("GET", "a.parquet") not in written


def test_a_copy_that_the_disk_has_damaged_is_fetched_again(store: BucketStore, tmp_path: Path) -> None:
    store.put_file(a_parquet_file(tmp_path / "1"), FILE)
    path = store.local(FILE)
    facts, whole = path.stat(), path.read_bytes()
    content = bytearray(whole)
    content[20] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert BucketStore(store.settings(), CREDENTIALS).local(FILE).read_bytes() == whole


def test_a_copy_of_what_is_gone_is_gone_too_and_a_file_of_nobody_stays(store: BucketStore, tmp_path: Path) -> None:
    store.put_file(a_parquet_file(tmp_path / "1"), FILE)
    other = reopened(store, tmp_path / "other")
    assert other.local(FILE).is_file()
    store.delete(FILE)
    assert not store.local(FILE).exists()
    with other.lock("x", timeout_seconds=0):
        assert not other.local(FILE).exists()
    (state := store.local("sync/crm/state.duckdb")).parent.mkdir(parents=True)
    state.write_bytes(b"made here")
    assert store.local("sync/crm/state.duckdb").read_bytes() == b"made here"


def test_what_an_outdated_listing_shows_is_looked_for_again(store: BucketStore, tmp_path: Path) -> None:
    store.put_file(a_parquet_file(tmp_path / "1"), FILE)
    other = reopened(store, tmp_path / "other")
    assert other.exists(FILE)
    store.delete(FILE)
    assert not other.local(FILE).exists()
    assert not other.exists(FILE)


def test_a_link_pins_what_a_step_reads(store: BucketStore, tmp_path: Path) -> None:
    store.put_file(first := a_parquet_file(tmp_path / "1"), FILE)
    store.link_to(FILE, tmp_path / "cache" / "held")
    store.put_file(a_parquet_file(tmp_path / "2", 2), FILE)
    assert (tmp_path / "cache" / "held").read_bytes() == first.read_bytes()


def test_many_copies_are_fetched_at_once(store: BucketStore, tmp_path: Path) -> None:
    names = [f"states/x/{number}.parquet" for number in range(40)]
    for number, name in enumerate(names):
        store.put_file(a_parquet_file(tmp_path / f"{number}", number), name)
    other = reopened(store, tmp_path / "other")
    other.fetch([*names, "states/x/none.parquet"])
    assert len(list(other.local("").rglob("*.parquet"))) == 40
    assert [other.local(name).read_bytes() for name in names] == [store.read(name) for name in names]


def test_what_was_not_used_for_longest_goes_first_and_what_is_in_use_stays(store: BucketStore, tmp_path: Path) -> None:
    size = a_parquet_file(tmp_path / "0").stat().st_size
    for number in range(6):
        store.put_file(a_parquet_file(tmp_path / f"{number}", number), f"states/x/{number}.parquet")
    small = BucketStore(replace(store.settings(), cache=tmp_path / "small", cache_bytes=3 * size), CREDENTIALS)
    for number in range(4):
        small.local(f"states/x/{number}.parquet")
    cached = small.local("")
    assert len(list(cached.rglob("*.parquet"))) == 4, "all of them were used a moment ago"
    long_ago = time.time() - SPARED_SECONDS - 60
    for number, name in enumerate(("2", "0", "3", "1")):
        os.utime(cached.parent / "tags" / f"states/x/{name}.parquet", (long_ago + number, long_ago + number))
    small.local("states/x/4.parquet")
    assert sorted(path.stem for path in cached.rglob("*.parquet")) == ["1", "4"]
    assert small.local("states/x/2.parquet").is_file()


def test_the_cache_is_its_owners_alone(store: BucketStore) -> None:
    assert stat.S_IMODE(store.local("").parent.stat().st_mode) == 0o700


def test_a_disk_that_refuses_is_told_by_its_place(store: BucketStore, tmp_path: Path) -> None:
    store.put_file(a_parquet_file(tmp_path / "1"), FILE)
    other = reopened(store, tmp_path / "other")
    (other.local("") / "states").write_text("in the way")
    with pytest.raises(TransientError, match="could not write") as refused:
        other.local(FILE)
    assert str(tmp_path / "other") in refused.value.where
