"""A suite checked in SQL finds the rows that Great Expectations finds, whatever the rows: nulls, ties, bounds, blank ids, no numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.builders import a_company, write_rows
from support.checked_rows import NIGHT, OF_KIND, TABLE, counts_in_sql, kind_of, write_suite

from pipeline.definitions.company import Company
from pipeline.ingestion.validation import suite_parameters
from pipeline.ingestion.validation.expectation_sql import EXPECTATIONS
from pipeline.ingestion.validation.expectations import load_suite
from pipeline.ingestion.validation.findings_in_sql import findings_in_sql
from pipeline.ingestion.validation.raw_rows import checked_columns
from pipeline.ingestion.validation.suites import RuleFinding
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import Kind

LIMIT = Decimal("99999999999999.9999")
NUMERIC = [*OF_KIND[Kind.INTEGER], *OF_KIND[Kind.NUMBER], *OF_KIND[Kind.MONEY]]

# Up to those that a float holds: the library cannot compare columns of larger ones where any is null.
wholes = st.integers(-3, 3) | st.sampled_from([2**53 - 1, 2**53, -(2**53)])
numbers = st.sampled_from([0.0, -0.0, 0.1, 0.3, 0.1 + 0.2, 1.0, 1.000000001, -2.5, 1e300, float("nan"), float("inf"), float("-inf")])
amounts = st.sampled_from(["0", "0.1", "0.3", "0.7", "-0.0001", "1", "2.5"]).map(Decimal) | st.decimals(-LIMIT, LIMIT, places=4)
days = st.dates(date(2024, 3, 29), date(2024, 4, 1)) | st.dates(date(1900, 1, 1), date(2100, 1, 1))
moments = st.datetimes(datetime(2024, 3, 31), datetime(2024, 3, 31, 0, 0, 0, 2)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001
texts = st.sampled_from(
    ["", " ", "a", "A", "a ", "ä", "z", "\U0001f375", "\u2003\t", "\u00a0", "o'b", "a\\b", "\x1f", "~~", "\uffff", "e\u0301", "é", "\u200b"]
)
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: texts,
    Kind.INTEGER: wholes,
    Kind.NUMBER: numbers,
    Kind.MONEY: amounts,
    Kind.DATE: days,
    Kind.INSTANT: moments,
    Kind.FLAG: st.booleans(),
}
rows = st.lists(st.fixed_dictionaries({column.name: st.none() | VALUES[column.kind] for column in TABLE.columns}), max_size=8)

small_numbers = st.integers(-3, 3) | st.sampled_from([0.0, 0.1, 0.3, 0.7, 1.000000001, -2.5, 1.5, 1e300])
BOUNDS: dict[Kind, st.SearchStrategy[Any]] = {
    **dict.fromkeys((Kind.INTEGER, Kind.NUMBER, Kind.MONEY), small_numbers),
    Kind.DATE: days.map("{}T00:00:00".format) | st.just({"$PARAMETER": "night"}),
    Kind.INSTANT: moments.map(datetime.isoformat) | st.sampled_from([{"$PARAMETER": "first_instant"}, {"$PARAMETER": "night_end"}]),
}
LISTED: dict[Kind, st.SearchStrategy[Any]] = {
    **dict.fromkeys((Kind.INTEGER, Kind.NUMBER, Kind.MONEY), st.lists(small_numbers, min_size=1)),
    Kind.TEXT: st.lists(texts, min_size=1) | st.just({"$PARAMETER": "currencies"}),
    Kind.FLAG: st.lists(st.booleans(), min_size=1),
}
IGNORED_PAIRS = st.sampled_from([None, "both_values_are_missing", "either_value_is_missing", "neither"])
IGNORED_KEYS = st.sampled_from([None, "all_values_are_missing", "any_value_is_missing", "never"])


def columns(*kinds: Kind) -> st.SearchStrategy[str]:
    return st.sampled_from([name for kind in kinds or Kind for name in OF_KIND[kind]])


@st.composite
def ranges(draw: st.DrawFn, bounds: st.SearchStrategy[Any]) -> dict[str, Any]:
    low, high = draw(st.none() | bounds), draw(st.none() | bounds)
    if low is None and high is None:
        low = draw(bounds)
    if low is not None and high is not None and _value(low) > _value(high):
        low, high = high, low
    strict = st.none() | st.booleans()
    return {"min_value": low, "max_value": high, "strict_min": draw(strict), "strict_max": draw(strict)}


@st.composite
def expectations(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(sorted(EXPECTATIONS)))
    match kind:
        case "expect_table_row_count_to_be_between":
            kwargs = draw(ranges(st.integers(0, 9)))
        case "expect_table_columns_to_match_set":
            names = st.sampled_from([*TABLE.column_names, "unheard_of"])
            kwargs = {
                "column_set": draw(st.just(TABLE.column_names) | st.lists(names, min_size=1, max_size=3)),
                "exact_match": draw(st.none() | st.booleans()),
            }
        case "expect_table_row_count_to_equal":
            kwargs = {"value": draw(st.integers(0, 9))}
        case "expect_column_values_to_be_between":
            name = draw(columns(*BOUNDS))
            kwargs = {"column": name, **draw(ranges(BOUNDS[kind_of(name)]))}
        case "expect_column_values_to_be_in_set" | "expect_column_values_to_not_be_in_set":
            name = draw(columns(*LISTED))
            kwargs = {"column": name, "value_set": draw(LISTED[kind_of(name)])}
        case "expect_column_pair_values_a_to_be_greater_than_b" | "expect_column_pair_values_to_be_equal":
            pairs = [NUMERIC, *(OF_KIND[kind] for kind in (Kind.DATE, Kind.INSTANT, Kind.TEXT))]
            first, second = draw(st.sampled_from(pairs).flatmap(lambda names: st.tuples(st.sampled_from(names), st.sampled_from(names))))
            kwargs = {"column_A": first, "column_B": second, "ignore_row_if": draw(IGNORED_PAIRS)}
            if kind.endswith("than_b"):
                kwargs["or_equal"] = draw(st.none() | st.booleans())
        case "expect_compound_columns_to_be_unique":
            kwargs = {"column_list": draw(st.lists(columns(), min_size=2, max_size=3, unique=True)), "ignore_row_if": draw(IGNORED_KEYS)}
        case _:
            kwargs = {"column": draw(columns())}
    return {"type": kind, "kwargs": {name: value for name, value in kwargs.items() if value is not None}}


def rejecting_rows(entry: dict[str, Any], number: int) -> dict[str, Any]:
    return entry | {"meta": {"rule": f"rule_{number}", "rejects_rows": not entry["type"].startswith("expect_table_")}}


def _value(bound: Any) -> Any:
    return (
        {"night": str(NIGHT), "first_instant": "2019", "night_end": "2024-03-31T22"}[bound["$PARAMETER"]]
        if isinstance(bound, dict)
        else bound
    )


def described(finding: RuleFinding) -> tuple[int, bool, list[int]]:
    return finding.failed, finding.is_about_rows, finding.positions.tolist()


def counts_by_library(company: Company, lake: Lake) -> list[int]:
    stored = lake.read(TABLE, day=NIGHT)
    # What is checked has more columns than the table; of a set of columns only those of the table are meant here.
    columns = checked_columns(stored, TABLE).select(TABLE.column_names)
    suite, parameters = load_suite(company, TABLE), suite_parameters(company, NIGHT)
    by_library, in_sql = suite.check_by_library(columns, parameters), findings_in_sql(suite.definition, columns, parameters)
    assert in_sql is not None, "SQL knows every one of these expectations"
    assert [described(each) for each in in_sql] == [described(each) for each in by_library]
    return [stored.num_rows, *(each.failed for each in by_library)]


@dataclass(frozen=True)
class Bench:
    """A company whose suite can be replaced, and a lake with the engine that reads it."""

    company: Company
    lake: Lake
    engine: DuckDBEngine


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("suites")
    lake = Lake(root / "lake")
    lake.root.mkdir()
    with closing(DuckDBEngine(lake.store, memory_limit="1GB")) as engine:
        yield Bench(a_company(root / "company"), lake, engine)


# The library compares pairs of instants in a way that pandas warns of.
@pytest.mark.filterwarnings("ignore:Series.values returning an ndarray")
@given(found=rows, entries=st.lists(expectations(), min_size=4, max_size=8))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_sql_finds_the_rows_that_the_library_finds(bench: Bench, found: list[dict[str, Any]], entries: list[dict[str, Any]]) -> None:
    write_rows(bench.lake, TABLE, found, day=NIGHT)
    write_suite(bench.company, TABLE, map(rejecting_rows, entries, range(len(entries))))
    assert counts_in_sql(bench.company, bench.engine, TABLE, NIGHT) == counts_by_library(bench.company, bench.lake)
