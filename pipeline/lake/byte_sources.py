"""Bytes of one file, wherever it lies, and its end, which says what the rest holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Protocol, Self

# As much as most footers and seals have, in one read.
TAIL_BYTES = 1 << 16


class ByteSource(Protocol):
    """The bytes of one file: what takes its place is never taken for it."""

    @property
    def size(self) -> int:
        """How many bytes the file has."""

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to `end`; raises FileReplacedError where another file took its place."""


@dataclass(frozen=True, slots=True)
class LocalBytes:
    """The bytes of an open file of this machine, which stays what it is whatever appears in its place."""

    file: FileIO
    size: int

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to `end`."""
        self.file.seek(start)
        return self.file.read(end - start)


@contextmanager
def open_local_bytes(path: Path) -> Iterator[LocalBytes]:
    """Yield the bytes of the file at `path`; raises FileNotFoundError."""
    with FileIO(str(path)) as file:
        yield LocalBytes(file, file.seek(0, 2))


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The end of a file: its last bytes, read at once, and more where these are not enough."""

    source: ByteSource
    tail: bytes

    @classmethod
    def of(cls, source: ByteSource) -> Self:
        """Read the last bytes; raises FileReplacedError where the file is another by now, or gone."""
        return cls(source, source.read(source.size - min(source.size, TAIL_BYTES), source.size))

    def read_before(self, end: int, count: int) -> bytes:
        """Return the `count` bytes that end at `end`."""
        start = end - count - (self.source.size - len(self.tail))
        if start >= 0:
            return self.tail[start : start + count]
        return self.source.read(end - count, end) if count else b""
