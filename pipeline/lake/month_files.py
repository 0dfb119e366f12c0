"""The files of event days: which there are, and which versions their footers list, whatever other runs do to them meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.addresses import COMPACTED, PART
from pipeline.lake.checksums import SealedFile, sealed_file
from pipeline.lake.damage import damage_error, reading
from pipeline.lake.event_days import EventDays, MonthFile, StoredVersion, Version
from pipeline.lake.file_stamps import FileReplacedError, Found
from pipeline.lake.schema_versions import require_declared_version, schema_version_in
from pipeline.lake.store import Store
from pipeline.lake.tables import Table


# Every step asks for the same files many times.
@lru_cache(maxsize=20_000)
def month_file_at(address: str) -> MonthFile:
    """Return the file of event days at `address`, as its folders name it."""
    month, known = (folder.partition("=")[2] for folder in address.split("/")[-3:-1])
    return MonthFile(address, date.fromisoformat(f"{month}-01"), None if known == COMPACTED else date.fromisoformat(known))


def compacted_file(table: Table, month: date) -> MonthFile:
    """Return the compacted file of a month, whether it is there or not."""
    return MonthFile(addresses.compacted_month(table, month), month, None)


def month_files(store: Store, table: Table) -> list[MonthFile]:
    """Return the files of a table, the compacted one of a month before those of its nights."""
    return [month_file_at(address) for address in _file_addresses(store, table)]


def _file_addresses(store: Store, table: Table) -> list[str]:
    """Return the addresses of the files of a table, in the order of `month_files`."""
    found: list[str] = []
    for month in _dated_folders(store, addresses.partitions(table), "month"):
        nights = sorted(_dated_folders(store, month, "known"), key=lambda folder: not folder.endswith(f"={COMPACTED}/"))
        found += [address for address in (f"{night}{PART}" for night in nights) if store.exists(address)]
    return found


def _dated_folders(store: Store, prefix: str, name: str) -> list[str]:
    """Return the prefix of each folder `name=value` below `prefix`, in order."""
    found = [each for each in store.list_folders(prefix) if "=" in each]
    # Such a folder may hold the only copy of what the source has dropped since: never read it as something else, nor past it.
    if others := [each for each in found if not each.startswith(f"{name}=")]:
        todo = "Keep it for that version, and begin another lake: segments run --lake ANOTHER_FOLDER, or set SEGMENTS_LAKE."
        where = store.where(f"{prefix}{others[0]}")
        raise DataError("this lake was written by an older version of this program, a file per event day", where=where, todo=todo)
    return [f"{prefix}{each}/" for each in found]


class FileGoneError(DataError):
    """A file that was found is there no more: it was compacted, or removed."""


def gone_error(store: Store, table: Table, file: MonthFile) -> FileGoneError:
    """Return the error for a file that was found, and is gone."""
    return FileGoneError(f"{table.name} has no such file", where=store.where(file.address), todo="Run that again.")


def versions_in(store: Store, table: Table, file: MonthFile, *, link: Path | None = None) -> Mapping[Version, StoredVersion]:
    """Return the versions that a file holds, in order, from its footer alone. A `link` to the file is read in its place.

    Raises FileGoneError where it is not there, DataError where its footer is damaged, ConfigError where it is of another schema version.
    """
    try:
        sealed = sealed_file(link) if link else store.sealed(file.address)
        require_declared_version(store, table.name, file.address, schema_version_in(_manifest(sealed)))
        return _listed_versions(file, sealed)
    except FileReplacedError:
        return versions_in(store, table, file, link=link)
    except FileNotFoundError:
        raise gone_error(store, table, file) from None
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise damage_error(store, table.name, file.address, f"its footer cannot be read ({type(error).__name__})") from None


# Every step of a night asks for the same footers. The stamp in the key tells a file from the one that replaced it.
@lru_cache(maxsize=20_000)
def _listed_versions(file: MonthFile, sealed: SealedFile) -> Mapping[Version, StoredVersion]:
    found: dict[Version, StoredVersion] = {}
    first_row = 0
    for entry in _manifest(sealed)["versions"]:
        version = Version(date.fromisoformat(entry["day"]), date.fromisoformat(entry["known"]))
        found[version] = StoredVersion(version, file, first_row, entry["row_count"], entry)
        first_row += entry["row_count"]
    return found


@lru_cache(maxsize=20_000)
def _manifest(sealed: SealedFile) -> Mapping[str, Any]:
    manifest: Mapping[str, Any] = json.loads(sealed.read().manifest)
    return manifest


def event_days(store: Store, table: Table, *, verified: Collection[MonthFile] = ()) -> EventDays:
    """Return what is stored of a table, with damaged files told apart: in `verified` files every byte counts, in others the footer."""
    return _read_settled_files(store, table, lambda files: _whole_and_damaged(store, table, files, verified))


def _whole_and_damaged(store: Store, table: Table, files: Iterable[MonthFile], verified: Collection[MonthFile]) -> EventDays:
    found: dict[Version, StoredVersion] = {}
    damaged: dict[MonthFile, Collection[Version]] = {}
    for file in files:
        listed: Mapping[Version, StoredVersion] = {}
        try:
            listed = versions_in(store, table, file)
            if file in verified:
                with reading(store, table.name, file.address):
                    pass
        # Gone is not damaged: it was compacted or replaced, and whoever asked looks again.
        except FileGoneError:
            raise
        except DataError:
            damaged[file] = listed.keys()
        else:
            found |= listed
    return EventDays(dict(sorted(found.items())), damaged)


def stored_versions(store: Store, table: Table) -> Mapping[Version, StoredVersion]:
    """Return all versions, in order; raises DataError where a footer is damaged."""
    return _read_settled_files(store, table, lambda files: dict(sorted(_all_versions(store, table, files).items())))


def _all_versions(store: Store, table: Table, files: Iterable[MonthFile]) -> Mapping[Version, StoredVersion]:
    found: dict[Version, StoredVersion] = {}
    for file in files:
        found |= versions_in(store, table, file)
    return found


def _read_settled_files(store: Store, table: Table, read: Callable[[Sequence[MonthFile]], Found]) -> Found:
    """Return what `read` makes of the files of a table, once none came or went meanwhile: a compaction moves versions between them."""
    while True:
        listed = _file_addresses(store, table)
        store.fetch_seals(listed)
        with suppress(FileGoneError):
            found = read([month_file_at(address) for address in listed])
            if _file_addresses(store, table) == listed:
                return found


def find_versions(store: Store, table: Table, versions: Iterable[Version]) -> list[StoredVersion]:
    """Return where versions are stored, in the order given; raises DataError for one that is not."""
    stored, found = stored_versions(store, table), []
    for version in versions:
        if version not in stored:
            with reading(store, table.name, addresses.partition(table, day=version.day, known_on=version.known_on)):
                raise FileNotFoundError
        found.append(stored[version])
    return found
