"""The ledger of a lake's erasures. It holds no id, only keyed hashes.

erasures/key                 random, for its owner's eyes alone: without it no hash means anything
erasures/hashes/<n>.json     keyed hashes of request n; from here on extraction drops the rows of these customers
erasures/pending/<n>.json    what was found of them, while they are being removed
erasures/receipts/<n>.json   the same once nothing is left: renamed, so a request is pending or complete
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pipeline.errors import DataError
from pipeline.ingestion.erased.hashes import ErasedIds
from pipeline.lake import addresses
from pipeline.lake.addresses import ERASED_HASHES, ERASURE_KEY, PENDING_ERASURES, RECEIPTS
from pipeline.lake.lake import Lake
from pipeline.lake.tables import EXTRACTIONS

PREFIX_LENGTH = 12
Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one request removed: counts of files or rows by place. Customers are named by the beginnings of their keyed hashes.

    In a bucket that keeps old versions, its own rule removes these so many days later.
    """

    erasure: str
    customers: tuple[str, ...]
    erased_before_count: int
    known: str | None
    removed: Mapping[str, Counts]
    versions_expire_days: int | None = None

    @property
    def row_count(self) -> int:
        """Rows that went, wherever they were kept."""
        return sum(counts["rows"] for counts in self.removed.values())


class Ledger:
    """Requests to erase, and how far each has come."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def erased_ids(self) -> ErasedIds | None:
        """Return who was ever erased, complete or not; None where nobody was."""
        numbers = self._request_numbers(ERASED_HASHES)
        return ErasedIds(self._hash_key, [each for number in numbers for each in self.hashes_of_request(number)]) if numbers else None

    def record_request(self, ids: Iterable[str]) -> str:
        """Write down a request to erase `ids` and return its number; once it is returned, the request survives a crash."""
        with self._lake.lock("erasure-ledger"):
            # Never a new key once somebody was erased: without the old one, their hashes would match nobody.
            if not self._request_numbers(ERASED_HASHES):
                self._lake.store.create_secret(ERASURE_KEY, secrets.token_hex(32).encode("ascii"))
            hasher = ErasedIds(self._hash_key, ())
            number = f"{len(self._request_numbers(ERASED_HASHES)) + 1:06}"
            hashes = sorted({hasher.hash_of(each) for each in ids})
            self._lake.write_text(_request_address(ERASED_HASHES, number), json.dumps(hashes, indent=1) + "\n")
            self._lake.store.flush()
        return number

    def hashes_of_request(self, number: str) -> list[str]:
        """Return the keyed hashes of one request."""
        return [str(each) for each in self._read_json(_request_address(ERASED_HASHES, number))]

    def ids_of_request(self, number: str) -> ErasedIds:
        """Return who is to be erased by one request."""
        return ErasedIds(self._hash_key, self.hashes_of_request(number))

    def pending_requests(self) -> list[str]:
        """Return the numbers of requests that are not complete, in order."""
        return sorted(set(self._request_numbers(ERASED_HASHES)) - set(self.complete_requests()))

    def complete_requests(self) -> list[str]:
        """Return the numbers of requests that are complete, in order."""
        return self._request_numbers(RECEIPTS)

    def note_removals(self, number: str, found: Mapping[str, Counts], *, versions_expire_days: int | None = None) -> None:
        """Write down what is about to be removed, and when old versions of it will be, where the bucket keeps them.

        An interrupted attempt may have removed some of it already, so the larger count of both attempts stands.
        """
        address = _request_address(PENDING_ERASURES, number)
        is_noted = self._lake.exists(address)
        noted = self._read_json(address) if is_noted else {}
        before, expiring = noted.get("removed", {}), versions_expire_days or noted.get("versions_expire_days")
        merged = {place: _larger_counts(before.get(place, {}), found.get(place, {})) for place in sorted({*before, *found})}
        content = {**self._request_facts(number), "removed": merged, **({"versions_expire_days": expiring} if expiring else {})}
        if not is_noted or merged != before:
            self._lake.write_text(address, json.dumps(content, indent=2, sort_keys=True) + "\n")

    def complete_request(self, number: str) -> Receipt:
        """Turn what was noted of a request into its receipt."""
        # Once the receipt says that something is gone, no power cut may bring it back.
        self._lake.store.flush()
        self._lake.store.move(_request_address(PENDING_ERASURES, number), _request_address(RECEIPTS, number))
        return self.read_receipt(number)

    def read_receipt(self, number: str) -> Receipt:
        """Return the receipt of a complete request."""
        content = self._read_json(_request_address(RECEIPTS, number))
        return Receipt(**{**content, "customers": tuple(content["customers"])})

    def _request_facts(self, number: str) -> dict[str, Any]:
        hashes = self.hashes_of_request(number)
        earlier = {each for other in self._request_numbers(ERASED_HASHES) if other < number for each in self.hashes_of_request(other)}
        nights = self._lake.nights(EXTRACTIONS)
        return {
            "erasure": number,
            "customers": [each[:PREFIX_LENGTH] for each in hashes],
            "erased_before_count": len(earlier.intersection(hashes)),
            "known": str(nights[-1]) if nights else None,
        }

    def _request_numbers(self, prefix: str) -> list[str]:
        return [addresses.stem(each) for each in self._lake.list_addresses(prefix, suffix=".json")]

    def _read_json(self, address: str) -> Any:  # noqa: ANN401 - JSON
        with self._ledger_errors(address):
            return json.loads(self._lake.read_text(address))

    @cached_property
    def _hash_key(self) -> bytes:
        with self._ledger_errors(ERASURE_KEY):
            return bytes.fromhex(self._lake.read_text(ERASURE_KEY))

    @contextmanager
    def _ledger_errors(self, address: str) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):
            raise DataError(
                "the ledger of erasures cannot be read: nobody knows whom to leave out",
                where=self._lake.where(address),
                todo="Restore the lake's folder `erasures` from a backup.",
            ) from None


def _request_address(prefix: str, number: str) -> str:
    return f"{prefix}{number}.json"


def _larger_counts(one: Counts, other: Counts) -> dict[str, int]:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in sorted({*one, *other})}
