"""The headline of a night: customers and prospects, what they bought, what was read."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pyarrow.compute as pc
from rich.text import Text

from pipeline.definitions.company import Company
from pipeline.features import lacks_orders, unknown_features
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, EXTRACTIONS


def headline_lines(company: Company, lake: Lake, day: date) -> list[str]:
    """Return the night in a few sentences, one a line: customers, what they bought, what was read."""
    counted, *others = (line.strip() for line in headline_text(company, lake, day).plain.splitlines())
    customers, bought = counted.split(". ", 1)
    return [f"{customers}.", bought, *others]


def headline_text(company: Company, lake: Lake, day: date) -> Text:
    """Return the headline for a terminal: a line on customers, perhaps one on who only gave back, and one on what was read."""
    names = ["is_prospect", "order_day_count", "spend_amount", "refund_amount"]
    features = lake.read_columns(CUSTOMER_FEATURES, names, day=day)
    prospects = pc.sum(features["is_prospect"]).as_py() or 0
    customers = features.num_rows - prospects
    counted = " customer and " if customers == 1 else " customers and ", " prospect. " if prospects == 1 else " prospects. "
    people = (f"{customers:,}", "bold"), counted[0], (f"{prospects:,}", "bold"), counted[1]
    if lacks_orders(unknown_features(lake, day)):
        words = "Nothing is known of orders: there is no sources/order_lines.sql.\n"
        return Text.assemble(*people, words, (_lines_read(lake, day), "dim"))
    # The sum is that of the customers who are counted beside it; who only gave back is a sentence of its own.
    buyers = features.filter(pc.greater(features["order_day_count"], 0))
    spend = pc.sum(buyers["spend_amount"]).as_py() or Decimal(0)
    others = features.filter(pc.and_(pc.equal(features["order_day_count"], 0), pc.greater(features["refund_amount"], 0)))
    refunds = pc.sum(others["refund_amount"]).as_py() or Decimal(0)
    return Text.assemble(
        *people,
        (f"{buyers.num_rows:,}", "bold"),
        f" bought in the last {company.window_days} days, for ",
        (f"{spend:,.2f} {company.currency}", "bold"),
        " net of refunds.\n",
        f"{others.num_rows:,} more only gave something back in that time, for {refunds:,.2f} {company.currency}.\n"
        if others.num_rows
        else "",
        (_lines_read(lake, day), "dim"),
    )


def _lines_read(lake: Lake, day: date) -> str:
    if day not in lake.nights(EXTRACTIONS):
        return ""
    rows = lake.read(EXTRACTIONS, day=day).to_pylist()
    read = ", ".join(f"{row['row_count']:,} {row['source_table'].removeprefix('raw_').replace('_', ' ')}" for row in rows)
    return f"Read from the source this night: {read}."
