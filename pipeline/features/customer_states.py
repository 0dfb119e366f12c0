"""The states of customers from night to night: only who is affected is computed anew, to the same rows as from all rollups."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from pipeline.features.cache import Desk, cache_path, digests, keep, stored, take
from pipeline.features.customer_slices import rows_by_slice, slices_of
from pipeline.features.monthly_sums import register_months, register_rollups
from pipeline.features.rollup_set import (
    BY_CUSTOMER,
    ROLLUPS,
    Basis,
    Horizon,
    affected_statement,
    all_states_statement,
    archive_name,
    base_of,
    basis_before,
    changed_paths,
    changes_name,
    changes_statement,
    current_states_statement,
    first_day,
    paths_of,
    paths_since,
    rhythm_name,
    rolled_forward_statement,
    row_count_statement,
    states_name,
    states_recipe,
)
from pipeline.lake.lake import Lake, event_names, known_versions
from pipeline.lake.statements import statement
from pipeline.lake.tables import (
    AFFECTED_CUSTOMERS,
    BASE_STATES,
    CHANGED_STATES,
    CUSTOMER_ARCHIVES,
    CUSTOMER_DAY_CATEGORIES,
    CUSTOMER_STATES,
    POPULATION_RHYTHM,
)

SLICED = [table.name for table in BY_CUSTOMER]
FOLDED_SHARE = 0.2  # of the base's customers: beyond it the changes cost more to carry than a new base to write

log = logging.getLogger("pipeline.features.customer_states")


@dataclass(frozen=True, slots=True)
class _States:
    """Stored states to start from: a base and, where `changes` are, what differs; and the rollups that entered or left since."""

    base: Path
    changes: Path | None
    manifest: Mapping[str, Any]
    changed: list[str]


def rollup_bases(lake: Lake, horizons: Sequence[Horizon]) -> list[Basis]:
    """Return the digests of the rollups that each of several nights goes by."""
    stored = {table: lake.versions(table) for table in ROLLUPS}
    names = [
        [
            name
            for table, versions in stored.items()
            for name in event_names(table, known_versions(versions, through=horizon.day, known=horizon.known))
        ]
        for horizon in horizons
    ]
    found = digests(lake, dict.fromkeys(chain(*names)))
    return [{name: found[name] for name in each} for each in names]


def register_states(at: Desk, horizon: Horizon, basis: Basis) -> None:
    """Make customer_states readable: the nearest stored state rolled forward, or all of it from the rollups."""
    start = _nearest(at, horizon, basis)
    if start is not None and not start.changed and start.manifest["day"] == str(horizon.day):
        _register_stored(at, start.base, start.changes)
        _tell(at, 0)
        return
    register_archive(at, basis, horizon.archived_before)
    if start is None:
        _tell(at, _keep_base(at, horizon, basis, computed_in_slices(at, horizon, basis, all_states_statement())))
    else:
        _tell(at, _roll_forward(at, horizon, basis, start))
        _drop_superseded(at.lake, horizon, start)


def register_archive(at: Desk, basis: Basis, before: date) -> None:
    """Make customer_archives readable: what happened in the event days of `basis` before a month's first day."""
    old = basis_before(basis, before)
    start, path = _older_archive(at, old, before) if old else (before, None)
    at.engine.register(CUSTOMER_ARCHIVES, [path] if path else [])
    if start < before:
        register_rollups(at, old, since=start)
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
        register_months(at, basis, horizon)
        rows = at.engine.run(statement(POPULATION_RHYTHM.name), {"frozen_day": horizon.day, "archived_before": horizon.archived_before})
        path = keep(at, POPULATION_RHYTHM, rows, name, {"frozen_day": horizon.day})
    batches: list[pa.RecordBatch] = pq.ParquetFile(path).read().to_batches()
    return batches


def computed_in_slices(at: Desk, horizon: Horizon, basis: Basis, query: exp.Query) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `query` over everyone's rollups, in slices that fit into memory; the archive must be readable."""
    days, months = register_months(at, basis, horizon)
    every = paths_of(paths_since(basis, horizon.archived_before), CUSTOMER_DAY_CATEGORIES)
    slices = slices_of(days, months, sampled=[at.lake.root / path for path in every])
    return rows_by_slice(at.engine, query, horizon.parameters, tables=SLICED, slices=slices)


def _tell(at: Desk, affected: int) -> None:
    [row] = at.engine.run(row_count_statement(CUSTOMER_STATES), {}).read_all().to_pylist()
    log.info("%s: %s of %s customers recomputed", CUSTOMER_STATES.name, f"{affected:,}", f"{row['row_count']:,}")


def _register_stored(at: Desk, base: Path, changes: Path | None) -> None:
    at.engine.register(BASE_STATES, [base])
    at.engine.register(CHANGED_STATES, [changes] if changes else [])
    if changes:
        at.engine.define(CUSTOMER_STATES, current_states_statement())
    else:
        at.engine.register(CUSTOMER_STATES, [base])


def _roll_forward(at: Desk, horizon: Horizon, basis: Basis, start: _States) -> int:
    """Write who changed beside the base, or a new base where that is many; return how many were computed anew."""
    _register_stored(at, start.base, start.changes)
    affected = _register_affected(at, horizon, start)
    register_months(at, basis, horizon, is_adding_up=True)
    if affected + _row_count(start.changes) > FOLDED_SHARE * _row_count(start.base):
        _keep_base(at, horizon, basis, at.engine.run(rolled_forward_statement(), horizon.parameters))
    else:
        rows = at.engine.run(changes_statement(), horizon.parameters)
        changes = keep(at, CHANGED_STATES, rows, changes_name(horizon, start.base.stem), _facts(horizon, basis))
        _register_stored(at, start.base, changes)
    return affected


def _register_affected(at: Desk, horizon: Horizon, start: _States) -> int:
    """Make the customers readable for whom the registered states are stale; return their number."""
    for table in ROLLUPS:
        at.engine.register(table, [at.lake.root / path for path in paths_of(start.changed, table)])
    rows = at.engine.run(affected_statement(), {"window_first_day": horizon.window_first_day})
    path = at.folder / AFFECTED_CUSTOMERS.name / "affected.parquet"
    count = at.lake.write_file(AFFECTED_CUSTOMERS.schema, rows, path, {})
    at.engine.register(AFFECTED_CUSTOMERS, [path])
    return count


def _keep_base(at: Desk, horizon: Horizon, basis: Basis, rows: Iterable[pa.RecordBatch]) -> int:
    path = keep(at, BASE_STATES, rows, states_name(basis, horizon), _facts(horizon, basis))
    _register_stored(at, path, None)
    return _row_count(path)


def _facts(horizon: Horizon, basis: Basis) -> Mapping[str, Any]:
    return {"day": horizon.day, "recipe": states_recipe(horizon), "rollups": basis}


def _row_count(path: Path | None) -> int:
    return pq.read_metadata(path).num_rows if path else 0


def _nearest(at: Desk, horizon: Horizon, basis: Basis) -> _States | None:
    """Return the usable states of the nearest day that is not later; changes before a base of the same night."""
    paths = [*stored(at.lake, CHANGED_STATES), *stored(at.lake, BASE_STATES)]
    for path in sorted(paths, key=lambda path: path.name[:21], reverse=True):
        taken = _taken(at, path) if path.name[:10] <= str(horizon.day) else None
        if taken is not None:
            manifest = at.lake.manifest(taken[-1])
            changed = _changed(at.lake, manifest["rollups"], basis)
            if changed is not None and manifest["recipe"] == states_recipe(horizon):
                return _States(taken[0], taken[1] if len(taken) > 1 else None, manifest, changed)
    return None


def _taken(at: Desk, path: Path) -> list[Path] | None:
    """Return the base that `path` is, or belongs to and itself; None where one is gone or damaged."""
    base = base_of(path.stem)
    files = [path] if base is None else [cache_path(at.lake, BASE_STATES, base), path]
    taken = [found for file in files if (found := take(at, file))]
    return taken if len(taken) == len(files) else None


def _drop_superseded(lake: Lake, horizon: Horizon, start: _States) -> None:
    """Drop the states of an earlier day that were rolled forward, but no base that changes need."""
    if start.manifest["day"] < str(horizon.day):
        if start.changes:
            cache_path(lake, CHANGED_STATES, start.changes.stem).unlink(missing_ok=True)
        if all(base_of(changes.stem) != start.base.stem for changes in stored(lake, CHANGED_STATES)):
            cache_path(lake, BASE_STATES, start.base.stem).unlink(missing_ok=True)


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
