"""Write a lake into one file while nights go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import ConfigError, LockTimeout
from pipeline.lake import addresses
from pipeline.lake.archive import ArchiveWriter, new_archive_file
from pipeline.lake.disk import copy_file
from pipeline.lake.lake import Lake
from pipeline.lake.local_store import LocalStore
from pipeline.operations.backup.manifest import LAKE, MANIFEST, BackupManifest
from pipeline.operations.backup.unfinished import finish_restore
from pipeline.operations.erasure.erase import holding_off_nights

WAIT_SECONDS = 600
# Private to running processes, or made again by whoever needs it.
LEFT_OUT = (addresses.LOCKS, addresses.STAGING, addresses.PENDING, addresses.EXCHANGE, addresses.CACHES)
# Changed where they are: databases, and files that lines are added to. All others appear by a rename, and a link keeps what they were.
CHANGED_IN_PLACE = (addresses.SQLITE, addresses.SYNC, addresses.NOTIFICATIONS, addresses.BACKFILLS)
# After the lock that nights hold; a sync has a lock of its own name.
OTHER_WRITERS = ("catalogue", "publish", "models", "campaigns", "erasure-ledger")


@dataclass(frozen=True, slots=True)
class Backup:
    """What was written: how many files of the lake, and their bytes."""

    file_count: int
    size: int


def back_up_to(lake: Lake, path: Path, *, wait_seconds: float = WAIT_SECONDS) -> Backup:
    """Write the lake into the file at `path`, its owner's alone, which appears whole; raises as `back_up` does."""
    with new_archive_file(path) as file:
        return back_up(lake, file, wait_seconds=wait_seconds)


def back_up(lake: Lake, file: BinaryIO, *, wait_seconds: float = WAIT_SECONDS) -> Backup:
    """Write the lake as it is at one moment into a file, a pipe or the like, and return what was written.

    Raises ConfigError where the lake is empty or in a bucket, LockTimeout where a step of a night goes on for longer than
    `wait_seconds`, TransientError where the disk refuses.
    """
    require_folder(lake)
    with lake.disk_errors("back up"), lake.private_folder() as folder:
        with _holding_off_writers(lake, wait_seconds):
            finish_restore(lake)
            for transaction in lake.store.list_folders(addresses.PENDING):
                lake.store.finish_transaction(transaction)
            company, current = _company_name(lake), _live_prefix(lake)
            wanted = [address for address in lake.list_addresses("") if not address.startswith(LEFT_OUT)]
            linked = {address: _private_copy(lake, address, folder / str(number)) for number, address in enumerate(wanted)}
        if not linked:
            raise ConfigError("there is nothing to back up", where=lake.where(), todo="Name a lake with --lake, or SEGMENTS_LAKE.")
        archive = ArchiveWriter(file)
        files = {
            address: archive.add_file(f"{LAKE}{address}", path, is_secret=address == addresses.ERASURE_KEY)
            for address, path in linked.items()
        }
        archive.add_text(MANIFEST, BackupManifest(company, current, files).to_json())
        archive.close()
    return Backup(len(files), sum(each.size for each in files.values()))


def require_folder(lake: Lake) -> None:
    """Raise ConfigError where the lake is in a bucket: objects there are copied by the bucket, faster and without this machine."""
    if not isinstance(lake.store, LocalStore):
        todo = "Use the versions of the bucket, or its replication."
        raise ConfigError("a lake in a bucket is not backed up, or restored, by this program", where=lake.where(), todo=todo)


@contextmanager
def _holding_off_writers(lake: Lake, wait_seconds: float) -> Iterator[None]:
    syncs = [f"sync-{sink}" for sink in lake.store.list_folders(addresses.SYNC)]
    with ExitStack() as locks:
        try:
            locks.enter_context(holding_off_nights(lake, wait_seconds=wait_seconds))
            for name in (*OTHER_WRITERS, *syncs):
                locks.enter_context(lake.lock(name, timeout_seconds=wait_seconds))
        except LockTimeout as error:
            todo = "Wait until it has ended, then run again."
            raise LockTimeout("a night or another run is under way", where=error.where, todo=todo) from None
        yield


def _private_copy(lake: Lake, address: str, path: Path) -> Path:
    """Return a private file with what is at `address` now, whatever happens to it afterwards."""
    if address.startswith(CHANGED_IN_PLACE):
        copy_file(lake.local(address), path)
    else:
        lake.store.link_to(address, path)
    return path


def _company_name(lake: Lake) -> str:
    return str(json.loads(lake.read_text(addresses.OWNER))["name"]) if lake.exists(addresses.OWNER) else ""


def _live_prefix(lake: Lake) -> str | None:
    """Return where `current` leads; None where nothing is live, or where a person has laid it elsewhere."""
    prefix = lake.store.read_pointer(addresses.CURRENT)
    return prefix if prefix and prefix.startswith(addresses.PUBLICATIONS) else None
