"""Publications in a bucket: their files, and then the manifest, with which a publication is there.

What a killed run left has no manifest. Nobody reads it, and the next one that publishes removes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import TransientError
from pipeline.lake.addresses import CURRENT, PUBLICATION_MANIFEST, PUBLICATIONS
from pipeline.lake.bucket.objects import Objects
from pipeline.lake.bucket.pointer import Pointer


class PublicationFolders:
    """Installs and removes publications; the caller holds the lock of publishing."""

    def __init__(self, objects: Objects, pointer: Pointer) -> None:
        self._objects, self._pointer = objects, pointer

    def names(self) -> list[str]:
        """Return the names of the publications that are there, in order."""
        index = self._objects.index
        return [name for name in index.folders(PUBLICATIONS) if index.find(f"{PUBLICATIONS}{name}/{PUBLICATION_MANIFEST}")]

    def install(self, prefix: str, folder: Path, manifest: str) -> None:
        """Move the files of a private folder, and then `manifest`, below `prefix`; what is there is overwritten, so that damage heals."""
        paths = {f"{prefix}{path.name}": path for path in sorted(folder.iterdir())}
        with self._objects.client.threads() as threads:
            list(threads.map(lambda item: self._objects.put_anew(*item), paths.items()))
        self._objects.write(f"{prefix}{PUBLICATION_MANIFEST}", manifest.encode())

    def remove(self, prefixes: Iterable[str]) -> None:
        """Remove all below each of `prefixes`; raises TransientError where one has become the live one."""
        live = self._pointer.read(CURRENT)
        for prefix in prefixes:
            if prefix == live:
                where = self._objects.client.where(prefix)
                raise TransientError("another run published meanwhile", where=where, todo="Wait for it, then run again.")
            # Without its manifest it is no publication any more.
            self._objects.remove([f"{prefix}{PUBLICATION_MANIFEST}"])
            self._objects.remove([address for address, _ in self._objects.client.list_objects(prefix)])

    def remove_unfinished(self) -> None:
        """Remove what killed runs left without a manifest."""
        finished = {f"{PUBLICATIONS}{name}" for name in self.names()}
        self._objects.remove([each for each in self._objects.index.below(PUBLICATIONS) if each.rpartition("/")[0] not in finished])
