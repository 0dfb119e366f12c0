"""The objects of a bucket, each with its copy on this machine and its entry in the index, which change together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import TransientError
from pipeline.lake.bucket.cache import Cache
from pipeline.lake.bucket.client import BucketClient, ObjectMetadata
from pipeline.lake.bucket.index import Index
from pipeline.lake.byte_sources import ByteSource, open_local_bytes
from pipeline.lake.disk import disk_errors
from pipeline.lake.staging import has_bytes_of

MOST_BYTES_AT_ONCE = 1 << 28


@dataclass(frozen=True, slots=True)
class ObjectBytes:
    """The bytes of one object, of which only what is asked for comes here."""

    client: BucketClient
    address: str
    stored: ObjectMetadata

    @property
    def size(self) -> int:
        """How many bytes the object has."""
        return self.stored.size

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` to `end`; raises FileReplacedError where the object is another by now, or gone."""
        return self.client.read_before(self.address, end, end - start, tag=self.stored.tag)


class Objects:
    """Reads, writes and removes objects; `before_change` raises where this process may change none."""

    def __init__(self, client: BucketClient, index: Index, cache: Cache, *, before_change: Callable[[], None]) -> None:
        self.client, self.index, self.cache, self.before_change = client, index, cache, before_change

    def write(self, address: str, content: bytes) -> None:
        """Write an object; the same bytes leave it as it is."""
        self.before_change()
        stored = self.index.find(address)
        if stored is not None and stored.size == len(content):
            found = self.client.find(address)
            if found is not None and found.content == content:
                return
        self._note(address, self.client.put(address, content), len(content))

    def write_where(self, address: str, content: bytes, *, expected: str | None) -> bool:
        """Write an object like no other where its tag is `expected`, or where nothing is for None; return whether it was written."""
        self.before_change()
        tag = self.client.put_where(address, content, expected=expected)
        if tag is not None:
            self._note(address, tag, len(content))
        return tag is not None

    def put(self, address: str, file: Path) -> None:
        """Write a private file of the cache, which becomes the copy; the same bytes leave the object as it is."""
        if not self.has_bytes_of(address, file):
            self.put_anew(address, file)

    def replace(self, address: str, file: Path, *, before: ObjectMetadata | None) -> None:
        """Do as `put` does; raises TransientError where the object is not as it was `before`."""
        if not self.has_bytes_of(address, file) and not self.put_where(address, file, expected=before.tag if before else None):
            raise TransientError("another run wrote this file meanwhile", where=self.client.where(address), todo="Run again.")

    def put_anew(self, address: str, file: Path) -> None:
        """Write a private file of the cache, which becomes the copy, even where the object has the same bytes."""
        self.before_change()
        self._take(address, file, self.client.put(address, file))

    def put_where(self, address: str, file: Path, *, expected: str | None) -> bool:
        """Write a private file of the cache where the tag of the object is `expected`; return whether it was written.

        A file of more than 256 MB is uploaded in parts, which know no conditions: its tag is looked up before.
        """
        self.before_change()
        if file.stat().st_size <= MOST_BYTES_AT_ONCE:
            tag = self.client.put_where(address, file.read_bytes(), expected=expected)
        else:
            now = self.client.look_up(address)
            tag = self.client.put(address, file) if (now.tag if now else None) == expected else None
        if tag is None:
            self.index.forget()
            return False
        self._take(address, file, tag)
        return True

    def copy(self, address: str, new: str) -> None:
        """Copy an object within the bucket; raises FileNotFoundError."""
        self.before_change()
        self.client.copy(address, new)
        if stored := self.client.look_up(new):
            self.index.note(new, stored)

    def remove(self, addresses: Sequence[str]) -> None:
        """Remove objects and their copies, if there are any."""
        if addresses:
            self.before_change()
            self.client.delete(addresses)
            for address in addresses:
                self.index.drop(address)
                with disk_errors(self.cache.root, path=self.cache.path(address)):
                    self.cache.drop(address)

    def copy_of(self, address: str) -> Path | None:
        """Return the path of a copy of an object, fetched where there is none; None where there is no object."""
        for _ in range(2):
            stored = self.index.find(address)
            if stored is None:
                return None
            with suppress(FileNotFoundError):
                return self.cache.fetch(address, stored)
            # Gone since the index was read: look what is there now.
            self.index.forget()
        return None

    @contextmanager
    def open_bytes(self, address: str) -> Iterator[ByteSource]:
        """Yield the bytes of an object as it is now, those of its copy where there is one; raises FileNotFoundError."""
        stored = self.client.look_up(address)
        if stored is None:
            raise FileNotFoundError(self.client.where(address))
        with ExitStack() as opened:
            source: ByteSource = ObjectBytes(self.client, address, stored)
            with suppress(FileNotFoundError):
                if copy := self.cache.copy_at(address, stored.tag):
                    source = opened.enter_context(open_local_bytes(copy))
            yield source

    def fetch(self, addresses: Sequence[str]) -> None:
        """Bring copies of many objects into the cache at once; those that are not there are passed over."""
        found = {address: self.index.find(address) for address in addresses}
        wanted = [address for address, stored in found.items() if stored and not self.cache.holds(address, stored)]
        if wanted:
            with self.client.threads() as threads:
                list(threads.map(self.copy_of, wanted))

    def has_bytes_of(self, address: str, file: Path) -> bool:
        """Return whether the object has the bytes of a file; what the index says may be older than what is there."""
        stored = self.index.find(address)
        if stored is None or stored.size != file.stat().st_size:
            return False
        now = self.client.look_up(address)
        if now is None or now.tag != stored.tag:
            return False
        with suppress(FileNotFoundError):
            return has_bytes_of(file, self.cache.fetch(address, stored))
        return False

    def _take(self, address: str, file: Path, tag: str) -> None:
        size = file.stat().st_size
        self.cache.take(address, file, tag)
        self._note(address, tag, size)

    def _note(self, address: str, tag: str, size: int) -> None:
        self.index.note(address, ObjectMetadata(size, tag, time.time_ns()))
