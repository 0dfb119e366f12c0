"""Errors for files that lost or changed bytes: each names the file, its table and the command that mends it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

import pyarrow as pa

from pipeline.errors import DataError, TransientError
from pipeline.lake.addresses import COMPACTED, TABLES
from pipeline.lake.byte_sources import open_local_bytes
from pipeline.lake.checksums import Seal, is_whole, read_seal
from pipeline.lake.file_stamps import FileReplacedError, FileStamp, file_stamp
from pipeline.lake.row_group_reader import ChecksumError, RowGroupReader
from pipeline.lake.schema_versions import require_declared_version, schema_version_of
from pipeline.lake.store import Store
from pipeline.lake.tables import RAW_PREFIX, Table

_NOT_OURS = "its checksum is wrong, or another version of this program wrote it"
_whole_files: set[FileStamp] = set()
_whole_columns: dict[FileStamp, frozenset[str]] = {}


@contextmanager
def reading(  # noqa: PLR0913 - what is read, and how the message calls it
    store: Store,
    name: str,
    address: str,
    *,
    columns: Collection[str] | None = None,
    piece: str = "partition",
    link: Path | None = None,
) -> Iterator[Path]:
    """Yield a path on this machine of the file at `address`, of table `name`, once its bytes are verified.

    What fails there or in the block becomes a DataError that names both. Where only some `columns` are read, these alone are verified,
    and the footer in any case. A `link` to the file is read in its place. Raises ConfigError where the file is of another schema version.
    """
    with _naming_damage(store, name, address, piece):
        path = link or store.local(address)
        if not _is_whole_by_now(path, columns):
            raise ChecksumError
        require_declared_version(store, name, address, schema_version_of(read_seal(path).manifest))
        yield path


@contextmanager
def reading_row_groups(
    store: Store, name: str, address: str, *, columns: Collection[str], link: Path | None = None
) -> Iterator[RowGroupReader]:
    """Yield a reader of row groups of the file at `address`, of table `name`, and of these `columns`: what it reads, it verifies.

    Errors are those of `reading`, and a TransientError where another run wrote the file anew in between. A `link` to the file is read in
    its place.
    """
    try:
        with _naming_damage(store, name, address, "partition"), open_local_bytes(link) if link else store.open_bytes(address) as source:
            reader = RowGroupReader(source, columns)
            require_declared_version(store, name, address, schema_version_of(reader.seal.manifest))
            yield reader
    except FileReplacedError:
        raise replacement_error(name, store.where(address)) from None


@contextmanager
def reading_private_row_groups(name: str, path: Path, columns: Collection[str]) -> Iterator[RowGroupReader]:
    """Yield a reader of row groups of a private file of this process; raises DataError as `require_whole_private_file` does."""
    try:
        with open_local_bytes(path) as source:
            yield RowGroupReader(source, columns)
    except ChecksumError:
        raise _private_damage_error(name, path) from None


@contextmanager
def _naming_damage(store: Store, name: str, address: str, piece: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise _absence_error(store, name, address, piece) from None
    except ChecksumError:
        raise damage_error(store, name, address, _NOT_OURS) from None
    except (pa.ArrowException, OSError, ValueError) as error:
        raise damage_error(store, name, address, type(error).__name__) from None


def seal_at(store: Store, name: str, address: str) -> Seal:
    """Return the seal of the file at `address`, of table `name`, of which nothing else is read; raises DataError as `reading` does."""
    try:
        while True:
            with suppress(FileReplacedError):
                return store.sealed(address).read()
    except FileNotFoundError:
        raise _absence_error(store, name, address, "partition") from None
    except ValueError:
        raise damage_error(store, name, address, _NOT_OURS) from None
    except OSError as error:
        raise damage_error(store, name, address, type(error).__name__) from None


def replacement_error(name: str, where: str) -> TransientError:
    """Return the error for a file of the table `name`, at the place `where`, that another run wrote anew while it was read."""
    return TransientError(f"{name} was written anew while it was read", where=where, todo="Run that again.")


def _absence_error(store: Store, name: str, address: str, piece: str) -> DataError:
    return DataError(f"{name} has no such {piece}", where=store.where(address), todo=f"Run that day: {_rerun_command(address)}.")


def require_whole_private_file(name: str, path: Path, columns: Collection[str]) -> None:
    """Raise DataError where these columns of a private file of this process, with rows of table `name`, are not as they were written."""
    if not _is_whole_by_now(path, columns):
        raise _private_damage_error(name, path)


def _private_damage_error(name: str, path: Path) -> DataError:
    return DataError(f"{name} is damaged: what was set aside has changed", where=str(path), todo="Run that again.")


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


def damage_error(store: Store, name: str, address: str, how: str) -> DataError:
    """Return the error for a damaged file of the table `name`."""
    is_compacted = PurePosixPath(address).parent.name == f"known={COMPACTED}"
    todo = _compacted_file_remedy(store, name, address) if is_compacted else f"Run that day again: {_rerun_command(address)}."
    return DataError(f"{name} is damaged: {how}", where=store.where(address), todo=todo)


def outdated_error(table: Table, where: str, lacking: Sequence[str]) -> DataError:
    """Return the error for a file, at the place `where`, that lacks declared columns.

    It never advises removing what came from the source, as the source may not have it any more.
    """
    remedy = (
        "Read the source again: segments run --since" if table.name.startswith(RAW_PREFIX) else "Remove that folder, then run again from"
    )
    return DataError(
        f"{table.name} lacks `{'`, `'.join(lacking)}`: it was written by an older version of this program or of company.toml",
        # The table's own folder: what lacks a column was not written once, but on every night of that older version.
        where=table_folder(where),
        todo=f"{remedy} YYYY-MM-DD, the first day that is needed.",
    )


def table_folder(where: str) -> str:
    """Return the folder of the table whose file is at the place `where`: the nearest that is no `name=value`."""
    folder = where.rpartition("/")[0]
    while "=" in folder.rpartition("/")[2]:
        folder = folder.rpartition("/")[0]
    return folder


def _rerun_command(address: str) -> str:
    """Return the command that writes the partition at `address` again: a run of the night that wrote it."""
    # Without `--reread` the night would go by the versions that it has, the damaged one among them.
    return f"segments run --reread --day {PurePosixPath(address).parent.name.partition('=')[2] or 'YYYY-MM-DD'}"


def _compacted_file_remedy(store: Store, name: str, address: str) -> str:
    """Return how to mend a file of many nights: the newest night reads its days again, or computes them from what was read."""
    nights = (each.partition("=")[2] for each in store.list_folders(f"{TABLES}extractions/") if each.startswith("day="))
    night = max(nights, default="YYYY-MM-DD")
    month = PurePosixPath(address).parents[1].name.partition("=")[2]
    since = f" --since {month}-01" if name.startswith(RAW_PREFIX) else ""
    return f"Remove that file, then run: segments run --day {night}{since}."
