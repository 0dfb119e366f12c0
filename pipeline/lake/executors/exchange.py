"""How files go between an executor and the process that runs a night: through a folder that both reach, else through the store."""

from __future__ import annotations

import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from pipeline.errors import TransientError
from pipeline.lake.addresses import EXCHANGE
from pipeline.lake.disk import disk_errors
from pipeline.lake.local_store import LocalStore
from pipeline.lake.store import Store

ABANDONED_NANOSECONDS = 2 * 86_400 * 1_000_000_000
CHECKSUM_BYTES, BLOCK_BYTES = 4, 1 << 18


@dataclass(frozen=True, slots=True)
class SharedFolder:
    """A private folder of a lake on a file system that executors have under the same path."""

    store: Store

    @contextmanager
    def receiving(self, folder: Path) -> Iterator[str]:
        """Yield where executors put files for the process that has `folder`."""
        yield str(folder)

    @contextmanager
    def new_file(self, place: str, name: str) -> Iterator[tuple[Path, str]]:
        """Yield a path to write, and the name under which `take` gets the file that is there once the block ends."""
        path = Path(place, name)
        yield path, str(path)

    def take(self, name: str, path: Path) -> None:
        """Make what an executor has written under `name` the file at `path`."""
        Path(name).replace(path)

    def sent(self, _path: Path) -> str | None:
        """Return the address under which executors read a private file; None where its path will do."""
        return None

    def local(self, path: Path) -> Path | None:
        """Return where an executor reads a file that the process reads at `path`; None where it fetches it from the store."""
        return path


@dataclass(frozen=True, slots=True)
class ThroughStore:
    """Objects below a prefix of a store, which no other process uses: executors and the process share nothing else."""

    store: Store

    @contextmanager
    def receiving(self, _folder: Path) -> Iterator[str]:
        """Yield where executors put files; what is left there is removed, and so is what processes left that were killed."""
        self._remove_abandoned()
        prefix = f"{EXCHANGE}{uuid4().hex}/"
        try:
            yield prefix
        finally:
            self.store.delete_all(prefix)

    @contextmanager
    def new_file(self, place: str, name: str) -> Iterator[tuple[Path, str]]:
        """Yield a path to write, and the name under which `take` gets the file, if one was written, once the block ends."""
        with tempfile.TemporaryDirectory(prefix="customer-segments-") as folder:
            path, address = Path(folder, name), f"{place}{name}"
            yield path, address
            if path.exists():
                _append_checksum(path)
                self.store.put_file(path, address)

    def take(self, name: str, path: Path) -> None:
        """Make what an executor has written under `name` the file at `path`; raises TransientError where it does not arrive as it was."""
        where = self.store.where(name)
        with disk_errors(path.parent, path=path):
            for _ in range(2):  # what is damaged on the way arrives the second time
                try:
                    # From the store itself: what this process knows of its objects is older than what executors have just put there.
                    self.store.download(name, path)
                except FileNotFoundError:
                    raise TransientError("what an executor has written is gone", where=where, todo="Run that again.") from None
                if _take_checksum(path):
                    return
        raise TransientError("what an executor has written does not arrive whole", where=where, todo="Run that again.")

    def sent(self, path: Path) -> str | None:
        """Return the address under which executors read a private file, which is put there; whoever asks removes it."""
        address = f"{EXCHANGE}{uuid4().hex}/{path.name}"
        self.store.put_file(path, address)
        return address

    def local(self, _path: Path) -> Path | None:
        """Return where an executor reads a file that the process reads at `path`; None where it fetches it from the store."""
        return None

    def _remove_abandoned(self) -> None:
        """Remove what is older than any statement takes, as whoever was to remove it cannot any more."""
        oldest = time.time_ns() - ABANDONED_NANOSECONDS
        for address in self.store.list_addresses(EXCHANGE):
            if self.store.written_at(address) < oldest:
                self.store.delete(address)


def _append_checksum(path: Path) -> None:
    """Add the CRC-32 of a file to its end: not every kind of file has a checksum of its own."""
    with path.open("r+b") as file:
        checksum = _checksum_of_next(file, path.stat().st_size)
        file.write(checksum)


def _take_checksum(path: Path) -> bool:
    """Remove the CRC-32 from the end of a file; return whether it is that of the rest."""
    with path.open("r+b") as file:
        size = path.stat().st_size - CHECKSUM_BYTES
        is_whole = size >= 0 and _checksum_of_next(file, size) == file.read()
        if is_whole:
            file.truncate(size)
        return is_whole


def _checksum_of_next(file: BinaryIO, count: int) -> bytes:
    value = 0
    while count and (block := file.read(min(count, BLOCK_BYTES))):
        value, count = zlib.crc32(block, value), count - len(block)
    return value.to_bytes(CHECKSUM_BYTES, "little")


Exchange = SharedFolder | ThroughStore


def exchange_of(store: Store) -> Exchange:
    """Return how files go to and from executors that read `store`."""
    return SharedFolder(store) if isinstance(store, LocalStore) else ThroughStore(store)
