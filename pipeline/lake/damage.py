"""Errors for files that lost or changed bytes: each names the file, its table and the command that mends it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from pipeline.errors import DataError
from pipeline.lake.addresses import COMPACTED
from pipeline.lake.checksums import is_whole
from pipeline.lake.file_stamps import FileStamp, file_stamp
from pipeline.lake.tables import RAW_PREFIX, Table

_whole_files: set[FileStamp] = set()
_whole_columns: dict[FileStamp, frozenset[str]] = {}


@contextmanager
def reading(
    name: str, path: Path, *, columns: Collection[str] | None = None, piece: str = "partition", link: Path | None = None
) -> Iterator[None]:
    """Verify the file at `path`, of table `name`; what fails there or in the block becomes a DataError that names both.

    Where only some `columns` are read, these alone are verified, and the footer in any case. A `link` to the file is read in its place.
    """
    try:
        if not _is_whole_by_now(link or path, columns):
            raise damage_error(name, path, "its checksum is wrong, or another version of this program wrote it")
        yield
    except FileNotFoundError:
        raise DataError(f"{name} has no such {piece}", where=str(path), todo=f"Run that day: {_rerun_command(path)}.") from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damage_error(name, path, type(error).__name__) from None


def _is_whole_by_now(path: Path, columns: Collection[str] | None) -> bool:
    """Return whether a file is whole; each is read for that once by a process, as its steps ask again and again."""
    stamp = file_stamp(path)
    known = _whole_columns.get(stamp, frozenset())
    if stamp in _whole_files or (columns is not None and columns and known.issuperset(columns)):
        return True
    found = is_whole(path, None if columns is None else frozenset(columns) - known)
    if found and file_stamp(path) == stamp:  # else another file took its place meanwhile, and which one was read is unknown
        if columns is None:
            _whole_files.add(stamp)
        else:
            _whole_columns[stamp] = known.union(columns)
    return found


def damage_error(name: str, path: Path, how: str) -> DataError:
    """Return the error for a damaged file of the table `name`."""
    todo = (
        _compacted_file_remedy(name, path) if path.parent.name == f"known={COMPACTED}" else f"Run that day again: {_rerun_command(path)}."
    )
    return DataError(f"{name} is damaged: {how}", where=str(path), todo=todo)


def outdated_error(table: Table, path: Path, lacking: Sequence[str]) -> DataError:
    """Return the error for a file that lacks declared columns.

    It never advises removing what came from the source, as the source may not have it any more.
    """
    # The table's own folder: what lacks a column was not written once, but on every night of that older version.
    folder = next(parent for parent in path.parents if "=" not in parent.name)
    remedy = (
        "Read the source again: segments run --since" if table.name.startswith(RAW_PREFIX) else "Remove that folder, then run again from"
    )
    return DataError(
        f"{table.name} lacks `{'`, `'.join(lacking)}`: it was written by an older version of this program or of company.toml",
        where=str(folder),
        todo=f"{remedy} YYYY-MM-DD, the first day that is needed.",
    )


def _rerun_command(path: Path) -> str:
    """Return the command that writes the partition at `path` again: a run of the night that wrote it."""
    # Without `--reread` the night would go by the versions that it has, the damaged one among them.
    return f"segments run --reread --day {path.parent.name.partition('=')[2] or 'YYYY-MM-DD'}"


def _compacted_file_remedy(name: str, path: Path) -> str:
    """Return how to mend a file of many nights: the newest night reads its days again, or computes them from what was read."""
    nights = (folder.name.partition("=")[2] for folder in (path.parents[3] / "extractions").glob("day=*"))
    night = max(nights, default="YYYY-MM-DD")
    since = f" --since {path.parents[1].name.partition('=')[2]}-01" if name.startswith(RAW_PREFIX) else ""
    return f"Remove that file, then run: segments run --day {night}{since}."
