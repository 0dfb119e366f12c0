"""Caches that make a night cost its new day, not its history; any of them may be deleted at any time.

    states/base_states/D_K_X.parquet          everyone as of the end of day D, as night K knew it
    states/changed_states/D_K_X.parquet       those who differ then from the base that the manifest names
    states/customer_archives/F_X.parquet      what lifetime figures need of the event days before F
    states/population_rhythm/F_X.parquet      the rhythm frozen on F
    states/population_baselines/F_X.parquet   what was usual on F

X is a digest of all that the rows depend on: which rollups, statements and settings. Manifests say more.
A damaged one is as good as none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.parquet import is_whole
from pipeline.lake.tables import BASE_STATES, CHANGED_STATES, CUSTOMER_ARCHIVES, POPULATION_BASELINES, POPULATION_RHYTHM, Table

KEPT = {BASE_STATES.name: 8, CHANGED_STATES.name: 8, CUSTOMER_ARCHIVES.name: 4, POPULATION_RHYTHM.name: 24, POPULATION_BASELINES.name: 24}


@dataclass(frozen=True, slots=True)
class CacheKey:
    """The name of a cache: the day that it is about, a digest of what its rows depend on and, for a night's, who knew it so."""

    day: date
    digest: str
    known: date | None = None

    @classmethod
    def parse(cls, name: str) -> CacheKey:
        """Return the key that is written so."""
        day, *known, digest = name.split("_")
        return cls(date.fromisoformat(day), digest, date.fromisoformat(known[0]) if known else None)

    def __str__(self) -> str:
        return "_".join(str(part) for part in (self.day, self.known, self.digest) if part is not None)

    @property
    def age(self) -> tuple[date, date]:
        """The day, and among those of one day the night that knew it."""
        return self.day, self.known or self.day


@dataclass(frozen=True, slots=True)
class Desk:
    """Where one run works: the caches it reads are linked into `folder`, so that another run may drop them meanwhile."""

    lake: Lake
    engine: Engine
    folder: Path


@contextmanager
def desk(lake: Lake, engine: Engine) -> Iterator[Desk]:
    """Yield a private place to work at; what is registered from it can be read until it is cleared."""
    with lake.private_folder() as folder:
        yield Desk(lake, engine, folder)


def forget_all(lake: Lake) -> None:
    """Remove every cache: the next night computes from the rollups alone."""
    lake.store.delete_all(addresses.CACHES)


def stored(lake: Lake, table: Table) -> list[CacheKey]:
    """Return the stored caches of `table`, the last day first."""
    names = map(addresses.stem, lake.list_addresses(addresses.caches(table), suffix=".parquet"))
    return sorted(map(CacheKey.parse, names), key=lambda key: (key.age, key.digest), reverse=True)


def cache_path(lake: Lake, table: Table, key: CacheKey) -> Path:
    """Return where a cache is kept, to be read."""
    return lake.local(addresses.cache(table, str(key)))


def take(at: Desk, table: Table, key: CacheKey) -> Path | None:
    """Return the stored cache, held in the desk; None where it is gone or damaged."""
    held = at.folder / table.name / f"{key}.parquet"
    if held.exists():
        return held
    try:
        at.lake.store.hold(addresses.cache(table, str(key)), held)
    except FileNotFoundError:
        return None
    if is_whole(held):
        return held
    drop(at.lake, table, key)
    held.unlink()
    return None


def keep(at: Desk, table: Table, batches: Iterable[pa.RecordBatch], key: CacheKey, facts: Mapping[str, Any]) -> Path:
    """Write a cache, keep it for later nights, and return its path in the desk. The least recent of many go."""
    path = at.folder / table.name / f"{key}.parquet"
    at.lake.write_file(table.schema, batches, path, facts)
    at.lake.store.keep(path, addresses.cache(table, str(key)))
    _drop_old(at.lake, table, key)
    return path


def drop(lake: Lake, table: Table, key: CacheKey) -> None:
    """Remove a cache; one that is not there is no error."""
    lake.delete(addresses.cache(table, str(key)))


def _drop_old(lake: Lake, table: Table, newest: CacheKey) -> None:
    """Drop the least recently written beyond the number kept."""
    others = [key for key in stored(lake, table) if key != newest]
    by_age = sorted(others, key=lambda key: lake.store.written_at(addresses.cache(table, str(key))), reverse=True)
    for key in by_age[KEPT[table.name] - 1 :]:
        drop(lake, table, key)
