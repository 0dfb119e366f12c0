"""The pointer to the live publication in a bucket: one small object, swapped against the tag that was read.

    current.json     the publication, its day, and each of its files with size and tag

Readers of a bucket begin there: the files that it names are whole, and of one publication.
"""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pipeline.errors import DataError
from pipeline.lake.addresses import PUBLICATION_MANIFEST
from pipeline.lake.bucket.client import BucketClient, ObjectContent


@dataclass(frozen=True, slots=True)
class StoredPointer:
    """What a pointer was when it was read: the prefix that it leads to, and its tag."""

    prefix: str
    tag: str


class Pointer:
    """Reads and swaps the pointers of a bucket, and remembers what each was when a step began."""

    def __init__(self, client: BucketClient) -> None:
        self._client = client
        self._first_seen: dict[str, StoredPointer] = {}

    def read(self, address: str) -> str | None:
        """Return the prefix that the pointer at `address` leads to, None where there is none; raises DataError where it says nothing."""
        seen = self._look(address)
        if seen is None:
            # A lake that was copied from a folder may hold what the link led to in the link's place.
            return f"{address}/" if self._client.look_up(f"{address}/{PUBLICATION_MANIFEST}") else None
        self._first_seen.setdefault(address, seen)
        return seen.prefix

    def swap(self, address: str, prefix: str, *, expected: str | None) -> bool:
        """Point `address` to `prefix`; return False where it is not as it was when it was first read under the lock, or leads elsewhere."""
        seen = self._first_seen.get(address)
        if seen is None or seen.prefix != expected:
            seen = self._look(address)
        if seen is not None and seen.prefix != expected:
            return False
        content = self._content(prefix)
        if content is None:
            return False
        tag = self._client.put_where(_place(address), content, expected=seen.tag if seen else None)
        if tag is None:
            return False
        self._first_seen[address] = StoredPointer(prefix, tag)
        return True

    def remove(self, address: str) -> None:
        """Remove the pointer at `address`, if there is one."""
        self._client.delete([_place(address)])
        self._first_seen.pop(address, None)

    def forget(self) -> None:
        """Forget what pointers were: a step begins."""
        self._first_seen.clear()

    def _look(self, address: str) -> StoredPointer | None:
        found = self._client.find(_place(address))
        return None if found is None else StoredPointer(self._prefix(address, found), found.tag)

    def _prefix(self, address: str, found: ObjectContent) -> str:
        try:
            return str(json.loads(found.content)["prefix"])
        except (ValueError, KeyError, TypeError):
            raise DataError(
                "the pointer to the live publication cannot be read",
                where=self._client.where(_place(address)),
                todo="Remove it, then run the day again: segments run --day YYYY-MM-DD.",
            ) from None

    def _content(self, prefix: str) -> bytes | None:
        """Return what the pointer says; None where files of the publication are gone, as another run has tidied it away meanwhile."""
        stored = {address.removeprefix(prefix): each for address, each in self._client.list_objects(prefix)}
        manifest = self._client.find(f"{prefix}{PUBLICATION_MANIFEST}")
        if manifest is None:
            return None
        fields = _manifest_fields(manifest.content)
        if any(f"{table}.parquet" not in stored for table in fields.get("tables", ())):
            return None
        facts = {key: fields[key] for key in ("publication_id", "day") if key in fields}
        files = {name: {"size": each.size, "tag": each.tag} for name, each in stored.items()}
        # The token makes it like no other: found in the bucket, it is ours, whatever became of the answer.
        return json.dumps({**facts, "prefix": prefix, "files": files, "token": secrets.token_hex(8)}, indent=2).encode()


def _manifest_fields(manifest: bytes) -> dict[str, Any]:
    with suppress(ValueError):
        fields = json.loads(manifest)
        return fields if isinstance(fields, dict) else {}
    return {}


def _place(address: str) -> str:
    return f"{address}.json"
