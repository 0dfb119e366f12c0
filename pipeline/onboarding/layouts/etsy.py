"""Etsy, Shop Manager, Settings, Options, Download Data: sold order items, a row for each item, and sold orders, a row for each order.

By Etsy's help, "How to Download Your Shop Data" (help.etsy.com). Dates are written month first, with two digits of the year. `Item Total`
and `Order Value` are before coupons, `Discount Amount` is what coupons took off; both are without shipping and sales tax. Refunds are in
neither.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.onboarding.attributes import AttributeColumn
from pipeline.onboarding.date_formats import MONTH_FIRST, date_format
from pipeline.onboarding.layouts.flat_orders import FlatOrders, order_part
from pipeline.onboarding.layouts.layout import AttributeDraft, Layout, TablePart, TableReading

ITEMS, ORDERS = "etsy_items", "etsy_orders"


def read_items(reading: TableReading) -> TablePart:
    """Return what an export of sold items gives a company."""
    reading.assume("net_amount is `Item Total` less `Discount Amount`: without shipping and sales tax.")
    rows = {
        **_common_rows(reading, "Item Total"),
        "quantity": f"COALESCE({reading.amount('Quantity')}, 1)",
        "product_id": reading.text("SKU", "Listing ID"),
        "category": reading.text("Item Name"),
    }
    reading.assume("The category of a line is the name of its item, as the export has no better one.")
    return order_part(reading, FlatOrders(rows, attributes=_places(reading)))


def read_orders(reading: TableReading) -> TablePart:
    """Return what an export of sold orders gives a company."""
    reading.assume("net_amount is `Order Value` less `Discount Amount`: without shipping and sales tax.")
    rows = {**_common_rows(reading, "Order Value"), "quantity": f"COALESCE({reading.amount('Number of Items')}, 1)"}
    return order_part(reading, FlatOrders(rows, attributes=_places(reading)))


def _common_rows(reading: TableReading, amount: str) -> Mapping[str, str]:
    reading.assume("A customer is a `Buyer` of Etsy.")
    reading.assume("Refunds are not in this export: orders count in full.")
    discount = f"COALESCE(abs({reading.amount('Discount Amount')}), 0)"
    return {
        "order_id": reading.text("Order ID"),
        "customer_id": reading.text("Buyer", "Buyer User ID", "Full Name"),
        "ordered_at": _moment(reading),
        "net_amount": f"{reading.amount(amount)} - {discount}",
        "discount_amount": discount,
        "currency": f"upper({reading.text('Currency')})",
    }


def _moment(reading: TableReading) -> str:
    found = date_format(reading.column("Sale Date").counts)
    if found is None or not found.is_ambiguous:
        return reading.moment("Sale Date")
    reading.assume("Dates are written month first, as Etsy writes them.")
    return found.ordered(MONTH_FIRST).sql(reading.quoted("Sale Date"), reading.zone)


def _places(reading: TableReading) -> list[AttributeColumn]:
    columns = {"city": "Ship City", "region": "Ship State", "country": "Ship Country"}
    return [
        AttributeColumn(AttributeDraft(name, "geographic", f"`{column}` of the newest order."), reading.text(column))
        for name, column in columns.items()
        if reading.has_values(column)
    ]


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
