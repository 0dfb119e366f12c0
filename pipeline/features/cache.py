"""Caches that make a night cost its new day, not its history; any of them may be deleted at any time.

    states/base_states/D_K_B.parquet          everyone as of the end of day D, as night K knew it from the rollups of digest B
    states/changed_states/D_K.BASE.parquet    those who differ at the end of day D, as night K knew it, from the base of that name
    states/customer_days_by_month/M_B.parquet the rollups of month M in one file, of digest B; customer_day_categories_by_month alike
    states/customer_archives/F_B.parquet      what lifetime figures need of the event days before F, from the rollups of digest B
    states/population_rhythm/F_B.parquet      the rhythm frozen on F, from the rollups of digest B
    states/population_baselines/F_B.parquet   what was usual on F, alike
    states/digests.json                       digests of rollups, with the size and time that each was taken at

A damaged one is as good as none.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.errors import TransientError
from pipeline.lake.addresses import CACHE_DIGESTS
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.parquet import content_digest, is_whole
from pipeline.lake.staging import private_folder
from pipeline.lake.tables import BASE_STATES, CHANGED_STATES, CUSTOMER_ARCHIVES, POPULATION_BASELINES, POPULATION_RHYTHM, Table

FOLDER = "states"
KEPT = {BASE_STATES.name: 8, CHANGED_STATES.name: 8, CUSTOMER_ARCHIVES.name: 4, POPULATION_RHYTHM.name: 24, POPULATION_BASELINES.name: 24}


@dataclass(frozen=True, slots=True)
class Desk:
    """Where one run works: the caches it reads are linked into `folder`, so that another run may drop them meanwhile."""

    lake: Lake
    engine: Engine
    folder: Path


@contextmanager
def desk(lake: Lake, engine: Engine) -> Iterator[Desk]:
    """Yield a private place to work at; what is registered from it can be read until it is cleared."""
    with private_folder(lake.root) as folder:
        yield Desk(lake, engine, folder)


def forget_all(lake: Lake) -> None:
    """Remove every cache: the next night computes from the rollups alone."""
    with suppress(FileNotFoundError):
        shutil.rmtree(lake.root / FOLDER)


def stored(lake: Lake, table: Table) -> list[Path]:
    """Return the stored caches of `table`, by name, the last day first."""
    return sorted((lake.root / FOLDER / table.name).glob("*.parquet"), reverse=True)


def cache_path(lake: Lake, table: Table, name: str) -> Path:
    """Return where a cache is kept under `name`."""
    return lake.root / FOLDER / table.name / f"{name}.parquet"


def take(at: Desk, path: Path) -> Path | None:
    """Return the stored cache at `path`, linked into the desk; None where it is gone or damaged."""
    linked = at.folder / path.parent.name / path.name
    if linked.exists():
        return linked
    linked.parent.mkdir(exist_ok=True)
    try:
        _link(path, linked)
    except FileNotFoundError:
        return None
    if is_whole(linked):
        return linked
    for damaged in (path, linked):
        damaged.unlink(missing_ok=True)
    return None


def keep(at: Desk, table: Table, batches: Iterable[pa.RecordBatch], name: str, facts: Mapping[str, Any]) -> Path:
    """Write a cache, keep it for later nights under `name`, and return its path in the desk. The least recent of many go."""
    path = at.folder / table.name / f"{name}.parquet"
    at.lake.write_file(table.schema, batches, path, facts)
    final = cache_path(at.lake, table, name)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        twin = at.folder / "twin"
        _link(path, twin)
        twin.replace(final)
    except OSError as error:
        todo = "Free space or mend the disk, then run again."
        raise TransientError(f"could not write: {error.strerror}", where=str(final), todo=todo) from None
    _drop_old(at.lake, table, final)
    return path


def digests(lake: Lake, paths: Iterable[str]) -> dict[str, str]:
    """Return the digest of each file below the lake, read only where its size or time differ from when it was last read.

    Raises FileNotFoundError for a file that is not there.
    """
    taken = _taken(lake)
    found = {path: _current(lake, path, taken.get(path)) for path in paths}
    if any(taken.get(path) != current for path, current in found.items()):
        lake.write_text(CACHE_DIGESTS, json.dumps(taken | found))
    return {path: str(digest) for path, (_, _, digest) in found.items()}


def _taken(lake: Lake) -> dict[str, list[int | str]]:
    with suppress(FileNotFoundError, ValueError):
        content: dict[str, list[int | str]] = json.loads((lake.root / FOLDER / "digests.json").read_text("utf-8"))
        return content
    return {}


def _current(lake: Lake, path: str, last: list[int | str] | None) -> list[int | str]:
    facts = os.stat(f"{lake.root}/{path}")  # noqa: PTH116 - a plain string is cheaper, and every night asks for the whole history
    if last is not None and last[:2] == [facts.st_size, facts.st_mtime_ns]:
        return last
    return [facts.st_size, facts.st_mtime_ns, content_digest(lake.root / path)]


def _link(path: Path, new: Path) -> None:
    try:
        new.hardlink_to(path)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without hard links
        shutil.copyfile(path, new)


def _drop_old(lake: Lake, table: Table, newest: Path) -> None:
    """Drop the least recently written beyond the number kept; of months, any other of the same."""
    others = [path for path in stored(lake, table) if path != newest and (table.name in KEPT or path.name[:7] == newest.name[:7])]
    ages = sorted(((_written(path), path) for path in others), reverse=True)
    for _, path in ages[KEPT.get(table.name, 1) - 1 :]:
        path.unlink(missing_ok=True)


def _written(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_mtime_ns
    return 0
