"""Tables with a row for each line, order or payment: their parts of a company, from the SQL of each column of a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.onboarding.attributes import AttributeColumn
from pipeline.onboarding.layouts.layout import TablePart, TableReading

TEMPLATE = "flat_orders"
LINE_OPTIONS = ("discount_amount", "product_id", "category", "channel", "is_cancelled", "currency")
SHOP_RANK = 5
"""How far people of orders are believed: after those of a list of customers."""


@dataclass(frozen=True, slots=True)
class FlatOrders:
    """What the rows of a table say: `rows` has the SQL of each column of an order line by its name.

    Beside those of order lines there may be `refunded`, what was given back of the row, `order_refunded`, of the row's whole order, and
    `refunded_at`, when; else the day of the order counts. `order_discount` is what was taken off the row's whole order and is not yet off
    its `net_amount`. `prelude` are common table expressions that end in `source`, which the rows are read from; `condition` says which of
    them. `consent` is the SQL of whether the buyer agreed to be written to; where `is_silence_no`, who says nothing in any row did not.
    Where `is_amount_of_order`, each row's `net_amount` is that of its whole order, to be shared out.
    """

    rows: Mapping[str, str]
    condition: str = "TRUE"
    source: str = ""
    prelude: str = ""
    attributes: Sequence[AttributeColumn] = field(default_factory=tuple)
    consent: str = ""
    rank: int = SHOP_RANK
    is_amount_of_order: bool = False
    is_silence_no: bool = False


def order_part(reading: TableReading, orders: FlatOrders) -> TablePart:
    """Return what such a table gives a company."""
    options = [name for name in orders.rows if name in LINE_OPTIONS]
    first = ["ordered_at", *options, "net_amount", "quantity"]
    values = {
        "rows": orders.rows,
        # All that a row says: lines that tie on less would take each other's refunds, as their rows come.
        "content": [*first, *(name for name in orders.rows if name not in (*first, "order_id"))],
        "condition": orders.condition,
        "source": orders.source or reading.table,
        "prelude": f"{orders.prelude.strip()},\n" if orders.prelude.strip() else "",
        "attributes": orders.attributes,
        "options": options,
        "consent": orders.consent,
        "is_silence_no": orders.is_silence_no,
        "is_amount_of_order": orders.is_amount_of_order,
        "has_refund": "refunded" in orders.rows or "order_refunded" in orders.rows,
    }
    return TablePart(
        reading.table,
        lines=reading.render(TEMPLATE, "lines", **values),
        line_columns=(*options, *(["refunded_order_day"] if values["has_refund"] else [])),
        people=reading.render(TEMPLATE, "people", **values),
        rank=orders.rank,
        attributes=tuple(each.draft for each in orders.attributes),
        consents=reading.render(TEMPLATE, "consents", **values) if orders.consent else "",
    )
