"""The lake: Parquet partitions written by one rename each, and read with their checksums verified.

    tables/<table>/day=D/part-0.parquet              a night's table
    tables/<table>/day=E/known=K/part-0.parquet      an event day as known on night K
    tables/<table>/known=K/part-0.parquet            a snapshot as known on night K
    models/ publications/ current reports/           what later steps add
    staging/ locks/                                  private

The manifest of a partition lives in its Parquet footer. This module is the only one that writes tables.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import DataError, LockTimeout, TransientError
from pipeline.tables import Partition, Table

ROW_GROUP_ROWS = 131_072
MANIFEST_KEY = b"customer_segments.manifest"
PART = "part-0.parquet"


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """One stored version of an event day: what night `known` knew of `day`."""

    day: date
    known: date


class Lake:
    """Reads and writes partitions below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def path(self, table: Table, *, day: date | None = None, known: date | None = None) -> Path:
        """Return where a partition lives; NIGHT takes `day`, SNAPSHOT `known`, EVENT_DAY both."""
        folder = self.root / "tables" / table.name
        if table.partition is not Partition.SNAPSHOT:
            folder = folder / f"day={_required(day)}"
        if table.partition is not Partition.NIGHT:
            folder = folder / f"known={_required(known)}"
        return folder / PART

    def versions(self, table: Table) -> list[Version]:
        """Return every stored version of an EVENT_DAY table, in order."""
        root = self.root / "tables" / table.name
        return sorted(
            Version(_value(path.parent.parent), _value(path.parent)) for path in root.glob(f"day=*/known=*/{PART}")
        )

    def versions_known(self, table: Table, *, through: date, known: date) -> list[Version]:
        """Return, per event day up to `through`, the version that night `known` goes by.

        That is the newest known by then; a day first learned of later counts as first learned.
        """
        chosen: dict[date, Version] = {}
        for version in self.versions(table):
            if version.day <= through and (version.day not in chosen or version.known <= known):
                chosen[version.day] = version
        return list(chosen.values())

    def event_paths(self, table: Table, *, through: date, known: date) -> list[Path]:
        """Return the files of `versions_known`."""
        return [self.path(table, day=v.day, known=v.known) for v in self.versions_known(table, through=through, known=known)]

    def nights(self, table: Table) -> list[date]:
        """Return the stored days of a NIGHT table, in order."""
        return sorted(_value(path.parent) for path in (self.root / "tables" / table.name).glob(f"day=*/{PART}"))

    def snapshot_known(self, table: Table, known: date) -> date | None:
        """Return the night of the newest snapshot known by `known`, else of the first one, else None."""
        stored = sorted(_value(path.parent) for path in (self.root / "tables" / table.name).glob(f"known=*/{PART}"))
        return max((night for night in stored if night <= known), default=stored[0] if stored else None)

    def read(self, table: Table, *, day: date | None = None, known: date | None = None) -> pa.Table:
        """Return one partition with its page checksums verified.

        Raises DataError naming table and partition when the file is absent or damaged.
        """
        path = self.path(table, day=day, known=known)
        try:
            return pq.ParquetFile(path, page_checksum_verification=True).read()
        except FileNotFoundError:
            raise DataError(f"{table.name} has no such partition", where=str(path), todo="Run the step that writes it.") from None
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{table.name} is damaged: {type(error).__name__}", where=str(path), todo="Run the step that writes it again.") from None

    def digest(self, paths: Iterable[Path]) -> str:
        """Return a short digest of which files these are and how large."""
        names = sorted(f"{path.relative_to(self.root)} {path.stat().st_size}" for path in paths)
        return sha256("\n".join(names).encode()).hexdigest()[:16]

    def manifest(self, path: Path) -> dict[str, Any]:
        """Return what the footer of the partition at `path` says of it."""
        stored = (pq.read_metadata(path).metadata or {}).get(MANIFEST_KEY, b"{}")
        content: dict[str, Any] = json.loads(stored)
        return content

    def write(
        self,
        table: Table,
        batches: Iterable[pa.RecordBatch],
        *,
        day: date | None = None,
        known: date | None = None,
        manifest: Mapping[str, Any] | None = None,
    ) -> int:
        """Write one partition, all or nothing, and return its row count.

        The batches must be sorted by the table's key and have its columns. Same rows, same bytes.
        """
        path = self.path(table, day=day, known=known)
        facts = {"table": table.name, "day": day, "known": known, **(manifest or {})}
        return self.write_file(table.schema, batches, path, facts)

    def write_file(
        self, schema: pa.Schema, batches: Iterable[pa.RecordBatch], path: Path, manifest: Mapping[str, Any]
    ) -> int:
        """Write one Parquet file at `path` by a rename from the staging folder; return its row count."""
        staged = self._staged(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            rows = _write_parquet(schema, batches, staged, manifest)
            os.replace(staged, path)
        except OSError as error:
            raise _unwritable(path, error) from error
        finally:
            staged.unlink(missing_ok=True)
        return rows

    def write_text(self, path: Path, text: str) -> None:
        """Write a small text file, all or nothing; models and reports are such files."""
        staged = self._staged(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            staged.write_text(text, "utf-8")
            os.replace(staged, path)
        except OSError as error:
            raise _unwritable(path, error) from error

    def write_event_days(
        self, table: Table, batches: Iterable[pa.RecordBatch], *, wanted: Iterable[Version], manifest: Mapping[str, Any] | None = None
    ) -> dict[Version, int]:
        """Write one partition per version in `wanted`, empty where no row came; return row counts.

        The batches carry `day` and `known` beside the table's columns and are sorted by both, then by the key.
        """
        counts = {}
        for version, rows in _cut_by_version(batches):
            counts[version] = self.write(table, rows, day=version.day, known=version.known, manifest=manifest)
        for version in wanted:
            if version not in counts:
                counts[version] = self.write(table, [], day=version.day, known=version.known, manifest=manifest)
        return counts

    def _staged(self, path: Path) -> Path:
        staging = self.root / "staging"
        staging.mkdir(parents=True, exist_ok=True)
        return staging / "+".join(path.relative_to(self.root).parts)

    @contextmanager
    def lock(self, name: str, *, timeout_seconds: float = 600) -> Iterator[None]:
        """Hold the named lock of this lake; raises LockTimeout when another run keeps it too long."""
        path = self.root / "locks" / f"{name}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            _acquire(file.fileno(), path, timeout_seconds)
            yield


def _unwritable(path: Path, error: OSError) -> TransientError:
    return TransientError(f"could not write: {error.strerror}", where=str(path), todo="Free space or mend the disk, then run again.")


def _acquire(descriptor: int, path: Path, timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise LockTimeout("another run holds the lock", where=str(path), todo="Wait for it, or end it, then run again.") from None
            time.sleep(0.1)


def _write_parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], path: Path, manifest: Mapping[str, Any]) -> int:
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd", compression_level=3, version="2.6", data_page_version="1.0", write_page_checksum=True) as writer:
        for block in _blocks(schema, batches):
            writer.write_table(block, row_group_size=ROW_GROUP_ROWS)
            rows += block.num_rows
        facts = {**manifest, "row_count": rows}
        writer.add_key_value_metadata({MANIFEST_KEY: json.dumps(facts, sort_keys=True, default=str).encode()})
    return rows


def _blocks(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Regroup batches into full row groups, so that bytes do not depend on how rows arrived."""
    waiting: list[pa.Table] = []
    count = 0
    for batch in batches:
        waiting.append(pa.table(batch.select(schema.names)).cast(schema))
        count += batch.num_rows
        while count >= ROW_GROUP_ROWS:
            merged = pa.concat_tables(waiting)
            yield merged.slice(0, ROW_GROUP_ROWS).combine_chunks()
            waiting, count = [merged.slice(ROW_GROUP_ROWS)], count - ROW_GROUP_ROWS
    if count:
        yield pa.concat_tables(waiting).combine_chunks()


def _cut_by_version(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[Version, list[pa.RecordBatch]]]:
    """Yield each version with its rows, from batches sorted by `day` and `known`."""
    current: Version | None = None
    rows: list[pa.RecordBatch] = []
    for batch in batches:
        for version, piece in _runs(batch):
            if version != current and current is not None:
                yield current, rows
                rows = []
            current = version
            rows.append(piece)
    if current is not None:
        yield current, rows


def _runs(batch: pa.RecordBatch) -> Iterator[tuple[Version, pa.RecordBatch]]:
    marks = pa.table(batch.select(["day", "known"])).append_column("at", pa.array(range(batch.num_rows), pa.int64()))
    starts = marks.group_by(["day", "known"], use_threads=False).aggregate([("at", "min"), ("at", "count")])
    for row in starts.sort_by("at_min").to_pylist():
        yield Version(row["day"], row["known"]), batch.slice(row["at_min"], row["at_count"])


def sorted_by(table: pa.Table, columns: Iterable[str]) -> pa.Table:
    """Return the rows of `table` in ascending order of `columns`, nulls last."""
    return table.take(pc.sort_indices(table, sort_keys=[(name, "ascending") for name in columns]))


def _value(folder: Path) -> date:
    return date.fromisoformat(folder.name.split("=", 1)[1])


def _required(day: date | None) -> date:
    if day is None:
        raise ValueError("this table's partition needs another day")
    return day
