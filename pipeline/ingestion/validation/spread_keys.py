"""Keys of order lines that a night found on more than one day: within a day a repeated key is set aside, across days it is counted."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from sqlglot import exp, parse_one

from pipeline.ingestion.validation.valid_rows import ValidRows
from pipeline.lake.engines.duckdb import open_engine, select_from_memory
from pipeline.lake.lake import Lake, Version
from pipeline.lake.tables import EVENT_DAY, RAW_ORDER_LINES

# Orders first: they are fewer than lines, and hardly any is on two days.
_SPREAD_ROW_COUNT = parse_one(
    """WITH spread_orders AS (
      SELECT order_id FROM raw_order_lines
      WHERE order_id IS NOT NULL
      GROUP BY order_id
      HAVING MIN(event_day) < MAX(event_day)
    )
    SELECT CAST(COALESCE(SUM(row_count), 0) AS BIGINT) AS row_count FROM (
      SELECT COUNT(*) AS row_count FROM raw_order_lines
      WHERE order_id IN (SELECT order_id FROM spread_orders) AND line_number IS NOT NULL
      GROUP BY order_id, line_number
      HAVING MIN(event_day) < MAX(event_day)
    )""",
    into=exp.Select,
    read="duckdb",
)


def spread_row_count(lake: Lake, versions: Sequence[Version], kept: ValidRows, *, memory_limit: str) -> int:
    """Return how many raw order lines of `versions` have the key of a line on another day; memory is bounded, the rest spills.

    They are read again where `kept` does not hold all of them any more.
    """
    if len({version.day for version in versions}) < 2:  # noqa: PLR2004
        return 0
    if (held := kept.held_columns([EVENT_DAY.name, *RAW_ORDER_LINES.key])) is not None:
        return int(select_from_memory(RAW_ORDER_LINES, held, _SPREAD_ROW_COUNT)["row_count"][0].as_py())
    with closing(open_engine(lake, memory_limit=memory_limit)) as engine:
        engine.register(RAW_ORDER_LINES, lake.parts(RAW_ORDER_LINES, versions))
        return int(engine.run(_SPREAD_ROW_COUNT, {}).read_all()["row_count"][0].as_py())
