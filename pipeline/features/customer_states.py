"""The states of customers from night to night: only who is affected is computed anew, to the same rows as from all rollups."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from pipeline.errors import DataError
from pipeline.features.cache import CacheKey, Desk, cache_path, drop, keep, stored, take
from pipeline.features.customer_slices import rows_by_slice, slices_of
from pipeline.features.rollup_set import ROLLUPS, Horizon, RollupSet
from pipeline.features.state_sql import (
    BY_CUSTOMER,
    affected_statement,
    all_states_statement,
    changes_statement,
    current_states_statement,
    recipe,
    rolled_forward_statement,
    row_count_statement,
    states_recipe,
)
from pipeline.lake.lake import Lake, known_versions
from pipeline.lake.statements import short_digest, statement
from pipeline.lake.tables import (
    AFFECTED_CUSTOMERS,
    BASE_STATES,
    CHANGED_STATES,
    CUSTOMER_ARCHIVES,
    CUSTOMER_DAY_CATEGORIES,
    CUSTOMER_STATES,
    POPULATION_RHYTHM,
    Table,
)

SLICED = [table.name for table in BY_CUSTOMER]
FOLDED_SHARE = 0.2  # of the base's customers: beyond it the changes cost more to carry than a new base to write

log = logging.getLogger("pipeline.features.customer_states")


@dataclass(frozen=True, slots=True)
class _States:
    """Stored states to start from: a base and, where `changes` are, what differs; and the rollups that entered or left since."""

    base: CacheKey
    changes: CacheKey | None
    manifest: Mapping[str, Any]
    changed: RollupSet


def rollups_of(lake: Lake, horizon: Horizon) -> RollupSet:
    """Return the rollups that a night goes by."""
    rollups = RollupSet()
    for table in ROLLUPS:
        versions = lake.stored_versions(table)
        known = known_versions(versions, through=horizon.day, known=horizon.known)
        rollups |= RollupSet.of(table, (versions[version] for version in known))
    return rollups


def register_states(at: Desk, horizon: Horizon, rollups: RollupSet) -> None:
    """Make customer_states readable: the nearest stored state rolled forward, or all of it from the rollups."""
    start = _nearest(at, horizon, rollups)
    if start is not None and not start.changed and start.manifest["day"] == str(horizon.day):
        _register_stored(at, start.base, start.changes)
        _tell(at, 0)
        return
    register_archive(at, rollups, horizon.archived_before)
    if start is None:
        _tell(at, _keep_base(at, horizon, rollups, computed_in_slices(at, horizon, rollups, all_states_statement())))
    else:
        _tell(at, _roll_forward(at, horizon, rollups, start))
        _drop_superseded(at.lake, horizon, start)


def register_archive(at: Desk, rollups: RollupSet, before: date) -> None:
    """Make customer_archives readable: what happened in the event days of `rollups` before a month's first day."""
    old = rollups.before(before)
    start, path = _older_archive(at, old, before) if old else (before, None)
    at.engine.register(CUSTOMER_ARCHIVES, [path] if path else [])
    if start < before:
        _register_rollups(at, old.since(start))
        rows = at.engine.run(statement(CUSTOMER_ARCHIVES.name), {"archived_from": start, "archived_before": before})
        path = keep(at, CUSTOMER_ARCHIVES, rows, _archive_key(old, before), {"before": before})
        at.engine.register(CUSTOMER_ARCHIVES, [path])
        log.info("%s: event days from %s to before %s added", CUSTOMER_ARCHIVES.name, start, before)


def rhythm_rows(at: Desk, horizon: Horizon, rollups: RollupSet) -> Iterable[pa.RecordBatch]:
    """Return the population's rhythm as of the horizon's day: the same for every night that knows the same rollups."""
    key = CacheKey(horizon.day, short_digest(rollups.facts, recipe(POPULATION_RHYTHM), recipe(CUSTOMER_ARCHIVES)))
    path = take(at, POPULATION_RHYTHM, key)
    if path is None:
        register_archive(at, rollups, horizon.archived_before)
        _register_rollups(at, rollups.since(horizon.archived_before))
        rows = at.engine.run(statement(POPULATION_RHYTHM.name), {"frozen_day": horizon.day, "archived_before": horizon.archived_before})
        path = keep(at, POPULATION_RHYTHM, rows, key, {"frozen_day": horizon.day})
    batches: list[pa.RecordBatch] = pq.ParquetFile(path).read().to_batches()
    return batches


def computed_in_slices(at: Desk, horizon: Horizon, rollups: RollupSet, query: exp.Query) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `query` over everyone's rollups, in slices that fit into memory; the archive must be readable."""
    recent = rollups.since(horizon.archived_before)
    _register_rollups(at, recent)
    slices = slices_of(at.lake, CUSTOMER_DAY_CATEGORIES, recent.of_table(CUSTOMER_DAY_CATEGORIES))
    return rows_by_slice(at.engine, query, horizon.parameters, tables=SLICED, slices=slices)


def _register_rollups(at: Desk, rollups: RollupSet) -> None:
    for table in ROLLUPS:
        at.engine.register(table, at.lake.parts(table, rollups.of_table(table)))


def _tell(at: Desk, affected: int) -> None:
    [row] = at.engine.run(row_count_statement(CUSTOMER_STATES), {}).read_all().to_pylist()
    log.info("%s: %s of %s customers recomputed", CUSTOMER_STATES.name, f"{affected:,}", f"{row['row_count']:,}")


def _register_stored(at: Desk, base: CacheKey, changes: CacheKey | None) -> None:
    """Make the states readable that a base and its changes tell, both of which were taken or kept before."""
    at.engine.register(BASE_STATES, [_taken_path(at, BASE_STATES, base)])
    at.engine.register(CHANGED_STATES, [_taken_path(at, CHANGED_STATES, changes)] if changes else [])
    if changes:
        at.engine.define(CUSTOMER_STATES, current_states_statement())
    else:
        at.engine.register(CUSTOMER_STATES, [_taken_path(at, BASE_STATES, base)])


def _taken_path(at: Desk, table: Table, key: CacheKey) -> Path:
    return at.folder / table.name / f"{key}.parquet"


def _roll_forward(at: Desk, horizon: Horizon, rollups: RollupSet, start: _States) -> int:
    """Write who changed beside the base, or a new base where that is many; return how many were computed anew."""
    _register_stored(at, start.base, start.changes)
    affected = _register_affected(at, horizon, start)
    _register_rollups(at, rollups.since(horizon.archived_before))
    changed = _row_count(_taken_path(at, CHANGED_STATES, start.changes)) if start.changes else 0
    everyone = _row_count(_taken_path(at, BASE_STATES, start.base))
    if affected + changed > FOLDED_SHARE * everyone:
        _keep_base(at, horizon, rollups, at.engine.run(rolled_forward_statement(), horizon.parameters))
    else:
        rows = at.engine.run(changes_statement(), horizon.parameters)
        key = CacheKey(horizon.day, short_digest(str(start.base), rollups.facts, states_recipe(horizon)), horizon.known)
        keep(at, CHANGED_STATES, rows, key, _facts(horizon, rollups) | {"base": str(start.base)})
        _register_stored(at, start.base, key)
    return affected


def _register_affected(at: Desk, horizon: Horizon, start: _States) -> int:
    """Make the customers readable for whom the registered states are stale; return their number."""
    _register_rollups(at, start.changed)
    rows = at.engine.run(affected_statement(), {"window_first_day": horizon.window_first_day})
    path = at.folder / AFFECTED_CUSTOMERS.name / "affected.parquet"
    count = at.lake.write_file(AFFECTED_CUSTOMERS.schema, rows, path, {})
    at.engine.register(AFFECTED_CUSTOMERS, [path])
    return count


def _keep_base(at: Desk, horizon: Horizon, rollups: RollupSet, rows: Iterable[pa.RecordBatch]) -> int:
    key = CacheKey(horizon.day, short_digest(rollups.facts, states_recipe(horizon)), horizon.known)
    path = keep(at, BASE_STATES, rows, key, _facts(horizon, rollups))
    _register_stored(at, key, None)
    return _row_count(path)


def _row_count(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def _facts(horizon: Horizon, rollups: RollupSet) -> dict[str, Any]:
    return {"day": horizon.day, "recipe": states_recipe(horizon), "rollups": rollups.to_json()}


def _nearest(at: Desk, horizon: Horizon, rollups: RollupSet) -> _States | None:
    """Return the usable states of the nearest day that is not later; changes before a base of the same night."""
    everything = RollupSet()
    for table in ROLLUPS:
        everything |= RollupSet.of(table, at.lake.stored_versions(table).values())
    found = [(table, key) for table in (CHANGED_STATES, BASE_STATES) for key in stored(at.lake, table) if key.day <= horizon.day]
    for table, key in sorted(found, key=lambda each: each[1].age, reverse=True):
        path = take(at, table, key)
        if path is None:
            continue
        manifest = at.lake.manifest(path)
        base = CacheKey.parse(manifest["base"]) if table is CHANGED_STATES else key
        if manifest["recipe"] != states_recipe(horizon) or take(at, BASE_STATES, base) is None:
            continue
        changed = rollups.changed_since(RollupSet.from_json(manifest["rollups"]), everything)
        if changed is not None:
            return _States(base, key if table is CHANGED_STATES else None, manifest, changed)
    return None


def _drop_superseded(lake: Lake, horizon: Horizon, start: _States) -> None:
    """Drop the states of an earlier day that were rolled forward, but no base that changes need."""
    if start.manifest["day"] < str(horizon.day):
        if start.changes:
            drop(lake, CHANGED_STATES, start.changes)
        if str(start.base) not in {_base_of(lake, changes) for changes in stored(lake, CHANGED_STATES)}:
            drop(lake, BASE_STATES, start.base)


def _base_of(lake: Lake, changes: CacheKey) -> str | None:
    """Return the base that changes belong to; None where they cannot be read any more."""
    try:
        return str(lake.manifest(cache_path(lake, CHANGED_STATES, changes))["base"])
    except DataError:
        return None


def _archive_key(old: RollupSet, before: date) -> CacheKey:
    return CacheKey(before, short_digest(old.facts, recipe(CUSTOMER_ARCHIVES)))


def _older_archive(at: Desk, old: RollupSet, before: date) -> tuple[date, Path | None]:
    """Return the newest stored archive of rollups that `old` has too, and the day that it ends before."""
    for key in stored(at.lake, CUSTOMER_ARCHIVES):
        is_usable = key.day <= before and key == _archive_key(old.before(key.day), key.day)
        taken = take(at, CUSTOMER_ARCHIVES, key) if is_usable else None
        if taken is not None:
            return key.day, taken
    return old.first_day, None
