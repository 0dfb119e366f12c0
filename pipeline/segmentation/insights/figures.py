"""The figures of a night: how concentrated its spend is, customers by score, sales by day."""

from __future__ import annotations

import logging
from datetime import date, timedelta

import pyarrow as pa
from sqlglot import exp

from pipeline.calendar import days_between
from pipeline.features import reads_orders
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.statements import statement, statement_digest
from pipeline.lake.tables import CUSTOMER_DAYS, CUSTOMER_FEATURES, SALES_DAYS, SCORE_GRID, VALUE_CONCENTRATION, Table
from pipeline.log_fields import Count
from pipeline.models.signals import SurvivorsOf, registered_days

log = logging.getLogger("pipeline.segmentation.insights.figures")
SHOWN_DAYS = 56
WEEKS_BEFORE = timedelta(weeks=52)  # and not a year, so that Saturdays are compared with Saturdays
READ_FEATURES = ("customer_id", "first_order_date", "order_day_count", "spend_amount", "r_score", "fm_score")


def write_figures(lake: Lake, engine: Engine, day: date, *, survivors_of: SurvivorsOf) -> None:
    """Write value_concentration, score_grid and sales_days of night `day`, each where there is something to tell.

    `survivors_of` says who was merged.
    """
    engine.register(CUSTOMER_FEATURES.only(READ_FEATURES), [addresses.partition(CUSTOMER_FEATURES, day=day)])
    for table in (VALUE_CONCENTRATION, SCORE_GRID):
        write_or_remove(lake, table, engine.run(statement(table.name), {}).read_all(), day)
    write_or_remove(lake, SALES_DAYS, _sales_days(lake, engine, day, survivors_of), day)


def write_or_remove(lake: Lake, table: Table, rows: pa.Table, day: date) -> None:
    """Write the rows of an optional table; where there are none, the night has no such partition."""
    if not rows.num_rows:
        lake.remove(table, day=day)
        return
    lake.write(table, rows.to_batches(), day=day, manifest={"statement": statement_digest(statement(table.name))})
    log.info("%(table)s: %(rows)s rows", {"table": table.name, "rows": Count(rows.num_rows)})


def _sales_days(lake: Lake, engine: Engine, day: date, survivors_of: SurvivorsOf) -> pa.Table:
    """Return the rows of SALES_DAYS. A day without sales has zeros from the first order of all on, and before it no row."""
    if not reads_orders(lake, day):  # a later night may have read some
        return SALES_DAYS.schema.empty_table()
    first = day - timedelta(days=SHOWN_DAYS - 1)
    before = first - WEEKS_BEFORE
    # An order is stored under its own day or, once refunded, a later one: no row of these days lies before them.
    versions = [version for version in lake.versions_known(CUSTOMER_DAYS, through=day, known_on=day) if version.day >= before]
    with registered_days(lake, engine, versions, survivors_of(day, day)):
        given = {"first": first, "last": day, "first_before": before, "last_before": day - WEEKS_BEFORE}
        sold = engine.run(statement(SALES_DAYS.name), given).read_all()
    first_order = exp.select("MIN(first_order_date) AS first_order_date").from_(CUSTOMER_FEATURES.name)
    opened = engine.run(first_order, {}).read_all()["first_order_date"][0].as_py()
    found = {row["order_day"]: row for row in sold.to_pylist()}
    shown = [*days_between(before, day - WEEKS_BEFORE), *days_between(first, day)]
    nothing = {"order_count": 0, "customer_count": 0, "new_customer_count": 0, "spend_amount": 0}
    rows = [found.get(each, {"order_day": each, **nothing}) for each in shown if each in found or (opened and each >= opened)]
    return pa.Table.from_pylist(rows, schema=SALES_DAYS.schema)
