"""Tables that are published only where a night has something to say: which night told them, and their rows without small groups."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

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


def told_rows(lake: Lake, table: Table, day: date, told_on: date) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a table of figures as `dated_rows` does, without those about fewer than FEWEST_PUBLISHED customers.

    After them stands the night that told them, where the table is published with it.
    """
    for batch in dated_rows(lake.path(table, day=told_on), table, day, None):
        rows = batch
        for name in table.people_counts:
            count = pc.fill_null(rows.column(name), 0)
            rows = rows.filter(pc.or_(pc.equal(count, 0), pc.greater_equal(count, FEWEST_PUBLISHED)))
        for column in table.published_columns:
            rows = rows.append_column(column.name, pa.repeat(pa.scalar(told_on, column.kind.arrow), rows.num_rows))
        yield rows
