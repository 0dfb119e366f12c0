"""Writes one file of event days: new versions, and those of the file before it that stay.

The file is written front to back in order of versions, without holding more than a row group in memory.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.lake.checksums import MANIFEST_KEY
from pipeline.lake.damage import outdated_error
from pipeline.lake.event_days import MonthFile, StoredVersion, Version
from pipeline.lake.parquet import as_schema, rows_per_group, sealed_writer, writer_settings
from pipeline.lake.row_digest import ColumnBytes, RowDigest, column_bytes
from pipeline.lake.row_group_writer import RowGroupWriter
from pipeline.lake.schema_versions import SCHEMA_VERSION
from pipeline.lake.tables import EVENT_DAY, KNOWN_ON, VERSION_COLUMNS, Table
from pipeline.lake.version_rows import RowReader

Facts = Mapping[str, Any]
# A group ends with a version once it has an eighth of its rows: then a large day is read alone, and small ones share a group.
SHARED_PART = 8


@dataclass(frozen=True, slots=True)
class VersionRun:
    """Neighbouring rows of one version in a batch, and the batch's columns as bytes."""

    version: Version
    batch: pa.RecordBatch
    columns: list[ColumnBytes]
    start: int
    end: int

    @property
    def row_count(self) -> int:
        return self.end - self.start

    @property
    def rows(self) -> pa.RecordBatch:
        return self.batch.slice(self.start, self.row_count)


def version_runs(table: Table, batches: Iterable[pa.RecordBatch]) -> Iterator[VersionRun]:
    """Yield the runs of rows of one version, from batches sorted by event day and night, in the stored columns of `table`."""
    for batch in batches:
        for rows in as_schema(batch, table.stored_schema).to_batches():
            columns = column_bytes(rows.select(table.column_names))
            # Grouping by Arrow, or turning its columns into NumPy's, has pandas imported: a third of a second.
            ends = {end for column in VERSION_COLUMNS for end in pc.run_end_encode(rows[column.name]).run_ends.to_pylist()}
            for start, end in pairwise(sorted({0} | ends)):
                version = Version(rows[EVENT_DAY.name][start].as_py(), rows[KNOWN_ON.name][start].as_py())
                yield VersionRun(version, rows, columns, start, end)


def with_version(table: Table, batches: Iterable[pa.RecordBatch], version: Version) -> Iterator[pa.RecordBatch]:
    """Yield the rows of one version in the stored columns of `table`."""
    for batch in batches:
        values = [pa.repeat(pa.scalar(day, pa.date32()), batch.num_rows) for day in (version.day, version.known_on)]
        columns = [batch.column(name) for name in table.column_names]
        names = [column.name for column in table.stored_columns]
        yield pa.RecordBatch.from_arrays([*values, *columns], names)


class MonthWriter:
    """Writes one file. Rows are added in order of versions; one of which none come is copied where it stays, else it is empty."""

    def __init__(
        self,
        table: Table,
        writer: RowGroupWriter,
        facts: Mapping[Version, Facts],
        staying: Mapping[Version, StoredVersion],
        reader: RowReader,
    ) -> None:
        """Write to `writer`; `reader` reads the rows that stay."""
        self._table, self._writer, self._reader = table, writer, reader
        self._facts, self._staying = facts, {version: staying[version] for version in staying.keys() - facts.keys()}
        self._to_come = deque(sorted([*self._staying, *facts]))
        self._entries: list[Facts] = []
        self._waiting: list[pa.Table] = []
        self._group_rows = rows_per_group(table.schema)
        self._waiting_rows = self._row_count = 0
        self._digest = RowDigest(table.schema)

    def add(self, run: VersionRun) -> None:
        """Add rows of a version that does not come before the last one added."""
        while self._to_come[0] < run.version:
            self._end_version()
        self._digest.add(run.columns, run.start, run.end)
        self._add_rows(pa.Table.from_batches([run.rows]))

    def end(self, file: MonthFile) -> None:
        """Write the versions still to come, and the manifest of `file`; whoever opened the Parquet writer closes it."""
        while self._to_come:
            self._end_version()
        self._write_waiting()
        known = {"known": str(file.known_on)} if file.known_on else {}
        count = sum(entry["row_count"] for entry in self._entries)
        facts = {"table": self._table.name, "month": file.month.isoformat()[:7], **known, "row_count": count, "versions": self._entries}
        manifest = json.dumps({**facts, SCHEMA_VERSION: self._table.schema_version}, sort_keys=True, default=str).encode()
        self._writer.add_metadata({MANIFEST_KEY: manifest})

    def _end_version(self) -> None:
        version = self._to_come.popleft()
        if version in self._staying:
            self._copy_version(self._staying[version])
        else:
            days = {"day": str(version.day), "known": str(version.known_on)}
            counted = {"row_count": self._row_count, "content_digest": self._digest.hexdigest()}
            self._entries.append({**self._facts[version], **days, **counted})
        self._row_count, self._digest = 0, RowDigest(self._table.schema)
        # Groups end with versions where that is cheap, so that reading one day rarely decodes rows of another.
        if self._waiting_rows * SHARED_PART >= self._group_rows:
            self._write_waiting()

    def _copy_version(self, stored: StoredVersion) -> None:
        for rows in self._reader.pieces(stored.version, stored.file):
            # Rows of an older declaration cannot share a file with today's: a Parquet file has one schema.
            if not rows.schema.equals(self._table.stored_schema):
                lacking = [name for name in self._table.column_names if name not in rows.column_names]
                raise outdated_error(self._table, self._reader.where(stored.file), lacking)
            self._add_rows(rows)
        self._entries.append(stored.facts)

    def _add_rows(self, rows: pa.Table) -> None:
        self._waiting.append(rows)
        self._waiting_rows += rows.num_rows
        self._row_count += rows.num_rows
        while self._waiting_rows >= self._group_rows:
            merged = pa.concat_tables(self._waiting)
            self._write_group(merged.slice(0, self._group_rows))
            self._waiting, self._waiting_rows = [merged.slice(self._group_rows)], self._waiting_rows - self._group_rows

    def _write_waiting(self) -> None:
        if self._waiting_rows:
            self._write_group(pa.concat_tables(self._waiting))
        self._waiting, self._waiting_rows = [], 0

    def _write_group(self, rows: pa.Table) -> None:
        self._writer.write(rows.combine_chunks())


@contextmanager
def open_month_writer(  # noqa: PLR0913, PLR0917 - a file, and what is to be in it
    path: Path,
    table: Table,
    file: MonthFile,
    facts: Mapping[Version, Facts],
    staying: Mapping[Version, StoredVersion],
    reader: RowReader,
) -> Iterator[MonthWriter]:
    """Yield a writer of what is to be in `file`, to the private `path`: the versions in `facts`, and those `staying` that are none of them.

    `reader` reads the rows that stay.
    """
    with sealed_writer(path, table.stored_schema, **writer_settings(table.schema)) as sealed:
        writer = MonthWriter(table, sealed, facts, staying, reader)
        yield writer
        writer.end(file)


def nights_by_month(versions: Iterable[Version]) -> dict[date, set[date]]:
    """Return the nights of versions by the month of their day, in order."""
    months: dict[date, set[date]] = {}
    for version in sorted(versions):
        months.setdefault(version.day.replace(day=1), set()).add(version.known_on)
    return months
