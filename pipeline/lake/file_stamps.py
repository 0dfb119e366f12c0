"""What tells a file from the one that takes its place: files appear by renames, so that one path is another file a moment later."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

Found = TypeVar("Found")


class FileStamp(NamedTuple):
    """What a file has and the one that takes its place has not; a hard link to it has the same."""

    inode: int
    written_at: int
    size: int


def file_stamp(path: Path) -> FileStamp:
    """Return the stamp of the file at `path`; raises FileNotFoundError."""
    facts = path.stat()
    return FileStamp(facts.st_ino, facts.st_mtime_ns, facts.st_size)


def read_unreplaced(path: Path, read: Callable[[], Found]) -> Found:
    """Return what `read` makes of the file at `path`, however often it opens it: again, where another file took its place meanwhile."""
    while True:
        before = file_stamp(path)
        found = read()
        if file_stamp(path) == before:
            return found
