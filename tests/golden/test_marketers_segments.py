"""Segments that the public documentation of marketing tools describes, on the demo company: each takes whom SQL by hand takes.

The hand SQL reads the files of the source, and knows nothing of the lake.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from sqlglot import exp
from support.deployments import DEMO

from pipeline.definitions.audiences import audience_of_rule, members_statement
from pipeline.definitions.company import load_company, with_declared_features
from pipeline.definitions.definition_files import Definition
from pipeline.features import features_as_declared
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.segmentation import schemes_beside

# What each takes, as people say it; the rule; and a condition of the hand SQL, over `lines` and `orders` of one customer.
SEGMENTS: Mapping[str, tuple[str, str]] = {
    "three orders, the last within 120 days, above 500 on average": (
        "COUNT(orders) >= 3 AND DAYS_SINCE(MAX(orders.order_day)) <= 120 AND SUM(orders.net_amount) / COUNT(orders) > 500",
        "FROM orders GROUP BY id HAVING COUNT(*) >= 3 AND MAX(day) >= $night - 120 AND SUM(net) / COUNT(*) > 500",
    ),
    "ordered 4 to 13 months ago, and not since": (
        "EXISTS(orders LAST 275 DAYS BEFORE 120 DAYS AGO) AND NOT EXISTS(orders LAST 120 DAYS)",
        "FROM orders GROUP BY id HAVING MAX(day) > $night - 395 AND MAX(day) <= $night - 120",
    ),
    "tyres twice in 90 days, a helmet never": (
        (
            "COUNT(DISTINCT order_lines.order_id WHERE category = 'Tires and Tubes' LAST 90 DAYS) >= 2 "
            "AND NOT EXISTS(order_lines WHERE category = 'Helmets')"
        ),
        (
            "FROM lines GROUP BY id "
            "HAVING COUNT(DISTINCT CASE WHEN category = 'Tires and Tubes' AND day > $night - 90 THEN number END) >= 2 "
            "AND SUM(CASE WHEN category = 'Helmets' THEN 1 ELSE 0 END) = 0"
        ),
    ),
    "two orders of 1,000 or more in a year": (
        "COUNT(orders WHERE net_amount >= 1000 LAST 365 DAYS) >= 2",
        "FROM orders WHERE net >= 1000 AND day > $night - 365 GROUP BY id HAVING COUNT(*) >= 2",
    ),
    "spent less this quarter than in the one before": (
        "SUM(order_lines.net_amount THIS QUARTER) < SUM(order_lines.net_amount LAST QUARTER)",
        (
            "FROM lines WHERE day >= DATE '2013-10-01' GROUP BY id "
            "HAVING SUM(CASE WHEN day >= DATE '2014-01-01' THEN net ELSE 0 END) "
            "< SUM(CASE WHEN day < DATE '2014-01-01' THEN net ELSE 0 END)"
        ),
    ),
    "in last year's November or December, not in this year": (
        "EXISTS(order_lines WHERE MONTH(order_day) >= 11 LAST YEAR) AND NOT EXISTS(order_lines THIS YEAR)",
        (
            "FROM lines GROUP BY id HAVING MAX(CASE WHEN day BETWEEN DATE '2013-11-01' AND DATE '2013-12-31' THEN 1 ELSE 0 END) = 1 "
            "AND MAX(day) <= DATE '2013-12-31'"
        ),
    ),
    "bicycles for the road and jerseys alone": (
        "EXISTS(order_lines) AND ALL(LIST(order_lines.category)) IN ('Road Bikes', 'Jerseys')",
        "FROM lines GROUP BY id HAVING BOOL_AND(category IN ('Road Bikes', 'Jerseys'))",
    ),
    "a helmet in the month after the first order": (
        "EXISTS(order_lines WHERE category = 'Helmets' PRECEDED BY FIRST orders WITHIN 30 DAYS)",
        (
            "FROM lines JOIN (SELECT id, MIN(day) AS first FROM orders GROUP BY id) USING (id) "
            "WHERE category = 'Helmets' AND day > first AND day - first <= 30"
        ),
    ),
    "came back, but not within 60 days of the first order": (
        "EXISTS(orders PRECEDED BY FIRST orders) AND NOT EXISTS(orders PRECEDED BY FIRST orders WITHIN 60 DAYS)",
        (
            "FROM orders GROUP BY id HAVING COUNT(*) >= 2 AND MAX(day) > MIN(day) + 60 "
            "AND (SELECT COUNT(*) FROM orders AS o "
            "WHERE o.id = orders.id AND o.day > MIN(orders.day) AND o.day <= MIN(orders.day) + 60) = 0"
        ),
    ),
    "buys mostly tyres": (
        "MOST_FREQUENT(order_lines.category LAST 365 DAYS) = 'Tires and Tubes'",
        (
            "FROM (SELECT id, category, ROW_NUMBER() OVER (PARTITION BY id ORDER BY COUNT(*) DESC, category) AS place FROM lines "
            "WHERE day > $night - 365 GROUP BY id, category) WHERE place = 1 AND category = 'Tires and Tubes'"
        ),
    ),
}
SOURCE = """
CREATE TABLE lines AS
SELECT 'P-' || CustomerAlternateKey AS id, SalesOrderNumber AS number, CAST(OrderDate AS DATE) AS day,
  CAST(SalesAmount AS DECIMAL(18, 4)) AS net, EnglishProductSubcategoryName AS category
FROM '{data}/FactInternetSales.parquet' JOIN '{data}/DimCustomer.parquet' USING (CustomerKey)
JOIN '{data}/DimProduct.parquet' USING (ProductKey) JOIN '{data}/DimProductSubcategory.parquet' USING (ProductSubcategoryKey)
UNION ALL
SELECT 'R-' || ResellerAlternateKey, SalesOrderNumber, CAST(OrderDate AS DATE), CAST(SalesAmount AS DECIMAL(18, 4)),
  EnglishProductSubcategoryName
FROM '{data}/FactResellerSales.parquet' JOIN '{data}/DimReseller.parquet' USING (ResellerKey)
JOIN '{data}/DimProduct.parquet' USING (ProductKey) JOIN '{data}/DimProductSubcategory.parquet' USING (ProductSubcategoryKey);
CREATE TABLE orders AS SELECT id, number, day, SUM(net) AS net FROM lines GROUP BY id, number, day;
"""


@pytest.fixture(scope="module")
def by_hand() -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(duckdb.connect()) as engine:
        engine.execute(SOURCE.format(data=DEMO / "data"))
        yield engine


@pytest.fixture(scope="module")
def by_rule(demo_lake: Lake) -> dict[str, set[str]]:
    """Return whom each rule takes on the demo's last night, all aggregates worked out in one pass over its events."""
    definitions = [Definition(Path(name), f"rule = {json.dumps(rule)}") for name, (rule, _) in SEGMENTS.items()]
    company = with_declared_features(load_company(DEMO), *definitions)
    assert company.last_day
    found = {}
    with (
        closing(DuckDBEngine(demo_lake.store, memory_limit="1GB")) as engine,
        features_as_declared(company, demo_lake, engine, company.last_day) as night,
    ):
        # Worked out once for all rules, which look at different columns of it.
        assert night.features
        night.features.define(replace(night.table, name="declared"))
        engine.materialize(night.table, exp.select("*").from_("declared"))
        for name, (rule, _) in SEGMENTS.items():
            audience = audience_of_rule(company, rule)
            by_name = schemes_beside(company, demo_lake, company.last_day, [audience])
            rows = engine.run(members_statement(by_name[audience.name], by_name), {}).read_all().to_pylist()
            found[name] = {row["customer_id"] for row in rows if row["is_member"]}
    return found


@pytest.mark.parametrize("name", SEGMENTS)
def test_a_segment_takes_whom_sql_by_hand_takes(name: str, by_rule: dict[str, set[str]], by_hand: duckdb.DuckDBPyConnection) -> None:
    query = f"SELECT DISTINCT id {SEGMENTS[name][1]}".replace("$night", "DATE '2014-01-28'")
    expected = {customer for (customer,) in by_hand.execute(query).fetchall()}
    assert by_rule[name] == expected
    assert expected
