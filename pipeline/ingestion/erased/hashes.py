"""Erased ids, known only by their keyed hashes: HMAC-SHA256 (RFC 2104), with the work that all ids share done once. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

BLOCK = 64
INNER, OUTER = 0x36, 0x5C
# Order lines name the same customers again and again, so this many ids are hashed once and remembered, in some 100 MB.
REMEMBERED_IDS = 1_000_000


class ErasedIds:
    """Tells which ids were erased: those whose HMAC-SHA256 under `key` is among `hashes`."""

    def __init__(self, key: bytes, hashes: Iterable[str]) -> None:
        padded = key.ljust(BLOCK, b"\0")
        # Both hashes of an HMAC begin with a block made of the key; these beginnings are computed once and copied for each id.
        self._inner, self._outer = (hashlib.sha256(bytes(byte ^ pad for byte in padded)) for pad in (INNER, OUTER))
        self._hashes = frozenset(hashes)
        self._others: set[bytes] = set()

    def hash_of(self, customer_id: str) -> str:
        """Return the keyed hash of an id as hexadecimal digits; white space around the id does not count."""
        return self._keyed_hash(customer_id.encode())

    def among(self, ids: pa.Array | pa.ChunkedArray) -> pa.Array:
        """Return the distinct values of `ids` that were erased."""
        distinct = pc.unique(ids).drop_null()
        given = distinct.cast(pa.binary()).to_pylist()
        erased = self._find_erased(set(given) - self._others)
        return distinct.filter(pa.array([each in erased for each in given], pa.bool_())) if erased else distinct[:0]

    def _find_erased(self, unseen: set[bytes]) -> set[bytes]:
        """Return which of the ids `unseen` were erased, and remember the others."""
        erased = {each for each in unseen if self._keyed_hash(each) in self._hashes}
        if len(self._others) > REMEMBERED_IDS:
            self._others.clear()
        self._others |= unseen - erased
        return erased

    def _keyed_hash(self, given: bytes) -> str:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(given.strip())
        outer.update(inner.digest())
        return outer.hexdigest()
