"""Declared features carried from night to night equal those computed from all rows, and what plain Python adds up."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.builders import a_company, write_customers
from support.late_shops import FIRST, Shop

from pipeline.definitions.company import Company, with_declared_features
from pipeline.features import compute_features, compute_rollups
from pipeline.features.cache import forget_caches
from pipeline.lake.addresses import CACHES
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES

Rows = Sequence[dict[str, Any]]


def lines_between(rows: Rows, first: int | None, final: int, day: date) -> Rows:
    """Return the rows that count from `first` to `final` days before the night, which counts as day 1."""
    begin = date.min if first is None else day - timedelta(first - 1)
    return [row for row in rows if begin <= row["order_day"] <= day - timedelta(final)]


def in_order(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: (row["order_day"], row["ordered_at"], row["order_id"], row["line_number"]))


def most_frequent(rows: Rows) -> str | None:
    counts = Counter(row["category"] for row in rows)
    return min(counts, key=lambda name: (-counts[name], name.encode()), default=None)


# Each with the definition of a feature, and what it is of the rows of one customer that are not cancelled.
ORACLE: dict[str, tuple[str, Callable[[Rows, date], Any]]] = {
    "lines": ("value = 'COUNT(*)'", lambda rows, _day: len(rows)),
    "lines_7": ("value = 'COUNT(*)'\nlast_days = 7", lambda rows, day: len(lines_between(rows, 7, 0, day))),
    "orders_7": (
        "value = 'COUNT(DISTINCT order_id)'\nlast_days = 7",
        lambda rows, day: len({row["order_id"] for row in lines_between(rows, 7, 0, day)}),
    ),
    "orders_a": (
        "value = 'COUNT(DISTINCT order_id)'\nwhere = \"category = 'a'\"",
        lambda rows, _day: len({row["order_id"] for row in rows if row["category"] == "a"}),
    ),
    "spend_7": (
        "value = 'SUM(net_amount)'\nlast_days = 7",
        lambda rows, day: sum((row["net_amount"] for row in lines_between(rows, 7, 0, day)), Decimal(0)),
    ),
    "spend_week_before": (
        "value = 'SUM(net_amount)'\nlast_days = 7\nbefore = 7",
        lambda rows, day: sum((row["net_amount"] for row in lines_between(rows, 14, 7, day)), Decimal(0)),
    ),
    "until_a_week_ago": ("value = 'COUNT(*)'\nbefore = 7", lambda rows, day: len(lines_between(rows, None, 7, day))),
    "in_january": (
        "value = 'COUNT(*)'\nfrom_day = 2024-01-01\nto_day = 2024-01-31",
        lambda rows, _day: sum(row["order_day"].month == 1 for row in rows),
    ),
    "dearest_40": (
        "value = 'MAX(net_amount)'\nlast_days = 40",
        lambda rows, day: max((row["net_amount"] for row in lines_between(rows, 40, 0, day)), default=None),
    ),
    "last_refund": (
        "value = 'MAX(order_day)'\nwhere = \"line_kind = 'refund'\"",
        lambda rows, _day: max((row["order_day"] for row in rows if row["line_kind"] == "refund"), default=None),
    ),
    "first_channel": ("value = 'FIRST(channel)'", lambda rows, _day: in_order(rows)[0]["channel"] if rows else None),
    "last_channel_40": (
        "value = 'LAST(channel)'\nlast_days = 40",
        lambda rows, day: in_order(found)[-1]["channel"] if (found := lines_between(rows, 40, 0, day)) else None,
    ),
    "category_40": ("value = 'MOST_FREQUENT(category)'\nlast_days = 40", lambda rows, day: most_frequent(lines_between(rows, 40, 0, day))),
    "average_7": (
        "value = 'AVG(net_amount)'\nlast_days = 7",
        lambda rows, day: (
            float(sum(row["net_amount"] for row in found)) / len(found) if (found := lines_between(rows, 7, 0, day)) else None
        ),
    ),
}


def a_declaring_company(folder: Path, names: Sequence[str] = tuple(ORACLE)) -> Company:
    (folder / "features").mkdir(parents=True, exist_ok=True)
    texts = (f"[{name}]\nfrom = 'order_lines'\ndescription = 'x'\n{ORACLE[name][0]}\n" for name in names)
    (folder / "features" / "all.toml").write_text("".join(texts), "utf-8")
    return with_declared_features(a_company(folder, window_days=33))


def compute(company: Company, lake: Lake, day: date) -> bytes:
    engine = DuckDBEngine(lake.root, memory_limit="1GB")
    compute_rollups(lake, engine, day)
    compute_features(company, lake, engine, day)
    engine.close()
    return lake.path(CUSTOMER_FEATURES, day=day).read_bytes()


def require_as_by_hand(lake: Lake, shop: Shop, day: date, names: Sequence[str] = tuple(ORACLE)) -> None:
    rows: dict[str, list[dict[str, Any]]] = {}
    for line in (line for lines in shop.days.values() for line in lines if line["line_kind"] != "cancelled"):
        rows.setdefault(line["customer_id"], []).append(line)
    for row in lake.read(CUSTOMER_FEATURES, day=day).to_pylist():
        found = {name: row[name] for name in names}
        assert found == {name: ORACLE[name][1](rows.get(row["customer_id"], []), day) for name in names}, row["customer_id"]


@pytest.mark.parametrize("seed", [1, 2])
def test_carried_features_equal_those_computed_from_all_rows_and_by_hand(lake: Lake, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pipeline.features.declared.states")
    company, shop = a_declaring_company(lake.root), Shop(seed)
    write_customers(lake, company, [{"customer_id": "never"}, {"customer_id": "c1"}], known_on=FIRST)
    shop.open(lake)
    for day in (FIRST + timedelta(number) for number in range(9)):
        shop.night(lake, day)
        carried = compute(company, lake, day)
        require_as_by_hand(lake, shop, day)
        assert carried == computed_afresh(company, lake, day), day
    assert sum("computed for everybody" in record.getMessage() for record in caplog.records) == 1 + 9


def computed_afresh(company: Company, lake: Lake, day: date) -> bytes:
    caches, aside = lake.root / CACHES, lake.root / "aside"
    caches.rename(aside)
    written = compute(company, lake, day)
    forget_caches(lake)
    aside.rename(caches)
    return written
