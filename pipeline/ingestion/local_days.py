"""The local day of a row, as the lake cuts instants into days."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

from sqlglot import exp, parse_one

from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.tables import Partition, Table

# A row without an instant waits on the first day there is, the same one every night; a zone west of Greenwich
# puts the year 1 into the year 0, which no date can hold.
_EVENT_DAY = parse_one(
    "COALESCE(GREATEST(CAST(happened_at AT TIME ZONE $zone AS DATE), CAST('0001-01-01' AS DATE)), CAST('0001-01-01' AS DATE))",
    read="duckdb",
)


def event_day_expression(table: Table, *, of: str = "") -> exp.Expr:
    """Return the SQL for the local day, in `$zone`, of a row of `table`, or of the one that is called `of` in a query."""
    at = exp.column(table.instant, table=of or None)
    return _EVENT_DAY.transform(lambda node: at.copy() if isinstance(node, exp.Column) else node)


def rows_per_day(engine: DuckDBEngine, table: Table, zone: str) -> dict[date, int]:
    """Return how many rows of `table`, which `engine` knows, happened on each local day in `zone`."""
    counted = exp.select(exp.alias_(event_day_expression(table), "day"), exp.alias_(exp.Count(this=exp.Star()), "row_count"))
    rows = engine.run(counted.from_(table.name).group_by(event_day_expression(table)), {"zone": zone}).read_all().to_pylist()
    return {row["day"]: row["row_count"] for row in rows}


def staged_rows_per_day(engine: DuckDBEngine, table: Table, rows: Path, zone: str) -> dict[date, int]:
    """Return the same of the rows in the Parquet file `rows`."""
    engine.register(replace(table, partition=Partition.NIGHT), [rows])
    return rows_per_day(engine, table, zone)
