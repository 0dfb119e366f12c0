"""An order's amount that stands on each of its lines counts once, shared out over them."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from support.onboarding import ANSWERS, init, lines_of, net_by_order, part_of, query_lines

HEAD = "Order No,Date,Customer Email,Product,Qty,Order Subtotal,Shipping,Order Total"
ROWS = (
    "W0,2024-01-02,a@example.com,Coat,1,45.66,5.00,50.66",
    "W0,2024-01-02,a@example.com,Hat,2,45.66,5.00,50.66",
    "W0,2024-01-02,a@example.com,Boots,2,45.66,5.00,50.66",
    "W1,2024-01-03,b@example.com,Scarf,2,130.15,5.00,135.15",
    "W1,2024-01-03,b@example.com,Coat,1,130.15,5.00,135.15",
    "W2,2024-01-04,c@example.com,Hat,2,241.63,5.00,246.63",
)

SUMS = (("Subtotal", "417.44,15.00,432.44"), ("Total", "432.44,,432.44"))


def rows_of(head: str, *rows: str) -> dict[str, list[str | None]]:
    cells = [row.split(",") for row in rows]
    return {name: [row[place] or None for row in cells] for place, name in enumerate(head.split(","))}


def test_an_order_s_amount_on_each_line_counts_once_and_is_shared_out_by_quantity(tmp_path: Path) -> None:
    made = init(tmp_path / "shop", {"list.csv": "\n".join([HEAD, *ROWS]) + "\n"}, ANSWERS)
    assert net_by_order(made) == {"W0": Decimal("45.66"), "W1": Decimal("130.15"), "W2": Decimal("241.63")}
    # 45.66 over five pieces: 9.13, 18.26 and 18.27, each to the cent.
    assert sorted(line["net_amount"] for line in lines_of(made) if line["order_id"] == "W0") == [
        Decimal("9.13"),
        Decimal("18.26"),
        Decimal("18.27"),
    ]
    assert any("`Order Subtotal` is the same on all rows" in each and "by `Qty`" in each for each in made.draft.assumptions)


def test_without_quantities_it_is_shared_out_evenly(tmp_path: Path) -> None:
    text = (
        "Order No,Date,Client no,Product,Order value\n1,2024-03-01,a,Coat,10.00\n1,2024-03-01,a,Hat,10.00\n1,2024-03-01,a,Scarf,10.00\n"
        "2,2024-03-02,b,Coat,7.00\n2,2024-03-02,b,Hat,7.00\n"
    )
    made = init(tmp_path / "shop", {"list.csv": text}, ANSWERS)
    assert net_by_order(made) == {"1": Decimal(10), "2": Decimal(7)}
    assert [line["net_amount"] for line in lines_of(made)] == [*map(Decimal, ("3.33", "3.33", "3.34", "3.50", "3.50"))]


def test_discounts_and_refunds_of_such_orders_are_taken_off_once(tmp_path: Path) -> None:
    text = (
        "Order No,Date,Client no,Product,Qty,Order Subtotal,Discount,Shipping,Order Total,Refunded amount\n"
        "1,2024-03-01,a,Coat,1,10.00,1.00,2.00,11.00,0.00\n1,2024-03-01,a,Hat,1,10.00,1.00,2.00,11.00,0.00\n"
        "2,2024-03-02,b,Coat,1,20.00,0.00,2.00,22.00,5.00\n2,2024-03-02,b,Hat,3,20.00,0.00,2.00,22.00,5.00\n"
        "3,2024-03-03,c,Coat,1,30.00,3.00,2.00,29.00,0.00\n"
    )
    made = init(tmp_path / "shop", {"list.csv": text}, ANSWERS)
    assert net_by_order(made) == {"1": Decimal(9), "2": Decimal(15), "3": Decimal(27)}
    assert sum(line["discount_amount"] or 0 for line in lines_of(made)) == Decimal(4)


def test_a_few_orders_whose_lines_could_each_have_one_price_are_a_question() -> None:
    columns = rows_of(
        "Order No,Date,Client no,Product,Paid",
        "1,2024-03-01,a,Coat S,10.00", "1,2024-03-01,a,Coat M,10.00", "2,2024-03-02,b,Hat S,7.00", "2,2024-03-02,b,Hat M,7.00",
        "3,2024-03-03,b,Scarf,3.00",
    )  # fmt: skip
    _, reading = part_of(columns)
    assert [(question.key, [each.value for each in question.choices]) for question in reading.questions] == [
        ("orders.amount_of", ["order", "row"])
    ]
    part, reading = part_of(columns, {"orders.amount_of": "row"})
    assert reading.questions == []
    assert "net_so_far" not in part.lines


def test_amounts_of_lines_that_happen_to_be_equal_are_theirs_where_a_price_shows_it(tmp_path: Path) -> None:
    text = (
        "Order No,Date,Client no,Product,Qty,Unit price,Order line total\n1,2024-03-01,a,Coat,1,10.00,10.00\n"
        "1,2024-03-01,a,Hat,2,5.00,10.00\n2,2024-03-02,b,Coat,2,10.00,20.00\n2,2024-03-02,b,Hat,4,5.00,20.00\n"
    )
    made = init(tmp_path / "shop", {"list.csv": text}, ANSWERS)
    assert net_by_order(made) == {"1": Decimal(20), "2": Decimal(40)}


@pytest.mark.parametrize("column", ["Order No", "Product"])
def test_rows_of_sums_below_are_of_no_order_and_hide_nothing(column: str, tmp_path: Path) -> None:
    footers = "".join(f"{','.join(label if name == column else '' for name in HEAD.split(',')[:4])},10,{total}\n" for label, total in SUMS)
    made = init(tmp_path / "shop", {"list.csv": "\n".join([HEAD, *ROWS]) + "\n" + footers}, ANSWERS)
    assert net_by_order(made) == {"W0": Decimal("45.66"), "W1": Decimal("130.15"), "W2": Decimal("241.63")}


def test_a_total_below_leaves_prices_of_whole_rows_as_the_totals_of_orders_show_them() -> None:
    columns = rows_of(
        "Order No,Date,Client no,Product,Qty,Price,Order Total",
        "1,2024-03-01,a,Coat,1,10.00,20.00", "1,2024-03-01,a,Hat,2,10.00,20.00", "2,2024-03-02,b,Coat,1,7.00,12.00",
        "2,2024-03-02,b,Hat,3,5.00,12.00", "3,2024-03-02,b,Hat,1,7.00,7.00", ",Total,,,8,,39.00",
    )  # fmt: skip
    _, reading = part_of(columns)
    assert reading.questions == []
    assert any("`Price` is of all pieces of a row" in each for each in reading.assumptions)


def test_an_order_below_zero_of_which_nothing_was_given_back_has_no_refund() -> None:
    columns = rows_of(
        "Order No,Date,Client no,Product,Amount,Refunded amount",
        "1,2024-03-01,a,Coat,10.00,0.00", "1,2024-03-01,a,Hat,-30.00,0.00", "2,2024-03-02,b,Coat,7.00,3.00", "2,2024-03-02,b,Hat,5.00,3.00",
    )  # fmt: skip
    lines = query_lines(columns)
    assert [(line["order_id"], line["net_amount"]) for line in lines if line["refunded_order_day"]] == [
        ("2", Decimal("-1.75")), ("2", Decimal("-1.25")),
    ]  # fmt: skip


def test_an_order_with_a_coupon_among_its_lines_is_given_back_whole() -> None:
    columns = rows_of(
        "Order No,Date,Client no,Product,Amount,Refunded amount",
        "1,2024-03-01,a,Coat,10.00,10.50", "1,2024-03-01,a,Coupon,-2.00,10.50", "1,2024-03-01,a,Hat,2.50,10.50",
        "2,2024-03-02,b,Coat,7.00,3.00", "2,2024-03-02,b,Hat,5.00,3.00",
    )  # fmt: skip
    lines = query_lines(columns)
    assert sum(line["net_amount"] for line in lines if line["order_id"] == "1") == 0
    assert sum(line["net_amount"] for line in lines if line["order_id"] == "2") == 9
