"""Writes files of the lake in an executor, with the very bytes that one machine writes.

Every attempt writes a file of its own: Spark runs a task again where an executor was lost, and sometimes twice at once. Who began the job
takes the files of the attempts that count, and nobody sees the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any
from uuid import uuid4

import pyarrow as pa

from pipeline.lake.event_days import Version, month_of
from pipeline.lake.executors.exchange import Exchange
from pipeline.lake.executors.failures import raising_readable_errors
from pipeline.lake.executors.order import SortKey, rows_in_order
from pipeline.lake.month_writer import MonthWriter, VersionRun, open_month_writer, version_runs
from pipeline.lake.parquet import write_parquet
from pipeline.lake.remote_rows import MonthFilePlan
from pipeline.lake.tables import Table
from pipeline.lake.version_rows import RowReader

PlansByFile = Mapping[tuple[date, date | None], MonthFilePlan]
WRITTEN = pa.schema([("name", pa.string()), ("row_count", pa.int64())])
WRITTEN_VERSIONS = pa.schema([("day", pa.date32()), ("known_on", pa.date32()), *WRITTEN])


@dataclass(frozen=True, slots=True)
class FileWriter:
    """Writes the sorted rows of a task as one Parquet file at `place` of an exchange, and answers with its row of WRITTEN."""

    exchange: Exchange
    place: str
    schema: pa.Schema
    manifest: Mapping[str, Any]
    order: Sequence[SortKey]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with raising_readable_errors():
            with self.exchange.new_file(self.place, _new_name()) as (path, name):
                count = write_parquet(self.schema, rows_in_order(batches, self.order), path, self.manifest)
            yield pa.RecordBatch.from_pylist([{"name": name, "row_count": count}], WRITTEN)


@dataclass(frozen=True, slots=True)
class MonthFileWriter:
    """Writes rows of event days as files by month and night, and answers with a row of WRITTEN_VERSIONS for each version that has rows.

    The rows are sorted by event day, night and key, and a task has all of the rows of each of its files. The `plans` say what else is to
    be in these, which the store holds already.
    """

    exchange: Exchange
    place: str
    table: Table
    plans: Sequence[MonthFilePlan]
    order: Sequence[SortKey]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with raising_readable_errors():
            plans = {(plan.file.month, plan.file.known_on): plan for plan in self.plans}
            for month, runs in groupby(
                version_runs(self.table, rows_in_order(batches, self.order)), key=lambda run: month_of(run.version.day)
            ):
                yield self._write_month(month, runs, plans)

    def _write_month(self, month: date, runs: Iterator[VersionRun], plans: PlansByFile) -> pa.RecordBatch:
        counts: dict[Version, int] = {}
        names: dict[date, str] = {}
        with ExitStack() as opened:
            writers: dict[date, MonthWriter] = {}
            for run in runs:
                night = run.version.known_on
                if night not in writers:
                    plan = plans[month, night]
                    path, names[night] = opened.enter_context(self.exchange.new_file(self.place, _new_name()))
                    reader = RowReader(self.exchange.store, self.table, links=plan.links)
                    writer = open_month_writer(path, self.table, plan.file, plan.facts, plan.staying, reader)
                    writers[night] = opened.enter_context(writer)
                writers[night].add(run)
                counts[run.version] = counts.get(run.version, 0) + run.row_count
        rows = [
            {"day": version.day, "known_on": version.known_on, "name": names[version.known_on], "row_count": count}
            for version, count in counts.items()
        ]
        return pa.RecordBatch.from_pylist(rows, WRITTEN_VERSIONS)


def _new_name() -> str:
    return f"{uuid4().hex}.parquet"
