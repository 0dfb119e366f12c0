"""Validation by groups of partitions: whoever checks a group, and however many do, the same bytes come of it, or none."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.builders import a_company
from support.motley_days import OUTPUTS, damage_month, validated, write_motley_days
from support.nights import tree_bytes
from support.object_store import CREDENTIALS, ObjectStore
from support.raw_nights import NIGHT, results

from pipeline.definitions.company import Company
from pipeline.errors import DataError, TransientError
from pipeline.ingestion import validate
from pipeline.ingestion.validate import validate_sources
from pipeline.ingestion.validation import partition_groups
from pipeline.ingestion.validation.batches import PartitionRef
from pipeline.ingestion.validation.known_ids import KnownIds, write_ids
from pipeline.ingestion.validation.partition_groups import neighbouring_partitions
from pipeline.lake.bucket.bucket_store import BucketStore
from pipeline.lake.lake import Lake
from pipeline.lake.tables import RAW_ORDER_LINES
from pipeline.lake.workers import WorkerProcesses


@pytest.fixture(scope="module")
def workers() -> Iterator[WorkerProcesses]:
    pool = WorkerProcesses(3)
    yield pool
    pool.close()


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    return a_company(tmp_path_factory.mktemp("company"), rejected_share_limit=1.0)


@pytest.fixture(scope="module", autouse=True)
def small_groups() -> Iterator[None]:
    """Have every table of a few rows checked in several groups, by workers where there are any."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(validate, "ROWS_WORTH_WORKERS", 1)
        patched.setattr(partition_groups, "GROUP_ROWS", 9)
        yield


@pytest.fixture(scope="module")
def alone(company: Company, small_groups: None, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bytes]:  # noqa: ARG001 - set first
    """Return what a single process writes."""
    return validated(company, tmp_path_factory.mktemp("alone"), WorkerProcesses(1))


def test_any_number_of_workers_writes_the_same_bytes(
    alone: Mapping[str, bytes], company: Company, tmp_path: Path, workers: WorkerProcesses
) -> None:
    assert len([name for name in alone if name.endswith(".parquet")]) == 15  # five months, one of two nights, of two tables; three tables
    assert validated(company, tmp_path / "three", workers) == alone
    two = WorkerProcesses(2)
    assert validated(company, tmp_path / "two", two) == alone
    two.close()


def test_workers_write_the_same_bytes_into_a_bucket(
    alone: Mapping[str, bytes], company: Company, tmp_path: Path, workers: WorkerProcesses, object_store: ObjectStore
) -> None:
    lake = Lake(object_store.new_store(tmp_path))
    write_motley_days(company, lake)
    validate_sources(company, lake, NIGHT, workers=workers, batch_rows=4)
    lake = Lake(BucketStore(lake.store.settings(), CREDENTIALS))  # as the next step opens it
    written = {address: lake.store.read(address) for folder in OUTPUTS for address in lake.list_addresses(f"{folder}/")}
    assert written == alone


def test_groups_of_a_night_do_not_change_what_is_found(
    alone: Mapping[str, bytes], company: Company, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partition_groups, "GROUP_ROWS", 1_000)
    assert validated(company, tmp_path, WorkerProcesses(1)) == alone


@dataclass
class DyingWorkers(WorkerProcesses):
    """Workers of whom one is killed in the middle of an item, in the given call of `map`."""

    calls_to_live: int

    def __post_init__(self) -> None:
        super().__init__(2)

    def map(self, work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        self.calls_to_live -= 1
        return super().map(partial(die_afterwards, work) if self.calls_to_live == 0 else work, items)


def die_afterwards(work: Callable[[Any], Any], item: Any) -> Any:
    work(item)
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("call", [1, 3])  # while order lines are checked, and while their clean months are written
def test_a_killed_worker_leaves_no_half_month_and_the_next_run_mends_it(
    alone: Mapping[str, bytes], company: Company, tmp_path: Path, call: int
) -> None:
    lake = Lake(tmp_path / "lake")
    write_motley_days(company, lake)
    with pytest.raises(TransientError, match="the process that worked on it ended: SIGKILL"):
        validate_sources(company, lake, NIGHT, workers=DyingWorkers(call), batch_rows=4)
    written = tree_bytes(lake, "tables/order_lines")
    assert written.items() <= alone.items()
    assert bool(written) is (call == 3)
    validate_sources(company, lake, NIGHT, batch_rows=4)
    assert tree_bytes(lake, *OUTPUTS) == alone
    assert not [path for path in (lake.root / "staging").iterdir() if any(path.iterdir())]


def test_what_is_wrong_in_a_worker_is_told_as_it_is_here(company: Company, tmp_path: Path, workers: WorkerProcesses) -> None:
    lake = Lake(tmp_path / "lake")
    write_motley_days(company, lake)
    file = damage_month(lake)
    with pytest.raises(DataError, match="raw_order_lines is damaged") as raised:
        validate_sources(company, lake, NIGHT, workers=workers)
    assert raised.value.where == str(file)
    assert not (lake.root / "tables" / "order_lines").exists()


def test_a_number_of_rows_is_that_of_all_groups(tmp_path: Path, lake: Lake, workers: WorkerProcesses) -> None:
    company = a_company(tmp_path / "own", rejected_share_limit=1.0)
    rules = {
        "has_enough": {"min_value": 30, "max_value": 51},
        "has_too_few": {"min_value": 52},
        "has_too_many": {"max_value": 51, "strict_max": True},
    }
    entries = [
        {
            "type": "expect_table_row_count_to_be_between",
            "kwargs": kwargs,
            "severity": "warning",
            "meta": {"rule": rule, "rejects_rows": False},
        }
        for rule, kwargs in rules.items()
    ]
    file = company.folder / "expectations" / "raw_order_lines.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({"expectations": entries}), "utf-8")
    write_motley_days(company, lake)
    validate_sources(company, lake, NIGHT, workers=workers, batch_rows=4)
    # 57 rows, of which 6 are there a second time: these are shown to no rule.
    found = {rule: results(lake)["raw_order_lines", rule]["failed_count"] for rule in rules}
    assert found == {"has_enough": 0, "has_too_few": 1, "has_too_many": 1}


def test_groups_are_neighbours_of_one_night_and_large_partitions_are_alone() -> None:
    def ref(day: int, known: int = 31) -> PartitionRef:
        return PartitionRef(RAW_ORDER_LINES, date(2024, 1, day), date(2024, 1, known))

    counts = {ref(1): 4, ref(2): 5, ref(3): 1, ref(4, 30): 0, ref(5): 20, ref(6): 0, ref(7): 9}
    assert list(neighbouring_partitions(counts)) == [[ref(1), ref(2)], [ref(3)], [ref(4, 30)], [ref(5)], [ref(6), ref(7)]]
    assert not list(neighbouring_partitions({}))


ids = st.lists(st.none() | st.text("abğ\0 ", max_size=2), max_size=12)


@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(ids, max_size=3), others=ids, asked=ids)
def test_ids_are_known_that_are_in_a_file_or_held(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[list[str | None]], others: list[str | None], asked: list[str | None]
) -> None:
    written = sorted({each for piece in pieces for each in piece if each is not None}, key=str.encode)
    step = max(1, len(written) // 3)
    file = tmp_path_factory.mktemp("ids") / "ids.arrow"
    batches = [pa.chunked_array([pa.array(written[start : start + step], pa.string())]) for start in range(0, len(written), step)]
    known = write_ids(file, batches).with_ids_of(KnownIds.of(pa.array(others, pa.string())))
    expected = [None if each is None else each in {*written, *others} for each in asked]
    assert known.contain(pa.array(asked, pa.string())).to_pylist() == expected
