"""What customers did long ago, as far as lifetime figures need it: archives, which nights read in place of old rollups."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path

from sqlglot import exp

from pipeline.features.cache import CacheKey, CacheSession, cached, cached_files, write_cache
from pipeline.features.merges import NOBODY, Survivors
from pipeline.features.rollup_set import ROLLUPS, RollupSet
from pipeline.features.state_sql import table_recipe
from pipeline.features.united_rows import (
    register_event_days,
    register_survivors,
    rows_of_merged,
    rows_of_others,
    table_by_source_id,
)
from pipeline.lake.expressions import union_all
from pipeline.lake.statements import short_digest, statement
from pipeline.lake.tables import CUSTOMER_ARCHIVES, MERGED_ARCHIVES

log = logging.getLogger("pipeline.features.customer_archives")


def register_archive(session: CacheSession, rollups: RollupSet, before: date, survivors: Survivors) -> None:
    """Register customer_archives: what `rollups` say of event days before the first day of a month.

    Lifetime figures need days long past, but only as sums; the archive has them, so nights need not read those rollups again.
    """
    old = rollups.before(before)
    start, path = _older_archive(session, old, before) if old else (before, None)
    session.engine.register(CUSTOMER_ARCHIVES, [path] if path else [])
    if start < before:
        # By the ids that the source gave: gaps between order-days cannot be put together afterwards, so merged customers are told apart.
        register_rollups(session, old.since(start), NOBODY)
        rows = session.engine.run(statement(CUSTOMER_ARCHIVES.name), {"archived_from": start, "archived_before": before})
        path = write_cache(session, CUSTOMER_ARCHIVES, rows, _archive_key(old, before), {"before": before})
        session.engine.register(CUSTOMER_ARCHIVES, [path])
        log.info("%s: event days from %s to before %s added", CUSTOMER_ARCHIVES.name, start, before)
    if path is not None and survivors:
        _unite_archives(session, old, before, survivors, path)


def _unite_archives(session: CacheSession, old: RollupSet, before: date, survivors: Survivors, path: Path) -> None:
    """Register customer_archives with those of merged customers as the survivors', worked out of their old rollups once per merge."""
    key = CacheKey(before, short_digest(_archive_key(old, before).digest, survivors.digest))
    united = cached(session, MERGED_ARCHIVES, key)
    if united is None:
        session.engine.register(CUSTOMER_ARCHIVES, [])
        for table in ROLLUPS:
            register_event_days(session, table, old.of_table(table), survivors)
            session.engine.define(table, rows_of_merged(table))
        rows = session.engine.run(statement(CUSTOMER_ARCHIVES.name), {"archived_from": old.first_day, "archived_before": before})
        united = write_cache(session, MERGED_ARCHIVES, rows, key, {"before": before})
    register_survivors(session, survivors)
    session.engine.register(MERGED_ARCHIVES, [united])
    session.engine.register(table_by_source_id(CUSTOMER_ARCHIVES), [path])
    columns = [exp.column(column.name) for column in CUSTOMER_ARCHIVES.columns]
    merged = exp.select(*columns).from_(MERGED_ARCHIVES.name)
    session.engine.define(CUSTOMER_ARCHIVES, union_all([rows_of_others(CUSTOMER_ARCHIVES), merged]))


def register_rollups(session: CacheSession, rollups: RollupSet, survivors: Survivors) -> None:
    """Make the rollups readable, with those of merged customers as the survivors'."""
    for table in ROLLUPS:
        register_event_days(session, table, rollups.of_table(table), survivors)


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
