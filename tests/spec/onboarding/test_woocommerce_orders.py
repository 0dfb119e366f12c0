"""Statuses and refunds of WooCommerce exports, as its extensions write them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from support.onboarding import ANSWERS, columns_of, export, init, lines_of, net_by_order, query_lines

from pipeline.onboarding.new_company import NewCompany

HEADER, *_ = export("woocommerce_advanced.csv").splitlines()


def row(order: int, status: str, amounts: str, item: str) -> str:
    """Return a row of "Advanced Order Export": `amounts` are discount, subtotal, shipping, refund, total; `item` name, pieces, cost."""
    discount, subtotal, shipping, refund, total = amounts.split()
    name, pieces, cost = item.split()
    return (
        f"{order},{status},2024-02-0{order % 9 + 1} 09:30,,Ana,Ray,Berlin,DE,ana@example.de,Card,{discount},{subtotal},{shipping},{refund},"
        f"{total},0,{name},1,{name},{pieces},{cost},,"
    )


def made_of(folder: Path, rows: list[str], settings: dict[str, str] | None = None) -> NewCompany:
    return init(folder / "shop", {"orders.csv": "\n".join([HEADER, *rows, ""])}, ANSWERS | (settings or {}))


def orders_of(statuses: Sequence[str]) -> str:
    """Return an export with an order of each status."""
    return "\n".join([HEADER, *(row(place, status, "0 5.00 0 0 5.00", "Cup 1 5.00") for place, status in enumerate(statuses))])


SALE = row(1, "Completed", "0 5.00 0 0 5.00", "Cup 1 5.00")


UNCOUNTED = (
    *("Pending payment", "pending", "wc-pending", "On hold", "ON-HOLD", "wc-on-hold", "Failed", "Draft", "Checkout draft"),
    *("wc-checkout-draft", "Cancelled", "Refunded", "Zahlung ausstehend", "Storniert", "İptal edildi"),
)
COUNTED = ("Processing", "wc-processing", "Completed", "Shipped", "Partially refunded")


def test_orders_that_are_not_paid_or_were_called_off_count_nowhere_whatever_their_status_is_written_like(tmp_path: Path) -> None:
    rows = [row(place, status, "0 5.00 0 0 5.00", "Cup 1 5.00") for place, status in enumerate((*COUNTED, *UNCOUNTED))]
    made = made_of(tmp_path, rows)
    assert net_by_order(made) == {str(place): Decimal(5) for place in range(len(COUNTED))}
    said = next(sentence for sentence in made.draft.assumptions if "by `Order Status`" in sentence)
    counted, uncounted = said.removeprefix("orders: by `Order Status`, rows that are ").split("; ")
    assert counted == f"{', '.join(f'{status} (1)' for status in sorted(COUNTED))} count"
    assert uncounted == f"{', '.join(f'{status} (1)' for status in sorted(UNCOUNTED))} are kept and count nowhere."


@pytest.mark.parametrize("settings", [{}, {"orders.unpaid": "counted"}])
def test_statuses_that_a_later_export_brings_are_known_in_its_language(settings: dict[str, str]) -> None:
    later = ("Versandt", "Gift wrapped", "Storniert", "zurückgegeben", "wc-failed", "Nicht bezahlt", "offen")
    lines = query_lines(columns_of(orders_of(["Abgeschlossen", "Versandt"])), settings, later=columns_of(orders_of(later)))
    counted = [later[int(line["order_id"])] for line in lines if not line["is_cancelled"]]
    assert counted == [*later[:2], *(later[-2:] if settings else ())]


def test_a_status_of_the_shop_s_own_can_be_left_out(tmp_path: Path) -> None:
    rows = [SALE, row(2, "Shipped", "0 5.00 0 0 5.00", "Cup 1 5.00")]
    assert net_by_order(made_of(tmp_path, rows, {"orders.status.shipped": "left-out"})) == {"1": Decimal(5)}


def test_unpaid_orders_can_be_counted_whatever_their_label(tmp_path: Path) -> None:
    rows = [SALE, row(2, "Pending payment", "0 5.00 0 0 5.00", "Cup 1 5.00"), row(3, "Failed", "0 5.00 0 0 5.00", "Cup 1 5.00")]
    assert net_by_order(made_of(tmp_path, rows, {"orders.unpaid": "counted"})) == {"1": Decimal(5), "2": Decimal(5)}


def test_money_given_back_without_goods_is_shared_out_over_the_lines(tmp_path: Path) -> None:
    amounts = "0 30.00 4.90 2.00 34.90"
    made = made_of(tmp_path, [row(1, "Completed", amounts, "Cup 1 10.00"), row(1, "Completed", amounts, "Pot 1 20.00")])
    assert net_by_order(made) == {"1": Decimal(28)}
    refunds = [line for line in lines_of(made) if line["net_amount"] < 0]
    assert [(line["product_id"], line["net_amount"], line["quantity"]) for line in refunds] == [
        ("Cup", Decimal("-0.66"), Decimal(0)),
        ("Pot", Decimal("-1.34"), Decimal(0)),
    ]


def test_goods_given_back_are_left_out_by_their_quantity_alone(tmp_path: Path) -> None:
    # One of three was given back with its tax of 1.90; of the other order all, and the shipping too.
    rows = [
        row(1, "Completed", "0 30.00 0 11.90 35.70", "Cup 2 10.00"),
        row(2, "Completed", "0 12.00 4.90 16.90 16.90", "Pot 0 12.00"),
    ]
    assert net_by_order(made_of(tmp_path, rows)) == {"1": Decimal(20), "2": Decimal(0)}


def test_money_given_back_takes_no_more_than_the_goods(tmp_path: Path) -> None:
    assert net_by_order(made_of(tmp_path, [SALE, row(2, "Completed", "0 5.00 4.90 9.90 9.90", "Cup 1 5.00")]))["2"] == Decimal(0)


def test_orders_are_worth_their_subtotal_less_the_discount_though_costs_are_rounded(tmp_path: Path) -> None:
    # 3 cups of 10.00 less 5.00: 25.00, and 8.33 each. Then one of them goes back for 8.33.
    rows = [row(1, "Completed", "5.00 30.00 0 0 25.00", "Cup 3 8.33"), row(2, "Completed", "5.00 30.00 0 8.33 25.00", "Cup 2 8.33")]
    assert net_by_order(made_of(tmp_path, rows)) == {"1": Decimal(25), "2": Decimal("16.67")}


def test_without_subtotals_nothing_shows_whether_goods_were_given_back_and_that_is_said(tmp_path: Path) -> None:
    text = "\n".join([HEADER.replace("Order Subtotal Amount", "Other"), row(1, "Completed", "0 30.00 0 2.00 30.00", "Cup 3 10.00"), ""])
    made = init(tmp_path / "shop", {"orders.csv": text}, ANSWERS)
    assert made.net_amount == Decimal(30)
    assert any("`Order Refund Amount` is not taken off" in sentence for sentence in made.draft.assumptions)
