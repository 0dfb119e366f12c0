"""Who is in which segment, who moved and why, what each segment is like, and what customers are expected to spend."""

from __future__ import annotations

from pipeline.lake.tables.columns import CUSTOMER_ID, SCHEME, SEGMENT, SINCE_DATE
from pipeline.lake.tables.schema import Column, Kind, Partition, Table

REASON = Column(
    "reason",
    Kind.TEXT,
    "`rule_change`, `source_change`, `model_refit`, `erasure` (of others), `new_customer`, `left`, `identity_merge`, "
    "`own_purchase`, `refund`, `late_data`, `own_event`, `attribute_change`, `threshold_refreeze`, `ageing` or `population_shift`.",
    required=True,
)
CARD = (
    Column("message", Kind.TEXT, "What to say."),
    Column("promotion", Kind.TEXT, "What to give or promise."),
    Column("product_offer", Kind.TEXT, "Which products to show."),
    Column("price", Kind.TEXT, "How to price."),
    Column("channel", Kind.TEXT, "Where to talk to them."),
    Column("service", Kind.TEXT, "How to serve them."),
    Column("priority", Kind.INTEGER, "1 for the most urgent to 5."),
    Column("budget_share", Kind.NUMBER, "Share of the budget: of all segments of the scheme, or of the audience's own campaign."),
    Column("assumes", Kind.TEXT, "`on_time`, `late` or `gone`: only for customers who are that by their lifecycle; empty for all."),
)

CUSTOMER_SEGMENTS = Table(
    "customer_segments",
    "One row per customer and scheme that applies to them: the segment, and what it was decided on.",
    (CUSTOMER_ID, SCHEME, SEGMENT, Column("evidence", Kind.TEXT, "Values that the rule looked at, as `name=value` pairs.")),
    ("customer_id", "scheme"),
    Partition.NIGHT,
    is_published=True,
)
CUSTOMER_SEGMENT_INTERVALS = Table(
    "customer_segment_intervals",
    "Who was in which segment from when to when, and in which audience, as segment `member` of a scheme of its name; as the nights told it "
    "and as later nights know it better: of the rows that "
    "cover a day and were known by the day you choose, the newest known one holds. A row lies under the day on which it ended; "
    "under 9999-12-31 while it holds; a restated one under its night and the night that knows it so.",
    (
        CUSTOMER_ID,
        SCHEME,
        Column("segment", Kind.TEXT, "Segment of the scheme; empty where a later night knows that the customer was in none."),
        Column("valid_from", Kind.DATE, "First day on which the customer was in the segment.", required=True),
        Column("valid_to", Kind.DATE, "First day on which that was over; empty while no stored night says otherwise."),
        Column("known_from", Kind.DATE, "Night that knew it first.", required=True),
    ),
    ("customer_id", "scheme", "valid_from", "known_from"),
    Partition.EVENT_DAY,
)
SEGMENT_MOVES = Table(
    "segment_moves",
    "One row per customer and scheme whose segment is another than on the stored night before, with its reason. "
    "The first night of all has none.",
    (
        CUSTOMER_ID,
        SCHEME,
        Column(
            "from_segment",
            Kind.TEXT,
            "Segment on the night before; empty for a customer or a scheme that was not there, or that did not apply to them.",
        ),
        Column(
            "to_segment",
            Kind.TEXT,
            "Segment on this night; empty for a customer or a scheme that is not there any more, or does not apply to them.",
        ),
        REASON,
    ),
    ("customer_id", "scheme"),
    Partition.NIGHT,
    is_published=True,
)
SEGMENT_PROFILES = Table(
    "segment_profiles",
    "One row per scheme and segment: size, share, and what its customers are like.",
    (
        SCHEME,
        SEGMENT,
        Column("title", Kind.TEXT, "Name shown to people.", required=True),
        Column("position", Kind.INTEGER, "Place of the segment in its definition, from 1.", required=True),
        Column("customer_count", Kind.INTEGER, "Customers in the segment.", required=True),
        Column("customer_share", Kind.NUMBER, "Share of the customers whom the scheme applies to."),
        Column("spend_amount", Kind.MONEY, "Spend net of refunds in the window.", required=True),
        Column("spend_share", Kind.NUMBER, "Share of the spend of the customers whom the scheme applies to."),
        Column("mean_recency_days", Kind.NUMBER, "Mean days since the last order-day."),
        Column("mean_order_day_count", Kind.NUMBER, "Mean order-days in the window."),
        Column("mean_spend_amount", Kind.NUMBER, "Mean spend net of refunds in the window."),
        Column(
            "discount_share",
            Kind.NUMBER,
            "Share of the segment's order lines in the window bought at a discount, where that is known.",
        ),
    ),
    ("scheme", "segment"),
    Partition.NIGHT,
    is_published=True,
)
CLUSTER_PROFILES = Table(
    "cluster_profiles",
    "One row per cluster and feature that its model goes by: how the cluster's customers differ from all who are in a cluster of the "
    "scheme. Size, spend and last order of each cluster are in `segment_profiles`.",
    (
        SCHEME,
        Column("segment", Kind.TEXT, "Id of the cluster.", required=True),
        Column("difference_rank", Kind.INTEGER, "1 for what sets the cluster apart most.", required=True),
        Column("feature", Kind.TEXT, "The feature, or the attribute.", required=True),
        Column("value", Kind.TEXT, "Value of a text attribute that the row is about; empty for numbers and flags."),
        Column("customer_count", Kind.INTEGER, "Customers in the cluster.", required=True),
        Column("known_count", Kind.INTEGER, "Those of them of whom the feature is known; of 1 to 4 no mean is told.", required=True),
        Column(
            "cluster_mean",
            Kind.NUMBER,
            "Mean of the cluster, in units of the feature and as the model compares customers; of a flag or a value the share.",
        ),
        Column("overall_mean", Kind.NUMBER, "The same over all clusters of which a mean is told."),
        Column(
            "standardised_difference",
            Kind.NUMBER,
            "How far the first lies above the second, in the model's scale: standard deviations of a number.",
        ),
    ),
    ("scheme", "segment", "difference_rank"),
    Partition.NIGHT,
    is_published=True,
)
SEGMENT_STRATEGIES = Table(
    "segment_strategies",
    "One row per scheme, segment and language: what the segment is called, and what to do about its customers where a card says so.",
    (
        SCHEME,
        SEGMENT,
        Column(
            "language",
            Kind.TEXT,
            "Language of title and texts: each that anything is translated into; what is not translated is in the company's own.",
            required=True,
        ),
        Column("title", Kind.TEXT, "Name shown to people.", required=True),
        Column("description", Kind.TEXT, "Who is in the segment; empty where the title says it."),
        *CARD,
        Column("card_order", Kind.INTEGER, "Place of the card among all of the night: of a customer's cards the first is the next action."),
    ),
    ("scheme", "segment", "language"),
    Partition.NIGHT,
    is_published=True,
)
CUSTOMER_NEXT_ACTIONS = Table(
    "customer_next_actions",
    "One row per customer who may be written to and has not departed: the one card to act on, of those that their segments have. It "
    "never contradicts the lifecycle; of the others the most urgent is taken, then the one with most at stake.",
    (
        CUSTOMER_ID,
        SCHEME,
        SEGMENT,
        Column("priority", Kind.INTEGER, "Of the card: 1 for the most urgent to 5.", required=True),
        Column(
            "stake_amount",
            Kind.MONEY,
            "What is at stake: all that the customer spent (in the window, else ever) where they are late, else `budget_share` of it.",
            required=True,
        ),
        Column("reason", Kind.TEXT, "Why: the segment, who is in it, and the customer's own values that decided.", required=True),
    ),
    ("customer_id",),
    Partition.NIGHT,
    is_published=True,
    # Not in the night's own table: a night that is run again must give the same bytes, whatever other nights are stored.
    published_columns=(SINCE_DATE,),
)
CUSTOMER_PREDICTIONS = Table(
    "customer_predictions",
    "One row per customer: what the next 90 days are expected to bring, by a model that was tested on days it had not seen.",
    (
        CUSTOMER_ID,
        Column(
            "expected_spend_amount", Kind.NUMBER, "Spend net of refunds that is expected in the next 90 days; empty where not predicted."
        ),
        Column("repeat_probability", Kind.NUMBER, "Probability of an order in the next 90 days, 0 to 1; empty where not predicted."),
        Column("evidence", Kind.TEXT, "The model, by the night it was fitted on; or `not predicted` and why.", required=True),
    ),
    ("customer_id",),
    Partition.NIGHT,
    is_published=True,
)
