"""WooCommerce: exports of orders by its usual extensions, and the orders report of WooCommerce Analytics.

By their documentation (woocommerce.com/document/import-and-export-of-woocommerce-orders, /document/ordercustomer-csv-export and
/document/woocommerce-analytics; algolplus.com). "Order Export & Order Import" has a row for each order and a column `line_item_1`,
`line_item_2` ... for each of its items, with marks between what is said of one: `name:Mug|sku:M-1|quantity:2|total:18.00|sub_total:20.00`;
`total` is after discounts and without tax. "Customer / Order / Coupon Export" and "Advanced Order Export" have a row for each item.
Analytics has a row for each order and names its customer; its net revenue is without tax and shipping, and less what was given back.
"""

from __future__ import annotations

from pipeline.onboarding.attributes import AttributeColumn, place_columns
from pipeline.onboarding.layouts.flat_orders import FlatOrders, order_part
from pipeline.onboarding.layouts.layout import Layout, TablePart, TableReading
from pipeline.onboarding.layouts.trial_orders import is_trial
from pipeline.onboarding.layouts.woocommerce_refunds import with_order_refunds
from pipeline.onboarding.layouts.woocommerce_states import is_uncounted

ORDERS, ITEMS, ADVANCED, ANALYTICS = "woocommerce_orders", "woocommerce_items", "woocommerce_advanced", "woocommerce_analytics"
# The note that WooPayments makes with each order, where an export has it.
TRIALS = {"meta:_wcpay_mode": "^test", "_wcpay_mode": "^test"}
_PLACES = {
    "city": ("shipping_city", "billing_city", "City (Shipping)", "City (Billing)"),
    "region": ("shipping_state", "billing_state", "State Code (Shipping)", "State Code (Billing)"),
    "country": ("shipping_country", "billing_country", "Country Code (Shipping)", "Country Code (Billing)"),
}


def read_orders(reading: TableReading) -> TablePart:
    """Return what an orders export gives a company."""
    reading.assume("net_amount is the `total` of each item: after discounts, without tax and shipping.")
    reading.assume("A customer is the e-mail address of the order, whatever its case; without one, the id of the account.")
    item = {
        name: f"NULLIF(regexp_extract(item, '(?:^|\\|){name}:([^|]*)', 1), '')"
        for name in ("quantity", "total", "sub_total", "sku", "name", "product_id")
    }
    email, account = reading.text("customer_email", "billing_email"), reading.text("customer_id", "customer_user")
    total, before = (f"CAST({item[name]} AS DECIMAL(18, 4))" for name in ("total", "sub_total"))
    rows = {
        "order_id": reading.text("order_number", "order_id"),
        "customer_id": f"COALESCE(lower({email}), NULLIF({account}, '0'))",
        "ordered_at": reading.moment("order_date"),
        "quantity": f"CAST({item['quantity']} AS DECIMAL(18, 4))",
        "net_amount": total,
        "discount_amount": f"greatest({before} - {total}, 0)",
        "product_id": f"COALESCE({item['sku']}, {item['product_id']}, {item['name']})",
        "category": item["name"],
        "is_cancelled": _is_cancelled(reading, "status"),
        "currency": f"upper({reading.text('order_currency')})",
    }
    if reading.has_values("refund_items"):
        reading.assume(
            "`refund_items` do not belong to single items: what was given back is shared out over the order and counts for its day."
        )
        amounts = f"regexp_extract_all({reading.quoted('refund_items')}, 'amount:-?([0-9.]+)', 1)"
        rows["order_refunded"] = f"COALESCE(list_sum(list_transform({amounts}, lambda amount: CAST(amount AS DECIMAL(18, 4)))), 0)"
    reading.assume("The category of a line is the name of its product, as the export has no better one.")
    items = f"{reading.table}_items"
    prelude = (
        f"{items} AS (\n  -- Each order has a column for each of its items; a later export may have more of them.\n"
        f"  SELECT * FROM (UNPIVOT {reading.table} ON COLUMNS('^line_item_[0-9]+$') INTO NAME place VALUE item)\n)"
    )
    condition = f"trim(item) <> '' AND {item['total']} IS NOT NULL"
    return order_part(reading, FlatOrders(rows, condition, source=items, prelude=prelude, attributes=_places(reading)))


def read_items(reading: TableReading) -> TablePart:
    """Return what an export with a row for each item gives a company."""
    reading.assume("A customer is the e-mail address of the order, whatever its case.")
    quantity = next(name for name in _QUANTITIES if reading.has(name))
    total = next((name for name in ("item_total", "Order Line (w/o tax)") if reading.has(name)), "")
    if total:
        reading.assume(f"net_amount is `{total}`: after discounts, without tax and shipping.")
        net = reading.amount(total)
    else:
        reading.assume(f"net_amount is `{quantity}` times `Item Cost`: after discounts, without tax and shipping.")
        net = f"CAST(round({reading.amount(quantity)} * {reading.amount('Item Cost')}, 4) AS DECIMAL(18, 4))"
    rows = {
        "order_id": reading.text("order_number", "order_id", "Order Number"),
        "customer_id": f"lower({reading.text('billing_email', 'customer_email', 'Email (Billing)')})",
        "ordered_at": reading.moment("Order Date" if reading.has("Order Date") else "date" if reading.has("date") else "order_date"),
        "quantity": reading.amount(quantity),
        "net_amount": net,
        "product_id": reading.text("item_sku", "SKU", "item_product_id", "item_name", "Item Name", "Name"),
        "category": reading.text("Category", "item_name", "Item Name", "Name"),
        "is_cancelled": _is_cancelled(reading, "status" if reading.has("status") else "Order Status"),
    }
    if reading.has("item_subtotal") and total == "item_total":
        rows["discount_amount"] = f"greatest({reading.amount('item_subtotal')} - {net}, 0)"
    if reading.has("order_currency"):
        rows["currency"] = f"upper({reading.text('order_currency')})"
    if reading.has_values("item_refunded"):
        reading.assume("What was given back of an item counts for the day of its order, as the export does not say when.")
        rows["refunded"] = f"COALESCE(abs({reading.amount('item_refunded')}), 0)"
    reading.assume("The category of a line is the name of its product, unless the export has a better one.")
    condition = f"{reading.amount(quantity)} IS NOT NULL"
    return order_part(reading, with_order_refunds(reading, FlatOrders(rows, condition, attributes=_places(reading))))


_QUANTITIES = ("item_quantity", "Quantity (- Refund)", "Quantity")


def _places(reading: TableReading) -> list[AttributeColumn]:
    return place_columns(reading, _PLACES, "Where the newest order went to.")


def read_analytics(reading: TableReading) -> TablePart:
    """Return what the orders report of WooCommerce Analytics gives a company."""
    reading.assume("net_amount is the net revenue of the order: without tax and shipping, less what was given back, whenever that was.")
    reading.assume("The report names no e-mail address: a customer is who has the same name. The export of orders tells them apart better.")
    amount = next(name for name in _REVENUE if reading.has(name))
    rows = {
        "order_id": reading.text("Order #"),
        "customer_id": reading.text("Customer"),
        "ordered_at": reading.moment("Date"),
        "quantity": f"COALESCE({reading.amount('Items sold')}, 1)",
        "net_amount": reading.amount(amount),
        "is_cancelled": _is_cancelled(reading, "Status"),
    }
    return order_part(reading, FlatOrders(rows, f"{reading.text('Date')} IS NOT NULL"))


_REVENUE = ("N. Revenue", "Net Sales", "Net Revenue")


def _is_cancelled(reading: TableReading, column: str) -> str:
    uncounted = is_uncounted(reading, column)
    trial = is_trial(reading, TRIALS, "row")
    return f"{uncounted} OR {trial}" if trial else uncounted


ORDERS_LAYOUT = Layout(
    ORDERS,
    "WooCommerce orders export",
    "orders",
    ("order_id|order_number", "order_date", "status", "order_total", "order_currency", "line_item_1", "customer_email|billing_email"),
    read_orders,
    key=("order_id",),
    moments=("order_date",),
    currencies=("order_currency",),
)
ITEMS_LAYOUT = Layout(
    ITEMS,
    "WooCommerce order items export",
    "orders",
    ("order_id|order_number", "date|order_date", "status", "item_name", "item_quantity", "item_total", "billing_email|customer_email"),
    read_items,
    key=("order_id",),
    moments=("date", "order_date"),
    currencies=("order_currency",),
    money=("item_total",),
)
ADVANCED_LAYOUT = Layout(
    ADVANCED,
    "WooCommerce Advanced Order Export",
    "orders",
    (
        *("Order Number", "Order Status", "Order Date", "Email (Billing)", "|".join(_QUANTITIES)),
        *("Item Cost|Order Line (w/o tax)", "Item Name|Name|SKU"),
    ),
    read_items,
    key=("Order Number",),
    moments=("Order Date",),
    money=("Item Cost", "Order Line (w/o tax)"),
)
ANALYTICS_LAYOUT = Layout(
    ANALYTICS,
    "WooCommerce Analytics orders report",
    "orders",
    ("Date", "Order #", "Status", "Customer", "Customer type", "|".join(_REVENUE)),
    read_analytics,
    key=("Order #",),
    moments=("Date",),
    money=("N. Revenue (formatted)", *_REVENUE),
    yields_to=(ORDERS, ITEMS, ADVANCED),
    is_by_email=False,
)
