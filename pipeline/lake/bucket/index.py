"""What is in the bucket, in memory: steps ask for listings again and again, and a request for each would take most of a night.

It is read table by table when first asked for, kept up by what this process writes, and read anew once a lock is taken: what other
runs wrote before is seen then. While a lock is held by this process alone, nothing else is read anew: what it writes over must still be
what it has seen. Whoever reads without a lock sees what was there a little while ago, as any reader may.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import RLock

from pipeline.lake.addresses import RESTATED, TABLES
from pipeline.lake.bucket.client import BucketClient, ObjectMetadata

# How long a listing is good for where no lock was taken since.
SECONDS_FRESH = 30.0
TABLE_FOLDERS = (TABLES, RESTATED)  # listed table by table, other folders as a whole


@dataclass(slots=True)
class Listing:
    """The objects below one prefix, and their addresses in order, once these were asked for."""

    objects: dict[str, ObjectMetadata]
    read_at: float
    order: list[str] | None = field(default=None)

    def below(self, prefix: str) -> list[str]:
        """Return the addresses that begin with `prefix`, in order."""
        if self.order is None:
            self.order = sorted(self.objects)
        start = bisect_left(self.order, prefix)
        end = bisect_left(self.order, prefix + chr(0x10FFFF))
        return self.order[start:end]


class Index:
    """Knows the objects of a bucket by prefixes that are read whole: a table, or another top folder."""

    def __init__(self, client: BucketClient, *, is_held: Callable[[], bool]) -> None:
        self._client, self._is_held = client, is_held
        self._listings: dict[str, Listing] = {}
        self._lock = RLock()

    def find(self, address: str) -> ObjectMetadata | None:
        """Return what the store says of an object, None where there is none."""
        with self._lock:
            return self._listing(_listed_prefix(address)).objects.get(address)

    def below(self, prefix: str) -> list[str]:
        """Return the addresses that begin with `prefix`, in order."""
        with self._lock:
            # What is written into a table is noted in the listing of that table alone.
            if (name := _listed_prefix(prefix)) and prefix.startswith(name) and name not in TABLE_FOLDERS:
                return self._listing(name).below(prefix)
        # A prefix of many folders is asked for seldom.
        return [address for address, _ in self._client.list_objects(prefix)]

    def folders(self, prefix: str) -> list[str]:
        """Return the names of folders directly below `prefix`, in order."""
        if not prefix:
            return self._client.list_top()[1]
        return sorted({rest.partition("/")[0] for rest in (each[len(prefix) :] for each in self.below(prefix)) if "/" in rest})

    def note(self, address: str, stored: ObjectMetadata) -> None:
        """Note that this process wrote an object."""
        with self._lock:
            if listing := self._listings.get(_listed_prefix(address)):
                listing.order = listing.order if address in listing.objects else None
                listing.objects[address] = stored

    def drop(self, address: str) -> None:
        """Note that an object is gone."""
        with self._lock:
            if (listing := self._listings.get(_listed_prefix(address))) and listing.objects.pop(address, None):
                listing.order = None

    def forget(self) -> None:
        """Forget everything: what is asked for next is read anew."""
        with self._lock:
            self._listings.clear()

    def _listing(self, name: str) -> Listing:
        listing = self._listings.get(name)
        if listing is None or (time.monotonic() - listing.read_at > SECONDS_FRESH and not self._is_held()):
            # The time before it was asked for: what is written while the answer is on its way may not be in it.
            now = time.monotonic()
            found = self._client.list_objects(name) if name else self._client.list_top()[0]
            listing = self._listings[name] = Listing(dict(found), now)
        return listing


def _listed_prefix(address: str) -> str:
    """Return the prefix that is read whole where an object is asked for; empty for objects that lie in no folder."""
    folders = address.split("/")[:-1]
    depth = 2 if address.startswith(TABLE_FOLDERS) else 1
    return "".join(f"{folder}/" for folder in folders[:depth])
