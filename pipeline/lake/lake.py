"""The lake: Parquet partitions, each written by one rename and read with its checksums verified.

They lie where `addresses` says. The manifest of a partition (inputs, statement, row count) is in its Parquet footer, so that
it can never be separated from the rows. Nothing else writes tables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.lake import addresses
from pipeline.lake.addresses import PART
from pipeline.lake.damage import reading, seal_at
from pipeline.lake.disk import disk_errors
from pipeline.lake.event_day_store import EventDayStore
from pipeline.lake.event_days import StoredVersion, Version, known_versions
from pipeline.lake.local_store import LocalStore
from pipeline.lake.month_writer import with_version
from pipeline.lake.parquet import ROWS_WORTH_THREADS, sorted_by, write_parquet
from pipeline.lake.remote_rows import RemoteRows
from pipeline.lake.row_spool import RowSpool
from pipeline.lake.schema_versions import SCHEMA_VERSION
from pipeline.lake.staging import replaced_file
from pipeline.lake.store import Store
from pipeline.lake.tables import VERSION_COLUMNS, Partition, Table

LOCK_SECONDS = 600
# Left out of digests: which night wrote a file does not change what it says.
KNOWN_FOLDER = re.compile(r"known=[0-9-]+/")

__all__ = ["Lake", "StoredVersion", "Version", "known_versions", "sorted_by"]


class Lake(EventDayStore):
    """Reads and writes partitions, and offers what other packages need of the store that holds them, by address."""

    def __init__(self, place: Path | Store, *, lock_seconds: float = LOCK_SECONDS) -> None:
        """Open the lake in a folder, or in another store."""
        super().__init__(LocalStore(place.resolve()) if isinstance(place, Path) else place, lock_seconds)

    @property
    def root(self) -> Path:
        """The folder on this machine in which files of the lake are."""
        return self.store.local("")

    def path(self, table: Table, *, day: date | None = None, known_on: date | None = None) -> Path:
        """Return a path on this machine of a partition, for programs that read files; `addresses.partition` says what it takes."""
        return self.local(addresses.partition(table, day=day, known_on=known_on))

    def has(self, table: Table, *, day: date | None = None, known_on: date | None = None) -> bool:
        """Return whether a partition is stored."""
        return self.store.exists(addresses.partition(table, day=day, known_on=known_on))

    def nights(self, table: Table) -> list[date]:
        """Return the stored days of a NIGHT table, in order."""
        return self._dates(table, "day")

    def newest_night(self, table: Table, *, since: date = date.min, through: date = date.max) -> date | None:
        """Return the newest stored day of a NIGHT table from `since` to `through`, None where there is none."""
        return max((night for night in self.nights(table) if since <= night <= through), default=None)

    def snapshots(self, table: Table) -> list[date]:
        """Return the nights that stored a snapshot of a SNAPSHOT table, in order."""
        return self._dates(table, "known")

    def _dates(self, table: Table, name: str) -> list[date]:
        """Return the dates of the partitions `name=YYYY-MM-DD` of a table, in order."""
        prefix = addresses.partitions(table)
        folders = [each for each in self.store.list_folders(prefix) if each.startswith(f"{name}=")]
        return [date.fromisoformat(each.partition("=")[2]) for each in folders if self.store.exists(f"{prefix}{each}/{PART}")]

    def snapshot_known(self, table: Table, known_on: date) -> date | None:
        """Return the night of the newest snapshot known by `known_on`, else of the first one, else None."""
        # Nights before the first snapshot go by the first: the source cannot say any more who its customers were then.
        stored = self.snapshots(table)
        return max((night for night in stored if night <= known_on), default=stored[0] if stored else None)

    def snapshot_files(self, table: Table, known_on: date) -> list[str]:
        """Return the address of that snapshot, as engines register it; none where no night has stored one."""
        known = self.snapshot_known(table, known_on)
        return [addresses.partition(table, known_on=known)] if known else []

    def read(self, table: Table, *, day: date | None = None, known_on: date | None = None) -> pa.Table:
        """Return one partition with its page checksums verified.

        Raises DataError naming table and partition when the file is absent or damaged.
        """
        if table.partition is Partition.EVENT_DAY:
            pieces = [rows for _, rows in self.rows(table, [_require_version(day, known_on)])]
            return pa.concat_tables(pieces).drop_columns([column.name for column in VERSION_COLUMNS])
        with self.reading(table.name, addresses.partition(table, day=day, known_on=known_on)) as path:
            return pq.ParquetFile(path, page_checksum_verification=True).read()

    def pieces(self, table: Table, names: Sequence[str], *, day: date | None = None) -> Iterator[pa.Table]:
        """Yield these columns of a NIGHT partition in the order of its rows, one row group at a time, verified as by `read`.

        Texts come as dictionaries: each value of a row group once, and the place of each row's value.
        """
        texts = [name for name in names if pa.types.is_string(table.schema.field(name).type)]
        with self.reading(table.name, addresses.partition(table, day=day), columns=names) as path:
            file = pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=texts)
            for index in range(file.num_row_groups):
                yield file.read_row_group(index, list(names))

    def read_columns(self, table: Table, names: Iterable[str], *, day: date | None = None, known_on: date | None = None) -> pa.Table:
        """Return those of these columns that the file of a NIGHT or SNAPSHOT partition has, verified as by `read`."""
        wanted = list(names)
        with self.reading(table.name, addresses.partition(table, day=day, known_on=known_on), columns=wanted) as path:
            file = pq.ParquetFile(path, page_checksum_verification=True)
            has_many_rows = file.metadata.num_rows > ROWS_WORTH_THREADS
            return file.read([name for name in wanted if name in file.schema_arrow.names], use_threads=has_many_rows)

    def read_column(self, table: Table, name: str, *, day: date | None = None, known_on: date | None = None) -> pa.ChunkedArray | None:
        """Return one column of a partition as `read_columns` does; None where its file has no such column."""
        columns = self.read_columns(table, [name], day=day, known_on=known_on)
        return columns[name] if name in columns.column_names else None

    def stored_names(self, table: Table, *, day: date, known_on: date | None = None) -> tuple[str, ...]:
        """Return the names of the columns in the file of a NIGHT partition; raises DataError as `read` does, of its footer alone."""
        return seal_at(self.store, table.name, addresses.partition(table, day=day, known_on=known_on)).names

    def reading(
        self, name: str, address: str, *, columns: Collection[str] | None = None, piece: str = "partition"
    ) -> AbstractContextManager[Path]:
        """Yield a path on this machine of the file at `address`, of table `name`, verified: all of it, or these `columns`.

        Where the file is absent or damaged, or what the block reads of it, this raises DataError, which calls it a `piece` of the table.
        """
        return reading(self.store, name, address, columns=columns, piece=piece)

    def remove(self, table: Table, *, day: date) -> None:
        """Remove a night's partition; one that is not there is no error."""
        self.delete(addresses.partition(table, day=day))

    def digest(self, names: Iterable[str], contents: Iterable[str] = ()) -> str:
        """Return a short digest of the files at these addresses, by name and size, whichever night wrote them, and of `contents`."""
        files = sorted(f"{KNOWN_FOLDER.sub('', name)} {self.store.size(name)}" for name in names)
        return sha256("\n".join([*files, *contents]).encode()).hexdigest()[:16]

    def manifest(self, address: str) -> dict[str, Any]:
        """Return the manifest in the footer of the file at `address`; raises DataError as `read` does."""
        content: dict[str, Any] = json.loads(seal_at(self.store, address.split("/")[1], address).manifest)
        return content

    def content_digest(self, address: str) -> str:
        """Return a digest of the file at `address`, from its footer alone; raises DataError as `read` does."""
        return seal_at(self.store, address.split("/")[1], address).digest

    def row_count(self, address: str) -> int:
        """Return how many rows the file at `address` has, from its footer alone; raises DataError as `read` does."""
        return int(self.manifest(address)["row_count"])

    def write(
        self,
        table: Table,
        batches: Iterable[pa.RecordBatch],
        *,
        day: date | None = None,
        known_on: date | None = None,
        manifest: Mapping[str, Any] | None = None,
    ) -> int:
        """Write one partition, all or nothing, and return its row count.

        The batches must be sorted by the table's key and have its columns. Same rows, same bytes.
        """
        if table.partition is Partition.EVENT_DAY:
            version = _require_version(day, known_on)
            return self.write_event_days(table, with_version(table, batches, version), {version: manifest or {}})[version]
        # A night's own partition names no `known_on`, whether its writer gave it or not: same rows, same bytes.
        is_as_known = table.partition is Partition.NIGHT and known_on == day
        dates = {"day": day, "known": None if is_as_known else known_on}
        facts = {"table": table.name, SCHEMA_VERSION: table.schema_version, **dates, **(manifest or {})}
        return self.write_file(table.schema, batches, addresses.partition(table, day=day, known_on=known_on), facts)

    def write_file(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch], address: str, manifest: Mapping[str, Any]) -> int:
        """Write one Parquet file, which appears whole at `address`; return its row count."""
        with self.store.stage(address) as new:
            return _written(schema, batches, new, manifest)

    def write_private_file(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch], path: Path, manifest: Mapping[str, Any]) -> int:
        """Write one Parquet file at `path` in a private folder; return its row count. Raises TransientError where the disk refuses."""
        with disk_errors(path.parent, path=path), replaced_file(path) as new:
            return _written(schema, batches, new, manifest)

    def read_text(self, address: str) -> str:
        """Return the text at `address`; raises FileNotFoundError where there is none, UnicodeDecodeError where it is none."""
        return self.store.read(address).decode("utf-8")

    def write_text(self, address: str, text: str) -> None:
        """Write a text, such as a model or a report, at `address`, all or nothing; raises TransientError where the disk refuses."""
        self.store.write(address, text.encode("utf-8"))

    def exists(self, address: str) -> bool:
        """Return whether something is at `address`."""
        return self.store.exists(address)

    def list_addresses(self, prefix: str, *, suffix: str = "") -> list[str]:
        """Return the addresses that begin with `prefix` and end with `suffix`, in order."""
        return self.store.list_addresses(prefix, suffix=suffix)

    def delete(self, address: str) -> None:
        """Remove what is at `address`, if anything."""
        self.store.delete(address)

    def local(self, address: str) -> Path:
        """Return a path on this machine of what is at `address`, for programs that read files."""
        return self.store.local(address)

    def where(self, address: str = "") -> str:
        """Return the place of `address`, or of the lake itself, as messages name it."""
        return self.store.where(address)

    def disk_errors(self, action: str) -> AbstractContextManager[None]:
        """Raise a TransientError, `could not <action>`, for what the disk refuses in the block."""
        return disk_errors(self.where(), action=action)

    def row_spool(self, schema: pa.Schema) -> RowSpool:
        """Return a spool that holds rows on disk for the time of a block."""
        return RowSpool(self.store, schema)

    def private_folder(self) -> AbstractContextManager[Path]:
        """Yield an empty folder on this machine for this process alone, gone afterwards; raises OSError where the disk refuses."""
        return self.store.private_folder()

    def lock(self, name: str, *, timeout_seconds: float | None = None, is_shared: bool = False) -> AbstractContextManager[None]:
        """Hold the named lock of this lake, alone or with others that share it.

        Raises LockTimeout where another run keeps it for longer than `timeout_seconds`, by default those of the lake.
        """
        seconds = self._lock_seconds if timeout_seconds is None else timeout_seconds
        return self.store.lock(name, timeout_seconds=seconds, is_shared=is_shared)


def _written(schema: pa.Schema, rows: Iterable[pa.RecordBatch], path: Path, manifest: Mapping[str, Any]) -> int:
    return rows.write_file(schema, path, manifest) if isinstance(rows, RemoteRows) else write_parquet(schema, rows, path, manifest)


def _require_version(day: date | None, known_on: date | None) -> Version:
    if day is None or known_on is None:
        raise ValueError("an event day has a day and a night that knew it")
    return Version(day, known_on)
