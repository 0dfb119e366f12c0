"""Rows that tie, such as two orders on one day, give the same lines, people and consents in whatever order an export lists them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.onboarding import ANSWERS, init, lines_of, people_of

from pipeline.onboarding.new_company import NewCompany

# On one day two orders that went to two cities, an answer of yes and one of no, and two lines alike of which one was given back in part.
ORDERS = (
    "1,2024-03-01,a@x.de,Mug,1,5.00,2.00,Bonn,yes", "1,2024-03-01,a@x.de,Mug,1,5.00,0.00,Bonn,yes",
    "2,2024-03-01,a@x.de,Pot,1,7.00,0.00,Ulm,no", "3,2024-03-02,b@x.de,Pot,1,7.00,0.00,Ulm,yes",
)  # fmt: skip
PEOPLE = ("7,Bonn,yes", "7,Ulm,yes", "8,Ulm,yes", "9,Bonn,yes", "9,Ulm,no")


def made_of(folder: Path, head: str, rows: tuple[str, ...]) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]], dict[str, bool]]:
    made: NewCompany = init(folder / "shop", {"list.csv": "\n".join((head, *rows)) + "\n"}, ANSWERS)
    consents = {row["customer_id"]: row["is_consenting"] for row in made.read["consents"].rows.to_pylist()}
    return lines_of(made) if "order_lines" in made.read else [], people_of(made), consents


@pytest.mark.parametrize(
    ("head", "rows"),
    [("Order,Date,Email,Product,Qty,Line total,Refunded,City,Newsletter", ORDERS), ("Customer number,City,Newsletter", PEOPLE)],
    ids=["orders", "people"],
)
def test_rows_in_another_order_give_the_same_lines_people_and_consents(head: str, rows: tuple[str, ...], tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    found = made_of(tmp_path / "one", head, rows)
    assert made_of(tmp_path / "other", head, rows[::-1]) == found
    assert not all(found[2].values())
