"""What Spark is given for a statement: joins that need no room on its server, and cheap functions."""

from __future__ import annotations

import pytest
from sqlglot import exp, parse_one

from pipeline.lake.engines.spark_sql import spark_sql


def of(text: str) -> exp.Select:
    return parse_one(text, into=exp.Select, read="duckdb")


def test_who_is_in_no_list_is_found_by_an_anti_join() -> None:
    text = spark_sql(of("SELECT a FROM t WHERE a > 1 AND NOT a IN (SELECT TRIM(b) FROM u UNION SELECT c FROM v) AND c NOT IN (1, 2)"), {})
    joined = "LEFT ANTI JOIN (SELECT TRIM(b) FROM u UNION SELECT c FROM v) AS rows_absent_0_0(absent_0_0)"
    assert text == f"SELECT a FROM t {joined} ON a = absent_0_0 WHERE a > 1 AND NOT c IN (1, 2)"


@pytest.mark.parametrize("text", ["SELECT a FROM t WHERE a IN (SELECT b FROM u)", "SELECT a FROM t WHERE NOT (a = 1 OR a = 2)"])
def test_other_conditions_stay(text: str) -> None:
    assert spark_sql(of(text), {}) == text


def test_days_apart_are_counted_without_instants() -> None:
    assert spark_sql(of("SELECT DATEDIFF('day', a, b) AS days FROM t"), {}) == "SELECT CAST(DATEDIFF(b, a) AS BIGINT) AS days FROM t"


def test_negative_zero_is_looked_for_as_zero() -> None:
    zero = "CAST(0 AS DOUBLE)"
    text = f"SELECT a / NULLIF(CAST(b AS DOUBLE), {zero}) AS c, NULLIF(a, '') AS d FROM t WHERE NOT b IN (CAST(2 AS DOUBLE), {zero})"
    tests = f"NULLIF((CAST(b AS DOUBLE)) + {zero}, {zero})", f"NOT (b) + {zero} IN (CAST(2 AS DOUBLE), {zero})"
    assert spark_sql(of(text), {}) == f"SELECT a / {tests[0]} AS c, NULLIF(a, '') AS d FROM t WHERE {tests[1]}"


def test_doubles_are_read_from_texts_where_a_server_does_not_find_the_nearest() -> None:
    query = of("SELECT CAST(a AS DOUBLE) / CAST(CAST(CAST(b AS DECIMAL(18, 4)) AS DOUBLE) + 1 AS DOUBLE) AS c FROM t")
    inner = "CAST(CAST(CAST(b AS DECIMAL(18, 4)) AS STRING) AS DOUBLE)"
    expected = f"SELECT CAST(CAST(a AS STRING) AS DOUBLE) / CAST(CAST({inner} + 1 AS STRING) AS DOUBLE) AS c FROM t"
    assert spark_sql(query, {}, casts_to_nearest=False) == expected
    assert spark_sql(query, {}) == query.sql("spark")
