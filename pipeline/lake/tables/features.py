"""What is known of each customer: rollups by event day, what is usual in the store, features as of a night."""

from __future__ import annotations

from pipeline.lake.tables.columns import CATEGORY, CHANNEL, CUSTOMER_ID, DISCOUNT_AMOUNT, ORDER_DAY, VISITS_SOURCE
from pipeline.lake.tables.schema import Column, Kind, Partition, Table

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
CUSTOMER_FEATURES = Table(
    "customer_features",
    "One row per customer: what is known of their buying as of the end of the day, and the company's attributes.",
    (
        CUSTOMER_ID,
        Column("is_prospect", Kind.FLAG, "Whether the customer neither ordered nor gave anything back, ever.", required=True),
        Column(
            "is_refund_only",
            Kind.FLAG,
            "Whether the customer gave something back, but no order is known: one before the company's first day, say.",
            required=True,
        ),
        Column("first_order_date", Kind.DATE, "First order-day ever."),
        Column("last_order_date", Kind.DATE, "Last order-day ever."),
        Column("recency_days", Kind.INTEGER, "Days since the last order-day; 0 for an order on the day itself."),
        Column("tenure_days", Kind.INTEGER, "Days since the first order-day."),
        Column("order_day_count", Kind.INTEGER, "Order-days in the window.", required=True),
        Column("order_count", Kind.INTEGER, "Orders in the window.", required=True),
        Column("line_count", Kind.INTEGER, "Order lines in the window.", required=True),
        Column("discount_known_line_count", Kind.INTEGER, "Order lines in the window whose discount is known.", required=True),
        Column("discounted_line_count", Kind.INTEGER, "Order lines in the window bought at a discount.", needs=DISCOUNT_AMOUNT.name),
        Column("spend_amount", Kind.MONEY, "Spend net of refunds in the window.", required=True),
        Column("refund_amount", Kind.MONEY, "Money given back in the window, 0 or more.", required=True),
        Column("lifetime_order_day_count", Kind.INTEGER, "Order-days ever.", required=True),
        Column("lifetime_order_count", Kind.INTEGER, "Orders ever.", required=True),
        Column("lifetime_spend_amount", Kind.MONEY, "Spend net of refunds ever.", required=True),
        Column("average_order_amount", Kind.NUMBER, "Spend net of refunds per order in the window."),
        Column("gap_count", Kind.INTEGER, "Completed gaps between order-days ever.", required=True),
        Column("gap_mean_days", Kind.NUMBER, "Mean gap between order-days."),
        Column("gap_median_days", Kind.NUMBER, "Median gap between order-days."),
        Column("gap_variation", Kind.NUMBER, "Coefficient of variation of the gaps; needs two gaps."),
        Column(
            "discount_share",
            Kind.NUMBER,
            "Share of order lines in the window bought at a discount, of those whose discount is known.",
            needs=DISCOUNT_AMOUNT.name,
        ),
        Column(
            "shrunk_discount_share",
            Kind.NUMBER,
            "The same with five lines added that are as often discounted as all customers' are: one cheap line makes no bargain hunter.",
            needs=DISCOUNT_AMOUNT.name,
        ),
        Column(
            "discount_share_baseline",
            Kind.NUMBER,
            "Share of all customers' order lines bought at a discount, frozen monthly.",
            needs=DISCOUNT_AMOUNT.name,
        ),
        Column(
            "full_price_share",
            Kind.NUMBER,
            "Share of spend before refunds in the window bought without a discount, of the lines whose discount is known.",
            needs=DISCOUNT_AMOUNT.name,
        ),
        Column("return_share", Kind.NUMBER, "Money given back per money spent in the window."),
        Column("return_share_q75", Kind.NUMBER, "Three quarters of customers with three orders have this share or less, frozen monthly."),
        Column("weekend_share", Kind.NUMBER, "Share of order-days in the window on a Saturday or Sunday."),
        Column("category_count", Kind.INTEGER, "Distinct categories bought in the window.", needs=CATEGORY.name),
        Column(
            "favourite_category",
            Kind.TEXT,
            "Category bought on most order-days in the window; then most spend, then first by name.",
            needs=CATEGORY.name,
        ),
        Column(
            "category_concentration",
            Kind.NUMBER,
            "Herfindahl index of order lines over categories in the window: 1 is a single category.",
            needs=CATEGORY.name,
        ),
        Column(
            "new_category_share",
            Kind.NUMBER,
            "Share of category purchases after the first order-day, in the window, that were the first of that category.",
            needs=CATEGORY.name,
        ),
        Column(
            "new_category_share_q75",
            Kind.NUMBER,
            "Three quarters of customers with three orders have this share or less, frozen monthly.",
            needs=CATEGORY.name,
        ),
        Column(
            "category_entropy",
            Kind.NUMBER,
            "How evenly order lines in the window spread over categories: 0 is a single one, ln(n) is n bought alike.",
            needs=CATEGORY.name,
        ),
        Column(
            "category_entropy_q75",
            Kind.NUMBER,
            "Three quarters of customers with three orders have this or less, frozen monthly.",
            needs=CATEGORY.name,
        ),
        Column(
            "add_on_share",
            Kind.NUMBER,
            "Share of order lines in the window that are small add-ons: at most a quarter of the dearest line of their order, not free.",
        ),
        Column("add_on_share_q75", Kind.NUMBER, "Three quarters of customers with three orders have this share or less, frozen monthly."),
        Column("main_channel", Kind.TEXT, "Channel with most order lines in the window; then first by name.", needs=CHANNEL.name),
        Column(
            "main_channel_share",
            Kind.NUMBER,
            "Share of order lines in the window through the main channel, of those whose channel is known.",
            needs=CHANNEL.name,
        ),
        Column("r_score", Kind.INTEGER, "Recency score 1-5, 5 most recent; by the method that the scheme `rfm` names."),
        Column("f_score", Kind.INTEGER, "Frequency score 1-5, 5 most order-days; by the method that the scheme `rfm` names."),
        Column("m_score", Kind.INTEGER, "Monetary score 1-5, 5 most spend; by the method that the scheme `rfm` names."),
        Column("fm_score", Kind.INTEGER, "Frequency and monetary score: half of their sum, rounded half up."),
        Column(
            "value_score",
            Kind.INTEGER,
            "Value score: 3 for the first 80 % of all spend, 2 up to 95 %, 1 for the rest; empty without spend. "
            "By the method that the scheme `value_tier` names.",
        ),
        *SCORE_LIMITS,
        Column("last_gap_days", Kind.INTEGER, "Days between the last two order-days."),
        Column(
            "rhythm_days",
            Kind.NUMBER,
            "Days the customer is expected to wait between orders: the own median gap shrunk to the population's, or the population's.",
        ),
        Column("new_limit_days", Kind.NUMBER, "A single order is new for this many days."),
        Column("active_limit_days", Kind.NUMBER, "Past this many days without an order the customer is at risk."),
        Column(
            "dormant_limit_days", Kind.NUMBER, "Past this many days without an order the customer is dormant; past twice as many, lost."
        ),
        Column("value_rank_share", Kind.NUMBER, "Share of the window's spend held by strictly richer customers."),
        Column("visit_count_90_days", Kind.INTEGER, "Visits in the last 90 days; empty where none is known.", needs=VISITS_SOURCE),
        Column(
            "conversion_share",
            Kind.NUMBER,
            "Order-days per visit in the last 90 days, 1 at most; empty without a visit.",
            needs=VISITS_SOURCE,
        ),
        Column(
            "conversion_share_q25",
            Kind.NUMBER,
            "One quarter of customers with three visits have this share or less, frozen monthly.",
            needs=VISITS_SOURCE,
        ),
        Column(
            "is_new_this_month",
            Kind.FLAG,
            "Known only since after the first day of the month: until the next one, tiers of values are made without this customer.",
            required=True,
        ),
        Column("calendar_year", Kind.INTEGER, "Calendar year of the day; less the year of birth it is an age in years.", required=True),
    ),
    ("customer_id",),
    Partition.NIGHT,
    is_published=True,
)
MONTHLY_FEATURES = frozenset(
    {
        *("rhythm_days", "new_limit_days", "active_limit_days", "dormant_limit_days", "discount_share_baseline", "return_share_q75"),
        *("new_category_share_q75", "category_entropy_q75", "add_on_share_q75", "conversion_share_q25"),
        *(column.name for column in SCORE_LIMITS),
    }
)
