"""The states of customers, carried from night to night.

A state holds dates and sums, nothing that ages by itself. So tonight's states differ from last night's only for customers
with rollups that entered, left or changed, or with days that left the window: these are computed anew, all others are carried
over, and the rows are the same as if everyone had been computed from all rollups.

Writing everyone every night would cost more than computing those few. So there is a base, which holds everyone, and beside it
the changes since; a new base is written once the changes have grown large.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from pipeline.errors import DataError
from pipeline.features.cache import CacheKey, CacheSession, cache_facts, cached, cached_files, drop_cache, write_cache
from pipeline.features.customer_archives import register_archive, register_rollups
from pipeline.features.customer_slices import rows_by_slice, slices_of_rollup
from pipeline.features.rollup_set import ROLLUPS, FeatureWindow, Rollup, RollupSet
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
from pipeline.features.united_rows import (
    register_ids,
)
from pipeline.lake.lake import Lake, known_versions
from pipeline.lake.parquet import read_manifest
from pipeline.lake.statements import short_digest, statement
from pipeline.lake.tables import (
    AFFECTED_CUSTOMERS,
    BASE_STATES,
    CHANGED_STATES,
    CUSTOMER_ARCHIVES,
    CUSTOMER_DAY_CATEGORIES,
    CUSTOMER_STATES,
    POPULATION_RHYTHM,
    REGROUPED_CUSTOMERS,
)
from pipeline.log_fields import Count

SLICED_TABLES = [table.name for table in STATE_INPUTS]
# Share of the base's customers; beyond it, carrying the changes costs more than writing a new base.
FOLDED_SHARE = 0.2

log = logging.getLogger("pipeline.features.customer_states")


@dataclass(frozen=True, slots=True)
class StartingStates:
    """Stored states to start from: a base, the changes beside it if any, and the rollups that entered or left since.

    `regrouped` are the ids of customers who are somebody else since, or stand for somebody else.
    """

    base: CacheKey
    changes: CacheKey | None
    manifest: Mapping[str, Any]
    changed: RollupSet
    regrouped: pa.Array


def known_rollups(lake: Lake, window: FeatureWindow) -> RollupSet:
    """Return the rollups that a night goes by: of each event day up to its own, the version that it knows."""
    rollups: list[Rollup] = []
    for table in ROLLUPS:
        versions = lake.stored_versions(table)
        known = known_versions(versions, through=window.day, known_on=window.known_on)
        rollups += RollupSet.of(table, (versions[version] for version in known))
    return RollupSet(tuple(sorted(rollups)))


def register_states(session: CacheSession, window: FeatureWindow, rollups: RollupSet) -> None:
    """Register customer_states: the nearest stored states rolled forward, or everyone computed from the rollups."""
    survivors = session.survivors(window)
    start = _nearest_states(session, window, rollups)
    # A rerun of the newest night finds its own states, and nothing to do.
    if start is not None and not start.changed and not len(start.regrouped) and start.manifest["day"] == str(window.day):
        _register_stored(session, start.base, start.changes)
        _log_recomputed(session, 0)
        return
    register_archive(session, rollups, window.archived_before, survivors)
    if start is None:
        _log_recomputed(session, _write_base(session, window, rollups, run_in_slices(session, window, rollups, all_states_statement())))
    else:
        _log_recomputed(session, _roll_forward(session, window, rollups, start))
        _drop_superseded(session.lake, window, start)


def rhythm_rows(session: CacheSession, window: FeatureWindow, rollups: RollupSet) -> Iterable[pa.RecordBatch]:
    """Return the row of the population's rhythm as of the window's day; every night that knows the same rollups gets the same."""
    survivors = session.survivors(window)
    recipes = table_recipe(POPULATION_RHYTHM), table_recipe(CUSTOMER_ARCHIVES)
    key = CacheKey(window.day, short_digest(rollups.identity, *recipes, survivors.digest))
    path = cached(session, POPULATION_RHYTHM, key)
    if path is None:
        register_archive(session, rollups, window.archived_before, survivors)
        register_rollups(session, rollups.since(window.archived_before), survivors)
        rows = session.engine.run(statement(POPULATION_RHYTHM.name), {"frozen_day": window.day, "archived_before": window.archived_before})
        path = write_cache(session, POPULATION_RHYTHM, rows, key, {"frozen_day": window.day})
    batches: list[pa.RecordBatch] = pq.ParquetFile(path).read().to_batches()
    return batches


def run_in_slices(session: CacheSession, window: FeatureWindow, rollups: RollupSet, query: exp.Query) -> Iterable[pa.RecordBatch]:
    """Return the rows of `query` over everyone's rollups, a slice of customers at a time; the archive must be registered."""
    recent = rollups.since(window.archived_before)
    register_rollups(session, recent, session.survivors(window))
    slices = slices_of_rollup(session.lake, session.engine, CUSTOMER_DAY_CATEGORIES, recent.of_table(CUSTOMER_DAY_CATEGORIES))
    return rows_by_slice(session.engine, query, window.parameters, tables=SLICED_TABLES, slices=slices)


def _log_recomputed(session: CacheSession, affected: int) -> None:
    [row] = session.engine.run(row_count_statement(CUSTOMER_STATES), {}).read_all().to_pylist()
    fields = {"table": CUSTOMER_STATES.name, "recomputed": Count(affected), "rows": Count(row["row_count"])}
    log.info("%(table)s: %(recomputed)s of %(rows)s customers recomputed", fields)


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
    register_rollups(session, rollups.since(window.archived_before), session.survivors(window))
    # Earlier changes count as well: they are carried along until a new base takes them in.
    changed = _row_count(session.path(CHANGED_STATES, start.changes)) if start.changes else 0
    everyone = _row_count(session.path(BASE_STATES, start.base))
    if affected + changed > FOLDED_SHARE * everyone:
        _write_base(session, window, rollups, session.engine.run(rolled_forward_statement(), window.parameters))
    else:
        rows = session.engine.run(changes_statement(), window.parameters)
        merges = session.survivors(window).digest
        key = CacheKey(window.day, short_digest(str(start.base), rollups.identity, states_recipe(window), merges), window.known_on)
        write_cache(session, CHANGED_STATES, rows, key, _state_manifest(session, window, rollups) | {"base": str(start.base)})
        _register_stored(session, start.base, key)
    return affected


def _register_affected(session: CacheSession, window: FeatureWindow, start: StartingStates) -> int:
    """Register the customers for whom the registered states are stale; return how many there are."""
    register_rollups(session, start.changed, session.survivors(window))
    register_ids(session, REGROUPED_CUSTOMERS, start.regrouped)
    rows = session.engine.run(affected_statement(), {"window_first_day": window.window_first_day})
    path = session.folder / AFFECTED_CUSTOMERS.name / "affected.parquet"
    count = session.lake.write_private_file(AFFECTED_CUSTOMERS.schema, rows, path, {})
    session.engine.register(AFFECTED_CUSTOMERS, [path])
    return count


def _write_base(session: CacheSession, window: FeatureWindow, rollups: RollupSet, rows: Iterable[pa.RecordBatch]) -> int:
    digest = short_digest(rollups.identity, states_recipe(window), session.survivors(window).digest)
    key = CacheKey(window.day, digest, window.known_on)
    path = write_cache(session, BASE_STATES, rows, key, _state_manifest(session, window, rollups))
    _register_stored(session, key, None)
    return _row_count(path)


def _row_count(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def _state_manifest(session: CacheSession, window: FeatureWindow, rollups: RollupSet) -> dict[str, Any]:
    merges = session.survivors(window).digest
    return {"day": window.day, "recipe": states_recipe(window), "rollups": rollups.to_json(), "merges": merges}


def _nearest_states(session: CacheSession, window: FeatureWindow, rollups: RollupSet) -> StartingStates | None:
    """Return the usable states of the nearest day that is not later; of one night, changes rather than a base.

    States are unusable where a rollup that they count was rewritten since, or the merges that they go by: what they said is gone, which
    would show who is affected.
    """
    everything = RollupSet()
    for table in ROLLUPS:
        everything |= RollupSet.of(table, session.lake.stored_versions(table).values())
    found = [(table, key) for table in (CHANGED_STATES, BASE_STATES) for key in cached_files(session.lake, table) if key.day <= window.day]
    for table, key in sorted(found, key=lambda each: each[1].recency, reverse=True):
        path = cached(session, table, key)
        if path is None:
            continue
        manifest = read_manifest(path)
        base = CacheKey.parse(manifest["base"]) if table is CHANGED_STATES else key
        if manifest["recipe"] != states_recipe(window) or cached(session, BASE_STATES, base) is None:
            continue
        changed = rollups.changed_since(RollupSet.from_json(manifest["rollups"]), everything)
        merged_then = session.survivors(replace(window, day=key.day, known_on=key.known_on or key.day))
        if changed is not None and merged_then.digest == manifest.get("merges", ""):
            regrouped = session.survivors(window).changed_since(merged_then)
            return StartingStates(base, key if table is CHANGED_STATES else None, manifest, changed, regrouped)
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
            needed.add(str(cache_facts(lake, CHANGED_STATES, changes)["base"]))
    if str(start.base) not in needed:
        drop_cache(lake, BASE_STATES, start.base)
