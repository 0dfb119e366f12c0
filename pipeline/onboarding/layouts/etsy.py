"""Etsy, Shop Manager, Settings, Options, Download Data: sold order items, a row for each item, and sold orders, a row for each order.

By Etsy's help, "How to Download Your Shop Data" (help.etsy.com). Dates are written month first, with two digits of the year. `Item Total`
and `Order Value` are before coupons, `Discount Amount` is what coupons took off; both are without shipping and sales tax.
`Adjusted Order Total` is what is left of `Order Total` after refunds.
"""

from __future__ import annotations

import re

from pipeline.onboarding.attributes import AttributeColumn, place_columns
from pipeline.onboarding.date_formats import MONTH_FIRST, date_format
from pipeline.onboarding.layouts.flat_orders import FlatOrders, order_part
from pipeline.onboarding.layouts.layout import Layout, TablePart, TableReading

ITEMS, ORDERS = "etsy_items", "etsy_orders"
_PLACES = {"city": ("Ship City",), "region": ("Ship State",), "country": ("Ship Country",)}


def read_items(reading: TableReading) -> TablePart:
    """Return what an export of sold items gives a company; what was given back is known where that of sold orders is given too."""
    rows = {
        **_common_rows(reading, "Item Total"),
        "quantity": f"COALESCE({reading.amount('Quantity')}, 1)",
        "product_id": reading.text("SKU", "Listing ID"),
        "category": reading.text("Item Name"),
    }
    reading.assume("The category of a line is the name of its item, as the export has no better one.")
    orders = reading.beside.get(ORDERS)
    refunded = _refunded(orders) if orders else ""
    _assume_amounts(reading, "Item Total", orders, is_refunded=bool(refunded))
    if orders is None or not refunded:
        return order_part(reading, FlatOrders(rows, attributes=_places(reading)))
    joined, given_back = f"{reading.table}_of_orders", f"{reading.table}_given_back"
    prelude = f"""{given_back} AS (
  -- What was given back of each order, as the export of orders says.
  SELECT {orders.text("Order ID")} AS whole_order, max({refunded}) AS given_back
  FROM {orders.table}
  GROUP BY 1
),
{joined} AS (
  SELECT *
  FROM {reading.table}
  LEFT JOIN {given_back} ON whole_order = {reading.text("Order ID")}
)"""
    rows["order_refunded"] = "COALESCE(given_back, 0)"
    return order_part(reading, FlatOrders(rows, source=joined, prelude=prelude, attributes=_places(reading)))


def read_orders(reading: TableReading) -> TablePart:
    """Return what an export of sold orders gives a company."""
    rows = {**_common_rows(reading, "Order Value"), "quantity": f"COALESCE({reading.amount('Number of Items')}, 1)"}
    refunded = _refunded(reading)
    if ITEMS not in reading.beside:
        _assume_amounts(reading, "Order Value", reading, is_refunded=bool(refunded))
    if refunded:
        rows["order_refunded"] = refunded
    return order_part(reading, FlatOrders(rows, attributes=_places(reading)))


def _common_rows(reading: TableReading, amount: str) -> dict[str, str]:
    reading.assume("A customer is a `Buyer` of Etsy.")
    discount = f"COALESCE(abs({reading.amount('Discount Amount')}), 0)"
    return {
        "order_id": reading.text("Order ID"),
        "customer_id": reading.text("Buyer", "Buyer User ID", "Full Name"),
        "ordered_at": _moment(reading),
        "net_amount": f"{reading.amount(amount)} - {discount}",
        "discount_amount": discount,
        "currency": f"upper({reading.text('Currency')})",
    }


def _refunded(orders: TableReading) -> str:
    """Return the SQL of what was given back of an order; empty where the export does not say.

    `Adjusted Order Total` is what is left of `Order Total`; it is 0 where nothing was given back, and where all was: then `Status` says so.
    """
    cases = []
    if orders.has("Adjusted Order Total"):
        adjusted = f"abs({orders.amount('Adjusted Order Total')})"
        cases.append(f"WHEN {adjusted} > 0 THEN greatest({orders.amount('Order Total')} - {adjusted}, 0)")
    if orders.has("Status"):
        cases.append(f"WHEN regexp_matches(lower({orders.text('Status')}), '{_GIVEN_BACK}') THEN {orders.amount('Order Total')}")
    return f"CASE {' '.join(cases)} ELSE 0 END" if cases else ""


_GIVEN_BACK = "^(fully )?(refund|cancel)"


def _assume_amounts(reading: TableReading, amount: str, orders: TableReading | None, *, is_refunded: bool) -> None:
    """Say once what net_amount is, and what is known of refunds."""
    less = ", less what was given back" if is_refunded else ""
    reading.assume(f"net_amount is `{amount}` less `Discount Amount`{less}: without shipping and sales tax.")
    if orders is None:
        reading.assume("Refunds are not in this export: orders count in full. The export of sold orders has them: give it as well.")
        return
    if not is_refunded:
        reading.assume("Refunds are in none of these columns: orders count in full.")
        return
    parts = whole = 0
    for total, adjusted, status in orders.sample.records(("Order Total", "Adjusted Order Total", "Status")):
        left = orders.style("Adjusted Order Total").number(adjusted) if adjusted else 0
        if left:
            parts += left != orders.style("Order Total").number(total)
        else:
            whole += bool(re.search(_GIVEN_BACK, status.lower()))
    noun = "order" if parts == 1 else "orders"
    if orders.has("Adjusted Order Total"):
        what = f"a part of {parts:,} {noun}, by `Adjusted Order Total`, and all of {whole:,}, by `Status`."
    else:
        what = f"all of {whole:,} {'order' if whole == 1 else 'orders'}, by `Status`. Of which a part was, no column says."
    reading.assume(
        f"Given back: {what} The export does not say when: it counts for the day of the order, shared out over its lines; what exceeds the "
        "goods is shipping or tax and left out."
    )


def _moment(reading: TableReading) -> str:
    found = date_format(reading.column("Sale Date").counts)
    if found is None or not found.is_ambiguous:
        return reading.moment("Sale Date")
    reading.assume("Dates are written month first, as Etsy writes them.")
    return found.ordered(MONTH_FIRST).sql(reading.quoted("Sale Date"), reading.zone)


def _places(reading: TableReading) -> list[AttributeColumn]:
    return place_columns(reading, _PLACES, "`{column}` of the newest order.")


ITEMS_LAYOUT = Layout(
    ITEMS,
    "Etsy sold order items",
    "items",
    ("Sale Date", "Item Name", "Buyer", "Quantity", "Price", "Item Total", "Order ID"),
    read_items,
    key=("Order ID",),
    currencies=("Currency",),
    money=("Item Total",),
    is_by_email=False,
)
ORDERS_LAYOUT = Layout(
    ORDERS,
    "Etsy sold orders",
    "orders",
    ("Sale Date", "Order ID", "Number of Items", "Order Value", "Order Total", "Buyer|Buyer User ID|Full Name"),
    read_orders,
    key=("Order ID",),
    currencies=("Currency",),
    money=("Order Value",),
    yields_to=(ITEMS,),
    is_by_email=False,
)
