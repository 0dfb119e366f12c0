"""Locks between runs: a folder that the operating system unlocks when its holder dies, however that happens."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pipeline.errors import LockTimeout
from pipeline.lake.disk import disk_errors

RETRY_SECONDS = 0.1


@contextmanager
def lock_folder(folder: Path, *, timeout_seconds: float, is_shared: bool = False) -> Iterator[None]:
    """Hold the lock of a folder for the time of the block, alone or with others that share it.

    Raises LockTimeout where another process holds it for more than `timeout_seconds`, TransientError where the disk refuses.
    """
    # No lock file: one among partitions would have to be skipped by whoever lists them, and nights leave few files. The folder stays when
    # the lock ends: were it removed, a run that waits for it and one that makes it anew would hold two locks at once.
    with disk_errors(folder.parent, path=folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _acquire(descriptor, folder, timeout_seconds, fcntl.LOCK_SH if is_shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, timeout_seconds: float, mode: int) -> None:
    deadline = time.monotonic() + timeout_seconds
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
            return
        if time.monotonic() >= deadline:
            raise LockTimeout("another run holds the lock", where=str(path), todo="Wait for it, or end it, then run again.")
        time.sleep(RETRY_SECONDS)  # a lock that waits in the kernel could not time out
