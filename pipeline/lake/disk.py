"""A local disk: its errors in our words, and writes that must be durable before the next step."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import TransientError


@contextmanager
def disk_errors(root: Path | str, *, path: Path | None = None, action: str = "write") -> Iterator[None]:
    """Raise a TransientError for what the disk refuses in the block.

    It names `path`, where the block is about one file, else the file that the disk named, else `root`.
    """
    try:
        yield
    except OSError as error:
        raise TransientError(
            f"could not {action}: {reason_of(error)}",
            where=str(path or error.filename or root),
            todo="Free space or mend the disk, then run again.",
        ) from None


def reason_of(error: OSError) -> str:
    """Return what the system says of an error, such as `No space left on device`, without what a library adds."""
    # Those of networks, which have modules of their own, count their causes by numbers of their own.
    if error.errno and type(error).__module__ == "builtins":
        return os.strerror(error.errno)
    return error.strerror or type(error).__name__


def flush_to_disk(path: Path) -> None:
    """Wait until the file or folder at `path` is durable, so that a power cut cannot undo it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def link_or_copy(path: Path, new: Path) -> None:
    """Make `new` a hard link to the file at `path`, or a copy where the file system has no hard links."""
    try:
        new.hardlink_to(path)
    # Copying would hide both: callers look again for a file that was compacted meanwhile, and never replace one that is there.
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError:
        shutil.copyfile(path, new)


def copy_file(path: Path, new: Path) -> None:
    """Copy what is in the file at `path`, and nothing else of it, to `new`."""
    shutil.copyfile(path, new)
