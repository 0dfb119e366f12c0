"""A lake in a bucket: each object appears by one PUT, and what runs decide between them is decided by the tags of small objects.

Objects have the addresses that they have in a folder, below the lake's prefix. Engines and readers open copies in a cache on this
machine. There are no links and no renames: the pointer is an object of its own, and locks are leases.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from hashlib import sha256
from pathlib import Path, PurePosixPath
from threading import Lock

from pipeline.errors import TransientError
from pipeline.lake.addresses import CURRENT, PUBLICATION_MANIFEST, PUBLICATIONS, TABLES
from pipeline.lake.bucket.cache import Cache
from pipeline.lake.bucket.client import BucketClient, Stored
from pipeline.lake.bucket.index import Index
from pipeline.lake.bucket.journal import Journal
from pipeline.lake.bucket.leases import Leases
from pipeline.lake.bucket.pointer import Pointer
from pipeline.lake.bucket.settings import BucketSettings, Credentials
from pipeline.lake.bucket.startup_check import check_bucket, is_remembered, remember
from pipeline.lake.disk import disk_errors, link_or_copy
from pipeline.lake.staging import has_bytes_of

APPEND_TRIES = 50
PUBLISH = "publish"  # the lock under which the pointer is swapped: what it was is what it was when that was taken


class BucketStore:
    """Objects in a bucket, with copies of those that are read on this machine."""

    def __init__(self, settings: BucketSettings, credentials: Credentials | None = None) -> None:
        self._settings = settings
        self._client = BucketClient(settings, credentials or Credentials())
        root = settings.cache / sha256(f"{settings.endpoint} {settings.url}".encode()).hexdigest()[:16]
        self._cache = Cache(root, self._client, limit_bytes=settings.cache_bytes)
        self._index = Index(self._client)
        self._pointer = Pointer(self._client)
        self._leases = Leases(self._client, seconds=settings.lease_seconds)
        self._journal = Journal(self._client, self)
        self._checked, self._check_lock = root / "checked", Lock()
        self._is_checked = False

    def settings(self) -> BucketSettings:
        """Return what opens this store again in another process; there it needs credentials of its own."""
        return self._settings

    def read(self, address: str) -> bytes:
        return self._client.read(self._resolved(address)).content

    def write(self, address: str, content: bytes) -> None:
        self._require_fit()
        stored = self._index.find(address)
        if stored is None or stored.size != len(content) or self._content(address) != content:
            self._written(address, self._client.put(address, content), len(content))

    def create_secret(self, address: str, content: bytes) -> bool:
        self._require_fit()
        tag = self._client.put_where(address, content, expected=None)
        if tag is not None:
            self._written(address, tag, len(content))
        return tag is not None

    def append(self, address: str, line: bytes) -> None:
        self._require_fit()
        for _ in range(APPEND_TRIES):
            found = self._client.find(address)
            content = (found.content if found else b"") + line
            tag = self._client.put_where(address, content, expected=found.tag if found else None)
            if tag is not None:
                self._written(address, tag, len(content))
                return
        raise TransientError("too many runs write there at once", where=self.where(address), todo="Run again.")

    def exists(self, address: str) -> bool:
        return self._index.find(self._resolved(address)) is not None

    def list_addresses(self, prefix: str, *, suffix: str = "") -> list[str]:
        return [address for address in self._index.below(self._resolved(prefix)) if address.endswith(suffix)]

    def list_folders(self, prefix: str) -> list[str]:
        folders = self._index.folders(prefix)
        if prefix == PUBLICATIONS:
            # The manifest is put last: without it a publication is not there yet, or its writer was killed.
            return [name for name in folders if self._index.find(f"{prefix}{name}/{PUBLICATION_MANIFEST}")]
        return folders

    def folder_sizes(self) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for address, stored in self._client.list_objects(""):
            folder, slash, _ = address.partition("/")
            if slash:
                sizes[folder] = sizes.get(folder, 0) + stored.size
        return sizes

    def delete(self, address: str) -> None:
        self._remove([address])

    def delete_all(self, prefix: str) -> None:
        self._remove([address for address, _ in self._client.list_objects(prefix)])

    def move(self, address: str, new: str) -> None:
        self.link_or_copy(address, new)
        self._remove([address])

    def link_or_copy(self, address: str, new: str) -> None:
        self._require_fit()
        self._client.copy(address, new)
        self._note_remote(new)

    def put_file(self, path: Path, address: str) -> None:
        with disk_errors(self._cache.root, path=path), self.private_folder() as folder:
            twin = folder / PurePosixPath(address).name
            link_or_copy(path, twin)
            self._put(twin, address)

    @contextmanager
    def stage(self, address: str) -> Iterator[Path]:
        """Yield a private path; what is written there appears at `address` by one PUT once the block ends well.

        A file of event days holds versions of other nights, which were read before: it appears only where it is still as it was.
        Raises TransientError where another run has written it meanwhile, and where the disk refuses.
        """
        with disk_errors(self._cache.root, path=self._cache.path(address)), self.private_folder() as folder:
            new = folder / PurePosixPath(address).name
            yield new
            if not _holds_versions(address):
                self._put(new, address)
                return
            before = self._index.find(address)
            if not self._has_bytes(address, new) and not self.put_over(address, new, expected=before.tag if before else None):
                raise TransientError("another run wrote this file meanwhile", where=self.where(address), todo="Run again.")

    def link_to(self, address: str, path: Path) -> None:
        place = self._cached(address)
        if place is None:
            raise FileNotFoundError(self.where(address))
        path.parent.mkdir(exist_ok=True)
        link_or_copy(place, path)

    def written_at(self, address: str) -> int:
        stored = self._index.find(self._resolved(address))
        return stored.written_at if stored else 0

    def install_folder(self, prefix: str, folder: Path, manifest: str) -> None:
        self._require_fit()
        # A publication that a killed run left without its manifest: nobody reads it, and nobody else would remove it.
        complete = self.list_folders(PUBLICATIONS)
        left = [each for each in self._index.below(PUBLICATIONS) if each.split("/")[1] not in complete and not each.startswith(prefix)]
        self._remove(left)
        paths = {f"{prefix}{path.name}": path for path in sorted(folder.iterdir())}
        with self._client.threads() as threads:
            list(threads.map(lambda item: self._put_anew(item[1], item[0]), paths.items()))
        content = manifest.encode()
        address = f"{prefix}{PUBLICATION_MANIFEST}"
        self._written(address, self._client.put(address, content), len(content))

    def remove_folders(self, prefixes: Iterable[str]) -> None:
        live = self._pointer.read(CURRENT)
        for prefix in prefixes:
            if prefix == live:
                raise TransientError("another run published meanwhile", where=self.where(prefix), todo="Wait for it, then run again.")
            # Without its manifest it is no publication any more, and what a killed run leaves of it is removed by the next one.
            self._remove([f"{prefix}{PUBLICATION_MANIFEST}"])
            self.delete_all(prefix)

    def read_pointer(self, address: str) -> str | None:
        return self._pointer.read(address)

    def swap_pointer(self, address: str, prefix: str, *, expected: str | None) -> bool:
        self._require_fit()
        is_swapped = self._pointer.swap(address, prefix, expected=expected)
        self._index.forget()
        return is_swapped

    def where(self, address: str = "") -> str:
        return self._client.where(address)

    def local(self, address: str) -> Path:
        resolved = self._resolved(address)
        if not resolved or resolved.endswith("/"):
            self.fetch(self._index.below(resolved) if resolved else [])
        elif self._cached(resolved) is None:
            # What is in the bucket no more is no longer here either.
            with disk_errors(self._cache.root, path=self._cache.path(resolved)):
                self._cache.discard(resolved)
        return self._cache.path(resolved)

    def fetch(self, addresses: Sequence[str]) -> None:
        """Bring copies of many objects into the cache at once; those that are not there are passed over."""
        wanted = [address for address in addresses if not ((stored := self._index.find(address)) and self._cache.holds(address, stored))]
        with self._client.threads() as threads:
            list(threads.map(self._cached, wanted))

    def private_folder(self) -> AbstractContextManager[Path]:
        return self._cache.private_folder()

    @contextmanager
    def lock(self, name: str, *, timeout_seconds: float, is_shared: bool = False) -> Iterator[None]:
        self._require_fit()
        with self._leases.hold(name, timeout_seconds=timeout_seconds, is_shared=is_shared):
            self._index.forget()
            if name == PUBLISH:
                self._pointer.forget()
            yield

    def lock_names(self) -> list[str]:
        return self._leases.names()

    def transaction(self, name: str) -> AbstractContextManager[Path]:
        """Yield a folder in which files are written at their addresses; all appear once the block ends well, or none."""
        self._require_fit()
        return self._journal.transaction(name)

    def finish_transaction(self, name: str) -> None:
        """Move the files of an interrupted transaction to their places; does nothing where there is none."""
        self._journal.finish(name)

    def flush(self) -> None:
        """Do nothing: what a bucket has answered is durable."""

    def stored(self, address: str) -> Stored | None:
        """Return what is known of an object: its size and tag; None where there is none."""
        return self._index.find(address)

    def put_over(self, address: str, file: Path, *, expected: str | None) -> bool:
        """Write a private file of this store at `address`, where its tag is `expected` (None: nothing is there); return whether it was."""
        self._require_fit()
        tag = self._client.put_where(address, file.read_bytes(), expected=expected)
        if tag is None:
            self._index.forget()
            return False
        self._took(address, file, tag)
        return True

    def _put(self, file: Path, address: str) -> None:
        """Write a private file of this store at `address`; the same bytes leave what is there as it is."""
        self._require_fit()
        if not self._has_bytes(address, file):
            self._took(address, file, self._client.put(address, file))

    def _put_anew(self, file: Path, address: str) -> None:
        self._took(address, file, self._client.put(address, file))

    def _has_bytes(self, address: str, file: Path) -> bool:
        """Return whether the object has the bytes of a file; what the index says may be older than what is there."""
        stored = self._index.find(address)
        if stored is None or stored.size != file.stat().st_size:
            return False
        now = self._client.look_up(address)
        if now is None or now.tag != stored.tag:
            return False
        with suppress(FileNotFoundError):
            return has_bytes_of(file, self._cache.fetch(address, stored))
        return False

    def _took(self, address: str, file: Path, tag: str) -> None:
        size = file.stat().st_size
        self._cache.take(address, file, tag)
        self._index.note(address, Stored(size, tag, time.time_ns()))

    def _written(self, address: str, tag: str, size: int) -> None:
        self._index.note(address, Stored(size, tag, time.time_ns()))

    def _note_remote(self, address: str) -> None:
        if stored := self._client.look_up(address):
            self._index.note(address, stored)

    def _content(self, address: str) -> bytes | None:
        found = self._client.find(address)
        return found.content if found else None

    def _cached(self, address: str) -> Path | None:
        """Return the path of a copy of an object, None where there is none."""
        for _ in range(2):
            stored = self._index.find(address)
            if stored is None:
                return None
            with suppress(FileNotFoundError):
                return self._cache.fetch(address, stored)
            # Gone since the index was read: look what is there now.
            self._index.forget()
        return None

    def _remove(self, addresses: Sequence[str]) -> None:
        if addresses:
            self._require_fit()
            self._leases.require_held()
            self._client.delete(addresses)
            for address in addresses:
                self._index.drop(address)
                with disk_errors(self._cache.root, path=self._cache.path(address)):
                    self._cache.drop(address)

    def _resolved(self, address: str) -> str:
        """Return the address behind the pointer, where one begins with it."""
        first, slash, rest = address.partition("/")
        if first != CURRENT or not slash:
            return address
        prefix = self._pointer.read(CURRENT)
        return f"{prefix or f'{CURRENT}/'}{rest}"

    def _require_fit(self) -> None:
        """Check the bucket before this process changes anything in it; raises ConfigError where it is not fit for a lake."""
        with self._check_lock:
            if not self._is_checked:
                if not is_remembered(self._checked):
                    check_bucket(self._client)
                    remember(self._checked)
                self._is_checked = True


def remove_cache(store: BucketStore) -> None:
    """Remove all copies on this machine."""
    shutil.rmtree(store.local("").parent, ignore_errors=True)


def _holds_versions(address: str) -> bool:
    return address.startswith(TABLES) and "/month=" in address
