"""Amounts of an order that are shared out over its lines add up to it exactly, and no line gets more than a cent beside its part."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from support.onboarding import query_lines

PRICES = st.integers(0, 100_000).map(lambda cents: Decimal(cents) / 100)
ORDERS = st.lists(
    st.tuples(st.lists(st.tuples(st.integers(1, 9), PRICES), min_size=1, max_size=6), st.integers(0, 100), st.integers(0, 150)),
    min_size=1,
    max_size=20,
)


@given(orders=ORDERS)
@settings(max_examples=25, deadline=None)
def test_no_cent_is_lost_or_made(orders: list[tuple[list[tuple[int, Decimal]], int, int]]) -> None:
    columns: dict[str, list[str | None]] = defaultdict(list)
    paid, given_back = {}, {}
    for number, (lines, percent_off, percent_back) in enumerate(orders):
        full = sum((quantity * price for quantity, price in lines), Decimal())
        goods = (full * (100 - percent_off) / 100).quantize(Decimal("0.01"))
        refund = (goods * percent_back / 100).quantize(Decimal("0.01"))
        paid[f"#{number}"], given_back[f"#{number}"] = goods, min(refund, goods)
        for place, (quantity, price) in enumerate(lines):
            is_first = place == 0
            row = {
                "Name": f"#{number}", "Email": "a@b.c" if is_first else None, "Financial Status": "paid" if is_first else None,
                "Created at": "2024-01-05 10:00:00+01:00", "Subtotal": str(goods) if is_first else None,
                "Refunded Amount": str(refund) if is_first else None, "Lineitem quantity": str(quantity), "Lineitem name": f"P{place}",
                "Lineitem price": str(price),
            }  # fmt: skip
            for name, value in row.items():
                columns[name].append(value)
    net: dict[str, Decimal] = defaultdict(Decimal)
    back: dict[str, Decimal] = defaultdict(Decimal)
    for line in query_lines(columns):
        (net if line["line_number"] < 10_000 else back)[line["order_id"]] += line["net_amount"]
        assert line["net_amount"] == line["net_amount"].quantize(Decimal("0.01"))
    assert dict(net) == paid
    assert {order: -amount for order, amount in back.items()} == {order: amount for order, amount in given_back.items() if amount}
