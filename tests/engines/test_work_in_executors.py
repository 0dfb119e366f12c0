"""Validation and erasure leave the same bytes whether executors do the work or this process, whatever becomes of an executor."""

from __future__ import annotations

import logging
import os
import time
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support import dying_work
from support.builders import a_company
from support.motley_days import OUTPUTS, damage_month, validated, write_motley_days
from support.object_store import CREDENTIALS, ObjectStore
from support.raw_nights import NIGHT

from local.spark_cluster import SparkCluster
from pipeline.definitions.company import Company
from pipeline.errors import DataError
from pipeline.ingestion import validate
from pipeline.ingestion.validate import validate_sources
from pipeline.ingestion.validation import partition_groups
from pipeline.lake.bucket.bucket_store import BucketStore
from pipeline.lake.engines.spark_session import connect
from pipeline.lake.engines.spark_workers import SparkWorkers
from pipeline.lake.executors import versions
from pipeline.lake.lake import Lake
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.lake.worker_process import LogLine
from pipeline.lake.workers import OWN_PROCESS, WorkerProcesses, Workers
from pipeline.operations.erasure import table_files
from pipeline.operations.erasure.rows import CustomerIds
from pipeline.operations.erasure.table_files import TableFiles

WorkersOver = Callable[[Lake], Workers]


@pytest.fixture(scope="module", autouse=True)
def small_groups() -> Iterator[None]:
    """Have every table of a few rows worked on by executors, in several groups."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(validate, "ROWS_WORTH_WORKERS", 1)
        patched.setattr(partition_groups, "GROUP_ROWS", 40)
        patched.setattr(table_files, "BYTES_WORTH_WORKERS", 0)
        yield


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    return a_company(tmp_path_factory.mktemp("company"), rejected_share_limit=1.0)


@dataclass(frozen=True)
class Alone:
    """What a single process leaves: the files after validation, what an erasure counts, the files after it."""

    validated: Mapping[str, bytes]
    counted: Mapping[str, Mapping[str, int]]
    erased: Mapping[str, bytes]


@pytest.fixture(scope="module")
def alone(company: Company, small_groups: None, tmp_path_factory: pytest.TempPathFactory) -> Alone:  # noqa: ARG001 - set first
    lake = Lake(tmp_path_factory.mktemp("alone"))
    found = validated(company, lake.root, OWN_PROCESS)
    return Alone(found, erase(lake, OWN_PROCESS), files_of(lake))


@pytest.fixture
def executors_of(cluster: SparkCluster) -> Iterator[WorkersOver]:
    opened: list[SparkWorkers] = []

    def over(lake: Lake) -> Workers:
        opened.append(SparkWorkers(cluster.remote, lake.store, WorkerProcesses(1)))
        return opened[-1]

    yield over
    for workers in opened:
        workers.close()


class DyingWorkers:
    """Executors of whom one dies in the middle of these calls of `map`, after it has written what it was to write."""

    def __init__(self, workers: Workers, folder: Path, calls: Collection[int]) -> None:
        self._workers, self._folder, self._fatal, self._calls = workers, folder, calls, 0

    @property
    def count(self) -> int:
        return self._workers.count

    @property
    def process_count(self) -> int:
        return self._workers.process_count

    def map(self, work: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        self._calls += 1
        dying = partial(dying_work.die_once, str(self._folder / f"died-{self._calls}"), work)
        return self._workers.map(dying if self._calls in self._fatal else work, items)

    def close(self) -> None:
        self._workers.close()


def erase(lake: Lake, workers: Workers) -> Mapping[str, Mapping[str, int]]:
    """Remove a customer from the files of all tables and return what was counted there."""
    tables, ids = TableFiles(lake, memory_limit=MEMORY_LIMIT, workers=workers), CustomerIds.of(["c1"])
    counted = tables.count(ids)
    tables.remove(ids)
    return counted


def files_of(lake: Lake) -> Mapping[str, bytes]:
    """Return the files of a lake as whoever opens it next finds them."""
    if isinstance(lake.store, BucketStore):
        lake = Lake(BucketStore(lake.store.settings(), CREDENTIALS))
    return {address: lake.store.read(address) for folder in OUTPUTS for address in lake.list_addresses(f"{folder}/")}


def test_executors_validate_and_erase_to_the_bytes_of_one_process(
    alone: Alone, company: Company, tmp_path: Path, executors_of: WorkersOver
) -> None:
    lake = Lake(tmp_path / "lake")
    write_motley_days(company, lake)
    validate_sources(company, lake, NIGHT, workers=executors_of(lake), batch_rows=4)
    assert files_of(lake) == alone.validated
    assert erase(lake, executors_of(lake)) == alone.counted
    assert files_of(lake) == alone.erased
    assert not [path for path in (lake.root / "staging").iterdir() if any(path.iterdir())]


def test_executors_that_share_no_folder_leave_the_same_bytes_in_a_bucket(
    alone: Alone, company: Company, tmp_path: Path, executors_of: WorkersOver, object_store: ObjectStore
) -> None:
    lake = Lake(object_store.new_store(tmp_path))
    write_motley_days(company, lake)
    validate_sources(company, lake, NIGHT, workers=executors_of(lake), batch_rows=4)
    assert files_of(lake) == alone.validated
    assert erase(lake, executors_of(lake)) == alone.counted
    assert files_of(lake) == alone.erased
    assert lake.list_addresses("exchange/") == []


def test_an_executor_that_dies_after_it_has_written_changes_nothing(
    alone: Alone, company: Company, tmp_path: Path, cluster: SparkCluster, executors_of: WorkersOver
) -> None:
    with zipfile.ZipFile(tmp_path / "support.zip", "w") as archive:
        archive.mkdir("support")
        archive.write(dying_work.__file__, "support/dying_work.py")
    with closing(connect(cluster.remote)) as connection:  # the next who connects is given the same session
        connection.session.addArtifacts(str(tmp_path / "support.zip"), pyfile=True)
    lake = Lake(tmp_path / "lake")
    write_motley_days(company, lake)
    workers = DyingWorkers(executors_of(lake), tmp_path, calls=(1, 3))  # while order lines are checked, and while their months are written
    validate_sources(company, lake, NIGHT, workers=workers, batch_rows=4)
    assert sorted(path.name for path in tmp_path.glob("died-*")) == ["died-1", "died-3"]
    assert files_of(lake) == alone.validated
    assert not [path for path in (lake.root / "staging").iterdir() if any(path.iterdir())]


def test_what_is_wrong_in_an_executor_is_told_as_it_is_here(company: Company, tmp_path: Path, executors_of: WorkersOver) -> None:
    lake = Lake(tmp_path / "lake")
    write_motley_days(company, lake)
    file = damage_month(lake)
    with pytest.raises(DataError, match="raw_order_lines is damaged") as raised:
        validate_sources(company, lake, NIGHT, workers=executors_of(lake))
    assert raised.value.where == str(file)
    assert not (lake.root / "tables" / "order_lines").exists()


def test_answers_come_in_the_order_of_items_and_log_lines_before_them(
    lake: Lake, executors_of: WorkersOver, caplog: pytest.LogCaptureFixture
) -> None:
    workers = executors_of(lake)
    assert list(workers.map(time.sleep, [0.3, 0.0])) == [None, None]
    assert list(workers.map(abs, [-7, 3, -1])) == [7, 3, 1]
    assert (workers.count, workers.process_count) == (2, 1)
    lines = [LogLine("pipeline.test", level, text) for level, text in ((logging.WARNING, "one"), (logging.DEBUG, "hidden"))]
    with caplog.at_level(logging.INFO, logger="pipeline"):
        list(workers.map(LogLine.pass_on, lines))
    assert [(record.name, record.getMessage()) for record in caplog.records] == [("pipeline.test", "one")]


def test_executors_without_the_packages_leave_the_work_to_this_machine(
    lake: Lake, executors_of: WorkersOver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = versions.installed_versions()
    monkeypatch.setattr(versions, "installed_versions", lambda: {**found, "pandas": "1.2"})
    with caplog.at_level(logging.INFO, logger="pipeline"):
        workers = executors_of(lake)
        assert list(workers.map(lambda number: (number, os.getpid()), [1, 2])) == [(1, os.getpid()), (2, os.getpid())]
        assert workers.count == 1
    [line] = [record.getMessage() for record in caplog.records]
    assert line == "executors lack pandas==1.2, so files are validated and erased by processes of this machine: 1"
