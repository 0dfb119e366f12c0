"""Everyone's state on the month's first day, from tonight's states: few customers were in another one then.

A state holds nothing that ages by itself, so whoever bought nothing since that day, and of whose order-days none left the window since,
was in it already. Only the others are computed anew. A night needs this where no earlier one has left what was usual that day.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.features.cache import CacheSession
from pipeline.features.customer_archives import register_archive, register_rollups
from pipeline.features.customer_slices import rows_by_slice, slices_of_rollup
from pipeline.features.rollup_set import FeatureWindow, RollupSet
from pipeline.features.state_sql import STATE_INPUTS, affected_statement, outlived_statement, states_where_affected_statement
from pipeline.features.united_rows import register_ids
from pipeline.lake.tables import AFFECTED_CUSTOMERS, CUSTOMER_DAY_CATEGORIES, CUSTOMER_STATES, REGROUPED_CUSTOMERS, Table

SLICED_TABLES = [table.name for table in (*STATE_INPUTS, CUSTOMER_STATES)]


@dataclass(frozen=True, slots=True)
class KnownStates:
    """The states registered as customer_states, by the window and the rollups that they are of."""

    window: FeatureWindow
    rollups: RollupSet


def register_frozen_states(session: CacheSession, tonight: KnownStates, rollups: RollupSet, table: Table) -> None:
    """Register as `table`, with its columns, everyone's state of the frozen day, of which `rollups` are known; tonight's are registered."""
    frozen = tonight.window.frozen
    survivors = session.survivors(frozen)
    register_archive(session, rollups, frozen.archived_before, survivors)
    _register_others_then(session, tonight, rollups)
    recent = rollups.since(frozen.archived_before)
    register_rollups(session, recent, survivors)
    slices = slices_of_rollup(session.lake, session.engine, CUSTOMER_DAY_CATEGORIES, recent.of_table(CUSTOMER_DAY_CATEGORIES))
    query = states_where_affected_statement(table)
    rows = rows_by_slice(session.engine, query, frozen.parameters, tables=SLICED_TABLES, slices=slices)
    path = session.folder / table.name / f"{frozen.day}.parquet"
    session.lake.write_private_file(table.schema, rows, path, {})
    session.engine.register(table, [path])


def _register_others_then(session: CacheSession, tonight: KnownStates, rollups: RollupSet) -> None:
    """Register as affected whoever may have been in another state: by rollups of one of the nights alone, by a merge, by the window."""
    frozen = tonight.window.frozen
    survivors = session.survivors(frozen)
    register_rollups(session, rollups ^ tonight.rollups, survivors)
    register_ids(session, REGROUPED_CUSTOMERS, session.survivors(tonight.window).changed_since(survivors))
    first_days = {"window_first_day": frozen.window_first_day, "window_end": tonight.window.window_first_day}
    # In a file each, as there may be millions, and the engine that finds them may be elsewhere.
    paths = [session.folder / AFFECTED_CUSTOMERS.name / f"then_{name}.parquet" for name in ("by_rollups", "by_window")]
    session.lake.write_private_file(AFFECTED_CUSTOMERS.schema, session.engine.run(affected_statement(), first_days), paths[0], {})
    # By order-day and not by event day: a refund counts for the day of its order.
    register_rollups(session, rollups.since(frozen.window_first_day), survivors)
    session.lake.write_private_file(AFFECTED_CUSTOMERS.schema, session.engine.run(outlived_statement(), first_days), paths[1], {})
    session.engine.register(AFFECTED_CUSTOMERS, paths)
