"""Private folders of running processes, and files that appear by a rename from there.

A folder is locked while its process lives. The operating system unlocks it when the process dies, however that happens, and the
next process sweeps away what is not locked.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pipeline.lake.addresses import STAGING
from pipeline.lake.disk import disk_errors

if TYPE_CHECKING:
    from pipeline.lake.store import Store

COMPARED_BYTES = 1 << 20
READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextmanager
def private_folder(root: Path) -> Iterator[Path]:
    """Yield an empty folder below `root`/staging that nobody else uses and that is gone afterwards.

    What dead processes left there is removed first. Raises OSError where the disk refuses.
    """
    staging = root / STAGING
    staging.mkdir(parents=True, exist_ok=True)
    # By whoever comes next: a process that was killed cannot, and no service runs that could.
    _sweep_dead_folders(staging)
    folder, lock = _new_locked_folder(staging)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


@contextmanager
def reader_folder(store: Store) -> Iterator[Path]:
    """Yield a private folder for a reader of `store`: its own, or with the machine's temporary files where it is read-only."""
    with ExitStack() as resources:
        try:
            folder = resources.enter_context(store.private_folder())
        except OSError as error:
            if error.errno not in READ_ONLY:
                raise
            folder = resources.enter_context(temporary_folder())
        yield folder


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Yield an empty folder with the machine's temporary files, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="customer-segments-") as folder:
        yield Path(folder)


@contextmanager
def staged_file(root: Path, path: Path) -> Iterator[Path]:
    """Yield a private path; what is written there appears at `path`, in the lake at `root`, by one rename once the block ends well."""
    with disk_errors(root, path=path), private_folder(root) as folder:
        new = folder / path.name
        yield new
        if not has_bytes_of(new, path):
            path.parent.mkdir(parents=True, exist_ok=True)
            new.replace(path)


@contextmanager
def replaced_file(path: Path) -> Iterator[Path]:
    """Yield a private path; what is written there takes the place of the private file at `path` by one rename once the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    yield new
    new.replace(path)


def has_bytes_of(staged: Path, path: Path) -> bool:
    """Return whether both files have the same bytes. Then `path` is left alone, and keeps the time that readers' caches go by."""
    # Where either cannot be read the new one takes its place, whatever the reason.
    with suppress(OSError), path.open("rb") as old, staged.open("rb") as new:
        is_as_large = os.fstat(old.fileno()).st_size == os.fstat(new.fileno()).st_size
        return is_as_large and all(ours == theirs for ours, theirs in zip(_read_chunks(new), _read_chunks(old), strict=False))
    return False


def _read_chunks(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.read(COMPARED_BYTES), b"")


def _new_locked_folder(staging: Path) -> tuple[Path, int]:
    """Return a new folder and the descriptor that locks it; a sweeper may remove it before it is locked, so try until it is there."""
    while True:
        folder = Path(tempfile.mkdtemp(dir=staging))
        with suppress(FileNotFoundError):
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            # The lock ends with the descriptor, and so with the process, however that ends.
            fcntl.flock(lock, fcntl.LOCK_EX)
            if folder.exists():
                return folder, lock
            os.close(lock)


def _sweep_dead_folders(staging: Path) -> None:
    with os.scandir(staging) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                _sweep_folder(Path(entry.path))
            else:
                Path(entry.path).unlink(missing_ok=True)


def _sweep_folder(folder: Path) -> None:
    with suppress(FileNotFoundError):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with suppress(BlockingIOError):
                # Not waited for: a folder that is locked belongs to a process that lives.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)
