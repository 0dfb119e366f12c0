"""Square, Reporting, Transactions: the exports of items and of transactions, with local dates and times and the name of their time zone.

By Square's help, "Export sales data" (squareup.com/help): `Item Sales CSV` has a row for each item of a payment or refund, `Transactions
CSV` one for each payment or refund. `Net Sales` is after discounts, without tax and tips; it is negative for a refund, on the refund's day.
A refund of an amount instead of items stands in `Partial Refunds` alone, below zero: `Total Collected` is the sum of both, tax and tips.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.onboarding.layouts.flat_orders import FlatOrders, order_part
from pipeline.onboarding.layouts.layout import Layout, TablePart, TableReading
from pipeline.onboarding.layouts.row_time_zones import in_zone_of_row
from pipeline.onboarding.time_zones import zone_of_name

ITEMS, TRANSACTIONS = "square_items", "square_transactions"
_BY_AMOUNT = "Partial Refunds"


def read_items(reading: TableReading) -> TablePart:
    """Return what an export of items gives a company."""
    net, quantity = reading.amount("Net Sales"), reading.amount("Qty")
    rows = {
        **_common_rows(reading),
        "quantity": f"CASE WHEN {net} < 0 THEN -abs(COALESCE({quantity}, 1)) ELSE COALESCE({quantity}, 1) END",
        "product_id": reading.text("SKU", "Item"),
        "category": reading.text("Category"),
    }
    return order_part(reading, FlatOrders(rows, _condition(reading)))


def read_transactions(reading: TableReading) -> TablePart:
    """Return what an export of transactions gives a company."""
    net, given_back = reading.amount("Net Sales"), f"COALESCE(abs({reading.amount(_BY_AMOUNT)}), 0)"
    pieces = f"CASE WHEN {net} < 0 THEN -1 ELSE 1 END"
    rows = {**_common_rows(reading)}
    if reading.has_values(_BY_AMOUNT):
        reading.assume(f"`{_BY_AMOUNT}`, given back by amount and not by item, are taken off too, with their tax if they have any.")
        rows["net_amount"] = f"{net} - {given_back}"
        # Money alone was given back: no piece.
        pieces = f"CASE WHEN {net} < 0 THEN -1 WHEN {net} = 0 AND {given_back} > 0 THEN 0 ELSE 1 END"
    return order_part(reading, FlatOrders({**rows, "quantity": f"CAST({pieces} AS DECIMAL(18, 4))"}, _condition(reading)))


def _common_rows(reading: TableReading) -> Mapping[str, str]:
    reading.assume("net_amount is `Net Sales`: after discounts, without tax and tips; a refund counts on its own day.")
    reading.assume("A customer is a `Customer ID` of Square; sales without one, as most cash sales are, belong to nobody and are left out.")
    rows = {
        "order_id": reading.text("Transaction ID", "Payment ID"),
        "customer_id": reading.text("Customer ID", "Customer Reference ID"),
        "ordered_at": _moment(reading),
        "net_amount": reading.amount("Net Sales"),
        "discount_amount": f"abs({reading.amount('Discounts')})",
    }
    if channel := next((name for name in ("Channel", "Source", "Location") if reading.has_values(name)), ""):
        rows["channel"] = reading.text(channel)
    return rows


def _moment(reading: TableReading) -> str:
    """Return the SQL of when a row was sold, by the time zone that each row names."""
    moment = reading.moment_of("Date", "Time" if reading.has("Time") else "")
    is_of_company = set(map(zone_of_name, reading.column("Time Zone").counts)) <= {reading.zone}
    return moment if is_of_company else in_zone_of_row(reading, moment, "Time Zone")


def _condition(reading: TableReading) -> str:
    return f"{reading.text('Date')} IS NOT NULL AND {reading.text('Net Sales')} IS NOT NULL"


_COLUMNS = ("Date", "Gross Sales", "Discounts", "Net Sales", "Tax", "Transaction ID|Payment ID", "Event Type", "Location")
ITEMS_LAYOUT = Layout(
    ITEMS,
    "Square items export",
    "items",
    (*_COLUMNS, "Item", "Qty"),
    read_items,
    key=("Payment ID",),
    money=("Net Sales",),
    zone_column="Time Zone",
    is_by_email=False,
)
TRANSACTIONS_LAYOUT = Layout(
    TRANSACTIONS,
    "Square transactions export",
    "transactions",
    (*_COLUMNS, "Total Collected"),
    read_transactions,
    key=("Payment ID",),
    money=("Net Sales",),
    zone_column="Time Zone",
    yields_to=(ITEMS,),
    is_by_email=False,
)
