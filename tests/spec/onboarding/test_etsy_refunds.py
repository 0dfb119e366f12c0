"""What Etsy gave back is in its export of orders alone: it comes off the lines of the items, to the cent."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from support.onboarding import export, init, lines_of, net_by_order

CHICAGO = {"time_zone": "America/Chicago"}
ITEMS = export("etsy_items.csv")


def orders(adjusted: tuple[str, str], statuses: tuple[str, str] = ("Completed", "Completed")) -> str:
    header, *rows = export("etsy_orders.csv").splitlines()
    given = [f"{row.replace('Completed', status)},{left}" for row, left, status in zip(rows, adjusted, statuses, strict=True)]
    return "\n".join([f"{header},Adjusted Order Total", *given, ""])


@pytest.mark.parametrize("has_items", [False, True])
@pytest.mark.parametrize(
    ("adjusted", "statuses", "first", "second"),
    [
        # 24.92 less 14.92 is 10 of 19.80 given back; 3002 is worth 12, and 16.50 with shipping.
        (("14.92", "0.00"), ("Completed", "Completed"), "9.80", "12"),
        (("14.92", "0.00"), ("Partially Refunded", "Refunded"), "9.80", "0"),
        (("0.00", ""), ("", "Canceled"), "19.80", "0"),
        # All but shipping was given back, and a little of that.
        (("24.92", "1.00"), ("Completed", ""), "19.80", "0"),
    ],
)
def test_what_was_given_back_is_taken_off(
    tmp_path: Path, adjusted: tuple[str, str], statuses: tuple[str, str], first: str, second: str, *, has_items: bool
) -> None:
    files = {"orders.csv": orders(adjusted, statuses)} | ({"items.csv": ITEMS} if has_items else {})
    made = init(tmp_path / "shop", files, CHICAGO)
    assert net_by_order(made) == {"3001": Decimal(first), "3002": Decimal(second)}
    assert made.broken == []
    amounts = [sentence for sentence in made.draft.assumptions if sentence.startswith("net_amount is")]
    column = "Item Total" if has_items else "Order Value"
    assert amounts == [f"net_amount is `{column}` less `Discount Amount`, less what was given back: without shipping and sales tax."]
    assert not any("count in full" in sentence for sentence in made.draft.assumptions)


def test_a_refund_is_shared_out_over_the_items_of_its_order(tmp_path: Path) -> None:
    made = init(tmp_path / "shop", {"orders.csv": orders(("14.92", "0.00")), "items.csv": ITEMS}, CHICAGO)
    refunds = [(line["product_id"], line["net_amount"]) for line in lines_of(made) if line["net_amount"] < 0]
    # 10 over 9 and 10.80: the first of them gets 4.54 of 4.5454...
    assert sorted(refunds) == [("BEAR", Decimal("-5.46")), ("FOX", Decimal("-4.54"))]
    assert any("a part of 1 order," in sentence and "all of 0" in sentence for sentence in made.draft.assumptions)


def test_without_the_orders_it_says_where_refunds_are(tmp_path: Path) -> None:
    made = init(tmp_path / "shop", {"items.csv": ITEMS}, CHICAGO)
    assert any("Refunds are not in this export" in sentence and "give it as well" in sentence for sentence in made.draft.assumptions)
