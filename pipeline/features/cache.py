"""Caches, thanks to which a night costs what its new day costs, however long the history; any may be deleted at any time.

    states/base_states/D_K_X.parquet          everyone as of the end of day D, as night K knew it
    states/changed_states/D_K_X.parquet       those who differ then from the base that the manifest names
    states/customer_archives/F_X.parquet      what lifetime figures need of the event days before F
    states/merged_archives/F_X.parquet        the same of customers who were merged, as the survivors'
    states/population_rhythm/F_X.parquet      the rhythm frozen on F
    states/population_baselines/F_X.parquet   what was usual on F
    states/<source>_aggregates/D_K_X.parquet  what declared features add up, as of the end of day D, as night K knew it

X is a digest of all that the rows depend on: rollups, statements and settings. So a cache is never stale: whatever changes,
another name is looked for. The manifest in its footer says more. A damaged cache counts as missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from pipeline.features.merges import MergeHistory, Survivors
from pipeline.features.rollup_set import FeatureWindow
from pipeline.lake import addresses
from pipeline.lake.checksums import is_whole
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    BASE_STATES,
    CHANGED_STATES,
    CUSTOMER_ARCHIVES,
    MERGED_ARCHIVES,
    POPULATION_BASELINES,
    POPULATION_RHYTHM,
    Table,
)

# Rhythm and baselines are small, and a restatement of an earlier month asks for them again; states serve only the nights beside them.
KEPT_PER_TABLE = {
    BASE_STATES.name: 8,
    CHANGED_STATES.name: 8,
    CUSTOMER_ARCHIVES.name: 4,
    MERGED_ARCHIVES.name: 4,
    POPULATION_RHYTHM.name: 24,
    POPULATION_BASELINES.name: 24,
}
KEPT_OF_OTHERS = 3  # everybody's, of as many columns as features are declared: large files


@dataclass(frozen=True, slots=True)
class CacheKey:
    """The name of a cache: its day, a digest of what its rows depend on and, where that matters, the night that knew them so."""

    day: date
    digest: str
    known_on: date | None = None

    @classmethod
    def parse(cls, name: str) -> CacheKey:
        """Read a key back from the name of its file."""
        day, *known, digest = name.split("_")
        return cls(date.fromisoformat(day), digest, date.fromisoformat(known[0]) if known else None)

    def __str__(self) -> str:
        return "_".join(str(part) for part in (self.day, self.known_on, self.digest) if part is not None)

    @property
    def recency(self) -> tuple[date, date]:
        """Sorts caches by their day, and those of one day by the night that knew it."""
        return self.day, self.known_on or self.day


@dataclass(frozen=True, slots=True)
class CacheSession:
    """One run's use of the caches.

    Those that it reads are linked into its private `folder`, so that another run may drop them meanwhile.
    """

    lake: Lake
    engine: Engine
    folder: Path
    merges: MergeHistory

    def path(self, table: Table, key: CacheKey) -> Path:
        """Return the private place of a cache that this run reads or writes."""
        return self.folder / table.name / f"{key}.parquet"

    def survivors(self, window: FeatureWindow) -> Survivors:
        """Return who is whose by the end of the window's day, as its night knows it."""
        return self.merges.survivors(window.day, window.known_on)


@contextmanager
def cache_session(lake: Lake, engine: Engine, zone: ZoneInfo) -> Iterator[CacheSession]:
    """Yield a session whose folder is gone after the block, and with it what the engine has registered from there.

    `zone` is where the company's days begin and end.
    """
    with lake.private_folder() as folder:
        yield CacheSession(lake, engine, folder, MergeHistory(lake, zone))


def forget_caches(lake: Lake) -> None:
    """Remove every cache, so that the next night computes from the rollups alone."""
    lake.store.delete_all(addresses.CACHES)


def cached_files(lake: Lake, table: Table) -> list[CacheKey]:
    """List the stored caches of `table`, the last day first."""
    names = map(addresses.stem, lake.list_addresses(addresses.caches(table), suffix=".parquet"))
    return sorted(map(CacheKey.parse, names), key=lambda key: (key.recency, key.digest), reverse=True)


def cache_facts(lake: Lake, table: Table, key: CacheKey) -> dict[str, Any]:
    """Return what the manifest of a stored cache says of it; raises DataError where it is gone or damaged."""
    return lake.manifest(addresses.cache(table, str(key)))


def cached(session: CacheSession, table: Table, key: CacheKey) -> Path | None:
    """Return the session's own path to a stored cache; None where it is gone, or was damaged and is now dropped."""
    held = session.path(table, key)
    if held.exists():
        return held
    # A link of our own: the engine goes on reading it after another run has dropped the cache.
    try:
        session.lake.store.link_to(addresses.cache(table, str(key)), held)
    except FileNotFoundError:
        return None
    if is_whole(held):
        return held
    drop_cache(session.lake, table, key)
    held.unlink()
    return None


def write_cache(session: CacheSession, table: Table, batches: Iterable[pa.RecordBatch], key: CacheKey, facts: Mapping[str, Any]) -> Path:
    """Write a cache for this session and for later nights, and return its path in the session; the oldest beyond the limit go."""
    path = session.path(table, key)
    session.lake.write_private_file(table.schema, batches, path, facts)
    session.lake.store.put_file(path, addresses.cache(table, str(key)))
    _drop_least_recent(session.lake, table, key)
    return path


def drop_cache(lake: Lake, table: Table, key: CacheKey) -> None:
    """Remove a cache; one that is not there is no error."""
    lake.delete(addresses.cache(table, str(key)))


def _drop_least_recent(lake: Lake, table: Table, newest: CacheKey) -> None:
    # By the time of writing, not by the day: a restatement of old nights must keep what it has just written.
    others = [key for key in cached_files(lake, table) if key != newest]
    by_age = sorted(others, key=lambda key: lake.store.written_at(addresses.cache(table, str(key))), reverse=True)
    for key in by_age[KEPT_PER_TABLE.get(table.name, KEPT_OF_OTHERS) - 1 :]:
        drop_cache(lake, table, key)
