"""What "Advanced Order Export" says of refunds: pieces that are left of an item, and what was given back of the order. Pure.

`Quantity (- Refund)` and `Item Cost` leave out goods that were given back, yet not money that was given back without them, which stands in
`Order Refund Amount` alone. `Order Subtotal Amount` is before refunds and discounts, so it shows whether goods are missing. `Item Cost` is
after discounts and rounded, so cents may be missing too.
"""

from __future__ import annotations

from dataclasses import replace

from pipeline.onboarding.layouts.flat_orders import FlatOrders
from pipeline.onboarding.layouts.layout import TableReading

SUBTOTAL, DISCOUNT, REFUND = "Order Subtotal Amount", "Cart Discount Amount", "Order Refund Amount"


def with_order_refunds(reading: TableReading, orders: FlatOrders) -> FlatOrders:
    """Return `orders` with amounts that add up to what was paid for each order, less money given back without goods."""
    if not reading.has_values(SUBTOTAL):
        if reading.has_values(REFUND):
            reading.assume(f"`{REFUND}` is not taken off: without `{SUBTOTAL}`, nothing says whether the goods were given back too.")
        return orders
    rows = orders.rows
    order, net, pieces = rows["order_id"], rows["net_amount"], rows["quantity"]
    refund = f"COALESCE(abs({reading.amount(REFUND)}), 0)"
    compared = f"{reading.table}_compared"
    prelude = f"""{compared} AS (
  -- What an order lacks of its subtotal less discounts are goods that were given back, or cents, as costs of items are rounded.
  SELECT
    *,
    {net} AS goods_amount,
    {reading.amount(SUBTOTAL)} - COALESCE(abs({reading.amount(DISCOUNT)}), 0) - sum({net}) OVER whole_order AS missing_amount,
    {refund} AS given_back_amount,
    -- Half of the smallest unit for each piece, and for the refund.
    (sum(abs({pieces})) OVER whole_order + 1) / {2 * reading.minor_units} AS rounding_amount,
    row_number() OVER (PARTITION BY {order} ORDER BY {net} DESC NULLS LAST, {rows["product_id"]}, {rows["category"]}) AS place_by_amount
  FROM {orders.source or reading.table}
  WINDOW whole_order AS (PARTITION BY {order})
)"""
    cents = (
        "CASE WHEN place_by_amount > 1 THEN 0 WHEN abs(missing_amount) <= rounding_amount THEN missing_amount "
        "WHEN abs(missing_amount - given_back_amount) <= rounding_amount THEN missing_amount - given_back_amount ELSE 0 END"
    )
    found = {**rows, "net_amount": f"CAST(goods_amount + {cents} AS DECIMAL(18, 4))"}
    if reading.has_values(REFUND):
        reading.assume(
            f"Of an order that has all of its goods, `{REFUND}` is taken off, shared out over its lines to the cent; it counts for the day "
            "of the order, as the export does not say when. Goods that were given back are left out by their quantity."
        )
        found["order_refunded"] = "CASE WHEN abs(missing_amount) <= rounding_amount THEN given_back_amount ELSE 0 END"
    return replace(orders, rows=found, source=compared, prelude=prelude)
