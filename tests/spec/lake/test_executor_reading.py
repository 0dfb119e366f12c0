"""A large file is read by several tasks of a cluster, each some of its row groups: together all rows once, and none that is damaged."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.fault_proxy import Weather, store_in_weather
from support.object_store import ObjectStore, reopened

from pipeline.lake import addresses, row_group_reader
from pipeline.lake.bucket.bucket_store import BucketStore
from pipeline.lake.byte_sources import TAIL_BYTES
from pipeline.lake.checksums import MARK_BYTES, is_whole, read_seal, seal_of
from pipeline.lake.executors import reading_tasks
from pipeline.lake.executors.exchange import Exchange, SharedFolder, ThroughStore, exchange_of
from pipeline.lake.executors.failures import error_of
from pipeline.lake.executors.reading import FileReader
from pipeline.lake.executors.reading_tasks import Pieces, plan_reading_tasks
from pipeline.lake.local_store import LocalStore
from pipeline.lake.parquet import sealed_writer
from pipeline.lake.tables import Column, Kind, Partition, Table

TABLE = Table(
    "notes",
    "Notes of customers.",
    tuple(Column(name, Kind.TEXT, "") for name in ("customer_id", "note", "tag")),
    ("customer_id",),
    Partition.NIGHT,
)
ADDRESS = addresses.partition(TABLE, day=date(2024, 3, 31))
GROUPS, GROUP_ROWS, TASKS = 6, 200, 3
ROWS = pa.table({name: [f"{name} {n}" for n in range(GROUPS * GROUP_ROWS)] for name in TABLE.column_names}, TABLE.schema)


@pytest.fixture(autouse=True)
def _large_files_are_small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Call a file large that has two row groups, and put each group into a task of its own, where there may be as many."""
    monkeypatch.setattr(reading_tasks, "LARGE_FILE_BYTES", 2_000)
    monkeypatch.setattr(reading_tasks, "TASK_GROUPS", 1)
    yield
    seal_of.cache_clear()


def write_groups(path: Path, rows: pa.Table = ROWS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with sealed_writer(path, rows.schema) as writer:
        writer.add_metadata({b"customer_segments.manifest": b"{}"})
        for start in range(0, rows.num_rows, GROUP_ROWS):
            writer.write(rows.slice(start, GROUP_ROWS))
    return path


@pytest.fixture(params=["folder", "bucket"])
def exchange(request: pytest.FixtureRequest, tmp_path: Path) -> Exchange:
    """Return how executors read a lake with one file of several row groups."""
    file = write_groups(tmp_path / "new.parquet")
    if request.param == "folder":
        LocalStore(tmp_path / "lake").put_file(file, ADDRESS)
        return exchange_of(LocalStore(tmp_path / "lake"))
    object_store: ObjectStore = request.getfixturevalue("object_store")
    store = object_store.new_store(tmp_path / "cache")
    store.put_file(file, ADDRESS)
    return ThroughStore(store)


def elsewhere(exchange: Exchange, cache: Path) -> Exchange:
    """Return the same lake as an executor of another machine reads it."""
    return ThroughStore(reopened(exchange.store, cache)) if isinstance(exchange.store, BucketStore) else exchange


def planned(exchange: Exchange, most_tasks: int = TASKS) -> list[Pieces]:
    return plan_reading_tasks([(exchange.store.local(ADDRESS), ADDRESS)], most_tasks)


def read_task(exchange: Exchange, tasks: list[Pieces], number: int, schema: pa.Schema = TABLE.schema) -> pa.Table:
    reader = FileReader(exchange, TABLE.name, schema, tasks)
    return pa.Table.from_batches(reader(iter([pa.record_batch([pa.array([number])], names=["id"])])), schema)


def refusal(exchange: Exchange, tasks: list[Pieces], number: int, schema: pa.Schema = TABLE.schema) -> tuple[str, str, str]:
    """Return the kind of the error that a task fails with, what it says and where."""
    with pytest.raises(RuntimeError) as raised:
        read_task(exchange, tasks, number, schema)
    error = error_of(str(raised.value))
    assert error is not None
    return type(error).__name__, error.what, error.where or ""


def change_byte(exchange: Exchange, place: int) -> None:
    content = bytearray(exchange.store.read(ADDRESS))
    content[place] ^= 4
    exchange.store.write(ADDRESS, bytes(content))
    seal_of.cache_clear()


def chunk_start(path: Path, name: str, group: int) -> int:
    """Return where a chunk of a column begins, as Parquet itself tells it."""
    place: int = pq.read_metadata(path).row_group(group).column(TABLE.column_names.index(name)).dictionary_page_offset
    return place


@pytest.mark.parametrize("names", [["customer_id", "note", "tag"], ["tag"], ["note", "later"]], ids=" ".join)
def test_tasks_share_a_large_file_and_have_its_rows_together(exchange: Exchange, tmp_path: Path, names: list[str]) -> None:
    tasks = planned(exchange)
    assert len(tasks) == TASKS
    schema = pa.schema([(name, pa.string()) for name in names])
    parts = [read_task(elsewhere(exchange, tmp_path / "other"), tasks, number, schema) for number in range(TASKS)]
    assert [part.num_rows for part in parts] == [GROUPS * GROUP_ROWS // TASKS] * TASKS
    expected = ROWS.append_column("later", pa.nulls(ROWS.num_rows, pa.string())).select(names)
    assert pa.concat_tables(parts).to_pydict() == expected.to_pydict()


@pytest.mark.parametrize("limit", ["FETCHED_BYTES", "SPARED_GAP_BYTES"])
def test_rows_are_the_same_however_bytes_are_fetched(
    exchange: Exchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(row_group_reader, limit, 0)
    schema = pa.schema([TABLE.schema.field("customer_id"), TABLE.schema.field("tag")])
    other = elsewhere(exchange, tmp_path / "other")
    parts = [read_task(other, planned(exchange), number, schema) for number in range(TASKS)]
    assert pa.concat_tables(parts).equals(ROWS.select(schema.names))


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_damaged_row_group_stops_the_task_that_reads_it_and_no_other(exchange: Exchange, tmp_path: Path, group: int) -> None:
    tasks = planned(exchange)
    change_byte(exchange, chunk_start(exchange.store.local(ADDRESS), "note", group) + 20)
    other = elsewhere(exchange, tmp_path / "other")
    hit = group * TASKS // GROUPS
    assert refusal(other, tasks, hit) == (
        "DataError",
        "notes is damaged: its checksum is wrong, or another version of this program wrote it",
        exchange.store.where(ADDRESS),
    )
    assert [read_task(other, tasks, number).num_rows for number in range(TASKS) if number != hit] == [GROUPS * GROUP_ROWS // TASKS] * 2
    assert read_task(other, tasks, hit, pa.schema([TABLE.schema.field("tag")])).num_rows == GROUPS * GROUP_ROWS // TASKS


def test_no_byte_that_tasks_read_can_change_unnoticed(tmp_path: Path) -> None:
    exchange = SharedFolder(LocalStore(tmp_path))
    path = write_groups(exchange.store.local(ADDRESS))
    whole, tasks = path.read_bytes(), planned(exchange)
    for place in range(4, len(whole), 97):
        change_byte(exchange, place)
        kinds = []
        for number in range(TASKS):
            try:
                read_task(exchange, tasks, number)
            except RuntimeError as error:
                kinds.append(type(error_of(str(error))).__name__)
        assert kinds in (["DataError"], ["DataError"] * TASKS), place
        path.write_bytes(whole)


def test_a_file_that_was_written_anew_meanwhile_is_not_taken_for_the_one_before(exchange: Exchange, tmp_path: Path) -> None:
    tasks = planned(exchange)
    exchange.store.put_file(write_groups(tmp_path / "new" / "other.parquet", ROWS.slice(GROUP_ROWS)), ADDRESS)
    seal_of.cache_clear()
    kind, what, where = refusal(elsewhere(exchange, tmp_path / "other"), tasks, 0)
    assert (kind, what, where) == ("TransientError", "notes was written anew while it was read", exchange.store.where(ADDRESS))


def test_a_private_file_is_shared_and_verified_as_well(tmp_path: Path) -> None:
    exchange = SharedFolder(LocalStore(tmp_path / "lake"))
    path = write_groups(tmp_path / "lake" / "staging" / "rows.parquet")
    tasks = plan_reading_tasks([(path, None)], TASKS)
    assert pa.concat_tables(read_task(exchange, tasks, number) for number in range(TASKS)).equals(ROWS)
    content = bytearray(path.read_bytes())
    content[chunk_start(path, "tag", 0) + 20] ^= 1
    path.write_bytes(content)
    seal_of.cache_clear()
    assert refusal(exchange, tasks, 0) == ("DataError", "notes is damaged: what was set aside has changed", str(path))


def test_small_files_are_read_whole_and_their_ends_are_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_tasks, "LARGE_FILE_BYTES", 1 << 20)
    files = [(write_groups(tmp_path / f"{number}.parquet"), None) for number in range(5)]
    asked = seal_of.cache_info()
    [task] = plan_reading_tasks(files, TASKS)
    assert sorted(piece.path for piece in task) == [path for path, _ in files]
    assert all(piece.groups is None for piece in task)
    assert seal_of.cache_info() == asked


def test_files_that_are_tasks_enough_are_read_whole(tmp_path: Path) -> None:
    files = [(write_groups(tmp_path / f"{number}.parquet"), None) for number in range(5)]
    assert all(piece.groups is None for task in plan_reading_tasks(files, 5) for piece in task)
    assert {piece.groups is None for task in plan_reading_tasks(files, 20) for piece in task} == {False}


def test_a_file_of_before_is_read_by_one_task_and_verified(tmp_path: Path) -> None:
    exchange = SharedFolder(LocalStore(tmp_path))
    path = write_groups(exchange.store.local(ADDRESS))
    write_older_seal(path)
    assert is_whole(path)
    assert read_seal(path).checksums
    tasks = planned(exchange)
    assert [piece.groups for task in tasks for piece in task] == [None]
    assert read_task(exchange, tasks, 0).equals(ROWS)
    change_byte(exchange, chunk_start(path, "note", 4) + 20)
    assert refusal(exchange, tasks, 0)[0] == "DataError"


def test_of_a_file_in_a_bucket_a_task_fetches_its_own_row_groups_and_the_columns_that_it_needs(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_group_reader, "SPARED_GAP_BYTES", 0)
    drawn = random.Random(1)
    ids = [drawn.randbytes(400).hex() for _ in range(GROUPS * GROUP_ROWS)]
    rows = pa.table({"customer_id": ids, "note": ids[::-1], "tag": ["a"] * len(ids)}, TABLE.schema)
    quiet = Weather.fine()
    with store_in_weather(object_store, quiet, tmp_path / "cache") as store:
        store.put_file(write_groups(tmp_path / "new.parquet", rows), ADDRESS)
        tasks, seal = planned(ThroughStore(store)), read_seal(store.local(ADDRESS))
        other = ThroughStore(reopened(store, tmp_path / "other"))
        for names in (TABLE.column_names, ["note"]):
            before = quiet.sent_bytes
            schema = pa.schema([TABLE.schema.field(name) for name in names])
            assert read_task(other, tasks, 1, schema).equals(rows.select(names).slice(2 * GROUP_ROWS, 2 * GROUP_ROWS))
            fetched = quiet.sent_bytes - before
            places = [group * 3 + seal.names.index(name) for group in (2, 3) for name in names]
            wanted = sum(seal.ends[place + 1] - seal.ends[place] for place in places)
            end = store.size(ADDRESS) - seal.ends[-1]
            assert wanted + end <= fetched <= wanted + max(end, TAIL_BYTES) + 2_000
            assert fetched < store.size(ADDRESS) / 2
        assert list((tmp_path / "other").glob("*/objects/tables/**/*.parquet")) == []


def write_older_seal(path: Path) -> None:
    """Give a file the seal that it had before chunks had checksums."""
    content, seal = path.read_bytes(), read_seal(path)
    footer = content[-(int.from_bytes(content[-8:-4], "little") + 8) :]
    start, mark = seal.ends[-1], len(content) - len(footer) - MARK_BYTES
    said = json.loads(content[start:mark])
    assert len(said.pop("chunks")) == GROUPS * len(TABLE.column_names)
    older = json.dumps(said, separators=(",", ":"), sort_keys=True).encode()
    path.write_bytes(content[:start] + older + b"%08x%08xSEAL" % (len(older), zlib.crc32(older)) + footer)
    seal_of.cache_clear()
