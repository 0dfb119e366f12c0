"""A lake in a bucket: each object appears by one PUT, and what runs decide between them is decided by the tags of small objects.

Objects have the addresses that they have in a folder, below the lake's prefix. Engines and readers open copies in a cache on this
machine. There are no links and no renames: the pointer is an object of its own, and locks are leases.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from pathlib import Path, PurePosixPath

from pipeline.errors import TransientError
from pipeline.lake.addresses import CURRENT, PUBLICATIONS, TABLES
from pipeline.lake.bucket.cache import Cache
from pipeline.lake.bucket.client import BucketClient
from pipeline.lake.bucket.editing import edited_copy
from pipeline.lake.bucket.index import Index
from pipeline.lake.bucket.journal import Journal
from pipeline.lake.bucket.leases import Leases
from pipeline.lake.bucket.objects import Objects
from pipeline.lake.bucket.pointer import Pointer
from pipeline.lake.bucket.publication_folders import PublicationFolders
from pipeline.lake.bucket.seals import Seals
from pipeline.lake.bucket.settings import BucketSettings, Credentials
from pipeline.lake.bucket.startup_check import CHECKS, StartupCheck
from pipeline.lake.byte_sources import ByteSource
from pipeline.lake.checksums import SealedFile
from pipeline.lake.disk import disk_errors, link_or_copy

APPEND_TRIES = 50
PUBLISH = "publish"  # the lock under which the pointer is swapped: what it was is what it was when that was taken


class BucketStore:
    """Objects in a bucket, with copies of those that are read on this machine."""

    def __init__(self, settings: BucketSettings, credentials: Credentials | None = None) -> None:
        self._settings, self._credentials = settings, credentials or Credentials()
        self._client = BucketClient(settings, self._credentials)
        root = settings.cache / sha256(f"{settings.endpoint} {settings.url}".encode()).hexdigest()[:16]
        self._cache = Cache(root, self._client, limit_bytes=settings.cache_bytes)
        self._leases = Leases(self._client, seconds=settings.lease_seconds)
        self._index = Index(self._client, is_held=self._leases.is_held_alone)
        self._pointer = Pointer(self._client)
        self._check = StartupCheck(self._client, root / "checked", once_a_day=self._forget_what_is_gone)
        self._objects = Objects(self._client, self._index, self._cache, before_change=self._require_change)
        self._seals = Seals(self._objects, root / "seals")
        self._publications = PublicationFolders(self._objects, self._pointer)
        self._journal = Journal(self._objects)

    def __reduce__(self) -> tuple[type[BucketStore], tuple[BucketSettings]]:
        return BucketStore, (self._settings,)

    def settings(self) -> BucketSettings:
        """Return what opens this store again in another process; there it needs credentials of its own."""
        return self._settings

    def reopening_by_child(self) -> tuple[Callable[..., BucketStore], tuple[BucketSettings, str, str, str]]:
        """Return how a process that this one has started, and sends tasks to, opens this store with the same credentials.

        It lists the bucket anew for each task, and so knows what is there under the locks that are held here.
        """
        own = self._credentials
        return _reopened, (self._settings, own.key, own.secret, own.token)

    def read(self, address: str) -> bytes:
        return self._client.read(self._resolved(address)).content

    def write(self, address: str, content: bytes) -> None:
        self._objects.write(address, content)

    def create_secret(self, address: str, content: bytes) -> bool:
        return self._objects.write_where(address, content, expected=None)

    def append(self, address: str, line: bytes) -> None:
        for _ in range(APPEND_TRIES):
            found = self._client.find(address)
            content = (found.content if found else b"") + line
            if self._objects.write_where(address, content, expected=found.tag if found else None):
                return
        raise TransientError("too many runs write there at once", where=self.where(address), todo="Run again.")

    def exists(self, address: str) -> bool:
        return self._index.find(self._resolved(address)) is not None

    def list_addresses(self, prefix: str, *, suffix: str = "") -> list[str]:
        return [address for address in self._index.below(self._resolved(prefix)) if address.endswith(suffix)]

    def list_folders(self, prefix: str) -> list[str]:
        return self._publications.names() if prefix == PUBLICATIONS else self._index.folders(prefix)

    def folder_sizes(self) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for address, stored in self._client.list_objects(""):
            folder, slash, _ = address.partition("/")
            if slash:
                sizes[folder] = sizes.get(folder, 0) + stored.size
        return sizes

    def free_bytes(self) -> int | None:
        return None

    def delete(self, address: str) -> None:
        self._objects.remove([address])

    def delete_all(self, prefix: str) -> None:
        self._objects.remove([address for address, _ in self._client.list_objects(prefix)])

    def move(self, address: str, new: str) -> None:
        self._objects.copy(address, new)
        self._objects.remove([address])

    def link_or_copy(self, address: str, new: str) -> None:
        self._objects.copy(address, new)

    @contextmanager
    def stage(self, address: str) -> Iterator[Path]:
        """Yield a private path; what is written there appears at `address` by one PUT once the block ends well.

        A file of event days holds versions of other nights, which were read before: it appears only where it is still as it was.
        Raises TransientError where another run has written it meanwhile, and where the disk refuses.
        """
        with disk_errors(self._cache.root, path=self._cache.path(address)), self.private_folder() as folder:
            new = folder / PurePosixPath(address).name
            # As its writer has read it, whatever is listed anew meanwhile.
            before = self._index.find(address)
            yield new
            if _holds_versions(address):
                self._objects.replace(address, new, before=before)
            else:
                self._objects.put(address, new)

    def transaction(self, name: str) -> AbstractContextManager[Path]:
        return self._journal.transaction(name)

    def finish_transaction(self, name: str) -> None:
        self._journal.finish(name)

    def put_file(self, path: Path, address: str) -> None:
        with disk_errors(self._cache.root, path=path), self.private_folder() as folder:
            twin = folder / PurePosixPath(address).name
            link_or_copy(path, twin)
            self._objects.put(address, twin)

    def link_to(self, address: str, path: Path) -> None:
        place = self._objects.copy_of(address)
        if place is None:
            raise FileNotFoundError(self.where(address))
        path.parent.mkdir(exist_ok=True)
        link_or_copy(place, path)

    def download(self, address: str, path: Path) -> None:
        self._client.download(self._resolved(address), path)

    def size(self, address: str) -> int:
        stored = self._index.find(self._resolved(address))
        if stored is None:
            raise FileNotFoundError(self.where(address))
        return stored.size

    def written_at(self, address: str) -> int:
        stored = self._index.find(self._resolved(address))
        return stored.written_at if stored else 0

    def install_folder(self, prefix: str, folder: Path, manifest: str) -> None:
        self._publications.install(prefix, folder, manifest)

    def remove_folders(self, prefixes: Iterable[str]) -> None:
        self._publications.remove(prefixes)

    def read_pointer(self, address: str) -> str | None:
        return self._pointer.read(address)

    def swap_pointer(self, address: str, prefix: str, *, expected: str | None) -> bool:
        self._check.require()
        is_swapped = self._pointer.swap(address, prefix, expected=expected)
        self._index.forget()
        return is_swapped

    def remove_pointer(self, address: str) -> None:
        self._require_change()
        self._pointer.remove(address)
        self._index.forget()

    def where(self, address: str = "") -> str:
        return self._client.where(address)

    def uri(self, address: str = "") -> str:
        return self._client.where(address)

    def local(self, address: str) -> Path:
        resolved = self._resolved(address)
        if not resolved or resolved.endswith("/"):
            self.fetch(self._index.below(resolved) if resolved else [])
        elif self._objects.copy_of(resolved) is None:
            # What is in the bucket no more is no longer here either.
            with disk_errors(self._cache.root, path=self._cache.path(resolved)):
                self._cache.discard(resolved)
        return self._cache.path(resolved)

    def open_bytes(self, address: str) -> AbstractContextManager[ByteSource]:
        return self._objects.open_bytes(self._resolved(address))

    def sealed(self, address: str) -> SealedFile:
        return self._seals.sealed(self._resolved(address))

    def fetch_seals(self, addresses: Sequence[str]) -> None:
        self._seals.fetch(addresses)

    def edit(self, address: str) -> AbstractContextManager[Path]:
        return edited_copy(self._objects, address)

    def fetch(self, addresses: Sequence[str]) -> None:
        self._objects.fetch(addresses)

    def private_folder(self) -> AbstractContextManager[Path]:
        return self._cache.private_folder()

    @contextmanager
    def lock(self, name: str, *, timeout_seconds: float, is_shared: bool = False) -> Iterator[None]:
        self._check.require()
        with self._leases.hold(name, timeout_seconds=timeout_seconds, is_shared=is_shared):
            self._index.forget()
            if name == PUBLISH:
                self._pointer.forget()
                self._publications.remove_unfinished()
            yield

    def lock_names(self) -> list[str]:
        return self._leases.names()

    def keeps_versions(self) -> bool:
        self._check.require()
        return self._client.keeps_versions(f"{CHECKS}{secrets.token_hex(8)}")

    def flush(self) -> None:
        """Do nothing: what a bucket has answered is durable."""

    def _require_change(self) -> None:
        """Raise ConfigError where the bucket is not fit for a lake, TransientError where another run took over a lock of this process."""
        self._check.require()
        # What is written or removed without a condition rests on what was read under the lock.
        self._leases.require_held()

    def _forget_what_is_gone(self) -> None:
        """Remove copies of objects that are gone or are others by now: one may hold customers who were erased on another machine."""
        tags = {address: stored.tag for address, stored in self._client.list_objects("")}
        with disk_errors(self._cache.root, path=self._cache.root):
            self._cache.keep_only(tags)
            self._seals.keep_only(tags)

    def _resolved(self, address: str) -> str:
        """Return the address behind the pointer, where one begins with it."""
        first, slash, rest = address.partition("/")
        if first != CURRENT or not slash:
            return address
        prefix = self._pointer.read(CURRENT)
        return f"{prefix or f'{CURRENT}/'}{rest}"


def _reopened(settings: BucketSettings, key: str, secret: str, token: str) -> BucketStore:
    return BucketStore(settings, Credentials(key, secret, token))


def _holds_versions(address: str) -> bool:
    return address.startswith(TABLES) and "/month=" in address
