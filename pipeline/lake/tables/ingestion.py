"""What comes in: raw rows as the source gave them, clean rows, rejected rows, and what each night read."""

from __future__ import annotations

from pipeline.lake.tables.campaigns import RAW_CAMPAIGN_MEMBERS, RAW_CAMPAIGNS
from pipeline.lake.tables.columns import CATEGORY, CHANNEL, CUSTOMER_ID, DISCOUNT_AMOUNT, NET_AMOUNT, ORDER_DAY
from pipeline.lake.tables.crm import RAW_CUSTOMER_CONTACTS
from pipeline.lake.tables.events import BUILT_IN_EVENTS
from pipeline.lake.tables.schema import Column, Kind, Partition, Table

_BETWEEN = "|"  # the values of a list, as LIST of a rule puts them together
CUSTOMER_COLUMNS = (
    CUSTOMER_ID,
    Column("created_at", Kind.INSTANT, "When the source first knew the customer; unseen by earlier nights."),
)
ORDER_LINE_COLUMNS = (
    Column("order_id", Kind.TEXT, "Id of the order, invoice or basket.", required=True),
    Column("line_number", Kind.INTEGER, "Number of the line within its order.", required=True),
    CUSTOMER_ID,
    Column("ordered_at", Kind.INSTANT, "When the line was sold, or given back.", required=True),
    # An exact decimal rather than a whole number: some things are sold by the metre or the kilogram.
    Column("quantity", Kind.MONEY, "Units sold, negative when given back.", required=True),
    NET_AMOUNT,
    DISCOUNT_AMOUNT,
    Column("product_id", Kind.TEXT, "The company's own id of the product."),
    CATEGORY,
    CHANNEL,
    Column("is_cancelled", Kind.FLAG, "Whether the order was cancelled: kept, but counted nowhere."),
    Column("refunded_order_day", Kind.DATE, "For a refund linked to its order: the local day of that order."),
    Column("currency", Kind.TEXT, "Currency of the amounts; must be the company's own."),
)
RAW_CUSTOMERS = Table(
    "raw_customers",
    "Customers as the source gave them, with the company's declared attributes.",
    CUSTOMER_COLUMNS,
    ("customer_id",),
    Partition.SNAPSHOT,
)
RAW_PROSPECTS = Table(
    "raw_prospects",
    "People and firms that never ordered, as the source gave them.",
    CUSTOMER_COLUMNS,
    ("customer_id",),
    Partition.SNAPSHOT,
)
RAW_ORDER_LINES = Table(
    "raw_order_lines",
    "Order lines as the source gave them: one version of a day for each night that learned something new.",
    ORDER_LINE_COLUMNS,
    ("order_id", "line_number"),
    Partition.EVENT_DAY,
)
RAW_CONSENTS = Table(
    "raw_consents",
    "Who may be written to, as the source gave it; who has a row without consent is left out of publications.",
    (
        CUSTOMER_ID,
        Column("is_consenting", Kind.FLAG, "Whether the customer agreed; empty counts as no.", required=True),
        Column("changed_at", Kind.INSTANT, "When that was said last."),
    ),
    ("customer_id",),
    Partition.SNAPSHOT,
)
MERGE_COLUMNS = (
    CUSTOMER_ID,
    Column("merged_into", Kind.TEXT, "Id of the customer who is left.", required=True),
    Column("merged_at", Kind.INSTANT, "Since when the two are one.", required=True),
)
RAW_CUSTOMER_MERGES = Table(
    "raw_customer_merges",
    "Customers who turned out to be somebody else, such as a guest with an account, as the source gave them.",
    MERGE_COLUMNS,
    ("customer_id",),
    Partition.SNAPSHOT,
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
        # What the source does not give is unknown, and a column full of nulls does not say which of the two it is.
        Column("given_columns", Kind.TEXT, "Columns of the table that the source gives, comma separated."),
    ),
    ("source_table",),
    Partition.NIGHT,
)
LATE_DAYS = Table(
    "late_days",
    "Days before those that the night read on which the source differed from what was known: late, vanished or changed rows.",
    (
        Column("source_table", Kind.TEXT, "Raw table of the rows: order lines or events.", required=True),
        Column("event_day", Kind.DATE, "Local day of the rows.", required=True),
        Column("source_row_count", Kind.INTEGER, "Rows that the source has of the day.", required=True),
        Column("known_row_count", Kind.INTEGER, "Rows that were known of it; empty where what is stored cannot be read."),
        Column("source_net_amount", Kind.MONEY, "Sum of their `net_amount` in the source; empty where they have none."),
        Column("known_net_amount", Kind.MONEY, "Sum of their `net_amount` as known."),
    ),
    ("source_table", "event_day"),
    Partition.NIGHT,
    is_optional=True,
)
MISDATED_DAYS = Table(
    "misdated_days",
    "Days of rows that no night reads: before the company's first day, or so long after the night that no later night can be meant.",
    (
        Column("source_table", Kind.TEXT, "Raw table that the rows would belong to.", required=True),
        Column("event_day", Kind.DATE, "Local day of the rows, within the years 1 to 9999.", required=True),
        Column("row_count", Kind.INTEGER, "Rows that the source has of the day.", required=True),
    ),
    ("source_table", "event_day"),
    Partition.NIGHT,
    is_optional=True,
)
DEPARTED_CUSTOMERS = Table(
    "departed_customers",
    "Customers and prospects whom the source listed on an earlier night and does not list any more; written with each new list.",
    (CUSTOMER_ID,),
    ("customer_id",),
    Partition.SNAPSHOT,
)
CUSTOMERS = Table(
    "customers",
    "Customers and prospects that passed validation.",
    (*CUSTOMER_COLUMNS, Column("is_prospect", Kind.FLAG, "Whether the row came from the prospects source.", required=True)),
    ("customer_id",),
    Partition.SNAPSHOT,
)
ORDER_LINES = Table(
    "order_lines",
    "Order lines that passed validation, as sold, given back or cancelled.",
    (
        # The last three have done their work: `is_cancelled` is in the kind, `refunded_order_day` in the order-day, and every clean line is
        # in the company's currency.
        *ORDER_LINE_COLUMNS[:-3],
        Column("line_kind", Kind.TEXT, "`order`, `refund` or `cancelled`.", required=True),
        ORDER_DAY,
    ),
    ("order_id", "line_number"),
    Partition.EVENT_DAY,
)
ORDERS = Table(
    "orders",
    "Whole orders: the lines of each as they were sold, added up, without cancelled ones. What is given back later is not taken off. "
    "Never stored: made where features count orders.",
    (
        CUSTOMER_ID,
        Column("order_id", Kind.TEXT, "Id of the order, invoice or basket.", required=True),
        Column("ordered_at", Kind.INSTANT, "When the first of its lines was sold.", required=True),
        CHANNEL,
        Column("line_count", Kind.INTEGER, "Its lines.", required=True),
        Column("category_count", Kind.INTEGER, "Different categories among its lines; empty where any line does not say its category."),
        Column("categories", Kind.TEXT, "The categories of its lines; empty where any line does not say its category.", separator=_BETWEEN),
        Column("product_ids", Kind.TEXT, "The products of its lines; empty where any line does not say its product.", separator=_BETWEEN),
        Column("quantity", Kind.MONEY, "Units sold.", required=True),
        Column("net_amount", Kind.MONEY, "What was paid for it, after discounts.", required=True),
        Column("discount_amount", Kind.MONEY, "Discounts on all its lines, 0 or more; empty where any line does not say its discount."),
        ORDER_DAY,
    ),
    # Lines of one order that were sold on several days are an order on each of them.
    ("order_id", "order_day"),
    Partition.EVENT_DAY,
)
CUSTOMER_MERGES = Table(
    "customer_merges",
    "Merges that passed validation: from that instant on all that the customer did and said is the other one's. None leads back.",
    MERGE_COLUMNS,
    ("customer_id",),
    Partition.SNAPSHOT,
)
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
    # The row itself is in the key: what is wrong may be its id, so no column of the source tells rows apart.
    ("source_table", "source_day", "rule", "row"),
    Partition.NIGHT,
)
# Ids on this list are never stored.
ERASURES = Table("erasures", "Customers who asked to be forgotten.", (CUSTOMER_ID,), ("customer_id",), Partition.SNAPSHOT)
SOURCE_TABLES = {
    "customers": RAW_CUSTOMERS,
    "prospects": RAW_PROSPECTS,
    "order_lines": RAW_ORDER_LINES,
    "consents": RAW_CONSENTS,
    "customer_contacts": RAW_CUSTOMER_CONTACTS,
    **{event.name: event.raw_table for event in BUILT_IN_EVENTS},
    "customer_merges": RAW_CUSTOMER_MERGES,
    "campaigns": RAW_CAMPAIGNS,
    "campaign_members": RAW_CAMPAIGN_MEMBERS,
}
