"""Caches, which spare a night from computing every customer anew, and tables that exist only while a statement runs.

Any of them may be deleted, and no reader outside the pipeline needs them.
"""

from __future__ import annotations

from dataclasses import replace

from pipeline.lake.tables.columns import CUSTOMER_ID
from pipeline.lake.tables.schema import Column, Kind, Partition, Table

CUSTOMER_VISITS = Table(
    "customer_visits",
    "Worked out aside: what each visitor did in 90 days.",
    (
        CUSTOMER_ID,
        Column("visit_count", Kind.INTEGER, "Visits in the last 90 days.", required=True),
        Column("order_day_count", Kind.INTEGER, "Order-days in the last 90 days.", required=True),
    ),
    ("customer_id",),
    Partition.NIGHT,
)
AFFECTED_CUSTOMERS = Table(
    "affected_customers",
    "Customers whose state must be computed anew tonight.",
    (CUSTOMER_ID,),
    ("customer_id",),
    Partition.NIGHT,
)
REGROUPED_CUSTOMERS = replace(
    AFFECTED_CUSTOMERS,
    name="regrouped_customers",
    description="Customers who are somebody else than they were, or stand for others.",
)
MERGED_CUSTOMERS = replace(
    AFFECTED_CUSTOMERS, name="merged_customers", description="Customers who are somebody else since, or not any more."
)
CUSTOMER_SURVIVORS = Table(
    "customer_survivors",
    "Worked out aside: whose each customer is who was merged, and those who are left under their own id.",
    (CUSTOMER_ID, Column("survivor_id", Kind.TEXT, "Id of the customer who is left.", required=True)),
    ("customer_id",),
    Partition.NIGHT,
)
CUSTOMER_STATES = Table(
    "customer_states",
    "A cache: one row per customer who ever bought, in dates and exact numbers that do not age from one night to the next.",
    (
        CUSTOMER_ID,
        Column("first_order_date", Kind.DATE, "First order-day ever."),
        Column("last_order_date", Kind.DATE, "Last order-day ever."),
        Column("window_first_order_date", Kind.DATE, "First day in the window that anything counts for; the state is stale once it left."),
        Column("lifetime_order_day_count", Kind.INTEGER, "Order-days ever.", required=True),
        Column("lifetime_order_count", Kind.INTEGER, "Orders ever.", required=True),
        Column("lifetime_spend_amount", Kind.MONEY, "Spend net of refunds ever.", required=True),
        Column("order_day_count", Kind.INTEGER, "Order-days in the window.", required=True),
        Column("order_count", Kind.INTEGER, "Orders in the window.", required=True),
        Column("line_count", Kind.INTEGER, "Order lines in the window.", required=True),
        Column("discount_known_line_count", Kind.INTEGER, "Order lines in the window whose discount is known.", required=True),
        Column("discounted_line_count", Kind.INTEGER, "Order lines in the window bought at a discount.", required=True),
        Column("add_on_line_count", Kind.INTEGER, "Order lines in the window that are small add-ons.", required=True),
        Column("order_amount", Kind.MONEY, "Spend in the window before refunds.", required=True),
        Column("discount_known_amount", Kind.MONEY, "Spend in the window on order lines whose discount is known.", required=True),
        Column("full_price_amount", Kind.MONEY, "Spend in the window on order lines bought without a discount.", required=True),
        Column("refund_amount", Kind.MONEY, "Money given back in the window, 0 or more.", required=True),
        Column("weekend_day_count", Kind.INTEGER, "Order-days in the window on a Saturday or Sunday.", required=True),
        Column("gap_count", Kind.INTEGER, "Completed gaps between order-days ever.", required=True),
        Column("gap_sum", Kind.INTEGER, "Sum of the gaps in days.", required=True),
        Column("gap_square_sum", Kind.INTEGER, "Sum of the squared gaps.", required=True),
        # Doubled, as the median of an even number of gaps may lie half-way: whole numbers are the same on every engine.
        Column("gap_median_doubled", Kind.INTEGER, "Twice the median gap, which is a whole number."),
        Column("last_gap_days", Kind.INTEGER, "Days between the last two order-days."),
        Column("category_known_line_count", Kind.INTEGER, "Order lines in the window whose category is known.", required=True),
        Column("category_count", Kind.INTEGER, "Distinct categories bought in the window.", required=True),
        Column("favourite_category", Kind.TEXT, "Category bought on most order-days in the window; then most spend, then first by name."),
        Column("line_count_square_sum", Kind.INTEGER, "Sum over categories of the squared order lines in the window.", required=True),
        # Rounded per category, as a sum of doubles would depend on the order in which an engine adds them.
        Column("line_count_log_sum", Kind.INTEGER, "Sum over categories of n * ln(n) of their n lines, in millionths.", required=True),
        Column("later_count", Kind.INTEGER, "Category purchases in the window after the first order-day.", required=True),
        Column("new_count", Kind.INTEGER, "Those of them that were the first of their category.", required=True),
        Column("channel_known_line_count", Kind.INTEGER, "Order lines in the window whose channel is known.", required=True),
        Column("main_channel", Kind.TEXT, "Channel with most order lines in the window; then first by name."),
        Column("main_channel_line_count", Kind.INTEGER, "Order lines in the window through the main channel.", required=True),
    ),
    ("customer_id",),
    Partition.NIGHT,
)
BASE_STATES = replace(CUSTOMER_STATES, name="base_states", description="A cache: the states of everyone on an earlier night.")
CHANGED_STATES = replace(
    CUSTOMER_STATES, name="changed_states", description="A cache: the states that differ since; one without figures is gone."
)
CUSTOMER_ARCHIVES = Table(
    "customer_archives",
    "A cache: what each customer did before a month long past, as far as lifetime figures need it.",
    (
        CUSTOMER_ID,
        Column("first_order_date", Kind.DATE, "First order-day."),
        Column("last_order_date", Kind.DATE, "Last order-day before the month."),
        Column("order_day_count", Kind.INTEGER, "Order-days.", required=True),
        Column("order_count", Kind.INTEGER, "Orders.", required=True),
        Column("spend_amount", Kind.MONEY, "Spend net of refunds.", required=True),
        Column("last_gap_days", Kind.INTEGER, "Days between the last two order-days."),
        # Whole lists, where other columns are sums: neither a median nor what counts as new can be worked out from sums of two parts.
        Column("gaps", Kind.INTEGERS, "Days between one order-day and the next, in any order."),
        Column("categories", Kind.TEXTS, "Categories bought, in any order."),
    ),
    ("customer_id",),
    Partition.NIGHT,
)
MERGED_ARCHIVES = replace(
    CUSTOMER_ARCHIVES, name="merged_archives", description="A cache: the archives of customers into whom others were merged."
)
