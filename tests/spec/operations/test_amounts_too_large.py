"""Amounts whose sum no column can hold: the message names table, day and what adds up, and its remedy works."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from support.nights import ORDER_LINES_SQL, run_night, write_shop

from pipeline.errors import DataError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES

DAY = date(2024, 2, 25)


@pytest.mark.parametrize(
    ("customers", "orders"),
    [
        ([str(n) for n in range(20)], [f"A{n},1,{n % 20},2024-02-{1 + n % 20:02} 10:00:00,1,900000000000,x" for n in range(200)]),
        (["1"], [f"A{n},1,1,2024-02-10 10:00:00,1,900000000000,x" for n in range(200)]),
        (["1"], [f"A{n},1,1,2024-02-{1 + n % 20:02} 10:00:00,1,900000000000,x" for n in range(200)]),
    ],
    ids=["of all customers", "of one day", "of one customer"],
)
def test_a_sum_that_does_not_fit_names_table_day_and_column(tmp_path: Path, lake: Lake, customers: list[str], orders: list[str]) -> None:
    shop = write_shop(tmp_path / "shop", orders, customers=customers, settings='[gates]\noff = ["freshness"]\n')
    with pytest.raises(DataError) as refused:
        run_night(shop, lake, DAY)
    error = refused.value
    assert "adds up to more than 99,999,999,999,999, the most that an amount can be" in error.what
    assert "amount" in error.what.split(" of ")[0]
    assert "2024-02-25" in error.what
    assert "/tables/" in error.where
    assert "900000000000" not in str(error)
    # The remedy, to the letter: every amount divided by 1000 in the query, and the night run again.
    (shop / "sources" / "order_lines.sql").write_text(ORDER_LINES_SQL.replace("CAST(paid AS", "CAST(CAST(paid AS DOUBLE) / 1000 AS"))
    run_night(shop, lake, DAY)
    assert sum(lake.read(CUSTOMER_FEATURES, day=DAY)["spend_amount"].to_pylist()) == 180_000_000_000
