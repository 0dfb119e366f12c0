"""Make a lake of a backup: all of it or nothing, whatever interrupts it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.definitions.company import Company
from pipeline.errors import ConfigError, DataError
from pipeline.lake import addresses
from pipeline.lake.archive import ArchivedFile, move_unpacked, opened_archive_file, unpack_archive
from pipeline.lake.lake import Lake
from pipeline.lake.plain_folders import FolderWriter
from pipeline.operations.backup.manifest import LAKE, MANIFEST, BackupManifest, read_manifest
from pipeline.operations.backup.snapshot import LEFT_OUT, require_folder
from pipeline.operations.backup.unfinished import TRANSACTION, finish_restore
from pipeline.operations.quiet_lake import quiet_lake


@dataclass(frozen=True, slots=True)
class Restored:
    """What a lake was made of: how many files, and the publication that is live, if any."""

    file_count: int
    publication_id: str | None


def restore_from(lake: Lake, company: Company, path: Path) -> Restored:
    """Make the lake of the backup at `path`; raises as `restore` does, and ConfigError where there is no such file."""
    with opened_archive_file(path) as file:
        return restore(lake, company, file, where=str(path))


def restore(lake: Lake, company: Company, file: BinaryIO, *, where: str) -> Restored:
    """Make the lake of a backup, verified before any of it appears, and return what it was made of.

    Raises ConfigError where something is in the lake already, it is in a bucket or the backup is another company's, DataError where
    the backup is damaged, LockTimeout where another run works on the lake, TransientError where the disk refuses. `where` names the
    backup in errors.
    """
    require_folder(lake)
    finish_restore(lake)
    _require_empty(lake)
    with quiet_lake(lake), lake.disk_errors("restore"):
        _require_empty(lake)  # a night may have begun meanwhile
        with lake.private_folder() as folder:
            manifest = _verified(folder, unpack_archive(file, folder, where=where), where=where)
            _require_company(manifest, company, where=where)
            with lake.store.transaction(TRANSACTION) as ready:
                for address in manifest.files:
                    move_unpacked(folder, f"{LAKE}{address}", ready / address)
                FolderWriter(ready).add_text(addresses.RESTORED, manifest.current or "")
        finish_restore(lake)
    return Restored(len(manifest.files), Path(manifest.current).name if manifest.current else None)


def _require_empty(lake: Lake) -> None:
    if any(not address.startswith(LEFT_OUT) for address in lake.list_addresses("")):
        todo = "Restore into another place with --lake; or move this lake away first."
        raise ConfigError("something is in the lake already, and a backup never takes its place", where=lake.where(), todo=todo)


def _verified(folder: Path, unpacked: dict[str, ArchivedFile], *, where: str) -> BackupManifest:
    """Return what the backup says of itself; raises DataError where that is not what was unpacked."""
    todo = "Nothing was restored. Take another backup."
    try:
        manifest = read_manifest((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise DataError("this is no backup that this version can read, or not the whole of one", where=where, todo=todo) from None
    expected = {f"{LAKE}{address}": file for address, file in manifest.files.items()}
    wrong = sorted(name for name in expected.keys() | (unpacked.keys() - {MANIFEST}) if expected.get(name) != unpacked.get(name))
    if wrong:
        raise DataError(f"the backup is damaged: {len(wrong)} of its files, {wrong[0]} first", where=where, todo=todo)
    return manifest


def _require_company(manifest: BackupManifest, company: Company, *, where: str) -> None:
    if manifest.company and manifest.company not in (company.name, *company.former_names):
        what = f"the backup is another company's: `{manifest.company}`, not `{company.name}`"
        raise ConfigError(what, where=where, todo="Name its company with --company, or SEGMENTS_COMPANY.")
