"""Attempts at one task do not meet: each writes under names of its own, and what it leaves changes nothing until its answer is taken."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from support.object_store import ObjectStore

from pipeline.errors import TransientError
from pipeline.lake.addresses import EXCHANGE
from pipeline.lake.engines.spark_workers import Parcel, SparkWorkers
from pipeline.lake.executors import exchange as exchange_module
from pipeline.lake.executors.exchange import ThroughStore, exchange_of
from pipeline.lake.executors.working import ItemWorker
from pipeline.lake.lake import Lake
from pipeline.lake.parquet import file_sha256
from pipeline.lake.row_file import RowFile
from pipeline.lake.workers import OWN_PROCESS

ADDRESS = "tables/customers/known=2024-01-02/part-0.parquet"
ROWS = pa.schema([("id", pa.int64())])


@pytest.fixture(params=["folder", "bucket"])
def any_lake(request: pytest.FixtureRequest, tmp_path: Path) -> Lake:
    if request.param == "folder":
        return Lake(tmp_path / "lake")
    object_store: ObjectStore = request.getfixturevalue("object_store")
    return Lake(object_store.new_store(tmp_path / "cache"))


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as resources:
        yield resources


def copy_rows(lake: Lake, read: Path, rows: RowFile) -> RowFile:
    """Write a file of the lake and a private one, of what is in another private one."""
    with lake.store.stage(ADDRESS) as new:
        new.write_bytes(read.read_bytes())
    rows.write([pa.record_batch([pa.array([len(read.read_bytes())])], schema=ROWS)])
    return rows


def change(lake: Lake, address: str) -> None:
    lake.store.delete(address)


def test_what_two_attempts_write_appears_once_and_when_the_answer_is_taken(any_lake: Lake, opened: ExitStack) -> None:
    store, exchange = any_lake.store, exchange_of(any_lake.store)
    folder = opened.enter_context(store.private_folder())
    given, rows = folder / "given", RowFile(folder / "rows.arrows", ROWS)
    given.write_bytes(b"12345")
    place = opened.enter_context(exchange.receiving(folder))
    parcel = Parcel(store, exchange, opened)
    worker = ItemWorker(exchange, place, *parcel.write(folder / "work", [partial(copy_rows, any_lake, given), rows]), logging.INFO)
    first, second = (parcel.read(answer_of(worker)) for _ in range(2))
    assert set(first.staged.values()).isdisjoint(second.staged.values())
    assert set(first.private.values()).isdisjoint(second.private.values())
    assert not store.exists(ADDRESS)
    assert not rows.path.exists()
    found = SparkWorkers("sc://nowhere", store, OWN_PROCESS)._result(second)
    assert found == rows
    assert store.read(ADDRESS) == b"12345"
    assert [batch["id"].to_pylist() for batch in found.batches()] == [[5]]


def test_work_can_change_nothing_but_by_staging(any_lake: Lake, opened: ExitStack) -> None:
    store, exchange = any_lake.store, exchange_of(any_lake.store)
    folder = opened.enter_context(store.private_folder())
    place = opened.enter_context(exchange.receiving(folder))
    parcel = Parcel(store, exchange, opened)
    answer = parcel.read(answer_of(ItemWorker(exchange, place, *parcel.write(folder / "work", [partial(change, any_lake), ADDRESS]), 0)))
    with pytest.raises(AttributeError, match="no use of a store's delete"):
        answer.outcome.result()


def test_what_a_killed_process_left_in_a_bucket_is_removed_once_nobody_waits_for_it(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = object_store.new_store(tmp_path)
    store.write(f"{EXCHANGE}left/rows", b"1")
    with ThroughStore(store).receiving(tmp_path):
        assert store.exists(f"{EXCHANGE}left/rows")
    monkeypatch.setattr(exchange_module, "ABANDONED_NANOSECONDS", 0)
    with ThroughStore(store).receiving(tmp_path):
        assert store.list_addresses(EXCHANGE) == []


def test_what_executors_put_into_a_bucket_is_taken_without_memory_for_it(object_store: ObjectStore, tmp_path: Path) -> None:
    size = 48 << 20
    exchange, target = ThroughStore(object_store.new_store(tmp_path / "cache")), tmp_path / "taken"
    with exchange.receiving(tmp_path) as place:
        with exchange.new_file(place, "rows") as (path, name):
            with path.open("wb") as file:
                for _ in range(size >> 20):
                    file.write(random.randbytes(1 << 20))
            digest = file_sha256(path)
        before = reset_peak_memory()
        exchange.take(name, target)
        assert peak_memory() - before < size // 2
    assert file_sha256(target) == digest


@pytest.mark.parametrize("place", [0, 50_000, -1])
def test_what_arrives_damaged_is_not_taken(object_store: ObjectStore, tmp_path: Path, place: int) -> None:
    exchange = ThroughStore(object_store.new_store(tmp_path / "cache"))
    with exchange.receiving(tmp_path) as prefix:
        with exchange.new_file(prefix, "rows") as (path, name):
            path.write_bytes(bytes(100_000))
        content = bytearray(exchange.store.read(name))
        content[place] ^= 1
        exchange.store.write(name, bytes(content))
        with pytest.raises(TransientError, match="does not arrive whole") as refused:
            exchange.take(name, tmp_path / "taken")
        assert refused.value.where == exchange.store.where(name)
        exchange.store.write(name, b"")
        with pytest.raises(TransientError, match="does not arrive whole"):
            exchange.take(name, tmp_path / "taken")
        exchange.store.delete(name)
        with pytest.raises(TransientError, match="is gone"):
            exchange.take(name, tmp_path / "taken")


def reset_peak_memory() -> int:
    """Have Linux forget the most memory that this process had so far; return what it has now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5", "ascii")
    return peak_memory()


def peak_memory() -> int:
    [line] = [line for line in Path("/proc/self/status").read_text("ascii").splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def answer_of(worker: ItemWorker) -> bytes:
    [batch] = worker(iter([pa.record_batch([pa.array([0])], names=["id"])]))
    answer: bytes = batch["answer"][0].as_py()
    return answer
