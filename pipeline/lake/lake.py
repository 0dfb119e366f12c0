"""The lake: Parquet partitions written by one rename each, and read with their checksums verified.

    tables/<table>/day=D/part-0.parquet              a night's table
    tables/<table>/day=E/known=K/part-0.parquet      an event day as known on night K
    tables/<table>/known=K/part-0.parquet            a snapshot as known on night K
    restated/<table>/day=D/known=K/part-0.parquet    a night's table as a later night K knows it
    models/ definitions/                             what was valid from a day on
    publications/ current reports/ erasures/         what later steps add
    states/ staging/ pending/ backfills/ locks/      private

The manifest of a partition lives in its Parquet footer. This module is the only one that writes tables.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.addresses import PART
from pipeline.lake.disk import disk_errors
from pipeline.lake.local_store import LocalStore
from pipeline.lake.parquet import MANIFEST_KEY, Version, cut_by_version, is_whole, sorted_by, write_parquet
from pipeline.lake.staging import has_bytes_of, private_folder
from pipeline.lake.store import Store
from pipeline.lake.tables import Partition, Table

LOCK_SECONDS = 600
VERSION = re.compile(r"known=[0-9-]+/")

__all__ = ["Lake", "Version", "event_names", "known_versions", "reading", "sorted_by"]


class Lake:
    """Reads and writes partitions, and offers what else packages need of the store that holds them, by address."""

    def __init__(self, root: Path, *, lock_seconds: float = LOCK_SECONDS) -> None:
        self.root = root.resolve()
        self.store: Store = LocalStore(self.root)
        self._lock_seconds = lock_seconds

    def path(self, table: Table, *, day: date | None = None, known: date | None = None) -> Path:
        """Return where a partition lives; NIGHT takes `day`, SNAPSHOT `known`, EVENT_DAY both.

        A NIGHT partition known on another day than its own is a restatement, and lives apart.
        """
        return self.root / addresses.partition(table, day=day, known=known)

    def has(self, table: Table, *, day: date | None = None, known: date | None = None) -> bool:
        """Return whether a partition is stored."""
        return self.store.exists(addresses.partition(table, day=day, known=known))

    def versions(self, table: Table) -> list[Version]:
        """Return every stored version of an EVENT_DAY table, in order."""
        days = _folders(str(self.root / "tables" / table.name))
        versions = ((day, known) for day, path in days for known, folder in _folders(path) if os.path.isfile(f"{folder}/{PART}"))  # noqa: PTH113
        return [Version(day, known) for day, known in sorted(versions)]

    def versions_known(self, table: Table, *, through: date, known: date) -> list[Version]:
        """Return, per event day up to `through`, the version that night `known` goes by.

        That is the newest known by then; a day first learned of later counts as first learned.
        """
        return known_versions(self.versions(table), through=through, known=known)

    def event_paths(self, table: Table, *, through: date, known: date) -> list[Path]:
        """Return the files of `versions_known`."""
        return [self.root / name for name in event_names(table, self.versions_known(table, through=through, known=known))]

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
        with reading(table.name, path):
            return pq.ParquetFile(path, page_checksum_verification=True).read()

    def remove(self, table: Table, *, day: date) -> None:
        """Remove a night's partition; one that is not there is no error."""
        self.path(table, day=day).unlink(missing_ok=True)

    def digest(self, names: Iterable[str]) -> str:
        """Return a short digest of which event days files below the root hold and how large they are, whichever night wrote them."""
        names = sorted(f"{VERSION.sub('', name)} {os.stat(f'{self.root}/{name}').st_size}" for name in names)  # noqa: PTH116 - as above
        return sha256("\n".join(names).encode()).hexdigest()[:16]

    def manifest(self, path: Path) -> dict[str, Any]:
        """Return what the footer of the partition at `path` says of it; raises DataError as `read` does."""
        with reading(path.relative_to(self.root).parts[1], path):
            content: dict[str, Any] = json.loads(pq.read_metadata(path).metadata[MANIFEST_KEY])
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
        is_as_known = table.partition is Partition.NIGHT and known == day
        facts = {"table": table.name, "day": day, "known": None if is_as_known else known, **(manifest or {})}
        return self.write_file(table.schema, batches, path, facts)

    def write_file(self, schema: pa.Schema, batches: Iterable[pa.RecordBatch], path: Path, manifest: Mapping[str, Any]) -> int:
        """Write one Parquet file at `path` by a rename from the staging folder; return its row count."""
        with self._staged(path) as staged:
            return write_parquet(schema, batches, staged, manifest)

    def read_text(self, address: str) -> str:
        """Return the text at `address`; raises FileNotFoundError where there is none, UnicodeDecodeError where it is none."""
        return self.store.read(address).decode("utf-8")

    def write_text(self, address: str, text: str) -> None:
        """Put a text at `address`, all or nothing; models and reports are such texts. Raises TransientError where the disk refuses."""
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
        """Return for people where `address`, or the lake itself, is."""
        return self.store.where(address)

    def disk_errors(self, action: str) -> AbstractContextManager[None]:
        """Raise a TransientError, `could not <action>`, for what the disk refuses in the block."""
        return disk_errors(self.root, action=action)

    def private_folder(self) -> AbstractContextManager[Path]:
        """Yield an empty folder on this machine for this process alone, gone afterwards; raises OSError where the disk refuses."""
        return self.store.private_folder()

    def write_event_days(
        self, table: Table, batches: Iterable[pa.RecordBatch], *, wanted: Iterable[Version], manifest: Mapping[str, Any] | None = None
    ) -> dict[Version, int]:
        """Write one partition per version in `wanted`, empty where no row came; return row counts.

        The batches carry `day` and `known` beside the table's columns and are sorted by both, then by the key.
        """
        counts = {}
        for version, rows in cut_by_version(batches):
            counts[version] = self.write(table, rows, day=version.day, known=version.known, manifest=manifest)
        for version in wanted:
            if version not in counts:
                counts[version] = self.write(table, [], day=version.day, known=version.known, manifest=manifest)
        return counts

    @contextmanager
    def _staged(self, path: Path) -> Iterator[Path]:
        """Yield a private path for what is to appear at `path` by one rename once the block ends well."""
        with disk_errors(self.root, path=path), private_folder(self.root) as folder:
            staged = folder / path.name
            yield staged
            if not has_bytes_of(staged, path):
                path.parent.mkdir(parents=True, exist_ok=True)
                staged.replace(path)

    def lock(self, name: str, *, timeout_seconds: float | None = None, is_shared: bool = False) -> AbstractContextManager[None]:
        """Hold the named lock of this lake, alone or with others that share it.

        Raises LockTimeout when another run keeps it for more than `timeout_seconds`, else those of the lake.
        """
        seconds = self._lock_seconds if timeout_seconds is None else timeout_seconds
        return self.store.lock(name, timeout_seconds=seconds, is_shared=is_shared)


def known_versions(versions: Iterable[Version], *, through: date, known: date) -> list[Version]:
    """Return of versions in order, per event day up to `through`, the one that night `known` goes by."""
    chosen: dict[date, Version] = {}
    for version in versions:
        if version.day <= through and (version.day not in chosen or version.known <= known):
            chosen[version.day] = version
    return list(chosen.values())


def event_names(table: Table, versions: Iterable[Version]) -> list[str]:
    """Return where the files of versions are below the root; plain strings, as every night asks for the whole history."""
    return [f"tables/{table.name}/day={version.day}/known={version.known}/{PART}" for version in versions]


def _folders(root: str) -> list[tuple[date, str]]:
    """Return the value and the path of each `name=value` folder; plain strings, as every night asks for the whole history."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(root) as entries:
        return [(date.fromisoformat(entry.name.partition("=")[2]), entry.path) for entry in entries if "=" in entry.name]
    return []


@contextmanager
def reading(name: str, path: Path, *, piece: str = "partition") -> Iterator[None]:
    """Verify the file at `path` of the table `name`; tell what fails there or in the block as a DataError that names both."""
    try:
        if not is_whole(path):
            raise _damaged(name, path, "its checksum is wrong")
        yield
    except FileNotFoundError:
        raise DataError(f"{name} has no such {piece}", where=str(path), todo=f"Run that day: {_remedy(path)}.") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _damaged(name, path, type(error).__name__) from None


def _damaged(name: str, path: Path, how: str) -> DataError:
    return DataError(f"{name} is damaged: {how}", where=str(path), todo=f"Run that day again: {_remedy(path)}.")


def _remedy(path: Path) -> str:
    """Return the command that writes the partition at `path` again: that of the night which wrote it."""
    return f"segments run --reread --day {path.parent.name.partition('=')[2] or 'YYYY-MM-DD'}"


def _value(folder: Path) -> date:
    return date.fromisoformat(folder.name.split("=", 1)[1])
