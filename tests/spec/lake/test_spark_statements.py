"""What Spark is given for a statement: joins that need no room on its server, cheap functions, and nothing worked out twice."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlglot import exp, parse_one

from pipeline.features.state_sql import all_states_statement
from pipeline.lake.engines.spark_holding import queries_to_hold, scan_counts, with_queries_inside
from pipeline.lake.engines.spark_sql import spark_sql, with_names_apart

ROLLUPS = ("customer_days", "customer_day_categories")


def of(text: str) -> exp.Select:
    return parse_one(text, into=exp.Select, read="duckdb")


def test_who_is_in_no_list_is_found_by_an_anti_join() -> None:
    text = spark_sql(of("SELECT a FROM t WHERE a > 1 AND NOT a IN (SELECT TRIM(b) FROM u UNION SELECT c FROM v) AND c NOT IN (1, 2)"))
    joined = "LEFT ANTI JOIN (SELECT TRIM(b) FROM u UNION SELECT c FROM v) AS rows_absent_0_0(absent_0_0)"
    assert text == f"SELECT a FROM t {joined} ON a = absent_0_0 WHERE a > 1 AND NOT c IN (1, 2)"


@pytest.mark.parametrize("text", ["SELECT a FROM t WHERE a IN (SELECT b FROM u)", "SELECT a FROM t WHERE NOT (a = 1 OR a = 2)"])
def test_other_conditions_stay(text: str) -> None:
    assert spark_sql(of(text)) == text


def test_days_apart_are_counted_without_instants() -> None:
    assert spark_sql(of("SELECT DATEDIFF('day', a, b) AS days FROM t")) == "SELECT CAST(DATEDIFF(b, a) AS BIGINT) AS days FROM t"


def test_what_a_with_query_reads_counts_as_often_as_it_is_read() -> None:
    statement = of("WITH a AS (SELECT x FROM t), b AS (SELECT x FROM a UNION ALL SELECT x FROM a) SELECT x FROM b JOIN v USING (x)")
    assert scan_counts(statement, {"v": of("SELECT x FROM t")}) == Counter({"t": 3})


def test_a_with_query_that_reads_a_table_of_its_name_reads_that() -> None:
    statement = of("WITH t AS (SELECT x, COUNT(*) AS n FROM t GROUP BY x) SELECT one.x FROM t AS one JOIN t AS other USING (x)")
    assert queries_to_hold(statement, ["t"]) == []


def test_what_states_work_out_twice_is_held() -> None:
    statement = with_names_apart(all_states_statement())
    [held] = queries_to_hold(statement, ROLLUPS)
    assert held.alias == "ranked_categories"
    assert {table.name for table in with_queries_inside(held.this, statement).find_all(exp.Table)} == {"customer_day_categories"}
    assert queries_to_hold(statement, []) == []
