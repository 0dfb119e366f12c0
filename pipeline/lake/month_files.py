"""The files of event days on disk: which there are, and which versions their footers list, whatever other runs do to them meanwhile."""

from __future__ import annotations

import json
import os
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
from pipeline.lake.checksums import seal_of
from pipeline.lake.damage import damage_error, reading
from pipeline.lake.event_days import EventDays, MonthFile, StoredVersion, Version
from pipeline.lake.file_stamps import FileReplacedError, Found, StampedFile, file_stamp
from pipeline.lake.tables import Table


def month_file_at(path: Path) -> MonthFile:
    """Return the file of event days at `path`, as its folders name it."""
    month, known = (folder.name.partition("=")[2] for folder in (path.parents[1], path.parent))
    return MonthFile(path, date.fromisoformat(f"{month}-01"), None if known == COMPACTED else date.fromisoformat(known))


def compacted_file(root: Path, table: Table, month: date) -> MonthFile:
    """Return the compacted file of a month, whether it is there or not."""
    return MonthFile(root / addresses.compacted_month(table, month), month, None)


def month_files(root: Path, table: Table) -> list[MonthFile]:
    """Return the files of a table, the compacted one of a month before those of its nights."""
    return [_month_file(path) for path in _file_paths(root, table)]


@lru_cache(maxsize=20_000)
def _month_file(path: str) -> MonthFile:
    return month_file_at(Path(path))


def _file_paths(root: Path, table: Table) -> list[str]:
    """Return the paths of the files of a table, in the order of `month_files`; as text, because every step asks for them many times."""
    found: list[str] = []
    for _, month in _dated_folders(str(root / addresses.partitions(table)), "month"):
        folders = sorted(_dated_folders(month, "known"), key=lambda folder: (folder[0] != COMPACTED, folder[0]))
        found += [path for path in (f"{folder}/{PART}" for _, folder in folders) if os.path.isfile(path)]  # noqa: PTH113 - as above
    return found


def _dated_folders(folder: str, name: str) -> list[tuple[str, str]]:
    """Return the value and the path of each folder `name=value`, in order."""
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    with entries:
        found = sorted((entry.name, entry.path) for entry in entries if "=" in entry.name)
    # Such a folder may hold the only copy of what the source has dropped since: never read it as something else, nor past it.
    if others := [path for each, path in found if not each.startswith(f"{name}=")]:
        todo = "Keep it for that version, and begin another lake: segments run --lake ANOTHER_FOLDER, or set SEGMENTS_LAKE."
        raise DataError("this lake was written by an older version of this program, a file per event day", where=others[0], todo=todo)
    return [(each.partition("=")[2], path) for each, path in found]


class FileGoneError(DataError):
    """A file that was found is there no more: it was compacted, or removed."""


def gone_error(table: Table, file: MonthFile) -> FileGoneError:
    """Return the error for a file that was found, and is gone."""
    return FileGoneError(f"{table.name} has no such file", where=str(file.path), todo="Run that again.")


def versions_in(table: Table, file: MonthFile, *, link: Path | None = None) -> Mapping[Version, StoredVersion]:
    """Return the versions that a file holds, in order, from its footer alone. A `link` to the file is read in its place.

    Raises FileGoneError where it is not there, DataError where its footer is damaged.
    """
    path = link or file.path
    try:
        return _listed_versions(file, StampedFile(path, file_stamp(path)))
    except FileReplacedError:
        return versions_in(table, file, link=link)
    except FileNotFoundError:
        raise gone_error(table, file) from None
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise damage_error(table.name, file.path, f"its footer cannot be read ({type(error).__name__})") from None


# Every step of a night asks for the same footers. Size, time and inode in the key tell a file from the one that replaced it.
@lru_cache(maxsize=20_000)
def _listed_versions(file: MonthFile, stamped: StampedFile) -> Mapping[Version, StoredVersion]:
    found: dict[Version, StoredVersion] = {}
    first_row = 0
    for entry in _footer_entries(stamped):
        version = Version(date.fromisoformat(entry["day"]), date.fromisoformat(entry["known"]))
        found[version] = StoredVersion(version, file, first_row, entry["row_count"], entry)
        first_row += entry["row_count"]
    return found


@lru_cache(maxsize=20_000)
def _footer_entries(stamped: StampedFile) -> Sequence[Mapping[str, Any]]:
    entries: Sequence[Mapping[str, Any]] = json.loads(seal_of(stamped).manifest)["versions"]
    return entries


def event_days(root: Path, table: Table, *, verified: Collection[MonthFile] = ()) -> EventDays:
    """Return what is stored of a table, with damaged files told apart: in `verified` files every byte counts, in others the footer."""
    return _read_settled_files(root, table, lambda files: _whole_and_damaged(table, files, verified))


def _whole_and_damaged(table: Table, files: Iterable[MonthFile], verified: Collection[MonthFile]) -> EventDays:
    found: dict[Version, StoredVersion] = {}
    damaged: dict[MonthFile, Collection[Version]] = {}
    for file in files:
        listed: Mapping[Version, StoredVersion] = {}
        try:
            listed = versions_in(table, file)
            if file in verified:
                with reading(table.name, file.path):
                    pass
        # Gone is not damaged: it was compacted or replaced, and whoever asked looks again.
        except FileGoneError:
            raise
        except DataError:
            damaged[file] = listed.keys()
        else:
            found |= listed
    return EventDays(dict(sorted(found.items())), damaged)


def stored_versions(root: Path, table: Table) -> Mapping[Version, StoredVersion]:
    """Return all versions, in order; raises DataError where a footer is damaged."""
    return _read_settled_files(root, table, lambda files: dict(sorted(_all_versions(table, files).items())))


def _all_versions(table: Table, files: Iterable[MonthFile]) -> Mapping[Version, StoredVersion]:
    found: dict[Version, StoredVersion] = {}
    for file in files:
        found |= versions_in(table, file)
    return found


def _read_settled_files(root: Path, table: Table, read: Callable[[Sequence[MonthFile]], Found]) -> Found:
    """Return what `read` makes of the files of a table, once none came or went meanwhile: a compaction moves versions between them."""
    while True:
        paths = _file_paths(root, table)
        with suppress(FileGoneError):
            found = read([_month_file(path) for path in paths])
            if _file_paths(root, table) == paths:
                return found


def find_versions(root: Path, table: Table, versions: Iterable[Version]) -> list[StoredVersion]:
    """Return where versions are stored, in the order given; raises DataError for one that is not."""
    stored, found = stored_versions(root, table), []
    for version in versions:
        if version not in stored:
            with reading(table.name, root / addresses.partition(table, day=version.day, known_on=version.known_on)):
                raise FileNotFoundError
        found.append(stored[version])
    return found
