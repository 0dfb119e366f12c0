"""The states of customers, carried from night to night.

A state holds dates and sums, nothing that ages by itself. So tonight's states differ from last night's only for customers
with rollups that entered, left or changed, or with days that left the window: these are computed anew, all others are carried
over, and the rows are the same as if everyone had been computed from all rollups.

Writing everyone every night would cost more than computing those few. So there is a base, which holds everyone, and beside it
the changes since; a new base is written once the changes have grown large.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from pipeline.errors import DataError
from pipeline.features.cache import CacheKey, CacheSession, cache_path, cached, cached_files, drop_cache, write_cache
from pipeline.features.customer_slices import rows_by_slice, slices_of_rollup
from pipeline.features.rollup_set import ROLLUPS, FeatureWindow, RollupSet
from pipeline.features.state_sql import (
    STATE_INPUTS,
    affected_statement,
    all_states_statement,
    changes_statement,
    current_states_statement,
    rolled_forward_statement,
    row_count_statement,
    states_recipe,
    table_recipe,
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
)

SLICED_TABLES = [table.name for table in STATE_INPUTS]
FOLDED_SHARE = 0.2  # of the base's customers; beyond it, carrying the changes costs more than writing a new base

log = logging.getLogger("pipeline.features.customer_states")


@dataclass(frozen=True, slots=True)
class StartingStates:
    """Stored states to start from: a base, the changes beside it if any, and the rollups that entered or left since."""

    base: CacheKey
    changes: CacheKey | None
    manifest: Mapping[str, Any]
    changed: RollupSet


def known_rollups(lake: Lake, window: FeatureWindow) -> RollupSet:
    """Return the rollups that a night goes by: of each event day up to its own, the version that it knows."""
    rollups = RollupSet()
    for table in ROLLUPS:
        versions = lake.stored_versions(table)
        known = known_versions(versions, through=window.day, known_on=window.known_on)
        rollups |= RollupSet.of(table, (versions[version] for version in known))
    return rollups


def register_states(session: CacheSession, window: FeatureWindow, rollups: RollupSet) -> None:
    """Register customer_states: the nearest stored states rolled forward, or everyone computed from the rollups."""
    start = _nearest_states(session, window, rollups)
    # A rerun of the newest night finds its own states, and nothing to do.
    if start is not None and not start.changed and start.manifest["day"] == str(window.day):
        _register_stored(session, start.base, start.changes)
        _log_recomputed(session, 0)
        return
    register_archive(session, rollups, window.archived_before)
    if start is None:
        _log_recomputed(session, _write_base(session, window, rollups, run_in_slices(session, window, rollups, all_states_statement())))
    else:
        _log_recomputed(session, _roll_forward(session, window, rollups, start))
        _drop_superseded(session.lake, window, start)


def register_archive(session: CacheSession, rollups: RollupSet, before: date) -> None:
    """Register customer_archives: what `rollups` say of event days before the first day of a month.

    Lifetime figures need days long past, but only as sums; the archive has them, so nights need not read those rollups again.
    """
    old = rollups.before(before)
    start, path = _older_archive(session, old, before) if old else (before, None)
    session.engine.register(CUSTOMER_ARCHIVES, [path] if path else [])
    if start < before:
        _register_rollups(session, old.since(start))
        rows = session.engine.run(statement(CUSTOMER_ARCHIVES.name), {"archived_from": start, "archived_before": before})
        path = write_cache(session, CUSTOMER_ARCHIVES, rows, _archive_key(old, before), {"before": before})
        session.engine.register(CUSTOMER_ARCHIVES, [path])
        log.info("%s: event days from %s to before %s added", CUSTOMER_ARCHIVES.name, start, before)


def rhythm_rows(session: CacheSession, window: FeatureWindow, rollups: RollupSet) -> Iterable[pa.RecordBatch]:
    """Return the row of the population's rhythm as of the window's day; every night that knows the same rollups gets the same."""
    key = CacheKey(window.day, short_digest(rollups.identity, table_recipe(POPULATION_RHYTHM), table_recipe(CUSTOMER_ARCHIVES)))
    path = cached(session, POPULATION_RHYTHM, key)
    if path is None:
        register_archive(session, rollups, window.archived_before)
        _register_rollups(session, rollups.since(window.archived_before))
        rows = session.engine.run(statement(POPULATION_RHYTHM.name), {"frozen_day": window.day, "archived_before": window.archived_before})
        path = write_cache(session, POPULATION_RHYTHM, rows, key, {"frozen_day": window.day})
    batches: list[pa.RecordBatch] = pq.ParquetFile(path).read().to_batches()
    return batches


def run_in_slices(session: CacheSession, window: FeatureWindow, rollups: RollupSet, query: exp.Query) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `query` over everyone's rollups, a slice of customers at a time; the archive must be registered."""
    recent = rollups.since(window.archived_before)
    _register_rollups(session, recent)
    slices = slices_of_rollup(session.lake, CUSTOMER_DAY_CATEGORIES, recent.of_table(CUSTOMER_DAY_CATEGORIES))
    return rows_by_slice(session.engine, query, window.parameters, tables=SLICED_TABLES, slices=slices)


def _register_rollups(session: CacheSession, rollups: RollupSet) -> None:
    for table in ROLLUPS:
        session.engine.register(table, session.lake.parts(table, rollups.of_table(table)))


def _log_recomputed(session: CacheSession, affected: int) -> None:
    [row] = session.engine.run(row_count_statement(CUSTOMER_STATES), {}).read_all().to_pylist()
    log.info("%s: %s of %s customers recomputed", CUSTOMER_STATES.name, f"{affected:,}", f"{row['row_count']:,}")


def _register_stored(session: CacheSession, base: CacheKey, changes: CacheKey | None) -> None:
    """Register the states that a base and its changes add up to; the session has read or written both."""
    session.engine.register(BASE_STATES, [session.path(BASE_STATES, base)])
    session.engine.register(CHANGED_STATES, [session.path(CHANGED_STATES, changes)] if changes else [])
    if changes:
        session.engine.define(CUSTOMER_STATES, current_states_statement())
    else:
        session.engine.register(CUSTOMER_STATES, [session.path(BASE_STATES, base)])


def _roll_forward(session: CacheSession, window: FeatureWindow, rollups: RollupSet, start: StartingStates) -> int:
    """Write the changes beside the base, or a new base where they are many; return how many customers were computed anew."""
    _register_stored(session, start.base, start.changes)
    affected = _register_affected(session, window, start)
    _register_rollups(session, rollups.since(window.archived_before))
    # Earlier changes count as well: they are carried along until a new base takes them in.
    changed = _row_count(session.path(CHANGED_STATES, start.changes)) if start.changes else 0
    everyone = _row_count(session.path(BASE_STATES, start.base))
    if affected + changed > FOLDED_SHARE * everyone:
        _write_base(session, window, rollups, session.engine.run(rolled_forward_statement(), window.parameters))
    else:
        rows = session.engine.run(changes_statement(), window.parameters)
        key = CacheKey(window.day, short_digest(str(start.base), rollups.identity, states_recipe(window)), window.known_on)
        write_cache(session, CHANGED_STATES, rows, key, _state_manifest(window, rollups) | {"base": str(start.base)})
        _register_stored(session, start.base, key)
    return affected


def _register_affected(session: CacheSession, window: FeatureWindow, start: StartingStates) -> int:
    """Register the customers for whom the registered states are stale; return how many there are."""
    _register_rollups(session, start.changed)
    rows = session.engine.run(affected_statement(), {"window_first_day": window.window_first_day})
    path = session.folder / AFFECTED_CUSTOMERS.name / "affected.parquet"
    count = session.lake.write_file(AFFECTED_CUSTOMERS.schema, rows, path, {})
    session.engine.register(AFFECTED_CUSTOMERS, [path])
    return count


def _write_base(session: CacheSession, window: FeatureWindow, rollups: RollupSet, rows: Iterable[pa.RecordBatch]) -> int:
    key = CacheKey(window.day, short_digest(rollups.identity, states_recipe(window)), window.known_on)
    path = write_cache(session, BASE_STATES, rows, key, _state_manifest(window, rollups))
    _register_stored(session, key, None)
    return _row_count(path)


def _row_count(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def _state_manifest(window: FeatureWindow, rollups: RollupSet) -> dict[str, Any]:
    return {"day": window.day, "recipe": states_recipe(window), "rollups": rollups.to_json()}


def _nearest_states(session: CacheSession, window: FeatureWindow, rollups: RollupSet) -> StartingStates | None:
    """Return the usable states of the nearest day that is not later; of one night, changes rather than a base.

    States are unusable where a rollup that they count was rewritten since: its old rows, which would show who is affected, are gone.
    """
    everything = RollupSet()
    for table in ROLLUPS:
        everything |= RollupSet.of(table, session.lake.stored_versions(table).values())
    found = [(table, key) for table in (CHANGED_STATES, BASE_STATES) for key in cached_files(session.lake, table) if key.day <= window.day]
    for table, key in sorted(found, key=lambda each: each[1].recency, reverse=True):
        path = cached(session, table, key)
        if path is None:
            continue
        manifest = session.lake.manifest(path)
        base = CacheKey.parse(manifest["base"]) if table is CHANGED_STATES else key
        if manifest["recipe"] != states_recipe(window) or cached(session, BASE_STATES, base) is None:
            continue
        changed = rollups.changed_since(RollupSet.from_json(manifest["rollups"]), everything)
        if changed is not None:
            return StartingStates(base, key if table is CHANGED_STATES else None, manifest, changed)
    return None


def _drop_superseded(lake: Lake, window: FeatureWindow, start: StartingStates) -> None:
    """Drop the states of an earlier day that were rolled forward, but no base that other changes still need."""
    if start.manifest["day"] >= str(window.day):
        return
    if start.changes:
        drop_cache(lake, CHANGED_STATES, start.changes)
    needed = set()
    for changes in cached_files(lake, CHANGED_STATES):
        with suppress(DataError):  # changes that cannot be read need no base any more
            needed.add(str(lake.manifest(cache_path(lake, CHANGED_STATES, changes))["base"]))
    if str(start.base) not in needed:
        drop_cache(lake, BASE_STATES, start.base)


def _archive_key(old: RollupSet, before: date) -> CacheKey:
    return CacheKey(before, short_digest(old.identity, table_recipe(CUSTOMER_ARCHIVES)))


def _older_archive(session: CacheSession, old: RollupSet, before: date) -> tuple[date, Path | None]:
    """Return the newest stored archive whose rollups are all among `old`, and the day that it ends before."""
    for key in cached_files(session.lake, CUSTOMER_ARCHIVES):
        # Equal keys have equal rollups: no old day was rewritten, nor a new version learned of, since the archive was made.
        is_usable = key.day <= before and key == _archive_key(old.before(key.day), key.day)
        taken = cached(session, CUSTOMER_ARCHIVES, key) if is_usable else None
        if taken is not None:
            return key.day, taken
    return old.first_day, None
