"""Tables that are published only where a night has something to say: which night told them, and their rows without small groups."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    AUDIENCE_TABLES,
    CAMPAIGN_NIGHT_TABLES,
    FEWEST_PUBLISHED,
    SEGMENT_FLOWS,
    SEGMENT_INSIGHTS,
    SEGMENT_PROPOSALS,
    Table,
)
from pipeline.publication.night_rows import dated_rows

_OF_ONE_NIGHT = (*AUDIENCE_TABLES, *CAMPAIGN_NIGHT_TABLES, SEGMENT_FLOWS)
_OF_A_MONTH = (SEGMENT_INSIGHTS, SEGMENT_PROPOSALS)


def optional_tables(lake: Lake, day: date) -> dict[Table, date]:
    """Return the optional tables of the publication of `day` with the night that told them; insights hold until they are told anew."""
    told = dict.fromkeys(_OF_ONE_NIGHT, day)
    # Stored on each night that tells them, if only with no rows: see `refined_night`.
    if refined := lake.newest_night(SEGMENT_INSIGHTS, through=day):
        told |= dict.fromkeys(_OF_A_MONTH, refined)
    return {table: night for table, night in told.items() if lake.has(table, day=night)}


def figure_rows(lake: Lake, table: Table, day: date, told_on: date) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a table of figures as `dated_rows` does, without those about fewer than FEWEST_PUBLISHED customers.

    Hidden counts of so few have no value. After them stands the night that told them, where the table is published with it.
    """
    for batch in dated_rows(lake, addresses.partition(table, day=told_on), table, day, None):
        rows = batch
        for name in table.people_counts:
            rows = rows.filter(pc.invert(_are_few(rows, name)))
        are_few = {names: _are_few(rows, names[0]) for names in table.hidden_counts}
        for names, is_hidden in are_few.items():
            for name in names:
                column = pc.if_else(is_hidden, pa.scalar(None, rows.schema.field(name).type), rows.column(name))
                rows = rows.set_column(rows.schema.get_field_index(name), name, column)
        for column in table.published_columns:
            rows = rows.append_column(column.name, pa.repeat(pa.scalar(told_on, column.kind.arrow), rows.num_rows))
        yield rows


def hidden_value_count(table: Table, stored: Path, published: Path) -> int:
    """Return how many values of the table's hidden counts a night has `stored` that are not `published`."""
    names = sorted({name for names in table.hidden_counts for name in names})

    def absent(path: Path) -> int:
        return sum(int(column.null_count) for column in pq.read_table(path, columns=names).columns)

    return absent(published) - absent(stored)


def _are_few(rows: pa.RecordBatch, name: str) -> pa.Array:
    count = pc.fill_null(rows.column(name), 0)
    return pc.and_(pc.greater(count, 0), pc.less(count, FEWEST_PUBLISHED))
