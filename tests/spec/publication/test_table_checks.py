"""What the audit makes of tables that we computed ourselves: nights that stop, results, and suites that are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.builders import a_company, an_order_line, features_by_customer, write_order_lines, write_rows
from support.checked_rows import write_suite
from support.nights import tree_bytes
from support.raw_nights import NIGHT, a_raw_line, results, write_raw

from pipeline.definitions.company import Company
from pipeline.errors import ConfigError, DataError
from pipeline.ingestion.validate import validate_sources
from pipeline.ingestion.validation import PartitionRef, load_suite_definition, suite_parameters
from pipeline.ingestion.validation.expectation_sql import suite_statement
from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, Kind, Table
from pipeline.publication.gates.table_checks import check_table

FEATURES, SEGMENTS = PartitionRef(CUSTOMER_FEATURES, NIGHT, NIGHT), PartitionRef(CUSTOMER_SEGMENTS, NIGHT, NIGHT)
PAIR = "expect_column_pair_values_a_to_be_greater_than_b"
BETWEEN = "expect_column_values_to_be_between"
IN_SET = "expect_column_values_to_be_in_set"


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return a_company(tmp_path / "company")


@pytest.fixture
def engine(lake: Lake) -> Iterator[Engine]:
    lake.root.mkdir(exist_ok=True)
    with closing(DuckDBEngine(lake.store, memory_limit="1GB")) as opened:
        yield opened


def a_feature_row(customer_id: str, **given: Any) -> dict[str, Any]:
    counts = {column.name: 0 for column in CUSTOMER_FEATURES.columns if column.kind in (Kind.INTEGER, Kind.MONEY) and column.required}
    return {"customer_id": customer_id, "is_prospect": False, "is_refund_only": False, **counts, **given}


def a_membership(customer_id: str, segment: str | None) -> dict[str, Any]:
    return {"customer_id": customer_id, "scheme": "rfm", "segment": segment, "evidence": "r_score=5"}


def override(company: Company, table: Table, kind: str, *, rejects_rows: bool = False, severity: str = "critical", **kwargs: Any) -> None:
    entry = {"type": kind, "kwargs": kwargs, "severity": severity, "meta": {"rule": "own_rule", "rejects_rows": rejects_rows}}
    write_suite(company, table, [entry])


def test_real_features_pass_their_suite_and_results_stand_beside_those_of_the_sources(company: Company, lake: Lake, engine: Engine) -> None:
    write_raw(company, lake, [a_raw_line(1)])
    validate_sources(company, lake, NIGHT)
    earlier = [an_order_line(number, day=NIGHT - timedelta(days=7 * number), customer_id=f"c{number % 3}") for number in range(1, 30)]
    write_order_lines(lake, [*earlier, an_order_line(30, day=NIGHT, net_amount="-3", line_kind="refund")], known_on=NIGHT)
    features_by_customer(company, lake, NIGHT)
    check_table(company, lake, engine, FEATURES)
    first = tree_bytes(lake, "tables")
    check_table(company, lake, engine, FEATURES)
    assert tree_bytes(lake, "tables") == first
    assert {table for table, _ in results(lake)} == {"raw_customers", "raw_order_lines", "customer_features"}


def test_wrong_features_stop_the_night_naming_rule_table_day_and_rows(company: Company, lake: Lake, engine: Engine) -> None:
    rows = [a_feature_row(name, recency_days=days, tenure_days=0) for name, days in (("a", -1), ("b", 0), ("c", -2))]
    write_rows(lake, CUSTOMER_FEATURES, rows, day=NIGHT)
    with pytest.raises(DataError, match=r"customer_features breaks `recency_days_is_not_negative` on 2024-01-02: 2 of 3 rows broke it"):
        check_table(company, lake, engine, FEATURES)
    assert results(lake)["customer_features", "recency_days_is_not_negative"] == {
        "source_table": "customer_features",
        "rule": "recency_days_is_not_negative",
        "severity": "critical",
        "rejects_rows": False,
        "checked_count": 3,
        "failed_count": 2,
        "is_passed": False,
    }


def test_a_warning_is_counted_and_lets_the_night_go_on(company: Company, lake: Lake, engine: Engine) -> None:
    write_rows(lake, CUSTOMER_FEATURES, [a_feature_row("a", return_share=-0.5), a_feature_row("b")], day=NIGHT)
    check_table(company, lake, engine, FEATURES)
    found = results(lake)["customer_features", "return_share_is_not_negative"]
    assert (found["failed_count"], found["is_passed"]) == (1, True)


@pytest.mark.parametrize(("mostly", "is_passed"), [(0.5, True), (0.51, False)])
def test_a_share_of_the_rows_may_break_a_rule(company: Company, lake: Lake, engine: Engine, mostly: float, is_passed: bool) -> None:
    override(company, CUSTOMER_SEGMENTS, "expect_column_values_to_not_be_null", column="segment", mostly=mostly)
    write_rows(lake, CUSTOMER_SEGMENTS, [a_membership("a", "loyal"), a_membership("b", None)], day=NIGHT)
    if is_passed:
        check_table(company, lake, engine, SEGMENTS)
    else:
        with pytest.raises(DataError, match="1 of 2 rows broke it"):
            check_table(company, lake, engine, SEGMENTS)


def test_a_table_without_rows_stops_the_night(company: Company, lake: Lake, engine: Engine) -> None:
    write_rows(lake, CUSTOMER_SEGMENTS, [], day=NIGHT)
    with pytest.raises(DataError, match=r"customer_segments breaks `table_has_rows` on 2024-01-02: 0 rows were checked"):
        check_table(company, lake, engine, SEGMENTS)


def test_a_customer_with_two_segments_of_one_scheme_stops_the_night(company: Company, lake: Lake, engine: Engine) -> None:
    rows = [a_membership("c1", segment) for segment in ("new", "loyal")]
    write_rows(lake, CUSTOMER_SEGMENTS, rows[:1], day=NIGHT)
    check_table(company, lake, engine, SEGMENTS)
    write_rows(lake, CUSTOMER_SEGMENTS, rows, day=NIGHT)
    with pytest.raises(DataError, match=r"customer_segments breaks `key_is_unique` on 2024-01-02: 2 of 2 rows"):
        check_table(company, lake, engine, SEGMENTS)


@pytest.mark.parametrize("blank", ["", " ", "\u3000\t", None])
def test_a_blank_id_is_none(company: Company, lake: Lake, engine: Engine, blank: str | None) -> None:
    rows = [{**a_membership("", "new"), "customer_id": blank}, a_membership("\u00e4", "new"), a_membership(" c", "new")]
    write_rows(lake, CUSTOMER_SEGMENTS, rows, day=NIGHT)
    with pytest.raises(DataError, match="`customer_id_is_given` on 2024-01-02: 1 of 3 rows broke it"):
        check_table(company, lake, engine, SEGMENTS)


def test_an_audit_before_the_segments_exist_names_the_table(company: Company, lake: Lake, engine: Engine) -> None:
    with pytest.raises(DataError, match="customer_segments has no such partition"):
        check_table(company, lake, engine, SEGMENTS)


def test_a_restated_night_keeps_results_of_its_own(company: Company, lake: Lake, engine: Engine) -> None:
    later = NIGHT + timedelta(1)
    write_rows(lake, CUSTOMER_SEGMENTS, [a_membership("a", "loyal")], day=NIGHT)
    write_rows(lake, CUSTOMER_SEGMENTS, [a_membership("a", None)], day=NIGHT, known_on=later)
    check_table(company, lake, engine, SEGMENTS)
    with pytest.raises(DataError, match="`segment_is_given`"):
        check_table(company, lake, engine, PartitionRef(CUSTOMER_SEGMENTS, NIGHT, later))
    assert results(lake)["customer_segments", "segment_is_given"]["is_passed"]


def test_computed_rows_cannot_be_set_aside(company: Company, lake: Lake, engine: Engine) -> None:
    override(company, CUSTOMER_SEGMENTS, "expect_column_values_to_not_be_null", rejects_rows=True, column="segment")
    with pytest.raises(ConfigError, match="rejects rows of customer_segments, which is computed"):
        check_table(company, lake, engine, SEGMENTS)


@pytest.mark.parametrize("table", [CUSTOMER_FEATURES, CUSTOMER_SEGMENTS], ids=lambda table: table.name)
def test_our_suites_can_be_checked_whole(company: Company, table: Table) -> None:
    suite = load_suite_definition(company, table)
    statement = suite_statement(suite, suite_parameters(company, NIGHT))
    assert len(statement.expressions) == 1 + len(suite.rules) > 5


@pytest.mark.parametrize(
    ("kind", "kwargs", "message"),
    [
        (
            "expect_column_values_to_not_be_nul",
            {"column": "segment"},
            r"which is not checked on computed tables \(did you mean `expect_column_values_to_not_be_null`\?\)",
        ),
        ("expect_column_mean_to_be_between", {"column": "recency_days", "min_value": 1}, "is not checked on computed tables"),
        ("expect_column_values_to_be_null", {"column": "recency_day"}, r"`own_rule` cannot run; `recency_day` is no column \(did you mean"),
        ("expect_column_values_to_be_null", {}, "`None` is no column"),
        (
            "expect_column_values_to_be_null",
            {"column": "r_score", "row_condition": "f_score > 1"},
            "`row_condition` is no argument",
        ),
        ("expect_column_values_to_be_null", ["order_count"], "`kwargs` of the rule `own_rule` must be an object"),
        ("expect_column_values_to_be_null", {"column": "order_count", "mostly": 1.5}, "`mostly` in it a share from 0 to 1"),
        (BETWEEN, {"column": "order_count"}, "it needs `min_value` or `max_value`"),
        (BETWEEN, {"column": "order_count", "min_value": 2, "max_value": 1}, "`min_value` is above `max_value`"),
        (BETWEEN, {"column": "order_count", "min_value": "2"}, "`min_value` must be a number, as `order_count` is whole number"),
        (BETWEEN, {"column": "order_count", "min_value": True}, "`min_value` must be a number"),
        (BETWEEN, {"column": "order_count", "min_value": float("nan")}, "`min_value` must be a number"),
        (BETWEEN, {"column": "order_count", "min_value": 2**64}, "`min_value` must be a number"),
        (BETWEEN, {"column": "order_count", "min_value": 1, "strict_min": "yes"}, "`strict_min` must be true or false"),
        (BETWEEN, {"column": "main_channel", "min_value": "a"}, "`main_channel` is text"),
        (BETWEEN, {"column": "last_order_date", "max_value": "yesterday"}, "must be a day such as 2024-01-31"),
        (BETWEEN, {"column": "last_order_date", "max_value": "2024-01-02T12:00:00"}, "must be a day such as 2024-01-31"),
        (BETWEEN, {"column": "last_order_date", "max_value": {"$PARAMETER": "tomorrow"}}, r"is no known \$PARAMETER\n.*\n.*can be one of"),
        (BETWEEN, {"column": "order_count", "max_value": {"$PARAMETER": "night"}}, "`max_value` must be a number"),
        (IN_SET, {"column": "r_score", "value_set": []}, "must be a list of one value or more"),
        (IN_SET, {"column": "r_score", "value_set": 1}, "must be a list of one value or more"),
        (IN_SET, {"column": "r_score", "value_set": [1, None]}, "none of them null"),
        (IN_SET, {"column": "r_score", "value_set": [1, "2"]}, "`value_set` must be a number"),
        (IN_SET, {"column": "last_order_date", "value_set": ["2024-01-01"]}, "`last_order_date` is date"),
        (PAIR, {"column_A": "order_count", "column_B": "main_channel"}, "`order_count` and `main_channel` are not of one kind"),
        (
            PAIR,
            {"column_A": "order_count", "column_B": "line_count", "ignore_row_if": "never"},
            "`ignore_row_if` must be one of both",
        ),
        ("expect_compound_columns_to_be_unique", {"column_list": "customer_id"}, "`column_list` must list two columns or more"),
        ("expect_table_row_count_to_equal", {"value": 1.5}, "`value` must be a whole number"),
        ("expect_table_row_count_to_be_between", {"min_value": 1.5}, "a number of rows is a whole number"),
    ],
)
def test_what_sql_cannot_check_is_refused_with_file_and_rule(
    company: Company, lake: Lake, engine: Engine, kind: str, kwargs: Any, message: str
) -> None:
    write_suite(
        company,
        CUSTOMER_FEATURES,
        [{"type": kind, "kwargs": kwargs, "severity": "critical", "meta": {"rule": "own_rule", "rejects_rows": False}}],
    )
    write_rows(lake, CUSTOMER_FEATURES, [a_feature_row("a")], day=NIGHT)
    with pytest.raises(ConfigError, match=message) as refused:
        check_table(company, lake, engine, FEATURES)
    assert "own_rule" in str(refused.value)
    assert refused.value.where.endswith("expectations/customer_features.json")
    assert not results_are_stored(lake)


def results_are_stored(lake: Lake) -> bool:
    return any(lake.root.glob("tables/validation_results/**/*.parquet"))


def test_a_suite_that_is_no_suite_is_refused(company: Company, lake: Lake, engine: Engine) -> None:
    write_suite(company, CUSTOMER_FEATURES, [])
    file = company.folder / "expectations" / "customer_features.json"
    file.write_text(json.dumps({"expectations": {}}), "utf-8")
    with pytest.raises(ConfigError, match="must be a list"):
        check_table(company, lake, engine, FEATURES)
