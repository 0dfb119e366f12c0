"""Sources that append: what they give is added to what is known, as they give only what is new or changed.

A row replaces the known one of the same key (on the same day, where the table has days); nothing is ever taken away. So a line
that was sold by mistake is given again as cancelled, and a customer who left is erased.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from pipeline.ingestion.local_days import event_day_expression, rows_per_day
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake, known_versions
from pipeline.lake.parquet import sealed_writer
from pipeline.lake.tables import EVENT_DAY, Partition, Table

_NEW, _KNOWN = "new_rows", "known_rows"


def add_known_rows(lake: Lake, engine: DuckDBEngine, table: Table, rows: Path, night: date, zone: str) -> Path:  # noqa: PLR0913, PLR0917
    """Return a file of the rows in the Parquet file `rows`, and of those that `night` knows beside them and that none replaces.

    Of a table with event days that is done for the days on which `rows` happened; others stay as they are known.
    """
    path = rows.with_name(f"{table.name} with known rows.parquet")
    with sealed_writer(path, table.schema) as writer:
        new = replace(table, name=_NEW, partition=Partition.NIGHT)
        engine.register(new, [rows])
        if table.partition is Partition.EVENT_DAY:
            is_known = _register_known_days(lake, engine, table, rows_per_day(engine, new, zone), night)
        else:
            is_known = _register_known_snapshot(lake, engine, table, rows, night)
        for batch in engine.run(_united_rows(table, is_known=is_known), {"zone": zone}):
            writer.write(table.conform(pa.Table.from_batches([batch])))
    return path


def _register_known_days(lake: Lake, engine: DuckDBEngine, table: Table, days: Container[date], night: date) -> bool:
    """Give `engine` what is known of `days`; return whether that is anything."""
    stored = [version for version in lake.versions(table) if version.known_on <= night and version.day in days]
    versions = known_versions(stored, through=date.max, known_on=night)
    engine.register(replace(table, name=_KNOWN), lake.parts(table, versions))
    return bool(versions)


def _register_known_snapshot(lake: Lake, engine: DuckDBEngine, table: Table, rows: Path, night: date) -> bool:
    """Give `engine` what `night` knows; return whether that is anything.

    That is its own snapshot and, beside it, the one before: read before the source was known to append, its own may lack all but the new.
    """
    nights = [known for known in lake.snapshots(table) if known <= night]
    layers = [_snapshot_rows(lake, table, known) for known in reversed(nights[-2:] if nights[-1:] == [night] else nights[-1:])]
    if not layers:
        return False
    [key] = table.key
    file = rows.with_name("known.parquet")
    with sealed_writer(file, table.schema) as writer:
        for place, layer in enumerate(layers):
            is_told = [pc.is_in(layer[key], value_set=newer[key].combine_chunks()) for newer in layers[:place]]
            writer.write(layer.filter(pc.invert(is_told[0])) if is_told else layer)
    engine.register(replace(table, name=_KNOWN, partition=Partition.NIGHT), [file])
    return True


def _snapshot_rows(lake: Lake, table: Table, known: date) -> pa.Table:
    """Return a snapshot in the columns of `table`: an attribute that was declared since is not known of its rows."""
    stored = lake.read(table, known_on=known)
    for column in table.columns:
        if column.name not in stored.column_names:
            stored = stored.append_column(column.name, pa.nulls(stored.num_rows, column.kind.arrow))
    return table.conform(stored)


def _united_rows(table: Table, *, is_known: bool) -> exp.Query:
    names = [exp.column(name, quoted=True) for name in table.column_names]
    new = exp.select(*names).from_(_NEW)
    if not is_known:
        return new
    same: list[exp.Expr] = [
        # Raw rows are not checked yet: one without an id replaces one without, else each night would add it once more.
        exp.NullSafeEQ(this=exp.column(name, table=_NEW, quoted=True), expression=exp.column(name, table=_KNOWN, quoted=True))
        for name in table.key
    ]
    if table.partition is Partition.EVENT_DAY:
        same.append(exp.EQ(this=event_day_expression(table, of=_NEW), expression=exp.column(EVENT_DAY.name, table=_KNOWN)))
    # EXISTS rather than a join: a key that the source gives twice must not double the known row, and is left for the checks to tell.
    replaced = exp.Exists(this=exp.select("1").from_(_NEW).where(exp.and_(*same)))
    return new.union(exp.select(*names).from_(_KNOWN).where(exp.not_(replaced)), distinct=False)
