"""The ledger of a lake's erasures; it holds no id.

erasures/key                 random, for its owner's eyes alone: without it no hash means anything
erasures/hashes/<n>.json     keyed hashes of request n; from here on extraction drops the rows of these customers
erasures/pending/<n>.json    what was found of them, while they are being removed
erasures/receipts/<n>.json   the same once nothing is left: renamed, so a request is pending or complete
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.ingestion.erased.hashes import ErasedIds
from pipeline.lake.lake import Lake
from pipeline.lake.staging import private_folder
from pipeline.lake.tables import EXTRACTIONS

PREFIX_LENGTH = 12
Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one request removed, in counts: `removed` maps a place to its files or rows; customers are prefixes of keyed hashes."""

    erasure: str
    customers: tuple[str, ...]
    erased_before_count: int
    known: str | None
    removed: Mapping[str, Counts]

    @property
    def row_count(self) -> int:
        """Rows that went, wherever they were kept."""
        return sum(counts["rows"] for counts in self.removed.values())


class Ledger:
    """Requests to erase, and how far each has come."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._root = lake.root / "erasures"

    def erased(self) -> ErasedIds | None:
        """Return who was ever erased, complete or not; None where nobody was."""
        numbers = self._numbers("hashes")
        return ErasedIds(self._key, [each for number in numbers for each in self.hashes(number)]) if numbers else None

    def record(self, ids: Iterable[str]) -> str:
        """Write down a request to erase `ids` and return its number; the one thing that must not be lost afterwards."""
        with self._lake.lock("erasure-ledger"):
            self._require_key()
            ledger = ErasedIds(self._key, ())
            number = f"{len(self._numbers('hashes')) + 1:06}"
            hashes = sorted({ledger.hash_of(each) for each in ids})
            self._lake.write_text(self._root / "hashes" / f"{number}.json", json.dumps(hashes, indent=1) + "\n")
            os.sync()
        return number

    def hashes(self, number: str) -> list[str]:
        """Return the keyed hashes of one request."""
        return [str(each) for each in self._read("hashes", number)]

    def of_request(self, number: str) -> ErasedIds:
        """Return who is to be erased by one request."""
        return ErasedIds(self._key, self.hashes(number))

    def pending(self) -> list[str]:
        """Return the numbers of requests that are not complete, in order."""
        return sorted(set(self._numbers("hashes")) - set(self.receipts()))

    def receipts(self) -> list[str]:
        """Return the numbers of requests that are complete, in order."""
        return self._numbers("receipts")

    def note(self, number: str, found: Mapping[str, Counts]) -> None:
        """Write down what is about to be removed; what an interrupted attempt already removed stays counted."""
        path = self._root / "pending" / f"{number}.json"
        before = self._read("pending", number)["removed"] if path.is_file() else {}
        merged = {place: _larger(before.get(place, {}), found.get(place, {})) for place in sorted({*before, *found})}
        content = {**self._described(number), "removed": merged}
        if not path.is_file() or merged != before:
            self._lake.write_text(path, json.dumps(content, indent=2, sort_keys=True) + "\n")

    def complete(self, number: str) -> Receipt:
        """Turn what was noted of a request into its receipt."""
        receipts = self._root / "receipts"
        receipts.mkdir(exist_ok=True)
        os.sync()
        (self._root / "pending" / f"{number}.json").rename(receipts / f"{number}.json")
        return self.receipt(number)

    def receipt(self, number: str) -> Receipt:
        """Return the receipt of a complete request."""
        content = self._read("receipts", number)
        return Receipt(**{**content, "customers": tuple(content["customers"])})

    def _described(self, number: str) -> dict[str, Any]:
        hashes = self.hashes(number)
        earlier = {each for other in self._numbers("hashes") if other < number for each in self.hashes(other)}
        nights = self._lake.nights(EXTRACTIONS)
        return {
            "erasure": number,
            "customers": [each[:PREFIX_LENGTH] for each in hashes],
            "erased_before_count": len(earlier.intersection(hashes)),
            "known": str(nights[-1]) if nights else None,
        }

    def _numbers(self, folder: str) -> list[str]:
        return sorted(path.stem for path in (self._root / folder).glob("*.json"))

    def _read(self, folder: str, number: str) -> Any:  # noqa: ANN401 - JSON
        path = self._root / folder / f"{number}.json"
        with _told(path):
            return json.loads(path.read_text("utf-8"))

    @cached_property
    def _key(self) -> bytes:
        path = self._root / "key"
        with _told(path):
            return bytes.fromhex(path.read_text("ascii"))

    def _require_key(self) -> None:
        """Make the key where nobody was erased before; without the old one their hashes would mean nothing."""
        path = self._root / "key"
        if path.exists() or self._numbers("hashes"):
            return
        self._root.mkdir(mode=0o700, exist_ok=True)
        with private_folder(self._lake.root) as private:
            staged = private / path.name
            with os.fdopen(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
            staged.rename(path)


def _larger(one: Counts, other: Counts) -> dict[str, int]:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in sorted({*one, *other})}


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError):
        raise DataError(
            "the ledger of erasures cannot be read: nobody knows whom to leave out",
            where=str(path),
            todo="Restore the lake's folder `erasures` from a backup.",
        ) from None
