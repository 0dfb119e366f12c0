"""Every table, declared once: columns with type and meaning, key, partition.

Arrow schemas, SQL types, the README catalogue, the map of personal data and the name of the
Great Expectations suite all derive from here. A column name means the same thing in every table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property

import pyarrow as pa

from pipeline.errors import SchemaDrift

MONEY_DECIMALS = 4


class Kind(Enum):
    """Type of a column: (Arrow type, DuckDB name, words for people)."""

    TEXT = (pa.string(), "VARCHAR", "text")
    INTEGER = (pa.int64(), "BIGINT", "whole number")
    NUMBER = (pa.float64(), "DOUBLE", "number")
    MONEY = (pa.decimal128(18, MONEY_DECIMALS), f"DECIMAL(18,{MONEY_DECIMALS})", "exact decimal")
    DATE = (pa.date32(), "DATE", "date")
    INSTANT = (pa.timestamp("us", tz="UTC"), "TIMESTAMP WITH TIME ZONE", "instant (UTC)")
    FLAG = (pa.bool_(), "BOOLEAN", "true or false")
    INTEGERS = (pa.list_(pa.int64()), "BIGINT[]", "whole numbers")
    TEXTS = (pa.list_(pa.string()), "VARCHAR[]", "texts")

    @property
    def arrow(self) -> pa.DataType:
        return self.value[0]

    @property
    def sql(self) -> str:
        return self.value[1]

    @property
    def words(self) -> str:
        return self.value[2]

    @property
    def is_list(self) -> bool:
        """Whether a cell holds several values; only caches have such columns."""
        return self in (Kind.INTEGERS, Kind.TEXTS)


class Partition(Enum):
    """How a table is cut into files; the value is the folder pattern below the table's own."""

    NIGHT = "day=<day>"
    EVENT_DAY = "month=<month of the event day>/known=<day>"
    SNAPSHOT = "known=<day>"


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `required` means a source must supply it and no clean row may lack it."""

    name: str
    kind: Kind
    description: str
    required: bool = False
    pii: bool = False


@dataclass(frozen=True)
class Table:
    """One table; files are sorted by `key`, which is unique within a partition."""

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partition: Partition
    is_published: bool = False

    @property
    def instant(self) -> str:
        """The name of the column that says when a row of an EVENT_DAY table happened."""
        return next(column.name for column in self.columns if column.kind is Kind.INSTANT)

    @cached_property
    def schema(self) -> pa.Schema:
        return pa.schema([(column.name, column.kind.arrow) for column in self.columns])

    @property
    def stored_columns(self) -> tuple[Column, ...]:
        """The columns that its files have, and that statements see: those of event days say which version a row belongs to."""
        return (*VERSION_COLUMNS, *self.columns) if self.partition is Partition.EVENT_DAY else self.columns

    @cached_property
    def stored_schema(self) -> pa.Schema:
        return pa.schema([(column.name, column.kind.arrow) for column in self.stored_columns])

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    def with_columns(self, extra: Iterable[Column]) -> Table:
        """Return this table with `extra` columns, such as a company's attributes, at its end."""
        return replace(self, columns=(*self.columns, *extra))

    def conform(self, data: pa.Table) -> pa.Table:
        """Return `data` with exactly the declared columns, in order.

        Raises SchemaDrift where a column is missing or cannot hold the declared type exactly.
        """
        missing = [name for name in self.column_names if name not in data.column_names]
        if missing:
            raise SchemaDrift(f"{self.name} lacks {', '.join(missing)}", where=self.name)
        try:
            return data.select(self.column_names).cast(self.schema, safe=True)
        except pa.ArrowInvalid:
            raise SchemaDrift(f"{self.name} does not fit its declared types", where=self.name) from None


EVENT_DAY = Column("event_day", Kind.DATE, "Local day on which the row happened.", required=True)
KNOWN_ON = Column("known_on", Kind.DATE, "Night that learned of the event day so.", required=True)
VERSION_COLUMNS = (EVENT_DAY, KNOWN_ON)
DAY = Column("day", Kind.DATE, "Business day that the row describes, in the company's time zone.")
_CUSTOMER = Column("customer_id", Kind.TEXT, "The company's own id of the customer.", required=True)
_ORDER_DAY = Column("order_day", Kind.DATE, "Local day that the order counts for; a linked refund counts for its order's.", required=True)
_CATEGORY = Column("category", Kind.TEXT, "Product category; `unknown` where the source gives none.")
_CHANNEL = Column("channel", Kind.TEXT, "Where the order was placed, such as web or store; `unknown` where the source gives none.")
_NET = Column(
    "net_amount", Kind.MONEY, "What the customer paid for the line after discounts, negative when money went back.", required=True
)
_DISCOUNT = Column("discount_amount", Kind.MONEY, "Discount given on the line, 0 or more; 0 where the source gives none.")
_SCHEME = Column("scheme", Kind.TEXT, "Scheme that the segment belongs to.", required=True)
_SEGMENT = Column("segment", Kind.TEXT, "Segment of the scheme.", required=True)

_CUSTOMER_COLUMNS = (
    _CUSTOMER,
    Column("created_at", Kind.INSTANT, "When the source first knew the customer; unseen by earlier nights."),
)

_ORDER_LINE_COLUMNS = (
    Column("order_id", Kind.TEXT, "Id of the order, invoice or basket.", required=True),
    Column("line_number", Kind.INTEGER, "Number of the line within its order.", required=True),
    _CUSTOMER,
    Column("ordered_at", Kind.INSTANT, "When the line was sold, or given back.", required=True),
    Column("quantity", Kind.MONEY, "Units sold, negative when given back.", required=True),
    _NET,
    _DISCOUNT,
    Column("product_id", Kind.TEXT, "The company's own id of the product."),
    _CATEGORY,
    _CHANNEL,
    Column("is_cancelled", Kind.FLAG, "Whether the order was cancelled: kept, but counted nowhere."),
    Column("refunded_order_day", Kind.DATE, "For a refund linked to its order: the local day of that order."),
    Column("currency", Kind.TEXT, "Currency of the amounts; must be the company's own."),
)

RAW_CUSTOMERS = Table(
    "raw_customers",
    "Customers as the source gave them, with the company's declared attributes.",
    _CUSTOMER_COLUMNS,
    ("customer_id",),
    Partition.SNAPSHOT,
)
RAW_PROSPECTS = Table(
    "raw_prospects",
    "People and firms that never ordered, as the source gave them.",
    _CUSTOMER_COLUMNS,
    ("customer_id",),
    Partition.SNAPSHOT,
)
RAW_ORDER_LINES = Table(
    "raw_order_lines",
    "Order lines as the source gave them: one version of a day for each night that learned something new.",
    _ORDER_LINE_COLUMNS,
    ("order_id", "line_number"),
    Partition.EVENT_DAY,
)
RAW_CONSENTS = Table(
    "raw_consents",
    "Who may be written to, as the source gave it; who has a row without consent is left out of publications.",
    (
        _CUSTOMER,
        Column("is_consenting", Kind.FLAG, "Whether the customer agreed; empty counts as no.", required=True),
        Column("changed_at", Kind.INSTANT, "When that was said last."),
    ),
    ("customer_id",),
    Partition.SNAPSHOT,
)
_VISIT_COLUMNS = (
    Column("visit_id", Kind.TEXT, "Id of the visit, such as a session of the web shop.", required=True),
    _CUSTOMER,
    Column("visited_at", Kind.INSTANT, "When the visit began.", required=True),
)
RAW_VISITS = Table(
    "raw_visits",
    "Visits to the shop with or without an order, as the source gave them: versions of days, as of order lines.",
    _VISIT_COLUMNS,
    ("visit_id",),
    Partition.EVENT_DAY,
)
EXTRACTIONS = Table(
    "extractions",
    "What each night read from the source; its presence says that the night's extraction is complete.",
    (
        Column("source_table", Kind.TEXT, "Raw table that was read.", required=True),
        Column("first_day", Kind.DATE, "First local day asked for; empty for the whole history."),
        Column("last_day", Kind.DATE, "Last local day asked for.", required=True),
        Column("row_count", Kind.INTEGER, "Rows the source gave.", required=True),
        Column("changed_partition_count", Kind.INTEGER, "Partitions that differed from what was known.", required=True),
        Column("ignored_columns", Kind.TEXT, "Columns of the source that no table declares, comma separated."),
    ),
    ("source_table",),
    Partition.NIGHT,
)
LATE_DAYS = Table(
    "late_days",
    "Days before those that the night read on which the source differed from what was known: late, vanished or changed lines.",
    (
        Column("event_day", Kind.DATE, "Local day of the lines.", required=True),
        Column("source_row_count", Kind.INTEGER, "Lines that the source has of the day.", required=True),
        Column("known_row_count", Kind.INTEGER, "Lines that were known of it; empty where what is stored cannot be read."),
        Column("source_net_amount", Kind.MONEY, "Sum of their net amounts in the source."),
        Column("known_net_amount", Kind.MONEY, "Sum of their net amounts as known."),
    ),
    ("event_day",),
    Partition.NIGHT,
)
CUSTOMERS = Table(
    "customers",
    "Customers and prospects that passed validation.",
    (*_CUSTOMER_COLUMNS, Column("is_prospect", Kind.FLAG, "Whether the row came from the prospects source.", required=True)),
    ("customer_id",),
    Partition.SNAPSHOT,
)
ORDER_LINES = Table(
    "order_lines",
    "Order lines that passed validation, as sold, given back or cancelled.",
    (
        *_ORDER_LINE_COLUMNS[:-3],
        Column("line_kind", Kind.TEXT, "`order`, `refund` or `cancelled`.", required=True),
        _ORDER_DAY,
    ),
    ("order_id", "line_number"),
    Partition.EVENT_DAY,
)
VISITS = Table("visits", "Visits that passed validation.", _VISIT_COLUMNS, ("visit_id",), Partition.EVENT_DAY)
REJECTED_ROWS = Table(
    "rejected_rows",
    "Source rows kept out of the clean tables, with the rule that each broke.",
    (
        Column("source_table", Kind.TEXT, "Raw table that the row came from.", required=True),
        Column("source_day", Kind.DATE, "Event day of the raw partition that the row came from; empty for a snapshot."),
        Column("rule", Kind.TEXT, "First rule that the row broke.", required=True),
        Column("broken_rules", Kind.TEXT, "All rules that the row broke, comma separated.", required=True),
        Column("row", Kind.TEXT, "The source row as JSON.", required=True, pii=True),
    ),
    ("source_table", "source_day", "rule", "row"),
    Partition.NIGHT,
)
VALIDATION_RESULTS = Table(
    "validation_results",
    "What each rule found when the night ran, as counts. A log of runs: out of turn, a night finds days that others checked.",
    (
        Column("source_table", Kind.TEXT, "Table that was checked.", required=True),
        Column("rule", Kind.TEXT, "Name of the rule.", required=True),
        Column("severity", Kind.TEXT, "`critical` stops the night; `warning` is reported.", required=True),
        Column("rejects_rows", Kind.FLAG, "Whether a row that breaks the rule is set aside.", required=True),
        Column("checked_count", Kind.INTEGER, "Rows that were checked.", required=True),
        Column("failed_count", Kind.INTEGER, "Rows that broke the rule, or 1 where the rule is about the whole table.", required=True),
        Column("is_passed", Kind.FLAG, "Whether the night may go on as far as this rule is concerned.", required=True),
    ),
    ("source_table", "rule"),
    Partition.NIGHT,
)
GATE_RESULTS = Table(
    "gate_results",
    "What each gate said of a night that was to be published. A log of runs: it tells what the night was compared with then.",
    (
        Column("gate", Kind.TEXT, "Name of the gate.", required=True),
        Column("subject", Kind.TEXT, "Scheme, table or attribute that was judged.", required=True),
        Column("state", Kind.TEXT, "`open`, `closed`, `overridden`, `not measured` or `off`; `closed` stops the night.", required=True),
        Column("measured", Kind.NUMBER, "Share, factor or days that was measured."),
        Column("limit", Kind.NUMBER, "Value up to which the gate is open; from which, for `too_few`."),
        Column("words", Kind.TEXT, "The same in words.", required=True),
        Column("reason", Kind.TEXT, "Why a person let the night pass a closed gate."),
    ),
    ("gate", "subject"),
    Partition.NIGHT,
)

CLUSTER_DRIFTS = Table(
    "cluster_drifts",
    "How far the night's customers are from those that each cluster model was fitted to: beyond a limit the model asks for a refit.",
    (
        Column("scheme", Kind.TEXT, "Name of the cluster scheme.", required=True),
        Column("measure", Kind.TEXT, "`feature` (population stability index), `distance` (to the centres) or `silhouette`.", required=True),
        Column("subject", Kind.TEXT, "Feature that was measured, or `all`.", required=True),
        Column("measured", Kind.NUMBER, "Index; times the distance at the fit; fall of the silhouette since then.", required=True),
        Column("limit", Kind.NUMBER, "Value above which the model asks for a refit.", required=True),
        Column("is_beyond", Kind.FLAG, "Whether it does.", required=True),
        Column("words", Kind.TEXT, "The same in words.", required=True),
    ),
    ("scheme", "measure", "subject"),
    Partition.NIGHT,
)

_ROLLUP_COLUMNS = (
    Column("line_count", Kind.INTEGER, "Order lines.", required=True),
    Column("discounted_line_count", Kind.INTEGER, "Order lines bought at a discount.", required=True),
    Column(
        "add_on_line_count",
        Kind.INTEGER,
        "Small add-ons: order lines that cost something, but at most a quarter of the dearest line of their order.",
        required=True,
    ),
    Column("order_amount", Kind.MONEY, "Spend on order lines before refunds.", required=True),
    Column("full_price_amount", Kind.MONEY, "Spend on order lines bought without a discount.", required=True),
    _DISCOUNT,
    Column("refund_amount", Kind.MONEY, "Money given back, 0 or more.", required=True),
)
CUSTOMER_DAYS = Table(
    "customer_days",
    "One row per customer and order-day: exact sums that add up over any window.",
    (_CUSTOMER, _ORDER_DAY, Column("order_count", Kind.INTEGER, "Distinct orders.", required=True), *_ROLLUP_COLUMNS),
    ("customer_id", "order_day"),
    Partition.EVENT_DAY,
)
CUSTOMER_DAY_CATEGORIES = Table(
    "customer_day_categories",
    "One row per customer, order-day, category and channel: exact counts that add up over any window.",
    (
        _CUSTOMER,
        _ORDER_DAY,
        _CATEGORY,
        _CHANNEL,
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
POPULATION_BASELINES = Table(
    "population_baselines",
    "What is usual among customers, frozen on the first day of the month, so that nobody moves because others did. "
    "Quantiles are those of customers with three orders in the window.",
    (
        Column("frozen_day", Kind.DATE, "Last day whose orders count.", required=True),
        Column("line_count", Kind.INTEGER, "Order lines of all customers in the window.", required=True),
        Column("discounted_line_count", Kind.INTEGER, "Those of them bought at a discount.", required=True),
        Column("new_category_share_q75", Kind.NUMBER, "Three quarters have this `new_category_share` or less."),
        Column("category_entropy_q75", Kind.NUMBER, "Three quarters have this `category_entropy` or less."),
        Column("add_on_share_q75", Kind.NUMBER, "Three quarters have this `add_on_share` or less."),
        Column("return_share_q75", Kind.NUMBER, "Three quarters have this `return_share` or less."),
        Column("conversion_share_q25", Kind.NUMBER, "One quarter of those with three visits have this `conversion_share` or less."),
    ),
    ("frozen_day",),
    Partition.NIGHT,
)
CUSTOMER_FEATURES = Table(
    "customer_features",
    "One row per customer: what is known of their buying as of the end of the day, and the company's attributes.",
    (
        _CUSTOMER,
        Column("is_prospect", Kind.FLAG, "Whether the customer never ordered.", required=True),
        Column("first_order_date", Kind.DATE, "First order-day ever."),
        Column("last_order_date", Kind.DATE, "Last order-day ever."),
        Column("recency_days", Kind.INTEGER, "Days since the last order-day; 0 for an order on the day itself."),
        Column("tenure_days", Kind.INTEGER, "Days since the first order-day."),
        Column("order_day_count", Kind.INTEGER, "Order-days in the window.", required=True),
        Column("order_count", Kind.INTEGER, "Orders in the window.", required=True),
        Column("line_count", Kind.INTEGER, "Order lines in the window.", required=True),
        Column("discounted_line_count", Kind.INTEGER, "Order lines in the window bought at a discount.", required=True),
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
        Column("discount_share", Kind.NUMBER, "Share of order lines in the window bought at a discount."),
        Column(
            "shrunk_discount_share",
            Kind.NUMBER,
            "The same with five lines added that are as often discounted as all customers' are: one cheap line makes no bargain hunter.",
        ),
        Column("discount_share_baseline", Kind.NUMBER, "Share of all customers' order lines bought at a discount, frozen monthly."),
        Column("full_price_share", Kind.NUMBER, "Share of spend before refunds in the window bought without a discount."),
        Column("return_share", Kind.NUMBER, "Money given back per money spent in the window."),
        Column("return_share_q75", Kind.NUMBER, "Three quarters of customers with three orders have this share or less, frozen monthly."),
        Column("weekend_share", Kind.NUMBER, "Share of order-days in the window on a Saturday or Sunday."),
        Column("category_count", Kind.INTEGER, "Distinct categories bought in the window.", required=True),
        Column("favourite_category", Kind.TEXT, "Category bought on most order-days in the window; then most spend, then first by name."),
        Column(
            "category_concentration", Kind.NUMBER, "Herfindahl index of order lines over categories in the window: 1 is a single category."
        ),
        Column(
            "new_category_share",
            Kind.NUMBER,
            "Share of category purchases after the first order-day, in the window, that were the first of that category.",
        ),
        Column(
            "new_category_share_q75", Kind.NUMBER, "Three quarters of customers with three orders have this share or less, frozen monthly."
        ),
        Column(
            "category_entropy",
            Kind.NUMBER,
            "How evenly order lines in the window spread over categories: 0 is a single one, ln(n) is n bought alike.",
        ),
        Column("category_entropy_q75", Kind.NUMBER, "Three quarters of customers with three orders have this or less, frozen monthly."),
        Column(
            "add_on_share",
            Kind.NUMBER,
            "Share of order lines in the window that are small add-ons: at most a quarter of the dearest line of their order, not free.",
        ),
        Column("add_on_share_q75", Kind.NUMBER, "Three quarters of customers with three orders have this share or less, frozen monthly."),
        Column("main_channel", Kind.TEXT, "Channel with most order lines in the window; then first by name."),
        Column("main_channel_share", Kind.NUMBER, "Share of order lines in the window through the main channel."),
        Column("r_score", Kind.INTEGER, "Recency score 1-5, 5 most recent."),
        Column("f_score", Kind.INTEGER, "Frequency score 1-5, 5 most order-days."),
        Column("m_score", Kind.INTEGER, "Monetary score 1-5, 5 most spend."),
        Column("fm_score", Kind.INTEGER, "Frequency and monetary score: half of their sum, rounded half up."),
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
        Column("visit_count_90_days", Kind.INTEGER, "Visits in the last 90 days; empty where none is known."),
        Column("conversion_share", Kind.NUMBER, "Order-days per visit in the last 90 days, 1 at most; empty without a visit."),
        Column("conversion_share_q25", Kind.NUMBER, "One quarter of customers with three visits have this share or less, frozen monthly."),
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
    }
)
"""Features that follow from what is frozen on the month's first day."""
CUSTOMER_SEGMENTS = Table(
    "customer_segments",
    "One row per customer and scheme: the segment, and what it was decided on.",
    (_CUSTOMER, _SCHEME, _SEGMENT, Column("evidence", Kind.TEXT, "Values that the rule looked at, as `name=value` pairs.")),
    ("customer_id", "scheme"),
    Partition.NIGHT,
    is_published=True,
)
CUSTOMER_SEGMENT_INTERVALS = Table(
    "customer_segment_intervals",
    "Who was in which segment from when to when, as the nights told it and as later nights know it better: of the rows that "
    "cover a day and were known by the day you choose, the newest known one holds. A row lies under the day on which it ended; "
    "under 9999-12-31 while it holds; a restated one under its night and the night that knows it so.",
    (
        _CUSTOMER,
        _SCHEME,
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
    "One row per customer and scheme whose segment is another than on the stored night before, with the first reason that applies. "
    "The first night of all has none.",
    (
        _CUSTOMER,
        _SCHEME,
        Column("from_segment", Kind.TEXT, "Segment on the night before; empty for a customer or a scheme that was not there."),
        Column("to_segment", Kind.TEXT, "Segment on this night; empty for a customer or a scheme that is not there any more."),
        Column(
            "reason",
            Kind.TEXT,
            "`rule_change`, `model_refit`, `erasure` (of others), `new_customer`, `left`, `own_purchase`, `refund`, `late_data`, "
            "`own_visit`, `attribute_change`, `threshold_refreeze`, `ageing` or `population_shift`.",
            required=True,
        ),
    ),
    ("customer_id", "scheme"),
    Partition.NIGHT,
    is_published=True,
)
SEGMENT_PROFILES = Table(
    "segment_profiles",
    "One row per scheme and segment: size, share, and what its customers are like.",
    (
        _SCHEME,
        _SEGMENT,
        Column("title", Kind.TEXT, "Name shown to people.", required=True),
        Column("position", Kind.INTEGER, "Place of the segment in its definition, from 1.", required=True),
        Column("customer_count", Kind.INTEGER, "Customers in the segment.", required=True),
        Column("customer_share", Kind.NUMBER, "Share of all customers of the scheme."),
        Column("spend_amount", Kind.MONEY, "Spend net of refunds in the window.", required=True),
        Column("spend_share", Kind.NUMBER, "Share of the spend of all customers of the scheme."),
        Column("mean_recency_days", Kind.NUMBER, "Mean days since the last order-day."),
        Column("mean_order_day_count", Kind.NUMBER, "Mean order-days in the window."),
        Column("mean_spend_amount", Kind.NUMBER, "Mean spend net of refunds in the window."),
        Column("discount_share", Kind.NUMBER, "Share of the segment's order lines in the window bought at a discount."),
    ),
    ("scheme", "segment"),
    Partition.NIGHT,
    is_published=True,
)

SEGMENT_STRATEGIES = Table(
    "segment_strategies",
    "One row per scheme, segment and language: what the segment is called, and what to do about its customers where a card says so.",
    (
        _SCHEME,
        _SEGMENT,
        Column(
            "language",
            Kind.TEXT,
            "Language of title and texts: each that anything is translated into; what is not translated is in the company's own.",
            required=True,
        ),
        Column("title", Kind.TEXT, "Name shown to people.", required=True),
        Column("message", Kind.TEXT, "What to say."),
        Column("promotion", Kind.TEXT, "What to give or promise."),
        Column("product_offer", Kind.TEXT, "Which products to show."),
        Column("price", Kind.TEXT, "How to price."),
        Column("channel", Kind.TEXT, "Where to talk to them."),
        Column("service", Kind.TEXT, "How to serve them."),
        Column("priority", Kind.INTEGER, "1 for the most urgent to 5."),
        Column("budget_share", Kind.NUMBER, "Share of the budget of all segments of the scheme."),
    ),
    ("scheme", "segment", "language"),
    Partition.NIGHT,
    is_published=True,
)

CUSTOMER_PREDICTIONS = Table(
    "customer_predictions",
    "One row per customer: what the next 90 days are expected to bring, by a model that was tested on days it had not seen.",
    (
        _CUSTOMER,
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

CUSTOMER_VISITS = Table(
    "customer_visits",
    "Worked out aside: what each visitor did in 90 days.",
    (
        _CUSTOMER,
        Column("visit_count", Kind.INTEGER, "Visits in the last 90 days.", required=True),
        Column("order_day_count", Kind.INTEGER, "Order-days in the last 90 days.", required=True),
    ),
    ("customer_id",),
    Partition.NIGHT,
)
AFFECTED_CUSTOMERS = Table(
    "affected_customers",
    "Customers whose state must be computed anew tonight.",
    (_CUSTOMER,),
    ("customer_id",),
    Partition.NIGHT,
)
CUSTOMER_STATES = Table(
    "customer_states",
    "A cache: one row per customer who ever bought, in dates and exact numbers that do not age from one night to the next.",
    (
        _CUSTOMER,
        Column("first_order_date", Kind.DATE, "First order-day ever."),
        Column("last_order_date", Kind.DATE, "Last order-day ever."),
        Column("window_first_order_date", Kind.DATE, "First day in the window that anything counts for; the state is stale once it left."),
        Column("lifetime_order_day_count", Kind.INTEGER, "Order-days ever.", required=True),
        Column("lifetime_order_count", Kind.INTEGER, "Orders ever.", required=True),
        Column("lifetime_spend_amount", Kind.MONEY, "Spend net of refunds ever.", required=True),
        Column("order_day_count", Kind.INTEGER, "Order-days in the window.", required=True),
        Column("order_count", Kind.INTEGER, "Orders in the window.", required=True),
        Column("line_count", Kind.INTEGER, "Order lines in the window.", required=True),
        Column("discounted_line_count", Kind.INTEGER, "Order lines in the window bought at a discount.", required=True),
        Column("add_on_line_count", Kind.INTEGER, "Order lines in the window that are small add-ons.", required=True),
        Column("order_amount", Kind.MONEY, "Spend in the window before refunds.", required=True),
        Column("full_price_amount", Kind.MONEY, "Spend in the window on order lines bought without a discount.", required=True),
        Column("refund_amount", Kind.MONEY, "Money given back in the window, 0 or more.", required=True),
        Column("weekend_day_count", Kind.INTEGER, "Order-days in the window on a Saturday or Sunday.", required=True),
        Column("gap_count", Kind.INTEGER, "Completed gaps between order-days ever.", required=True),
        Column("gap_sum", Kind.INTEGER, "Sum of the gaps in days.", required=True),
        Column("gap_square_sum", Kind.INTEGER, "Sum of the squared gaps.", required=True),
        Column("gap_median_doubled", Kind.INTEGER, "Twice the median gap, which is a whole number."),
        Column("last_gap_days", Kind.INTEGER, "Days between the last two order-days."),
        Column("category_count", Kind.INTEGER, "Distinct categories bought in the window.", required=True),
        Column("favourite_category", Kind.TEXT, "Category bought on most order-days in the window; then most spend, then first by name."),
        Column("line_count_square_sum", Kind.INTEGER, "Sum over categories of the squared order lines in the window.", required=True),
        Column("line_count_log_sum", Kind.INTEGER, "Sum over categories of n * ln(n) of their n lines, in millionths.", required=True),
        Column("later_count", Kind.INTEGER, "Category purchases in the window after the first order-day.", required=True),
        Column("new_count", Kind.INTEGER, "Those of them that were the first of their category.", required=True),
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
        _CUSTOMER,
        Column("first_order_date", Kind.DATE, "First order-day."),
        Column("last_order_date", Kind.DATE, "Last order-day before the month."),
        Column("order_day_count", Kind.INTEGER, "Order-days.", required=True),
        Column("order_count", Kind.INTEGER, "Orders.", required=True),
        Column("spend_amount", Kind.MONEY, "Spend net of refunds.", required=True),
        Column("last_gap_days", Kind.INTEGER, "Days between the last two order-days."),
        Column("gaps", Kind.INTEGERS, "Days between one order-day and the next, in any order."),
        Column("categories", Kind.TEXTS, "Categories bought, in any order."),
    ),
    ("customer_id",),
    Partition.NIGHT,
)

SOURCE_TABLES = {
    "customers": RAW_CUSTOMERS,
    "prospects": RAW_PROSPECTS,
    "order_lines": RAW_ORDER_LINES,
    "consents": RAW_CONSENTS,
    "visits": RAW_VISITS,
}
CLEAN_TABLES = {RAW_ORDER_LINES.name: ORDER_LINES, RAW_VISITS.name: VISITS}  # of event days: what validation makes of them
# Ids on this list are never stored.
ERASURES = Table("erasures", "Customers who asked to be forgotten.", (_CUSTOMER,), ("customer_id",), Partition.SNAPSHOT)
ALL_TABLES = (
    RAW_CUSTOMERS,
    RAW_PROSPECTS,
    RAW_ORDER_LINES,
    RAW_CONSENTS,
    RAW_VISITS,
    EXTRACTIONS,
    LATE_DAYS,
    CUSTOMERS,
    ORDER_LINES,
    VISITS,
    REJECTED_ROWS,
    VALIDATION_RESULTS,
    GATE_RESULTS,
    CLUSTER_DRIFTS,
    CUSTOMER_DAYS,
    CUSTOMER_DAY_CATEGORIES,
    POPULATION_RHYTHM,
    POPULATION_BASELINES,
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENTS,
    CUSTOMER_SEGMENT_INTERVALS,
    SEGMENT_MOVES,
    SEGMENT_PROFILES,
    SEGMENT_STRATEGIES,
    CUSTOMER_PREDICTIONS,
)
PUBLISHED_TABLES = tuple(table for table in ALL_TABLES if table.is_published)
