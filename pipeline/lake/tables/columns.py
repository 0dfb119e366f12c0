"""Columns that several tables share: the same name means the same thing everywhere."""

from __future__ import annotations

from pipeline.lake.tables.schema import Column, Kind

DAY = Column("day", Kind.DATE, "Business day that the row describes, in the company's time zone.")
CUSTOMER_ID = Column("customer_id", Kind.TEXT, "The company's own id of the customer.", required=True)
ORDER_DAY = Column("order_day", Kind.DATE, "Local day that the order counts for; a linked refund counts for its order's.", required=True)
CATEGORY = Column("category", Kind.TEXT, "Product category; empty where the source gives none.")
CHANNEL = Column("channel", Kind.TEXT, "Where the order was placed, such as web or store; empty where the source gives none.")
NET_AMOUNT = Column(
    "net_amount", Kind.MONEY, "What the customer paid for the line after discounts, negative when money went back.", required=True
)
DISCOUNT_AMOUNT = Column("discount_amount", Kind.MONEY, "Discount given on the line, 0 or more; empty where the source gives none.")
SCHEME = Column("scheme", Kind.TEXT, "Scheme that the segment belongs to.", required=True)
SEGMENT = Column("segment", Kind.TEXT, "Segment of the scheme.", required=True)
SINCE_DATE = Column("since_date", Kind.DATE, "Night since which the customer has been in it, as far as nights are stored.")
VISITS_SOURCE = "visits"  # what figures of visits need: a source, not a column
ORDERS_SOURCE = "order_lines"  # the same of figures of orders
