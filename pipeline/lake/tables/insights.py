"""What a night tells people about segments and sales in few rows: for the morning page, and for whoever asks what to change."""

from __future__ import annotations

from pipeline.lake.tables.columns import SCHEME
from pipeline.lake.tables.schema import Column, Kind, Partition, Table
from pipeline.lake.tables.segments import REASON

SEGMENT_FLOWS = Table(
    "segment_flows",
    "How many customers are in another segment than 1, 7 and 28 nights ago, and why: one row per way and reason. Who went and came back "
    "counts for none.",
    (
        Column("nights", Kind.INTEGER, "1, 7 or 28: how far back the night is compared.", required=True),
        SCHEME,
        Column("from_segment", Kind.TEXT, "Segment then; empty for customers or a scheme that was not there, or did not apply."),
        Column("to_segment", Kind.TEXT, "Segment tonight; empty for customers or a scheme that is not there, or does not apply."),
        Column("reason", Kind.TEXT, f"Of the last of their moves since: {REASON.description}", required=True),
        Column("since_night", Kind.DATE, "The newest stored night that lies so many nights back, or further.", required=True),
        Column("customer_count", Kind.INTEGER, "Customers.", required=True),
        Column("spend_amount", Kind.MONEY, "Their spend net of refunds in the window, as of tonight.", required=True),
        Column("lifetime_spend_amount", Kind.MONEY, "Their spend net of refunds ever.", required=True),
    ),
    ("nights", "scheme", "from_segment", "to_segment", "reason"),
    Partition.NIGHT,
    is_optional=True,
)
VALUE_CONCENTRATION = Table(
    "value_concentration",
    "How much of the window's spend the best 1, 2, ... 100 percent of its buyers hold, of those who spent more than they got back.",
    (
        Column("customer_percent", Kind.INTEGER, "Of the buyers, those who spent most: 1 to 100.", required=True),
        Column("customer_count", Kind.INTEGER, "So many customers that is, rounded up.", required=True),
        Column("spend_amount", Kind.MONEY, "Their spend net of refunds in the window.", required=True),
        Column("spend_share", Kind.NUMBER, "Share of the spend of all these buyers.", required=True),
    ),
    ("customer_percent",),
    Partition.NIGHT,
    is_optional=True,
)
SCORE_GRID = Table(
    "score_grid",
    "One row per recency score and score of frequency and spend that any customer has.",
    (
        Column("r_score", Kind.INTEGER, "Recency score, 5 most recent.", required=True),
        Column("fm_score", Kind.INTEGER, "Frequency and monetary score.", required=True),
        Column("customer_count", Kind.INTEGER, "Customers.", required=True),
        Column("spend_amount", Kind.MONEY, "Their spend net of refunds in the window.", required=True),
    ),
    ("r_score", "fm_score"),
    Partition.NIGHT,
    is_optional=True,
)
SALES_DAYS = Table(
    "sales_days",
    "Sales of the last 56 days and of the same days 52 weeks before: one row per day since the first order, also where nothing was sold.",
    (
        Column("order_day", Kind.DATE, "Local day of the orders.", required=True),
        Column("order_count", Kind.INTEGER, "Orders.", required=True),
        Column("customer_count", Kind.INTEGER, "Customers who ordered.", required=True),
        Column("new_customer_count", Kind.INTEGER, "Those of them whose first order-day it was.", required=True),
        Column("spend_amount", Kind.MONEY, "Spend of the day's orders, less what was given back of them since.", required=True),
    ),
    ("order_day",),
    Partition.NIGHT,
    is_optional=True,
)
FIGURE_TABLES = (VALUE_CONCENTRATION, SCORE_GRID, SALES_DAYS)
"""What is told of the night alone."""
INSIGHT_TABLES = (SEGMENT_FLOWS, *FIGURE_TABLES)
