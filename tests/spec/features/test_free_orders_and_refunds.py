"""Who gave back without an order that is known, and whether an order that cost nothing is one."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from support.builders import a_company, an_order_line, features_by_customer, write_customers, write_order_lines

from pipeline.features import compute_features, compute_rollups
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES

NIGHT = date(2024, 3, 31)
LINES: list[dict[str, Any]] = [
    {"customer_id": "sampled", "order_id": "s", "day": "2024-03-01", "net_amount": 0},
    {"customer_id": "gifted", "order_id": "g", "day": "2024-03-02", "net_amount": 20, "category": "tea"},
    {"customer_id": "gifted", "order_id": "g", "day": "2024-03-02", "net_amount": 0, "category": "gifts"},
    {"customer_id": "gifted", "order_id": "h", "day": "2024-03-09", "net_amount": 0, "category": "samples"},
    {"customer_id": "returning", "order_id": "r", "day": "2024-03-03", "net_amount": -30, "line_kind": "refund"},
    {"customer_id": "sender", "order_id": "t", "day": "2024-03-03", "net_amount": 0, "quantity": -1, "line_kind": "refund"},
    {"customer_id": "loser", "order_id": "l", "day": "2024-03-04", "net_amount": 10},
    {"customer_id": "loser", "order_id": "l", "day": "2024-03-05", "net_amount": -25, "line_kind": "refund"},
    {"customer_id": "caller", "order_id": "c", "day": "2024-03-05", "net_amount": 25, "line_kind": "cancelled"},
]


def computed(lake: Lake, counts_as_order: str, day: date = NIGHT) -> dict[str, dict[str, Any]]:
    company = a_company(lake.root, counts_as_order=counts_as_order)
    engine = DuckDBEngine(lake.store, memory_limit="1GB")
    compute_rollups(lake, engine, day, counts_as_order=company.counts_as_order)
    compute_features(company, lake, engine, day)
    engine.close()
    return {row["customer_id"]: row for row in lake.read(CUSTOMER_FEATURES, day=day).to_pylist()}


@pytest.fixture
def written(lake: Lake) -> Lake:
    write_customers(lake, a_company(lake.root), [{"customer_id": "never"}, {"customer_id": "caller"}], known_on=NIGHT)
    write_order_lines(lake, [an_order_line(number, **line) for number, line in enumerate(LINES, 1)], known_on=NIGHT)
    return lake


def test_who_gave_back_without_an_order_is_neither_a_prospect_nor_a_buyer(written: Lake) -> None:
    found = features_by_customer(a_company(written.root), written, NIGHT)
    assert {name for name, row in found.items() if row["is_prospect"]} == {"never", "caller"}
    assert {name for name, row in found.items() if row["is_refund_only"]} == {"returning", "sender"}
    returning = found["returning"]
    assert (returning["spend_amount"], returning["refund_amount"], returning["lifetime_order_count"]) == (-30, 30, 0)
    assert [returning[name] for name in ("r_score", "f_score", "m_score", "fm_score", "value_rank_share", "average_order_amount")] == [
        None
    ] * 6
    assert (found["loser"]["spend_amount"], found["loser"]["value_rank_share"]) == (-15, None)


def test_an_order_that_cost_nothing_counts_unless_the_company_says_otherwise(written: Lake) -> None:
    names = ("order_count", "order_day_count", "line_count", "category_count", "is_prospect", "is_refund_only")
    all_orders = computed(written, "all")
    assert [all_orders["sampled"][name] for name in names] == [1, 1, 1, 1, False, False]
    assert [all_orders["gifted"][name] for name in names] == [2, 2, 3, 3, False, False]
    paid = computed(written, "paid")
    assert "sampled" not in paid  # nor is anything else known of them: not even the source's list has them
    # A gift beside what was paid for is a line of that order.
    assert [paid["gifted"][name] for name in names] == [1, 1, 2, 2, False, False]
    assert paid["gifted"]["spend_amount"] == Decimal(20)
    # Giving back what had cost nothing is not giving back either.
    assert "sender" not in paid
    assert paid["returning"]["is_refund_only"]
    assert paid["returning"]["spend_amount"] == -30


def test_a_changed_setting_is_taken_up_by_the_whole_history_and_back(written: Lake) -> None:
    first = computed(written, "all")
    later = date(2024, 4, 1)
    write_order_lines(written, [an_order_line(1, customer_id="new", day="2024-04-01")], known_on=later)
    paid = computed(written, "paid", day=later)
    assert (paid["gifted"]["order_count"], paid["new"]["order_count"]) == (1, 1)
    assert computed(written, "all") == first
    assert computed(written, "all", day=later)["gifted"]["order_count"] == 2
