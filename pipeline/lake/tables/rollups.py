"""Rollups by event day: what customers bought on each day, in exact sums that add up over any window."""

from __future__ import annotations

from pipeline.lake.tables.columns import CATEGORY, CHANNEL, CUSTOMER_ID, ORDER_DAY
from pipeline.lake.tables.schema import Column, Kind, Partition, Table

# Counts and sums alone: shares do not add up, so features divide these sums, once and last. Beside what is said of discounts stands for how
# many lines a discount is known at all, as unknown is not none.
ROLLUP_COLUMNS = (
    Column("line_count", Kind.INTEGER, "Order lines.", required=True),
    Column("discount_known_line_count", Kind.INTEGER, "Order lines whose discount is known.", required=True),
    Column("discounted_line_count", Kind.INTEGER, "Order lines bought at a discount.", required=True),
    Column(
        "add_on_line_count",
        Kind.INTEGER,
        "Small add-ons: order lines that cost something, but at most a quarter of the dearest line of their order.",
        required=True,
    ),
    Column("order_amount", Kind.MONEY, "Spend on order lines before refunds.", required=True),
    Column("discount_known_amount", Kind.MONEY, "Spend on order lines whose discount is known.", required=True),
    Column("full_price_amount", Kind.MONEY, "Spend on order lines bought without a discount.", required=True),
    Column("discount_amount", Kind.MONEY, "Discounts given on order lines, as far as known.", required=True),
    Column("refund_amount", Kind.MONEY, "Money given back, 0 or more.", required=True),
)
CUSTOMER_DAYS = Table(
    "customer_days",
    "One row per customer and order-day: exact sums that add up over any window.",
    (CUSTOMER_ID, ORDER_DAY, Column("order_count", Kind.INTEGER, "Distinct orders.", required=True), *ROLLUP_COLUMNS),
    ("customer_id", "order_day"),
    Partition.EVENT_DAY,
)
CUSTOMER_DAY_CATEGORIES = Table(
    "customer_day_categories",
    "One row per customer, order-day, category and channel: exact counts that add up over any window.",
    (
        CUSTOMER_ID,
        ORDER_DAY,
        CATEGORY,
        CHANNEL,
        Column(
            "category_day_count",
            Kind.INTEGER,
            "1 for the first channel that the category was bought through on the day, by name, else 0: a sum over channels counts days.",
            required=True,
        ),
        Column("line_count", Kind.INTEGER, "Order lines.", required=True),
        Column("order_amount", Kind.MONEY, "Spend on order lines before refunds.", required=True),
    ),
    ("customer_id", "order_day", "category", "channel"),
    Partition.EVENT_DAY,
)
