"""The states of customers from night to night: only who is affected is computed anew, to the same rows as from all rollups."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from pipeline.caches import Desk, cache_path, digests, keep, stored, take
from pipeline.lake import Lake
from pipeline.recompute import (
    ROLLUPS,
    Basis,
    Horizon,
    affected_statement,
    all_states_statement,
    archive_name,
    basis_before,
    changed_paths,
    first_day,
    paths_of,
    paths_since,
    rhythm_name,
    rolled_forward_statement,
    states_recipe,
)
from pipeline.statements import statement
from pipeline.tables import AFFECTED_CUSTOMERS, CUSTOMER_ARCHIVES, CUSTOMER_STATES, POPULATION_RHYTHM

log = logging.getLogger("pipeline.states")


@dataclass(frozen=True, slots=True)
class _Base:
    """A stored state to start from, and the rollups that entered or left since."""

    path: Path
    stored: Path
    manifest: Mapping[str, Any]
    changed: list[str]


def rollup_basis(lake: Lake, *, through: date, known: date) -> Basis:
    """Return the digests of the rollups that a night goes by."""
    versions = [(table, version) for table in ROLLUPS for version in lake.versions_known(table, through=through, known=known)]
    return digests(lake, [lake.path(table, day=v.day, known=v.known).relative_to(lake.root).as_posix() for table, v in versions])


def register_states(at: Desk, horizon: Horizon, basis: Basis) -> None:
    """Make customer_states readable: the nearest stored state rolled forward, or all of it from the rollups."""
    base = _base(at, horizon, basis)
    if base is not None and not base.changed and base.manifest["day"] == str(horizon.day):
        at.engine.register(CUSTOMER_STATES, [base.path])
        _tell(0, base.manifest["row_count"])
        return
    register_archive(at, basis, horizon.archived_before)
    if base is None:
        total = _keep_states(at, horizon, basis, all_states_statement())
        _tell(total, total)
    else:
        affected = _register_affected(at, horizon, base)
        _tell(affected, _keep_states(at, horizon, basis, rolled_forward_statement()))
        if base.manifest["day"] < str(horizon.day):
            base.stored.unlink(missing_ok=True)


def register_archive(at: Desk, basis: Basis, before: date) -> None:
    """Make customer_archives readable: what happened in the event days of `basis` before a month's first day."""
    old = basis_before(basis, before)
    start, path = _older_archive(at, old, before) if old else (before, None)
    at.engine.register(CUSTOMER_ARCHIVES, [path] if path else [])
    if start < before:
        _register_rollups(at, old, since=start)
        rows = at.engine.run(statement(CUSTOMER_ARCHIVES.name), {"archived_from": start, "archived_before": before})
        path = keep(at, CUSTOMER_ARCHIVES, rows, archive_name(old, before), {"before": before})
        at.engine.register(CUSTOMER_ARCHIVES, [path])
        log.info("%s: event days from %s to before %s added", CUSTOMER_ARCHIVES.name, start, before)


def rhythm_rows(at: Desk, horizon: Horizon, basis: Basis) -> Iterable[pa.RecordBatch]:
    """Return the population's rhythm as of the horizon's day: the same for every night that knows the same rollups."""
    name = rhythm_name(basis, horizon)
    path = take(at, cache_path(at.lake, POPULATION_RHYTHM, name))
    if path is None:
        register_archive(at, basis, horizon.archived_before)
        _register_rollups(at, basis, since=horizon.archived_before)
        rows = at.engine.run(statement(POPULATION_RHYTHM.name), {"frozen_day": horizon.day, "archived_before": horizon.archived_before})
        path = keep(at, POPULATION_RHYTHM, rows, name, {"frozen_day": horizon.day})
    batches: list[pa.RecordBatch] = pq.read_table(path).to_batches()
    return batches


def _tell(affected: int, total: int) -> None:
    log.info("%s: %s of %s customers recomputed", CUSTOMER_STATES.name, f"{affected:,}", f"{total:,}")


def _register_affected(at: Desk, horizon: Horizon, base: _Base) -> int:
    """Make the base and the customers that it is stale for readable; return their number."""
    at.engine.register(CUSTOMER_STATES, [base.path])
    for table in ROLLUPS:
        at.engine.register(table, [at.lake.root / path for path in paths_of(base.changed, table)])
    rows = at.engine.run(affected_statement(), {"window_first_day": horizon.window_first_day})
    path = at.folder / AFFECTED_CUSTOMERS.name / "affected.parquet"
    count = at.lake.write_file(AFFECTED_CUSTOMERS.schema, rows, path, {})
    at.engine.register(AFFECTED_CUSTOMERS, [path])
    return count


def _register_rollups(at: Desk, basis: Basis, *, since: date) -> None:
    for table in ROLLUPS:
        at.engine.register(table, [at.lake.root / path for path in paths_of(paths_since(basis, since), table)])


def _keep_states(at: Desk, horizon: Horizon, basis: Basis, query: exp.Query) -> int:
    _register_rollups(at, basis, since=horizon.archived_before)
    facts = {"day": horizon.day, "recipe": states_recipe(horizon), "rollups": basis}
    path = keep(at, CUSTOMER_STATES, at.engine.run(query, horizon.parameters), f"{horizon.day}_{horizon.known}", facts)
    at.engine.register(CUSTOMER_STATES, [path])
    return int(at.lake.manifest(path)["row_count"])


def _base(at: Desk, horizon: Horizon, basis: Basis) -> _Base | None:
    """Return the usable state of the nearest day that is not later."""
    for path in stored(at.lake, CUSTOMER_STATES):
        taken = take(at, path) if path.name[:10] <= str(horizon.day) else None
        if taken is not None:
            manifest = at.lake.manifest(taken)
            changed = _changed(at.lake, manifest["rollups"], basis)
            if changed is not None and manifest["recipe"] == states_recipe(horizon):
                return _Base(taken, path, manifest, changed)
    return None


def _changed(lake: Lake, before: Basis, now: Basis) -> list[str] | None:
    """Return the rollups that entered or left; None where the old rows of one cannot be read any more."""
    left = sorted(before.keys() - now.keys())
    try:
        return changed_paths(before, {**now, **digests(lake, left)}, left)
    except FileNotFoundError:
        return None


def _older_archive(at: Desk, old: Basis, before: date) -> tuple[date, Path | None]:
    """Return the newest stored archive of rollups that `old` has too, and the day that it ends before."""
    for path in stored(at.lake, CUSTOMER_ARCHIVES):
        end = date.fromisoformat(path.name[:10])
        is_usable = end <= before and path.stem == archive_name(basis_before(old, end), end)
        taken = take(at, path) if is_usable else None
        if taken is not None:
            return end, taken
    return first_day(old), None
