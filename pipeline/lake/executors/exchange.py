"""How files go between an executor and the process that runs a night: through a folder that both reach, else through the store."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from pipeline.lake.addresses import EXCHANGE
from pipeline.lake.local_store import LocalStore
from pipeline.lake.store import Store

ABANDONED_NANOSECONDS = 2 * 86_400 * 1_000_000_000


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
                self.store.put_file(path, address)

    def take(self, name: str, path: Path) -> None:
        """Make what an executor has written under `name` the file at `path`."""
        # Read from the store itself: what this process knows of its objects is older than what executors have just put there.
        path.write_bytes(self.store.read(name))

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


Exchange = SharedFolder | ThroughStore


def exchange_of(store: Store) -> Exchange:
    """Return how files go to and from executors that read `store`."""
    return SharedFolder(store) if isinstance(store, LocalStore) else ThroughStore(store)
