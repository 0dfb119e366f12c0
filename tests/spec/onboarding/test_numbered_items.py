"""Items side by side in the row of their order become lines, where the sums show that nothing is lost."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

from support.onboarding import ANSWERS, init, lines_of, net_by_order, parquet, part_of

HEAD = "Bon,Date,Client no,item1,qty1,price1,item2,qty2,price2,item3,qty3,price3,total"


def test_items_side_by_side_are_lines_of_their_order(tmp_path: Path) -> None:
    text = f"{HEAD}\n1,2024-03-01,a7,Mug,2,3.50,Pot,1,4.00,,,,11.00\n2,2024-03-02,b8,Cup,1,1.25,,,,,,,1.25\n"
    made = init(tmp_path / "shop", {"list.csv": text}, ANSWERS)
    assert net_by_order(made) == {"1": Decimal(11), "2": Decimal("1.25")}
    assert sorted((line["order_id"], line["product_id"], line["quantity"]) for line in lines_of(made)) == [
        ("1", "Mug", 2), ("1", "Pot", 1), ("2", "Cup", 1),
    ]  # fmt: skip


def test_items_that_do_not_add_up_to_the_total_are_left_as_they_are_and_named() -> None:
    columns: dict[str, list[str | None]] = {
        "Bon": ["1", "2"], "Date": ["2024-03-01"] * 2, "Client no": ["a7", "b8"], "item1": ["Mug", "Cup"], "price1": ["3.50", "1.25"],
        "item2": ["Pot", None], "price2": ["4.00", None], "total": ["9.00", "1.25"],
    }  # fmt: skip
    _, reading = part_of(columns)
    assert any("`total` is the amount" in sentence for sentence in reading.assumptions)
    assert any("not read" in sentence and "`price2`" in sentence for sentence in reading.assumptions)


def test_addresses_of_two_lines_are_no_items() -> None:
    columns: dict[str, list[str | None]] = {
        "Bon": ["1", "2"], "Date": ["2024-03-01"] * 2, "Client no": ["a7", "b8"], "Address 1": ["x", "y"], "Address 2": ["x", "y"],
        "total": ["9.00", "1.25"],
    }  # fmt: skip
    part, _ = part_of(columns)
    assert "UNION ALL" not in part.lines


def test_items_need_not_be_texts(tmp_path: Path) -> None:
    columns = {
        "Bon": [1, 2], "Date": [date(2024, 3, 1), date(2024, 3, 2)], "Client no": [7, 8], "item1": [11, 12], "price1": [3, 1],
        "item2": [13, None], "price2": [4, None], "total": [7, 1],
    }  # fmt: skip
    made = init(tmp_path / "shop", {"list.parquet": parquet(columns)}, ANSWERS)
    assert net_by_order(made) == {"1": Decimal(7), "2": Decimal(1)}
    assert {line["product_id"] for line in lines_of(made)} == {"11", "12", "13"}
