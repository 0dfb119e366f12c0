"""Figures of a night for the morning page: who holds the spend, who has which scores, what was sold when."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.builders import write_rows

from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_DAYS, CUSTOMER_FEATURES, CUSTOMER_SURVIVORS, SALES_DAYS, SCORE_GRID, VALUE_CONCENTRATION
from pipeline.segmentation.insights import write_figures

NIGHT = date(2024, 3, 31)
NOBODY = CUSTOMER_SURVIVORS.schema.empty_table()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def engine(lake: Lake) -> Iterator[Engine]:
    with closing(DuckDBEngine(lake.store, memory_limit="500MB")) as engine:
        yield engine


def store_spends(lake: Lake, spends: list[str | int], **others: Any) -> None:
    rows = [{"customer_id": f"c{n:04}", "spend_amount": Decimal(each), "order_day_count": 1, **others} for n, each in enumerate(spends)]
    write_rows(lake, CUSTOMER_FEATURES, rows, day=NIGHT)


def write(lake: Lake, engine: Engine, survivors: pa.Table = NOBODY) -> None:
    write_figures(lake, engine, NIGHT, survivors_of=lambda _day, _known: survivors)


def concentration(lake: Lake) -> dict[int, tuple[int, Decimal, float]]:
    rows = lake.read(VALUE_CONCENTRATION, day=NIGHT).to_pylist()
    return {row["customer_percent"]: (row["customer_count"], row["spend_amount"], row["spend_share"]) for row in rows}


def test_the_best_percent_of_buyers_are_counted_up_and_ties_are_one_step(lake: Lake, engine: Engine) -> None:
    store_spends(lake, [100, 20, 20, 20, 10, 10, 10, 5, "2.5", "2.5", 0, -7])
    write(lake, engine)
    found = concentration(lake)
    assert list(found) == list(range(1, 101))
    assert found[1] == (1, Decimal(100), 0.5), "1 % of 10 buyers is one of them"
    assert found[10] == (1, Decimal(100), 0.5)
    assert found[11] == found[20] == (2, Decimal(120), 0.6)
    assert found[30] == (3, Decimal(140), 0.7)
    assert found[50] == (5, Decimal(170), 0.85)
    assert found[91] == found[100] == (10, Decimal(200), 1.0), "who got back more than they spent, or nothing, is no buyer here"


@pytest.mark.parametrize("count", [1, 7, 100, 101, 1999])
def test_every_percent_holds_what_so_many_of_the_best_spent(lake: Lake, engine: Engine, count: int) -> None:
    spends = [(n * n) % 97 + 1 for n in range(count)]
    store_spends(lake, [*spends])
    write(lake, engine)
    best = sorted(spends, reverse=True)
    for percent, (places, spent, share) in concentration(lake).items():
        assert places == -(-count * percent // 100)
        assert spent == sum(best[:places])
        assert share == sum(best[:places]) / sum(spends)


def test_scores_are_counted_where_they_are_known(lake: Lake, engine: Engine) -> None:
    rows = [(5, 5, "9.5"), (5, 5, "0.5"), (1, 3, "4"), (None, None, "8")]
    stored = [
        {"customer_id": f"c{n}", "r_score": r, "fm_score": fm, "spend_amount": Decimal(spend)} for n, (r, fm, spend) in enumerate(rows)
    ]
    write_rows(lake, CUSTOMER_FEATURES, stored, day=NIGHT)
    write(lake, engine)
    assert lake.read(SCORE_GRID, day=NIGHT).to_pylist() == [
        {"r_score": 1, "fm_score": 3, "customer_count": 1, "spend_amount": Decimal(4)},
        {"r_score": 5, "fm_score": 5, "customer_count": 2, "spend_amount": Decimal(10)},
    ]
    assert not lake.has(VALUE_CONCENTRATION, day=NIGHT), "nobody bought in the window"


def sale(day: date, customer: str, amount: str, *, refund: str = "0", orders: int = 1) -> dict[str, Any]:
    return {
        "customer_id": customer,
        "order_day": day,
        "order_count": orders,
        "order_amount": Decimal(amount),
        "refund_amount": Decimal(refund),
    }


def test_sales_are_those_of_56_days_and_of_the_same_weekdays_last_year(lake: Lake, engine: Engine) -> None:
    first, before = NIGHT - timedelta(55), NIGHT - timedelta(55 + 364)
    opened = before + timedelta(2)
    store_spends(lake, [1, 1], first_order_date=opened)
    sales = {
        opened: [sale(opened, "c0000", "10"), sale(opened, "c0001", "5")],
        NIGHT - timedelta(364): [sale(NIGHT - timedelta(364), "c0000", "7", orders=2)],
        NIGHT - timedelta(363): [sale(NIGHT - timedelta(363), "c0000", "1000")],
        first - timedelta(1): [sale(first - timedelta(1), "c0000", "1000")],
        first: [sale(first, "c0000", "20")],
        NIGHT: [sale(NIGHT, "c0001", "3"), sale(first, "c0000", "0", refund="4.5", orders=0)],
    }
    for day, rows in sales.items():
        write_rows(lake, CUSTOMER_DAYS, rows, day=day, known_on=NIGHT)
    write(lake, engine)
    rows = {row.pop("order_day"): tuple(row.values()) for row in lake.read(SALES_DAYS, day=NIGHT).to_pylist()}
    assert next(iter(rows)) == opened, "before the first order of all nothing is known"
    assert list(rows)[-1] == NIGHT
    assert len(rows) == 54 + 56
    sold = {day: row for day, row in rows.items() if row[0]}
    assert sold == {
        opened: (2, 2, 2, Decimal(15)),
        NIGHT - timedelta(364): (2, 1, 0, Decimal(7)),
        first: (1, 1, 0, Decimal("15.5")),
        NIGHT: (1, 1, 0, Decimal(3)),
    }
    assert rows[NIGHT - timedelta(1)] == (0, 0, 0, Decimal(0))


def test_customers_who_are_one_by_now_count_as_one(lake: Lake, engine: Engine) -> None:
    store_spends(lake, [1], first_order_date=NIGHT)
    write_rows(lake, CUSTOMER_DAYS, [sale(NIGHT, "c0000", "3"), sale(NIGHT, "guest", "4")], day=NIGHT, known_on=NIGHT)
    merged = pa.table({"customer_id": ["c0000", "guest"], "survivor_id": ["c0000", "c0000"]}, schema=CUSTOMER_SURVIVORS.schema)
    write(lake, engine, merged)
    [row] = lake.read(SALES_DAYS, day=NIGHT).to_pylist()
    assert (row["order_count"], row["customer_count"], row["new_customer_count"], row["spend_amount"]) == (2, 1, 1, Decimal(7))


def test_a_company_without_an_order_has_none_of_these_tables(lake: Lake, engine: Engine) -> None:
    write_rows(lake, CUSTOMER_FEATURES, [{"customer_id": "c1", "order_day_count": 0, "spend_amount": Decimal(0)}], day=NIGHT)
    write(lake, engine)
    assert not [table.name for table in (VALUE_CONCENTRATION, SCORE_GRID, SALES_DAYS) if lake.has(table, day=NIGHT)]
