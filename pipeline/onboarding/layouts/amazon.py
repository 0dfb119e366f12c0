"""Amazon, Seller Central, Order reports: tab-separated texts with a row for each item of an order.

By Amazon's reference of report types (developer-docs.amazon.com, "Order report type values"): "All orders" names no buyer; "New orders" and
"Unshipped orders" have an anonymous address of the buyer. `item-price` is of all units of the row, before promotions, without shipping; a
pending order, whose payment is not authorized yet, mostly has none.
"""

from __future__ import annotations

from pipeline.onboarding.attributes import place_columns
from pipeline.onboarding.layouts.flat_orders import FlatOrders, order_part
from pipeline.onboarding.layouts.layout import Layout, TablePart, TableReading, quoted_text
from pipeline.onboarding.questions import Choice

NAME = "amazon_orders"
_PLACES = {"city": ("ship-city",), "region": ("ship-state",), "country": ("ship-country",)}
_CANCELLED, _UNPAID = ("cancelled", "canceled"), ("pending",)
_DISCOUNT = "item-promotion-discount"


def read(reading: TableReading) -> TablePart:
    """Return what an order report gives a company."""
    order = reading.text("amazon-order-id", "order-id")
    if reading.has_values("buyer-email"):
        reading.assume("A customer is the anonymous address that Amazon gives a buyer.")
        customer = f"lower({reading.text('buyer-email')})"
    else:
        text = f"{reading.table}: it names no buyer, so nobody can say who ordered again; reports with `buyer-email` can. Go on?"
        reading.choose(f"{reading.table}.customer", text, [Choice("order", "each order is a customer of its own")])
        reading.assume("The report names no buyer: each order is a customer of its own.")
        customer = order
    discount = f"COALESCE(abs({reading.amount(_DISCOUNT)}), 0)" if reading.has(_DISCOUNT) else ""
    less = f" less `{_DISCOUNT}`" if discount else ", as no column says what promotions took off"
    reading.assume(f"net_amount is `item-price`{less}: without shipping, with tax where Amazon shows prices with it.")
    amount = f"COALESCE({reading.amount('item-price')}, 0)"
    uncounted = _uncounted(reading)
    cancelled = "Cancelled ones are kept, but count nowhere." if uncounted else "Nor does it say which were cancelled."
    reading.assume(f"Returns are not in this report: orders count in full. {cancelled}")
    rows = {
        "order_id": order,
        "customer_id": customer,
        "ordered_at": reading.moment("purchase-date"),
        "quantity": f"COALESCE({reading.amount('quantity' if reading.has('quantity') else 'quantity-purchased')}, 1)",
        "net_amount": f"{amount} - {discount}" if discount else amount,
        **({"discount_amount": discount} if discount else {}),
        "product_id": reading.text("sku", "asin"),
        "category": reading.text("product-name"),
        "channel": reading.text("sales-channel") if reading.has("sales-channel") else "'Amazon'",
        **({"is_cancelled": uncounted} if uncounted else {}),
        "currency": f"upper({reading.text('currency')})",
    }
    reading.assume("The category of a line is the name of its product, as the report has no better one.")
    attributes = place_columns(reading, _PLACES, "`{column}` of the newest order.")
    return order_part(reading, FlatOrders(rows, attributes=attributes))


def _uncounted(reading: TableReading) -> str:
    """Return the SQL condition of rows that were cancelled, or are not paid yet; empty where no column has the status."""
    columns = [name for name in ("order-status", "item-status") if reading.has(name)]
    if not columns:
        return ""
    is_left_out = reading.option(f"{reading.table}.unpaid", "left-out", ["counted"]) == "left-out"
    if is_left_out and any(value.lower() in _UNPAID for name in columns for value in reading.column(name).counts):
        reading.assume(f"Pending orders are not paid yet and do not count; --set {reading.table}.unpaid=counted counts them.")
    listed = ", ".join(map(quoted_text, (*_CANCELLED, *(_UNPAID if is_left_out else ()))))
    conditions = " OR ".join(f"lower({reading.text(name)}) IN ({listed})" for name in columns)
    return f"COALESCE({conditions}, FALSE)"


LAYOUT = Layout(
    NAME,
    "Amazon order report",
    "orders",
    ("amazon-order-id|order-id", "purchase-date", "sku", "product-name", "quantity|quantity-purchased", "item-price", "currency"),
    read,
    key=("amazon-order-id", "order-id"),
    moments=("purchase-date",),
    currencies=("currency",),
    is_by_email=False,
)
