"""Rows of merged customers under the id of who is left.

Rollups keep the ids that the source gave. What is worked out of them reads the rows of merged customers as the survivor's, so that a
merge costs what its customers cost, and a company without merges pays nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from zoneinfo import ZoneInfo

import pyarrow as pa
from sqlglot import exp

from pipeline.features.cache import CacheSession
from pipeline.features.merges import MergeHistory, Survivors
from pipeline.features.rollup_set import ROLLUPS
from pipeline.lake.engines import Engine
from pipeline.lake.expressions import union_all
from pipeline.lake.lake import Lake, Version
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_ID, CUSTOMER_SURVIVORS, Table


def register_event_days(session: CacheSession, table: Table, versions: Sequence[Version], survivors: Survivors) -> None:
    """Make versions of event days readable as `table`, with the rows of merged customers as the survivors'."""
    session.engine.register(table_by_source_id(table) if survivors else table, session.lake.parts(table, versions))
    if survivors:
        unite(session, table, survivors)


def unite(session: CacheSession, table: Table, survivors: Survivors) -> None:
    """Make readable as `table` what is registered under `table_by_source_id`, with the rows of merged customers as the survivors'."""
    register_survivors(session, survivors)
    session.engine.define(table, union_all([rows_of_others(table), rows_of_merged(table)]))


def register_survivors(session: CacheSession, survivors: Survivors) -> None:
    """Make who is whose readable as CUSTOMER_SURVIVORS."""
    path = session.folder / CUSTOMER_SURVIVORS.name / f"{survivors.digest or 'nobody'}.parquet"
    if not path.exists():
        session.lake.write_private_file(CUSTOMER_SURVIVORS.schema, survivors.rows.to_batches(), path, {})
    session.engine.register(CUSTOMER_SURVIVORS, [path])


@contextmanager
def reading_merges(lake: Lake, engine: Engine, zone: ZoneInfo, day: date) -> Iterator[None]:
    """Make who is whose by the end of `day`, as that night knows it, readable in the block as CUSTOMER_SURVIVORS."""
    with lake.private_folder() as folder:
        merges = MergeHistory(lake, zone)
        register_survivors(CacheSession(lake, engine, folder, merges), merges.survivors(day, day))
        yield


def register_ids(session: CacheSession, table: Table, ids: pa.Array) -> None:
    """Make sorted `ids` readable as `table`, which has no other column."""
    path = session.folder / table.name / "ids.parquet"
    session.lake.write_private_file(table.schema, pa.table([ids], table.schema).to_batches(), path, {})
    session.engine.register(table, [path])


def table_by_source_id(table: Table) -> Table:
    """Return `table` under the name of its rows with the ids that the source gave."""
    return replace(table, name=f"{table.name}_by_source_id")


def rows_of_others(table: Table) -> exp.Query:
    """Return the rows of customers who were neither merged nor merged into, as the source gave them."""
    is_concerned = exp.column("customer_id").isin(query=exp.select("customer_id").from_(CUSTOMER_SURVIVORS.name))
    return exp.select(*_columns(table)).from_(table_by_source_id(table).name).where(exp.not_(is_concerned))


def rows_of_merged(table: Table) -> exp.Query:
    """Return the rows of survivors and of those merged into them, under the survivor's id.

    Rollups are added up where they share a key; of events each stays one.
    """
    if table in ROLLUPS:
        return exp.select(*_columns(table)).from_(statement(f"united_{table.name}").subquery("united"))
    columns = (
        exp.alias_(exp.column("survivor_id", "survivors"), column.name)
        if column.name == CUSTOMER_ID.name
        else exp.column(column.name, "events", quoted=True)
        for column in table.stored_columns
    )
    events = exp.to_table(table_by_source_id(table).name).as_("events")
    on = exp.column("customer_id", "survivors").eq(exp.column("customer_id", "events"))
    return exp.select(*columns).from_(events).join(exp.to_table(CUSTOMER_SURVIVORS.name).as_("survivors"), on=on)


def rows_not_merged(table: Table) -> exp.Query:
    """Return the rows of a table of customers but of those who are somebody else by now."""
    is_somebody_else = exp.column("customer_id").neq(exp.column("survivor_id"))
    merged = exp.select("customer_id").from_(CUSTOMER_SURVIVORS.name).where(is_somebody_else)
    left = exp.not_(exp.column("customer_id").isin(query=merged))
    return exp.select(*_columns(table)).from_(table_by_source_id(table).name).where(left)


def _columns(table: Table) -> list[exp.Column]:
    return [exp.column(column.name, quoted=True) for column in table.stored_columns]
