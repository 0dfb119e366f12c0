"""What a file in a bucket holds is known from its end: nothing else of it comes to this machine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from support.builders import write_order_lines
from support.fault_proxy import Weather, store_in_weather
from support.object_store import ObjectStore, reopened

from pipeline.errors import DataError
from pipeline.lake import byte_sources
from pipeline.lake.addresses import partition
from pipeline.lake.bucket.bucket_store import BucketStore
from pipeline.lake.checksums import read_seal
from pipeline.lake.file_stamps import FileReplacedError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import ORDER_LINES

NIGHT = date(2024, 3, 31)
FILE = partition(ORDER_LINES, day=NIGHT, known_on=NIGHT)


@pytest.fixture
def quiet() -> Weather:
    return Weather.fine()


@pytest.fixture
def store(object_store: ObjectStore, quiet: Weather, tmp_path: Path) -> Iterator[BucketStore]:
    """A store with order lines of one day, whose requests are counted."""
    with store_in_weather(object_store, quiet, tmp_path / "cache") as made:
        write_order_lines(Lake(made), [{"order_id": "a", "day": NIGHT}], known_on=NIGHT)
        yield made


def copies(cache: Path) -> list[str]:
    return [path.name for path in cache.glob("*/objects/tables/**/*.parquet")]


def test_versions_are_found_without_their_rows_and_rows_are_read_all_the_same(store: BucketStore, tmp_path: Path) -> None:
    here, there = Lake(store), Lake(reopened(store, tmp_path / "other"))
    assert there.versions(ORDER_LINES) == here.versions(ORDER_LINES) != []
    assert there.manifest(FILE) == here.manifest(FILE)
    assert there.content_digest(FILE) == here.content_digest(FILE) == read_seal(store.local(FILE)).digest
    assert copies(tmp_path / "other") == []
    assert there.read(ORDER_LINES, day=NIGHT, known_on=NIGHT).equals(here.read(ORDER_LINES, day=NIGHT, known_on=NIGHT))
    assert copies(tmp_path / "other") == ["part-0.parquet"]


def test_an_end_is_read_once_on_a_machine(store: BucketStore, quiet: Weather, tmp_path: Path) -> None:
    first = reopened(store, tmp_path / "other")
    first.fetch_seals([FILE, "tables/nothing.parquet"])
    number = quiet.number
    assert first.sealed(FILE).read() == read_seal(store.local(FILE))
    assert quiet.number == number
    again = reopened(store, tmp_path / "other")
    again.exists(FILE)  # lists what there is
    number = quiet.number
    assert again.sealed(FILE).read() == read_seal(store.local(FILE))
    assert quiet.number == number


def test_an_end_longer_than_is_read_at_once_is_read_on(store: BucketStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_sources, "TAIL_BYTES", 100)
    assert reopened(store, tmp_path / "other").sealed(FILE).read() == read_seal(store.local(FILE))


def test_the_end_of_another_object_is_never_taken_for_it(store: BucketStore, tmp_path: Path) -> None:
    other = reopened(store, tmp_path / "other")
    before = other.sealed(FILE)
    write_order_lines(Lake(store), [{"order_id": "b", "day": NIGHT}, {"order_id": "c", "day": NIGHT}], known_on=NIGHT)
    with pytest.raises(FileReplacedError):
        before.read()
    assert other.sealed(FILE).read() == read_seal(store.local(FILE))
    assert [stored.row_count for stored in Lake(other).stored_versions(ORDER_LINES).values()] == [2]
    store.delete(FILE)
    assert Lake(reopened(store, tmp_path / "other")).versions(ORDER_LINES) == []


def test_a_damaged_end_is_told_with_its_place(store: BucketStore, tmp_path: Path) -> None:
    content = bytearray(store.read(FILE))
    content[-100] ^= 1
    store.write(FILE, bytes(content))
    other = Lake(reopened(store, tmp_path / "other"))
    with pytest.raises(DataError, match="is damaged: its checksum is wrong") as refused:
        other.manifest(FILE)
    assert refused.value.where == store.where(FILE)
    with pytest.raises(DataError, match="its footer cannot be read"):
        other.versions(ORDER_LINES)
