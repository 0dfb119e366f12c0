"""What tells a file from the one that takes its place: files appear by renames, so that one path is another file a moment later."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

Found = TypeVar("Found")


class FileStamp(NamedTuple):
    """What a file has and the one that takes its place has not; a hard link to it has the same."""

    inode: int
    written_at: int
    size: int

    @classmethod
    def of(cls, facts: os.stat_result) -> Self:
        """Make the stamp of what the disk says of a file."""
        return cls(facts.st_ino, facts.st_mtime_ns, facts.st_size)


@dataclass(frozen=True, slots=True)
class StampedFile:
    """A file by whatever path: links to it are equal, and the one that takes its place is not."""

    path: Path = field(compare=False)
    stamp: FileStamp


class FileReplacedError(Exception):
    """Another file has taken the place of the one that was to be read."""


def file_stamp(path: Path) -> FileStamp:
    """Return the stamp of the file at `path`; raises FileNotFoundError."""
    return FileStamp.of(path.stat())


def read_unreplaced(path: Path, read: Callable[[], Found]) -> Found:
    """Return what `read` makes of the file at `path`, however often it opens it: again, where another file took its place meanwhile."""
    while True:
        before = file_stamp(path)
        found = read()
        if file_stamp(path) == before:
            return found
