"""Orders made to try the checkout are no sales: kept, counted nowhere, and said."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from support.onboarding import export, init, net_by_order

# Order #1001 is worth 25, #1002 nothing, #1004 19.99; ch_1 1200.50, ch_2 nothing, ch_3 37.66, ch_5 19.99; 901 is worth 44, 902 20.
SHOPIFY = {"time_zone": "America/New_York", "currency": "USD"}
BERLIN = {"time_zone": "Europe/Berlin"}


def with_column(text: str, column: str, cells: dict[str, str], default: str = "") -> str:
    """Add a column, with a cell on the first row of each of the orders; on later rows of an order it is empty, as all others are."""
    header, *rows = text.splitlines()
    left = dict(cells)
    return "\n".join([f"{header},{column}", *(f"{row},{left.pop(row.partition(',')[0], default)}" for row in rows), ""])


@pytest.mark.parametrize(
    ("name", "settings", "column", "cells", "orders", "left_out", "words"),
    [
        *(
            ("shopify_orders.csv", SHOPIFY, column, {"#1001": cell}, {"#1002": "0", "#1004": "19.99"}, "45", "1 order is a test")
            for column, cell in (("Payment Method", "bogus"), ("Payment Method", "(for testing) Bogus Gateway"), ("Tags", '"vip, Test"'))
        ),
        (
            *("stripe_payments.csv", BERLIN, "livemode", {"ch_1": "false", "ch_3": "false"}),
            *({"ch_2": "0", "ch_5": "19.99"}, "1238.16", "2 payments are tests"),
        ),
        ("stripe_charges.csv", BERLIN, "livemode", {"ch_1": "false"}, {"ch_2": "0", "ch_3": "37.66"}, "1200.50", "1 charge is a test"),
    ],
)
def test_tests_of_a_checkout_are_no_sales(
    tmp_path: Path,
    name: str,
    settings: dict[str, str],
    column: str,
    cells: dict[str, str],
    orders: dict[str, str],
    left_out: str,
    words: str,
) -> None:
    text = with_column(export(name), column, cells, "true" if column == "livemode" else "")
    made = init(tmp_path / "shop", {name: text}, settings)
    assert net_by_order(made) == {order: Decimal(amount) for order, amount in orders.items()}
    assert any(f"{words} by `{column}`" in sentence for sentence in made.draft.assumptions)
    # Shopify: with what is cancelled or pending without them, 20.
    assert [each.amount for each in made.left_out if each.reason == "cancelled, not paid or tests"] == [Decimal(left_out)]
    counted = init(tmp_path / "counted", {name: text}, {**settings, f"{made.draft.tables[0].name}.tests": "counted"})
    assert counted.net_amount == made.net_amount + Decimal(left_out) - (20 if "shopify" in name else 0)


def test_a_mode_of_stripe_says_which_payments_are_tests(tmp_path: Path) -> None:
    text = export("stripe_payments.csv").replace("35.00,0.00,eur,Live,Paid", "35.00,0.00,eur,Test,Paid")
    made = init(tmp_path / "shop", {"payments.csv": text}, BERLIN)
    assert "ch_1" not in net_by_order(made)


def test_the_mode_of_a_payment_says_which_orders_of_woocommerce_are_tests(tmp_path: Path) -> None:
    text = with_column(export("woocommerce_orders.csv"), "meta:_wcpay_mode", {"901": "test"}, "prod")
    made = init(tmp_path / "shop", {"orders.csv": text}, BERLIN)
    assert net_by_order(made) == {"902": Decimal(20)}


def test_a_tag_that_has_the_word_is_no_test(tmp_path: Path) -> None:
    text = with_column(export("shopify_orders.csv"), "Tags", {"#1001": "latest", "#1004": "taste-test"})
    made = init(tmp_path / "shop", {"orders.csv": text}, SHOPIFY)
    assert made.net_amount == Decimal("44.99")
