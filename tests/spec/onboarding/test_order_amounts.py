"""What was paid for the goods, as arithmetic shows that holds in every row: sums, products, discounts of lines and of whole orders."""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal
from pathlib import Path

import pytest
from support.onboarding import ANSWERS, init, lines_of, net_by_order, part_of

HEAD = "No,Date,Client no"


def table(head: str, *rows: str) -> str:
    """Return a table whose rows, given without their first columns, are each an order of its own."""
    return "\n".join([f"{HEAD},{head}", *(f"{place},2024-03-0{place},c{place},{row}" for place, row in enumerate(rows, 1))]) + "\n"


def columns_of(text: str) -> dict[str, list[str | None]]:
    head, *rows = (line.split(",") for line in text.splitlines())
    return {name: [row[place] or None for row in rows] for place, name in enumerate(head)}


@pytest.mark.parametrize(
    "text",
    [
        table(
            "Order Value,Discount,Shipping,Tax,Order Total",
            "9.00,1.00,2.00,0.50,10.50",
            "5.00,0.00,2.00,0.00,7.00",
            "7.00,3.00,0,0.10,4.10",
        ),
        table("Goods,Discount,Delivery,Total", "9.00,1.00,2.00,10.00", "5.00,,2.00,7.00", "7.00,-3.00,0,4.00"),
    ],
)
def test_goods_less_discount_count_where_a_total_is_them_plus_shipping(tmp_path: Path, text: str) -> None:
    made = init(tmp_path / "shop", {"list.csv": text}, ANSWERS)
    assert [line["net_amount"] for line in lines_of(made)] == [Decimal(8), Decimal(5), Decimal(4)]
    assert [line["discount_amount"] for line in lines_of(made)] == [Decimal(1), Decimal(0), Decimal(3)]
    assert any("in every row" in sentence and "not counted" in sentence for sentence in made.draft.assumptions)


def test_a_total_that_is_goods_less_discount_is_what_was_paid() -> None:
    text = table("Value,Discount,Total", "9.00,1.00,8.00", "5.00,0.00,5.00", "7.00,3.00,4.00")
    _, reading = part_of(columns_of(text))
    assert reading.questions == []
    assert any("`Total` is the amount: in every row it is `Value` less `Discount`" in sentence for sentence in reading.assumptions)


@pytest.mark.parametrize("tax", ["MwSt", "KDV", "Tax", "Steuer"])
def test_a_tax_is_no_discount_and_whether_it_counts_is_a_question(tax: str) -> None:
    _, reading = part_of(columns_of(table(f"Netto,{tax},Brutto", "10.00,1.90,11.90", "20.00,3.80,23.80", "5.00,0.95,5.95")))
    assert [[choice.value for choice in question.choices] for question in reading.questions] == [["Netto", "Brutto"]]
    assert not any("is the discount" in sentence for sentence in reading.assumptions)


def test_sums_that_fail_in_one_row_prove_nothing() -> None:
    text = table("Order Value,Discount,Shipping,Order Total", "9.00,1.00,2.00,10.00", "5.00,0.00,2.00,7.00", "7.00,3.00,0.00,4.01")
    _, reading = part_of(columns_of(text))
    assert "orders.amount" in [question.key for question in reading.questions]


@pytest.mark.parametrize(("name", "cells"), [("Less", ("1.00", "", "0.50")), ("Rabatt", ("10 %", "", "5 %"))])
def test_pieces_times_price_less_a_discount_in_money_or_percent_is_seen(name: str, cells: tuple[str, str, str]) -> None:
    rows = [f"2,5.00,{cells[0]},9.00", f"1,4.00,{cells[1]},4.00", f"1,10.00,{cells[2]},9.50"]
    part, reading = part_of(columns_of(table(f"Pcs,Each,{name},Paid", *rows)))
    assert reading.questions == []
    assert any(f"less `{name}` in every row" in sentence for sentence in reading.assumptions)
    assert "discount_amount" in part.line_columns


def test_whether_a_price_is_of_a_piece_or_a_row_is_shown_by_products_or_asked() -> None:
    _, reading = part_of(columns_of(table("Item,Qty,Price", "Mug,2,10.00", "Mug,1,5.00")))
    assert reading.questions == []
    assert any("of all pieces of a row" in sentence for sentence in reading.assumptions)
    _, reading = part_of(columns_of(table("Item,Qty,Price", "Mug,2,5.00", "Mug,1,5.00")))
    assert reading.questions == []
    assert any("`Qty` times `Price`" in sentence for sentence in reading.assumptions)
    _, reading = part_of(columns_of(table("Item,Qty,Price", "Mug,2,5.00", "Pot,1,5.00")))
    assert [question.key for question in reading.questions] == ["orders.price_of"]


def test_the_discount_of_a_whole_order_on_each_of_its_lines_is_shared_out_once(tmp_path: Path) -> None:
    rows = "1,2024-03-01,a7,Mug,1,3.33,1.00,9.00,17.99\n1,2024-03-01,a7,Pot,1,6.66,1.00,9.00,17.99\n"
    more = "2,2024-03-02,b8,Mug,1,3.33,0.00,0.00,5.33\n2,2024-03-02,b8,Cup,2,1.00,0.00,0.00,5.33\n"
    head = "No,Date,Client no,Item,Qty,Unit price,Discount,Shipping,Order total\n"
    made = init(tmp_path / "shop", {"list.csv": f"{head}{rows}{more}"}, ANSWERS)
    assert net_by_order(made) == {"1": Decimal("8.99"), "2": Decimal("5.33")}
    assert sum(line["discount_amount"] for line in lines_of(made)) == Decimal(1)


def test_the_refund_of_a_whole_order_on_each_of_its_lines_is_taken_off_once(tmp_path: Path) -> None:
    head = "No,Date,Client no,Item,Qty,Unit price,Amount refunded,State\n"
    rows = "1,2024-03-01,a7,Mug,1,3.33,4.00,Partially refunded\n1,2024-03-01,a7,Pot,1,6.66,4.00,Partially refunded\n"
    more = "2,2024-03-02,b8,Mug,1,3.33,0,Refunded\n2,2024-03-02,b8,Cup,2,1.00,0,Refunded\n3,2024-03-03,b8,Cup,2,1.00,0,Paid\n"
    made = init(tmp_path / "shop", {"list.csv": f"{head}{rows}{more}"}, ANSWERS)
    assert net_by_order(made) == {"1": Decimal("5.99"), "2": Decimal(0), "3": Decimal(2)}


@pytest.mark.parametrize("name", ["Montant remboursé", "Total refunded", "Erstatteter Betrag"])
def test_a_column_of_refunds_is_taken_off_whatever_else_its_name_says(name: str) -> None:
    part, _ = part_of(columns_of(table(f"Amount,{name}", "9.00,1.00", "5.00,0.00")))
    assert "orders_refunds" in part.lines
    part, _ = part_of(columns_of(table("Amount,Quantity refunded", "9.00,1", "5.00,0")))
    assert "orders_refunds" not in part.lines


def test_what_the_total_of_some_orders_lacks_was_taken_off_by_a_coupon(tmp_path: Path) -> None:
    head = "No,Date,Client no,Item,Qty,Unit price,Coupon code,Shipping,Total\n"
    rows = "1,2024-03-01,a7,Mug,1,3.33,SOAP1,2.00,10.99\n1,2024-03-01,a7,Pot,1,6.66,SOAP1,2.00,10.99\n"
    more = "2,2024-03-02,b8,Mug,1,3.33,,0,5.33\n2,2024-03-02,b8,Cup,2,1.00,,0,5.33\n3,2024-03-03,b8,Cup,2,1.00,,1.00,3.00\n"
    made = init(tmp_path / "shop", {"list.csv": f"{head}{rows}{more}"}, ANSWERS)
    assert net_by_order(made) == {"1": Decimal("8.99"), "2": Decimal("5.33"), "3": Decimal(2)}
    assert any("as by a coupon" in sentence for sentence in made.draft.assumptions)


def test_whether_an_amount_holds_the_shipping_beside_it_is_asked_where_no_sum_shows_it(tmp_path: Path) -> None:
    text = table("Montant,Frais de port", "9.00,2.00", "5.00,0.00", "7.00,1.00")
    _, reading = part_of(columns_of(text))
    assert [question.key for question in reading.questions] == ["orders.shipping"]
    within = init(tmp_path / "within", {"list.csv": text}, {**ANSWERS, "orders.shipping": "included"})
    beside = init(tmp_path / "beside", {"list.csv": text}, {**ANSWERS, "orders.shipping": "not-included"})
    assert (within.net_amount, beside.net_amount) == (Decimal(18), Decimal(21))


def test_a_quantity_is_no_amount_and_a_total_with_tax_is_one() -> None:
    text = table(
        "Order Total (inc tax),Order Total (ex tax),Tax Total,Total Quantity", "9.00,8.00,1.00,2", "5.00,4.50,0.50,1", "7.00,6.00,1.00,3"
    )
    _, reading = part_of(columns_of(text))
    assert [[choice.value for choice in question.choices] for question in reading.questions] == [
        ["Order Total (inc tax)", "Order Total (ex tax)"],
    ]


def test_what_the_total_lacks_below_the_subtotal_and_shipping_was_taken_off(tmp_path: Path) -> None:
    text = table("Subtotal,Shipping,Coupon,Order total", "9.00,2.00,SAVE1,10.00", "5.00,0.00,,5.00", "7.00,1.00,,8.00", "3.00,1.00,,4.00")
    made = init(tmp_path / "shop", {"list.csv": text}, {**ANSWERS, "orders.amount": "Subtotal"})
    assert [line["net_amount"] for line in lines_of(made)] == [Decimal(8), Decimal(5), Decimal(7), Decimal(3)]


PAYOUTS = (
    "Order,Date,Name,Email,Gross,Tip,Fee,Refund,Payout,Refund date\n"
    "#0,02 January 2024,Ines Hall,ines@example.com,125.97,2.00,-3.71,0.00,122.26,\n"
    "#1,03 January 2024,Emma Hall,emma@example.com,65.94,0.00,-1.97,0.00,63.97,\n"
    "#2,04 January 2024,Emma Hall,emma@example.com,40.83,0.00,-1.22,-10.00,29.61,14 January 2024\n"
    "#3,05 January 2024,Ines Hall,ines@example.com,98.38,0.00,-5.95,-98.38,-5.95,15 January 2024\n"
)


def test_a_refund_date_beside_an_amount_says_when_it_was_given_back_and_is_no_state(tmp_path: Path) -> None:
    made = init(tmp_path / "shop", {"payouts.csv": PAYOUTS}, ANSWERS)
    assert net_by_order(made) == {"#0": Decimal("125.97"), "#1": Decimal("65.94"), "#2": Decimal("30.83"), "#3": Decimal(0)}
    given_back = [line for line in lines_of(made) if line["net_amount"] < 0]
    # The beginning of the day in Berlin.
    assert [(line["net_amount"], f"{line['ordered_at'].astimezone(UTC):%Y-%m-%d %H:%M}") for line in given_back] == [
        (Decimal("-10.00"), "2024-01-13 23:00"),
        (Decimal("-98.38"), "2024-01-14 23:00"),
    ]
    said = " ".join(made.draft.assumptions)
    assert "counts for its `Refund date`" in said
    assert "nothing is left" not in said
    assert "not read: `Name`, `Tip`, `Fee`, `Payout`." in said


def test_without_an_amount_that_was_given_back_a_refund_date_is_a_state(tmp_path: Path) -> None:
    text = "Order,Date,Email,Total,Refund date\n1,2024-01-02,a@example.com,5.00,\n2,2024-01-03,b@example.com,7.00,2024-01-14\n"
    assert net_by_order(init(tmp_path / "shop", {"list.csv": text}, ANSWERS)) == {"1": Decimal(5), "2": Decimal(0)}


def test_a_tip_within_the_amount_counts_unless_somebody_says_otherwise(tmp_path: Path) -> None:
    made = init(tmp_path / "shop", {"payouts.csv": PAYOUTS}, ANSWERS)
    assert any("`Tip` is part of `Gross`, and counts" in each for each in made.draft.assumptions)
    made = init(tmp_path / "other", {"payouts.csv": PAYOUTS}, {**ANSWERS, "orders.tips": "taken-off"})
    assert net_by_order(made)["#0"] == Decimal("123.97")
