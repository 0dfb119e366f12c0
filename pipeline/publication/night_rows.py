"""Rows of nights as they are published: after a column with their day, without the customers who do not agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.definitions.company import Company
from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import open_engine
from pipeline.lake.lake import Lake
from pipeline.lake.schema_versions import SCHEMA_VERSION
from pipeline.lake.statements import statement
from pipeline.lake.tables import AUDIENCE_MEMBERS, CUSTOMER_NEXT_ACTIONS, CUSTOMER_SEGMENT_INTERVALS, DAY, Column, Table
from pipeline.publication.consent import drop_withheld
from pipeline.publication.left_out import left_out_customers
from pipeline.publication.manifests import table_entry
from pipeline.publication.targets.customer_profiles import BATCH_ROWS

_STATEMENTS = {CUSTOMER_NEXT_ACTIONS.name: "published_next_actions", AUDIENCE_MEMBERS.name: "published_audience_members"}
TABLES_WITH_SINCE = frozenset(_STATEMENTS)


def dated_rows(lake: Lake, address: str, table: Table, day: date, left_out: pa.Array | None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a partition after a column with its day, without those of the customers `left_out`."""
    names = list(table.column_names)
    with lake.reading(table.name, address, piece="night") as path:
        for batch in _open_partition(path, table, where=lake.where(address)).iter_batches(BATCH_ROWS, columns=names):
            days = pa.repeat(pa.scalar(day, DAY.kind.arrow), batch.num_rows)
            yield drop_withheld(pa.RecordBatch.from_arrays([days, *batch.select(names).columns], names=[DAY.name, *names]), left_out)


def rows_with_since(table: Table, lake: Lake, day: date, left_out: pa.Array | None, *, memory_limit: str) -> Iterator[pa.RecordBatch]:
    """Yield next actions, or members of audiences, as `dated_rows` does, each with the night since which the customer has been in it.

    That depends on every stored night before: a night that is filled in later changes it for all after, so that no night stores it.
    """
    address = addresses.partition(table, day=day)
    with lake.reading(table.name, address, piece="night") as path:
        _open_partition(path, table, where=lake.where(address))
    # Intervals lie under the day on which they ended: only those that did not before this night can hold on it.
    held = [version for version in lake.versions(CUSTOMER_SEGMENT_INTERVALS) if version.day == version.known_on > day]
    with closing(open_engine(lake, memory_limit=memory_limit)) as engine:
        engine.register(table, [address])
        engine.register(CUSTOMER_SEGMENT_INTERVALS, lake.parts(CUSTOMER_SEGMENT_INTERVALS, held))
        for batch in engine.run(statement(_STATEMENTS[table.name]), {"day": day}):
            yield drop_withheld(batch, left_out)


def write_published_table(lake: Lake, table: Table, day: date, rows: Iterable[pa.RecordBatch], folder: Path) -> dict[str, Any]:
    """Write what the publication of `day` holds of a table into its folder, and return what the manifest says of the file."""
    path = folder / f"{table.name}.parquet"
    schema = pa.schema([(column.name, column.kind.arrow) for column in published_columns(table)])
    lake.write_private_file(schema, rows, path, {"table": table.name, SCHEMA_VERSION: table.schema_version, "day": day})
    return table_entry(path)


def published_columns(table: Table) -> tuple[Column, ...]:
    """Return the columns that a table has in publications."""
    return (DAY, *table.columns, *table.published_columns)


def unpublished_moves(company: Company, lake: Lake, table: Table, since: date, until: date) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a table of moves of the stored nights after `since` and before `until`, none of which was published.

    `until` builds on them.
    """
    nights = [night for night in lake.nights(table) if since < night < until]
    left_out = left_out_customers(company, lake, until).ids if nights else None
    for night in nights:
        yield from dated_rows(lake, addresses.partition(table, day=night), table, night, left_out)


def _open_partition(path: Path, table: Table, *, where: str) -> pq.ParquetFile:
    file = pq.ParquetFile(path, page_checksum_verification=True)
    if file.schema_arrow.names != list(table.column_names):
        raise DataError(
            f"{table.name} was written with other columns than it has now",
            where=where,
            todo="Run that day again: segments run --day YYYY-MM-DD.",
        )
    return file
