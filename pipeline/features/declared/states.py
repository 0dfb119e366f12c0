"""Aggregates carried from night to night.

The figures of a customer change where rows of theirs entered, left or changed, where a row left a window, or entered one that ends
before the night, or where they were merged. For these they are computed anew, window by window; everybody else's are carried over, and
the rows are the same as if everybody's had been computed. An aggregate that no earlier night knew is computed for everybody, alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.definitions.company import Company
from pipeline.features.cache import CacheKey, CacheSession, cached, cached_files, write_cache
from pipeline.features.customer_slices import rows_by_slice, slices_of_rollup
from pipeline.features.declared.aggregate_sets import CUSTOMER_ID, AggregateSet, aggregates_by_source
from pipeline.features.declared.aggregate_sql import aggregates_statement
from pipeline.features.declared.carrying_sql import aged_statement, carried_statement, changed_statement
from pipeline.features.declared.recipes import recipe_of
from pipeline.features.known_columns import reads_orders
from pipeline.features.rollup_set import FeatureWindow, RollupSet
from pipeline.features.united_rows import register_event_days, register_ids
from pipeline.lake.lake import Lake, Version, known_versions
from pipeline.lake.parquet import read_manifest
from pipeline.lake.statements import short_digest
from pipeline.lake.tables import AFFECTED_CUSTOMERS, ORDER_LINES, REGROUPED_CUSTOMERS, Table

log = logging.getLogger("pipeline.features.declared.states")


@dataclass(frozen=True, slots=True)
class StartingAggregates:
    """Aggregates of an earlier night: their file, what it holds, the event days that changed since, and who is somebody else since."""

    path: Path
    columns: frozenset[str]
    changed: RollupSet
    regrouped: pa.Array


def known_events(company: Company, lake: Lake, window: FeatureWindow) -> RollupSet:
    """Return the event days that declared features go by; none for a company without any.

    Of a night that read no order lines they hold none, though a later night has read some.
    """
    known = RollupSet()
    tables = {table.name: table for wanted in aggregates_by_source(company) for table in wanted.stored}
    if ORDER_LINES.name in tables and not reads_orders(lake, window.known_on):
        del tables[ORDER_LINES.name]
    for table in tables.values():
        stored = lake.stored_versions(table)
        versions = known_versions(stored, through=window.day, known_on=window.known_on)
        known |= RollupSet.of(table, (stored[version] for version in versions))
    return known


def register_aggregates(session: CacheSession, window: FeatureWindow, wanted: AggregateSet, events: RollupSet) -> None:
    """Make the table of `wanted` readable, as of the end of the window's day; `events` are the event days that the night goes by."""
    table, merges = wanted.table, session.survivors(window).digest
    known = _known_of(wanted, events)
    key = CacheKey(window.day, short_digest(known.identity, recipe_of(wanted), table.column_names, merges), window.known_on)
    path = cached(session, table, key)
    if path is None:
        start = _nearest_start(session, window, wanted, known)
        rows = _rows_of_everybody(session, window, wanted, known) if start is None else _rows_carried(session, window, wanted, known, start)
        facts = {"recipe": recipe_of(wanted), "rollups": known.to_json(), "merges": merges}
        path = write_cache(session, table, rows, key, facts)
    session.engine.register(table, [path])


def register_rows_of(session: CacheSession, window: FeatureWindow, sets: Sequence[AggregateSet], events: RollupSet) -> None:
    """Make the rows readable that aggregates of any of `sets` look at, from `events`, with the columns that they are made of."""
    # Each table once, with the days of all sets: what is worked out later reads what is registered by then.
    for table in {table.name: table for wanted in sets for table in wanted.stored}.values():
        firsts = [wanted.first_day_of(table, window.day) for wanted in sets if table in wanted.stored]
        known = events if None in firsts else events.since(min(first for first in firsts if first is not None))
        versions = _with_others_in_their_files(session.lake, table, known.of_table(table), events.of_table(table))
        read = frozenset[str]().union(*(wanted.columns_of(table) for wanted in sets if table in wanted.stored))
        register_event_days(session, table.only(read), versions, session.survivors(window))


def _with_others_in_their_files(lake: Lake, table: Table, wanted: Iterable[Version], known: Sequence[Version]) -> list[Version]:
    """Return the versions that are `wanted`, and of all that are `known` those that lie in the same files.

    Statements leave out days before their windows themselves: a file that is read whole needs no other condition on its rows.
    """
    stored = lake.stored_versions(table)
    files = {stored[version].file for version in wanted}
    return [version for version in known if stored[version].file in files]


def define_aggregates(session: CacheSession, window: FeatureWindow, wanted: AggregateSet, events: RollupSet, *, once: bool) -> bool:
    """Make the table of `wanted` readable, whose rows are registered, and return whether it was worked out by now.

    Each statement that reads it works it out, but `once` says to do so now. More rows than a statement can hold are worked out now
    in any case. Nothing is left for later nights.
    """
    first, query = wanted.first_day(window.day), aggregates_statement(wanted, window.day)
    versions = (events if first is None else events.since(first)).of_table(wanted.source.stored)
    if len(slices := slices_of_rollup(session.lake, session.engine, wanted.source.stored, versions)) > 1:
        names = [table.name for table in wanted.stored]
        _stored(session, wanted.table, rows_by_slice(session.engine, query, {}, tables=names, slices=slices))
        return True
    (session.engine.materialize if once else session.engine.define)(wanted.table, query)
    return once


def _known_of(wanted: AggregateSet, events: RollupSet) -> RollupSet:
    names = {table.name for table in wanted.stored}
    return RollupSet(tuple(each for each in events if each.table in names))


def _nearest_start(session: CacheSession, window: FeatureWindow, wanted: AggregateSet, known: RollupSet) -> StartingAggregates | None:
    """Return the usable aggregates of the nearest day that is not later; None where there are none, or none that is still wanted."""
    survivors = session.survivors(window)
    # Not only what this night knows: what an older cache was made of must still be readable to find whom it was about.
    everything = RollupSet()
    for table in wanted.stored:
        everything |= RollupSet.of(table, session.lake.stored_versions(table).values())
    for key in cached_files(session.lake, wanted.table):
        path = cached(session, wanted.table, key) if key.day <= window.day else None
        if path is None:
            continue
        facts = read_manifest(path)
        changed = known.changed_since(RollupSet.from_json(facts["rollups"]), everything)
        survivors_then = session.survivors(replace(window, day=key.day, known_on=key.known_on or key.day))
        if facts["recipe"] == recipe_of(wanted) and changed is not None and survivors_then.digest == facts["merges"]:
            columns = frozenset(pq.read_schema(path).names)
            # Nothing of it is wanted any more: to carry nothing over would cost more than to begin anew.
            if columns.isdisjoint(each.name for each in wanted.aggregates):
                return None
            return StartingAggregates(path, columns, changed, survivors.changed_since(survivors_then))
    return None


def _rows_of_everybody(session: CacheSession, window: FeatureWindow, wanted: AggregateSet, known: RollupSet) -> Iterable[pa.RecordBatch]:
    """Return the aggregates of everybody, from all rows that may count, a slice of customers at a time."""
    versions = _register_rows(session, window, wanted, known)
    slices = slices_of_rollup(session.lake, session.engine, wanted.source.stored, versions)
    query = aggregates_statement(wanted, window.day).order_by(CUSTOMER_ID, copy=False)
    log.info("%s: %s aggregates computed for everybody", wanted.source.name, f"{len(wanted.aggregates):,}")
    return rows_by_slice(session.engine, query, {}, tables=[table.name for table in wanted.stored], slices=slices)


def _register_rows(session: CacheSession, window: FeatureWindow, wanted: AggregateSet, known: RollupSet) -> list[Version]:
    """Make the event days that are looked at readable, and return those of the aggregates' own rows."""
    for table in wanted.stored:
        # Days before every window are not even opened.
        first = wanted.first_day_of(table, window.day)
        versions = (known if first is None else known.since(first)).of_table(table)
        register_event_days(session, table, versions, session.survivors(window))
    first = wanted.first_day(window.day)
    return (known if first is None else known.since(first)).of_table(wanted.source.stored)


def _rows_carried(
    session: CacheSession, window: FeatureWindow, wanted: AggregateSet, known: RollupSet, start: StartingAggregates
) -> Iterable[pa.RecordBatch]:
    """Return the aggregates of everybody: computed anew where they may have changed, else as they were."""
    kept = wanted.only(each for each in wanted.aggregates if each.name in start.columns)
    added = wanted.only(each for each in wanted.aggregates if each.name not in start.columns)
    before = wanted.table_of(kept.columns, "before")
    session.engine.register(before, [start.path])
    # Only the days that changed: who has a row on one of them is all that is asked of them.
    for table in wanted.stored:
        register_event_days(session, table, start.changed.of_table(table), session.survivors(window))
    register_ids(session, REGROUPED_CUSTOMERS, start.regrouped)
    affected = _stored(session, AFFECTED_CUSTOMERS, session.engine.run(changed_statement(wanted.stored), {}))
    # Computed one after the other under the same name of the rows: each part registers those that it reads.
    changed = _compute(session, window, kept, known, "changed", among=affected)
    aged = []
    for number, moving in enumerate(kept.windows):
        ids = replace(AFFECTED_CUSTOMERS, name=f"aged_customers_{number}")
        _stored(session, ids, session.engine.run(aged_statement(before, moving, window.day), {}))
        aged.append(_compute(session, window, kept.of_window(moving), known, f"aged_{number}", among=ids))
    extra = None
    if added.aggregates:
        extra = wanted.table_of(added.columns, "added")
        _stored(session, extra, _rows_of_everybody(session, window, added, known))
    return session.engine.run(carried_statement(wanted, before, changed, aged, extra).order_by(CUSTOMER_ID, copy=False), {})


def _compute(  # noqa: PLR0913 - a part of the night is all of these
    session: CacheSession, window: FeatureWindow, wanted: AggregateSet, known: RollupSet, part: str, *, among: Table
) -> Table:
    """Compute aggregates of the customers `among` a table of ids, and return the table that holds them."""
    _register_rows(session, window, wanted, known)
    table = wanted.table_of(wanted.columns, part)
    return _stored(session, table, session.engine.run(aggregates_statement(wanted, window.day, among=among), {}))


def _stored(session: CacheSession, table: Table, rows: Iterable[pa.RecordBatch]) -> Table:
    path = session.folder / table.name / "rows.parquet"
    session.lake.write_private_file(table.schema, rows, path, {})
    session.engine.register(table, [path])
    return table
