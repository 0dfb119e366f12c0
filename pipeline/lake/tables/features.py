"""Features: what is known of each customer as of a night."""

from __future__ import annotations

from pipeline.lake.tables.columns import CATEGORY, CHANNEL, CUSTOMER_ID, DISCOUNT_AMOUNT, VISITS_SOURCE
from pipeline.lake.tables.population import SCORE_LIMITS
from pipeline.lake.tables.schema import Column, Kind, Partition, Table

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
        # The same for everybody: explanations, what-ifs and reasons of moves then need a customer's row and nothing else.
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
        Column("spend_rank_share", Kind.NUMBER, "Share of strictly richer customers among all who spent in the window."),
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
        # Rules know no clock, so that the same rule says the same of a night whenever it is run; this is what they tell ages by.
        Column("calendar_year", Kind.INTEGER, "Calendar year of the day; less the year of birth it is an age in years.", required=True),
        Column("as_of_date", Kind.DATE, "The night's day, the last whose orders count: `TODAY` in a rule.", required=True),
    ),
    ("customer_id",),
    Partition.NIGHT,
    is_published=True,
)
# Whoever moves because one of these changed moves because of the population: none of them is about the customer.
MONTHLY_FEATURES = frozenset(
    {
        *("rhythm_days", "new_limit_days", "active_limit_days", "dormant_limit_days", "discount_share_baseline", "return_share_q75"),
        *("new_category_share_q75", "category_entropy_q75", "add_on_share_q75", "conversion_share_q25"),
        *(column.name for column in SCORE_LIMITS),
    }
)
