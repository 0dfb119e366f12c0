"""Sources that append: what they give is added to what is known, as they give only what is new or changed.

A row replaces the known one of the same key (on the same day, where the table has days); nothing is ever taken away. So a line
that was sold by mistake is given again as cancelled, and a customer who left is erased.
"""

from __future__ import annotations

from collections.abc import Container
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
from sqlglot import exp

from pipeline.ingestion.local_days import event_day_expression, rows_per_day
from pipeline.lake.engines.duckdb import DuckDBEngine, open_engine
from pipeline.lake.lake import Lake, known_versions
from pipeline.lake.parquet import sealed_writer
from pipeline.lake.tables import EVENT_DAY, Partition, Table

_NEW, _KNOWN = "new_rows", "known_rows"


def add_known_rows(  # noqa: PLR0913
    lake: Lake, table: Table, rows: Path, night: date, zone: str, *, memory_limit: str
) -> Path:
    """Return a file of the rows in the Parquet file `rows`, and of those that `night` knows beside them and that none replaces.

    Of a table with event days that is done for the days on which `rows` happened; others stay as they are known.
    """
    path = rows.with_name(f"{table.name} with known rows.parquet")
    with closing(open_engine(lake, memory_limit=memory_limit)) as engine, sealed_writer(path, table.schema) as writer:
        new = replace(table, name=_NEW, partition=Partition.NIGHT)
        engine.register(new, [rows])
        if table.partition is Partition.EVENT_DAY:
            is_known = _register_known_days(lake, engine, table, rows_per_day(engine, new, zone), night)
        else:
            is_known = _register_known_snapshot(lake, engine, table, rows, night)
        for batch in engine.run(_united_rows(table, is_known=is_known), {"zone": zone}):
            writer.write_table(table.conform(pa.Table.from_batches([batch])))
    return path


def _register_known_days(lake: Lake, engine: DuckDBEngine, table: Table, days: Container[date], night: date) -> bool:
    """Give `engine` what is known of `days`; return whether that is anything."""
    stored = [version for version in lake.versions(table) if version.known_on <= night and version.day in days]
    versions = known_versions(stored, through=date.max, known_on=night)
    engine.register(replace(table, name=_KNOWN), lake.parts(table, versions))
    return bool(versions)


def _register_known_snapshot(lake: Lake, engine: DuckDBEngine, table: Table, rows: Path, night: date) -> bool:
    """Give `engine` the newest snapshot that `night` knows; return whether there is any."""
    known = lake.snapshot_known(table, night)
    if known is None or known > night:
        return False
    file = rows.with_name("known.parquet")
    stored_rows = lake.read(table, known_on=known)
    # An attribute that was declared since is not known of them yet.
    for column in table.columns:
        if column.name not in stored_rows.column_names:
            stored_rows = stored_rows.append_column(column.name, pa.nulls(stored_rows.num_rows, column.kind.arrow))
    with sealed_writer(file, table.schema) as writer:
        writer.write_table(table.conform(stored_rows))
    engine.register(replace(table, name=_KNOWN, partition=Partition.NIGHT), [file])
    return True


def _united_rows(table: Table, *, is_known: bool) -> exp.Query:
    names = [exp.column(name, quoted=True) for name in table.column_names]
    new = exp.select(*names).from_(_NEW)
    if not is_known:
        return new
    same: list[exp.Expr] = [
        exp.NullSafeEQ(this=exp.column(name, table=_NEW, quoted=True), expression=exp.column(name, table=_KNOWN, quoted=True))
        for name in table.key
    ]
    if table.partition is Partition.EVENT_DAY:
        same.append(exp.EQ(this=event_day_expression(table, of=_NEW), expression=exp.column(EVENT_DAY.name, table=_KNOWN)))
    replaced = exp.Exists(this=exp.select("1").from_(_NEW).where(exp.and_(*same)))
    return new.union(exp.select(*names).from_(_KNOWN).where(exp.not_(replaced)), distinct=False)
