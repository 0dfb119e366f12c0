"""Nights with the lake in a folder and in a bucket, and what lasts of both, so that they can be compared."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from unittest import mock

from pipeline.lake.addresses import CURRENT, ERASURES, LOCKS, PENDING, SQLITE, STAGING
from pipeline.lake.store import Store
from pipeline.operations.deployment import Deployment
from pipeline.operations.night import Night
from pipeline.operations.steps import STEPS
from support.object_store import ObjectStore
from support.published_nights import target_rows

# Random by nature, what only running processes need, and how a store says what is live.
APART = (ERASURES, LOCKS, PENDING, STAGING, f"{CURRENT}/", f"{CURRENT}.json", SQLITE)


@contextmanager
def environment(server: ObjectStore, cache: Path, **others: str) -> Iterator[None]:
    """Set in the block what opens a lake in a bucket of the server, from a machine with this cache."""
    with mock.patch.dict(os.environ, {**server.environment(), "SEGMENTS_CACHE": str(cache), **others}):
        yield


def run_steps(company: Path, place: str, day: date, known_on: date | None = None) -> None:
    """Run a night in a process of its own kind: each step opens the lake anew, as tasks do."""
    for name, step in STEPS.items():
        if known_on is None or name in ("features", "segment"):
            step(Night.of(Deployment.of(company, place), day, known_on))


def run_on_machine(company: Path, *, environment: Mapping[str, str], place: str, day: date) -> None:
    """Run a night in a process that has this environment alone."""
    os.environ.update(environment)
    run_steps(company, place, day)


def lasting(store: Store, places: Mapping[str, str]) -> dict[str, object]:
    """Return the digest of every object that lasts, what is live, and the rows of SQLite; pages name `places` by other words."""
    found: dict[str, object] = {}
    for address in store.list_addresses(""):
        if not address.startswith(APART):
            content = store.read(address)
            for place, word in places.items():
                content = content.replace(place.encode(), word.encode())
            found[address] = hashlib.sha256(content).hexdigest()
    database = target_rows(store.local(SQLITE)) if store.exists(SQLITE) else None
    return {**found, "live": store.read_pointer(CURRENT), "rows": database}
