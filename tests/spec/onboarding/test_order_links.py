"""Two files of the same sales, orders and their lines, are one table: nothing is added up twice, and nothing of an order is lost."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from support.onboarding import ANSWERS, NewCompany, init, lines_of, net_by_order, parquet, people_of

ORDERS = (
    "Order No,Order date,Client no,Mail,City,Goods,Discount,Shipping,Total,State\n"
    "1,2024-03-01,a7,kim@x.de,Bonn,9.99,1.00,4.90,13.89,paid\n2,2024-03-02,b8,lee@x.de,Ulm,5.33,0.00,0.00,5.33,paid\n"
    "3,2024-03-03,a7,kim@x.de,Bonn,3.33,0.00,4.90,8.23,cancelled\n4,2024-03-04,b8,lee@x.de,Ulm,2.00,0.00,0.00,2.00,paid\n"
)
LINES = "Order No,Pos,SKU,Qty,Unit price\n1,1,mug,1,3.33\n1,2,pot,1,6.66\n2,1,mug,1,3.33\n2,2,cup,2,1.00\n3,1,mug,1,3.33\n9,1,mug,1,3.33\n"


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> NewCompany:
    return init(tmp_path_factory.mktemp("joined") / "shop", {"orders.csv": ORDERS, "positions.csv": LINES}, ANSWERS)


def test_lines_without_dates_are_those_of_the_orders_that_they_name(joined: NewCompany) -> None:
    assert net_by_order(joined) == {"1": Decimal("8.99"), "2": Decimal("5.33")}
    assert [(line["order_id"], line["product_id"], line["customer_id"]) for line in lines_of(joined)] == [
        ("1", "mug", "a7"), ("1", "pot", "a7"), ("2", "cup", "b8"), ("2", "mug", "b8"), ("3", "mug", "a7"),
    ]  # fmt: skip
    assert {name: row["city"] for name, row in people_of(joined).items()} == {"a7": "Bonn", "b8": "Ulm"}


def test_the_discount_of_an_order_is_shared_out_over_its_lines_and_shipping_is_not_counted(joined: NewCompany) -> None:
    assert [line["discount_amount"] for line in lines_of(joined)][:2] == [Decimal("0.33"), Decimal("0.67")]
    assert joined.net_amount == Decimal("14.32")


def test_what_is_in_one_of_the_files_alone_is_said(joined: NewCompany) -> None:
    assert any("1 lines are of no order in orders, and 1 orders have no lines" in sentence for sentence in joined.draft.assumptions)


def test_lines_with_dates_of_their_own_are_not_added_to_their_orders(tmp_path: Path) -> None:
    rows = "1,2024-03-01,a7,mug,3.33\n1,2024-03-01,a7,pot,6.66\n2,2024-03-02,b8,mug,5.33\n3,2024-03-03,a7,mug,3.33\n"
    lines = f"Order No,Sold on,Client no,SKU,Line total\n{rows}"
    orders = ORDERS.replace("4,2024-03-04,b8,lee@x.de,Ulm,2.00,0.00,0.00,2.00,paid\n", "").replace("Order date", "Paid")
    made = init(tmp_path / "shop", {"items.csv": lines, "orders.csv": orders}, ANSWERS)
    assert made.net_amount == Decimal("14.32")
    assert set(net_by_order(made)) == {"1", "2"}


def test_lists_of_people_are_no_lines(tmp_path: Path) -> None:
    people = "Nr,Name,Spent\na7,Kim,5.00\nb8,Lee,6.00\n"
    made = init(tmp_path / "shop", {"orders.csv": ORDERS, "people.csv": people}, ANSWERS)
    assert [table.title for table in made.draft.tables] == ["A table of orders", "A table of customers"]


def test_numbers_of_orders_need_not_be_texts(tmp_path: Path) -> None:
    days = [date(2024, 3, 1), date(2024, 3, 2)]
    orders = {"Order No": [1, 2], "Order date": days, "Client no": [7, 8], "Total": [9, 5]}
    lines = {"Order No": [1, 1, 2], "SKU": ["mug", "pot", "mug"], "Qty": [1, 2, 1], "Unit price": [3, 3, 5]}
    made = init(tmp_path / "shop", {"orders.parquet": parquet(orders), "positions.parquet": parquet(lines)}, ANSWERS)
    assert net_by_order(made) == {"1": Decimal(9), "2": Decimal(5)}
    assert {line["customer_id"] for line in lines_of(made)} == {"7", "8"}
