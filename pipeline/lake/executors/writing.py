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
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa

from pipeline.lake.event_days import Version, month_of
from pipeline.lake.executors.failures import raising_readable_errors
from pipeline.lake.month_writer import MonthWriter, VersionRun, open_month_writer, version_runs
from pipeline.lake.parquet import write_parquet
from pipeline.lake.remote_rows import MonthFilePlan
from pipeline.lake.store import Store
from pipeline.lake.tables import Table
from pipeline.lake.version_rows import RowReader

PlansByFile = Mapping[tuple[date, date | None], MonthFilePlan]
WRITTEN = pa.schema([("path", pa.string()), ("row_count", pa.int64())])
WRITTEN_VERSIONS = pa.schema([("day", pa.date32()), ("known_on", pa.date32()), *WRITTEN])


@dataclass(frozen=True, slots=True)
class FileWriter:
    """Writes the sorted rows of a task as one Parquet file below `folder`, and answers with its row of WRITTEN."""

    schema: pa.Schema
    manifest: Mapping[str, Any]
    folder: Path

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with raising_readable_errors():
            path = _new_path(self.folder)
            count = write_parquet(self.schema, batches, path, self.manifest)
            yield pa.RecordBatch.from_pylist([{"path": str(path), "row_count": count}], WRITTEN)


@dataclass(frozen=True, slots=True)
class MonthFileWriter:
    """Writes rows of event days as files by month and night, and answers with a row of WRITTEN_VERSIONS for each version that has rows.

    The rows are sorted by event day, night and key, and a task has all of the rows of each of its files. The `plans` say what else is to
    be in these, which `store` holds already.
    """

    store: Store
    table: Table
    plans: Sequence[MonthFilePlan]
    folder: Path

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with raising_readable_errors():
            plans = {(plan.file.month, plan.file.known_on): plan for plan in self.plans}
            for month, runs in groupby(version_runs(self.table, batches), key=lambda run: month_of(run.version.day)):
                yield self._write_month(month, runs, plans)

    def _write_month(self, month: date, runs: Iterator[VersionRun], plans: PlansByFile) -> pa.RecordBatch:
        counts: dict[Version, int] = {}
        paths: dict[date, Path] = {}
        with ExitStack() as opened:
            writers: dict[date, MonthWriter] = {}
            for run in runs:
                night = run.version.known_on
                if night not in writers:
                    paths[night], plan = _new_path(self.folder), plans[month, night]
                    reader = RowReader(self.store, self.table, links=plan.links)
                    writer = open_month_writer(paths[night], self.table, plan.file, plan.facts, plan.staying, reader)
                    writers[night] = opened.enter_context(writer)
                writers[night].add(run)
                counts[run.version] = counts.get(run.version, 0) + run.row_count
        rows = [
            {"day": version.day, "known_on": version.known_on, "path": str(paths[version.known_on]), "row_count": count}
            for version, count in counts.items()
        ]
        return pa.RecordBatch.from_pylist(rows, WRITTEN_VERSIONS)


def _new_path(folder: Path) -> Path:
    return folder / f"{uuid4().hex}.parquet"
