"""Copies of objects on this machine, each below the cache by its address in the lake, as engines and readers open files.

    objects/<address>     the copy
    objects/staging/      private to running processes, in the place that it has in a folder: engines may read there, too
    tags/<address>        the tag of the object that it is of, and what the disk says of the file: both must be as they were

A copy is verified when it is fetched, by the seal of our writer, and once more by each process that reads an older one. The cache
holds data of customers: it is its owner's alone. It may be deleted whenever nothing runs.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from threading import Lock

from pipeline.lake.bucket.client import BucketClient, ObjectMetadata
from pipeline.lake.checksums import is_whole
from pipeline.lake.disk import disk_errors
from pipeline.lake.file_stamps import FileStamp, file_stamp
from pipeline.lake.staging import private_folder

log = logging.getLogger("pipeline.lake.bucket")
OWNER_ONLY = 0o700
# A process that was handed a path opens it soon; until then nobody evicts the copy.
SPARED_SECONDS = 600.0
# What is evicted leaves room for more, so that not each new copy looks for old ones.
LEFT_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class CachedCopy:
    """A copy in the cache: its files, its bytes, and when it was used last."""

    path: Path
    tag_path: Path
    size: int
    used_at: float


class Cache:
    """Keeps copies of what is in a bucket; several processes may share one folder."""

    def __init__(self, root: Path, client: BucketClient, *, limit_bytes: int) -> None:
        self.root, self.objects = root, root / "objects"
        self._tags, self._client, self._limit = root / "tags", client, limit_bytes
        self._used: dict[str, tuple[str, FileStamp]] = {}
        self._grown, self._size = Lock(), -1
        with disk_errors(root, path=root):
            self.objects.mkdir(mode=OWNER_ONLY, parents=True, exist_ok=True)
            root.chmod(OWNER_ONLY)

    def path(self, address: str) -> Path:
        """Return where the copy of an object is, or would be."""
        return self.objects / address

    def fetch(self, address: str, stored: ObjectMetadata) -> Path:
        """Return the path of a copy of this very object, read from the bucket where there is none.

        Raises FileNotFoundError where the object is gone, TransientError where the disk refuses.
        """
        path = self.path(address)
        if self.holds(address, stored):
            return path
        with disk_errors(self.root, path=path), self.private_folder() as folder:
            new = folder / path.name
            tag = self._download(address, new)
            if tag is not None:
                self.take(address, new, tag)
        if tag is None:
            raise FileNotFoundError(self._client.where(address))
        return path

    def holds(self, address: str, stored: ObjectMetadata) -> bool:
        """Return whether there is a whole copy of this very object."""
        path = self.path(address)
        with suppress(FileNotFoundError, NotADirectoryError):
            stamp = file_stamp(path)
            if self._used.get(address) == (stored.tag, stamp):
                return True
            # Verified once by each process: a disk may lose bytes of a copy, and the object itself is whole.
            if self._noted(address) == [stored.tag, *stamp] and _is_sound(path):
                os.utime(self._tags / address)
                self._used[address] = (stored.tag, stamp)
                return True
        return False

    def copy_at(self, address: str, tag: str) -> Path | None:
        """Return the path of a copy of this very object, of whose bytes none were verified; None where there is none."""
        path = self.path(address)
        with suppress(FileNotFoundError, NotADirectoryError):
            stamp = file_stamp(path)
            if self._used.get(address) == (tag, stamp) or self._noted(address) == [tag, *stamp]:
                return path
        return None

    def take(self, address: str, file: Path, tag: str) -> None:
        """Make a private file of this cache the copy of an object; raises OSError where the disk refuses."""
        path, tag_path = self.path(address), self._tags / address
        stamp = file_stamp(file)
        noted = file.with_name(f"{file.name}.tag")
        noted.write_text(json.dumps([tag, *stamp]), "utf-8")
        for parent in (path.parent, tag_path.parent):
            parent.mkdir(parents=True, exist_ok=True)
        # The tag names the file by what the disk says of it: in between, neither fits the other, and the copy is fetched again.
        file.replace(path)
        noted.replace(tag_path)
        self._used[address] = (tag, stamp)
        self._grow(stamp.size)

    def drop(self, address: str) -> None:
        """Remove the copy of an object, if there is one; raises OSError where the disk refuses."""
        self._used.pop(address, None)
        for path in (self.path(address), self._tags / address):
            with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                path.unlink()

    def discard(self, address: str) -> None:
        """Remove the copy of an object that is gone; a file that is a copy of none stays. Raises OSError where the disk refuses."""
        if (self._tags / address).is_file():
            self.drop(address)

    def private_folder(self) -> AbstractContextManager[Path]:
        """Yield an empty folder beside the copies for this process alone; raises OSError where the disk refuses."""
        return private_folder(self.objects)

    def keep_only(self, tags: Mapping[str, str]) -> None:
        """Remove copies of other objects than those at these addresses with these tags; raises OSError where the disk refuses."""
        for copy in list(self._copies()):
            address = copy.tag_path.relative_to(self._tags).as_posix()
            if self._noted(address)[:1] != [tags.get(address)]:
                self.drop(address)

    def shrink(self, *, now: float) -> None:
        """Remove copies, those first that were not used for longest, until the rest is within the limit.

        What was used a few minutes ago stays: somebody may be about to open it.
        """
        copies = sorted(self._copies(), key=lambda copy: copy.used_at)
        size = sum(copy.size for copy in copies)
        if size > self._limit:
            for copy in copies:
                if size <= self._limit * LEFT_SHARE or copy.used_at > now - SPARED_SECONDS:
                    break
                for path in (copy.tag_path, copy.path):
                    path.unlink(missing_ok=True)
                size -= copy.size
            if size > self._limit:
                log.warning("the cache holds %s MB, over its limit: all of it is in use", f"{size / 1e6:,.0f}")
        self._size = size

    def _download(self, address: str, new: Path) -> str | None:
        """Fill the new file with an object and return its tag; None where the object is gone."""
        with suppress(FileNotFoundError):
            tag = self._client.download(address, new)
            # Damaged on the way, or in the bucket: then whoever reads it says so.
            return tag if _is_sound(new) else self._client.download(address, new)
        return None

    def _noted(self, address: str) -> list[object]:
        with suppress(ValueError):
            noted: list[object] = json.loads((self._tags / address).read_text("utf-8"))
            return noted
        return []

    def _grow(self, size: int) -> None:
        with self._grown:
            if self._size < 0 or self._size + size > self._limit:
                self.shrink(now=time.time())
            else:
                self._size += size

    def _copies(self) -> Iterator[CachedCopy]:
        for folder, _, names in os.walk(self._tags):
            for name in names:
                tag_path = Path(folder) / name
                path = self.objects / tag_path.relative_to(self._tags)
                with suppress(FileNotFoundError):
                    yield CachedCopy(path, tag_path, path.stat().st_size, tag_path.stat().st_mtime)


def _is_sound(path: Path) -> bool:
    """Return whether a copy is as our writer left it, where it is of a file that can tell."""
    return PurePosixPath(path).suffix != ".parquet" or is_whole(path)
