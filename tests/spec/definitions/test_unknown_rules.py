"""Of which rules it can be unknown whether they hold: a plan counts the customers of those alone."""

from __future__ import annotations

import pytest
import sqlglot

from pipeline.definitions.schemes import may_be_unknown

KNOWN = [
    "tea_orders >= 2",
    "NOT (tea_orders = 0 OR tea_orders BETWEEN 3 AND 5) AND tea_orders IN (1, -1)",
    "is_prospect AND lifetime_order_count > 3",
]
UNKNOWN = [
    "recency_days > 30",
    "tea_orders >= 2 OR recency_days > 30",
    "tea_orders / (tea_orders - 1) > 1",
    "NULLIF(tea_orders, 0) > 1",
    "tea_orders = NULL",
    "wine_spend >= 10",
    "tea_orders IN (SELECT tea_orders FROM others)",
]


@pytest.mark.parametrize("rule", KNOWN)
def test_what_compares_counts_and_what_is_known_of_everybody_is_never_unknown(rule: str) -> None:
    assert not may_be_unknown(sqlglot.parse_one(rule, read="duckdb"), {"tea_orders"})


@pytest.mark.parametrize("rule", UNKNOWN)
def test_all_else_may_be(rule: str) -> None:
    assert may_be_unknown(sqlglot.parse_one(rule, read="duckdb"), {"tea_orders"})
