"""Suites of computed tables count the same on DuckDB and on Spark: every expectation, on rows chosen to make engines differ."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from support.builders import a_company, write_rows
from support.checked_rows import NIGHT, OF_KIND, TABLE, counts_in_sql, write_suite
from support.local_spark import SparkOver

from pipeline.ingestion.validation.expectation_sql import EXPECTATIONS
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import Kind

NUMERIC = (Kind.INTEGER, Kind.NUMBER, Kind.MONEY)
VALUES: dict[Kind, list[Any]] = {
    Kind.TEXT: [
        "",
        " ",
        "a",
        "A",
        "ä",
        "a ",
        "z\u0301",
        "\U0001f375",
        "\u2003\t",
        "\u00a0",
        "\x0b\x1f",
        "o'b",
        "a\\b",
        "a\nb",
        "~~",
        "\uffff",
    ],
    Kind.INTEGER: [-3, 0, 1, 2**53 + 1, 2**53, 2**63 - 1, -(2**63)],
    Kind.NUMBER: [0.0, -0.0, 0.1, 0.3, 0.1 + 0.2, 1.000000001, 1e300, float("nan"), float("inf"), float("-inf")],
    Kind.MONEY: [Decimal(text) for text in ("0", "0.1", "0.3", "0.7", "-0.0001", "99999999999999.9999", "-99999999999999.9999")],
    Kind.DATE: [date(1900, 1, 1), date(2024, 2, 29), NIGHT, NIGHT + timedelta(1), date(9999, 12, 31)],
    Kind.INSTANT: [datetime(2024, 3, 31, microsecond=after, tzinfo=UTC) for after in (0, 1)] + [datetime(1969, 12, 31, 23, tzinfo=UTC)],
    Kind.FLAG: [True, False],
}
BOUNDS: dict[Kind, list[Any]] = {
    **{kind: [0, 1, 0.3, 1.000000001, -2.5, 1e300] for kind in NUMERIC},
    Kind.DATE: [{"$PARAMETER": "night"}, "2024-02-29"],
    Kind.INSTANT: [{"$PARAMETER": "night_end"}, "2024-03-31T02:00:00.000001+02:00"],
}
LISTED: dict[Kind, list[Any]] = {
    Kind.TEXT: ["", "a", "a\\b", "o'b", "a\nb", "\u2003\t", "\U0001f375"],
    Kind.INTEGER: [0, 2**53, 2**63 - 1],
    Kind.NUMBER: [0, 0.3, 1e300],
    Kind.MONEY: [0, 0.3, 0.7],
    Kind.FLAG: [True],
}


def motley_rows() -> list[dict[str, Any]]:
    chance = random.Random(3)
    return [{column.name: chance.choice([None, *VALUES[column.kind]]) for column in TABLE.columns} for _ in range(200)]


def every_expectation() -> Iterator[dict[str, Any]]:
    def of(kind: str, **kwargs: Any) -> dict[str, Any]:
        return {"type": f"expect_{kind}", "kwargs": kwargs}

    yield of("table_row_count_to_be_between", min_value=200, strict_min=True)
    yield of("table_row_count_to_equal", value=200)
    yield of("table_columns_to_match_set", column_set=["label"], exact_match=False)
    yield of("table_columns_to_match_set", column_set=["label"])
    for column in (column.name for column in TABLE.columns):
        for kind in ("not_be_null", "be_null", "be_unique"):
            yield of(f"column_values_to_{kind}", column=column)
    for kind, bounds in BOUNDS.items():
        for bound in bounds:
            yield of("column_values_to_be_between", column=OF_KIND[kind][0], min_value=bound, strict_min=True)
            yield of("column_values_to_be_between", column=OF_KIND[kind][0], max_value=bound)
    for kind, values in LISTED.items():
        yield of("column_values_to_be_in_set", column=OF_KIND[kind][0], value_set=values)
        yield of("column_values_to_not_be_in_set", column=OF_KIND[kind][0], value_set=values)
    for names in (*(OF_KIND[kind] for kind in (*NUMERIC, *(Kind.DATE, Kind.INSTANT, Kind.TEXT))), ["whole", "amount"], ["number", "whole"]):
        for ignored in ("both_values_are_missing", "either_value_is_missing", "neither"):
            pair = {"column_A": names[0], "column_B": names[1], "ignore_row_if": ignored}
            yield of("column_pair_values_a_to_be_greater_than_b", or_equal=True, **pair)
            yield of("column_pair_values_to_be_equal", **pair)
    for ignored in ("all_values_are_missing", "any_value_is_missing", "never"):
        yield of("compound_columns_to_be_unique", column_list=["customer_id", "is_flagged", "number"], ignore_row_if=ignored)


def test_every_expectation_counts_alike(lake: Lake, spark: SparkOver) -> None:
    entries = list(every_expectation())
    assert {entry["type"] for entry in entries} == set(EXPECTATIONS)
    company = a_company(lake.root.parent / "company")
    write_suite(company, TABLE, entries)
    write_rows(lake, TABLE, motley_rows(), day=NIGHT)
    with closing(DuckDBEngine(lake.store, memory_limit="1GB")) as engine:
        here = counts_in_sql(company, engine, TABLE, NIGHT)
    there = counts_in_sql(company, spark(lake), TABLE, NIGHT)
    assert here[0] == 200
    differing = [(entry, one, other) for entry, one, other in zip([{}, *entries], here, there, strict=True) if one != other]
    assert differing == []
