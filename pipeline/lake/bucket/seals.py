"""Seals of files in a bucket, read from their ends alone: what a file of event days holds is known without fetching its rows.

    seals/<address>.json     the seal of a file, and the tag of the object that it is of

They hold no data of customers: what a manifest says of a file, and checksums.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path

from pipeline.lake.bucket.client import ObjectMetadata
from pipeline.lake.bucket.objects import ObjectBytes, Objects
from pipeline.lake.byte_sources import FileEnd
from pipeline.lake.checksums import Seal, SealedFile, parse_seal, read_seal
from pipeline.lake.file_stamps import FileReplacedError
from pipeline.lake.staging import replaced_file

SUFFIX = ".json"


class Seals:
    """The seals of the files in a bucket: of copies on this machine, and else read once and kept in a folder."""

    def __init__(self, objects: Objects, folder: Path) -> None:
        self._objects, self._folder = objects, folder
        self._known: dict[str, tuple[str, Seal]] = {}

    def sealed(self, address: str) -> SealedFile:
        """Return the file at `address`; raises FileNotFoundError where nothing is."""
        stored = self._objects.index.find(address)
        place = self._objects.client.where(address)
        if stored is None:
            raise FileNotFoundError(place)
        return SealedFile((place, stored.tag), partial(self._read, address, stored))

    def fetch(self, addresses: Sequence[str]) -> None:
        """Read the seals of many files at once; damaged ones are passed over, as whoever reads them says so."""
        found = {address: self._objects.index.find(address) for address in addresses}
        wanted = [(address, stored) for address, stored in found.items() if stored and self._at_hand(address, stored) is None]
        if wanted:
            with self._objects.client.threads() as threads:
                list(threads.map(lambda item: self._read_if_whole(*item), wanted))

    def keep_only(self, tags: Mapping[str, str]) -> None:
        """Remove what is kept of other objects than those at these addresses; raises OSError where the disk refuses."""
        for path in list(self._folder.rglob(f"*{SUFFIX}")):
            if path.relative_to(self._folder).as_posix().removesuffix(SUFFIX) not in tags:
                path.unlink(missing_ok=True)

    def _read(self, address: str, stored: ObjectMetadata) -> Seal:
        seal = self._at_hand(address, stored)
        if seal is None:
            seal = self._read_end(address, stored)
            self._known[address] = (stored.tag, seal)
            self._keep(address, stored.tag, seal)
        return seal

    def _read_if_whole(self, address: str, stored: ObjectMetadata) -> None:
        with suppress(ValueError, FileReplacedError):
            self._read(address, stored)

    def _at_hand(self, address: str, stored: ObjectMetadata) -> Seal | None:
        tag, seal = self._known.get(address, ("", None))
        if seal is None or tag != stored.tag:
            copy = self._objects.cache.copy_at(address, stored.tag)
            with suppress(OSError, ValueError, KeyError, TypeError):
                seal = read_seal(copy) if copy else self._kept(address, stored.tag)
                self._known[address] = (stored.tag, seal)
                return seal
            return None
        return seal

    def _read_end(self, address: str, stored: ObjectMetadata) -> Seal:
        try:
            with suppress(ValueError):  # damaged on the way; what is damaged in the bucket is found to be so once more
                return parse_seal(FileEnd.of(ObjectBytes(self._objects.client, address, stored)).read_before, stored.size)
            return parse_seal(FileEnd.of(ObjectBytes(self._objects.client, address, stored)).read_before, stored.size)
        except FileReplacedError:
            self._objects.index.forget()
            raise

    def _kept(self, address: str, tag: str) -> Seal:
        said = json.loads((self._folder / f"{address}{SUFFIX}").read_text("utf-8"))
        if said.pop("tag") != tag:
            raise ValueError("the seal of another object")
        return Seal(**{**said, "names": tuple(said["names"]), "manifest": said["manifest"].encode()})

    def _keep(self, address: str, tag: str, seal: Seal) -> None:
        # Where that fails, it is read from the bucket again.
        with suppress(OSError, UnicodeDecodeError), replaced_file(self._folder / f"{address}{SUFFIX}") as new:
            new.write_text(json.dumps({**asdict(seal), "manifest": seal.manifest.decode(), "tag": tag}), "utf-8")
