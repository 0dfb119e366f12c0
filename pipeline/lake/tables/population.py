"""What is usual among customers, frozen on the first day of the month: waits between orders, quantiles, limits of scores."""

from __future__ import annotations

from pipeline.lake.tables.schema import Column, Kind, Partition, Table

POPULATION_RHYTHM = Table(
    "population_rhythm",
    "How long customers wait between orders, frozen on the first day of the month.",
    (
        Column("frozen_day", Kind.DATE, "Last day whose orders count.", required=True),
        Column("gap_count", Kind.INTEGER, "Completed gaps between the order-days of one customer.", required=True),
        Column("gap_q50_days", Kind.INTEGER, "Half of all gaps are this long or shorter."),
        Column("gap_q75_days", Kind.INTEGER, "Three quarters of all gaps are this long or shorter."),
        Column("gap_q90_days", Kind.INTEGER, "Nine tenths of all gaps are this long or shorter."),
    ),
    ("frozen_day",),
    Partition.NIGHT,
)
# Limits rather than scores are kept from month to month: a limit says what a customer must do to score higher, whoever else buys.
SCORE_LIMITS = (
    *(
        Column(f"r_{score}_limit_days", Kind.INTEGER, f"Recency score {score} or more up to this `recency_days`; empty: always.")
        for score in (2, 3, 4, 5)
    ),
    *(
        Column(f"f_{score}_limit_count", Kind.INTEGER, f"Frequency score {score} or more from so many order-days on; empty: for nobody.")
        for score in (2, 3, 4, 5)
    ),
    *(
        Column(f"m_{score}_limit_amount", Kind.MONEY, f"Monetary score {score} or more from this spend on; empty: for nobody.")
        for score in (2, 3, 4, 5)
    ),
    Column("value_2_limit_amount", Kind.MONEY, "Value score 2 or more from this spend on: richer customers hold under 95 % of it all."),
    Column("value_3_limit_amount", Kind.MONEY, "Value score 3 from this spend on: richer customers hold under 80 % of it all."),
)
"""What a figure must be to score so much, frozen on the first day of the month."""
POPULATION_BASELINES = Table(
    "population_baselines",
    "What is usual among customers, frozen on the first day of the month, so that nobody moves because others did. "
    "Quantiles are those of customers with three orders in the window.",
    (
        Column("frozen_day", Kind.DATE, "Last day whose orders count.", required=True),
        Column("line_count", Kind.INTEGER, "Order lines of all customers in the window.", required=True),
        Column("discount_known_line_count", Kind.INTEGER, "Those of them whose discount is known.", required=True),
        Column("discounted_line_count", Kind.INTEGER, "Those of them bought at a discount.", required=True),
        Column("category_known_line_count", Kind.INTEGER, "Those of all whose category is known.", required=True),
        Column("new_category_share_q75", Kind.NUMBER, "Three quarters have this `new_category_share` or less."),
        Column("category_entropy_q75", Kind.NUMBER, "Three quarters have this `category_entropy` or less."),
        Column("add_on_share_q75", Kind.NUMBER, "Three quarters have this `add_on_share` or less."),
        Column("return_share_q75", Kind.NUMBER, "Three quarters have this `return_share` or less."),
        Column("conversion_share_q25", Kind.NUMBER, "One quarter of those with three visits have this `conversion_share` or less."),
        Column("buyer_count", Kind.INTEGER, "Customers with an order-day in the window.", required=True),
        Column("first_order_date", Kind.DATE, "First order-day of all customers."),
        Column(
            "limits_day",
            Kind.DATE,
            "Day whose buyers make the limits of scores: the frozen day, or the night itself where there were too few buyers yet.",
            required=True,
        ),
        *SCORE_LIMITS,
    ),
    ("frozen_day",),
    Partition.NIGHT,
)
