from __future__ import annotations

from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from support.builders import a_company, an_attribute, write_rows
from support.published_nights import a_row, write_memberships

from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import AUDIENCE_MEMBERS, CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, Column, Kind, Table
from pipeline.operations.backfill.differences import NightDifference, compare_audiences, compare_partitions

BEFORE, AFTER = date(2024, 3, 1), date(2024, 3, 2)


def write_spend(lake: Lake, day: date, spent: dict[str, int], table: Table = CUSTOMER_FEATURES, **given: Any) -> None:
    rows = [a_row(table, customer_id=customer, spend_amount=Decimal(amount), **given) for customer, amount in spent.items()]
    write_rows(lake, table, rows, day=day)


def found(lake: Lake, table: Table) -> NightDifference:
    files = [addresses.partition(table, day=day) for day in (BEFORE, AFTER)]
    return compare_partitions(lake, table, *files, engine=lambda: closing(DuckDBEngine(lake.store, memory_limit="500MB")))


def test_customers_that_came_went_and_changed_are_counted_and_spend_is_exact(lake: Lake) -> None:
    write_spend(lake, BEFORE, {"ada": 10, "bob": 20, "cleo": 30, "dan": 40})
    write_spend(lake, AFTER, {"ada": 10, "bob": 25, "cleo": 30, "eve": 1, "flo": 2})
    assert found(lake, CUSTOMER_FEATURES) == NightDifference(2, 1, 1, Decimal(-32))


def test_a_value_that_is_empty_on_one_side_alone_is_a_change(lake: Lake) -> None:
    write_spend(lake, BEFORE, {"ada": 10, "bob": 10}, recency_days=None)
    write_spend(lake, AFTER, {"ada": 10, "bob": 10}, recency_days=3)
    assert found(lake, CUSTOMER_FEATURES) == NightDifference(customers_changed=2)


def test_an_attribute_that_came_since_is_no_change(lake: Lake, tmp_path: Path) -> None:
    city = an_attribute(Column("city", Kind.TEXT, "City."), "geographic")
    table = a_company(tmp_path, attributes=(city,)).table(CUSTOMER_FEATURES)
    write_spend(lake, BEFORE, {"ada": 10})
    write_spend(lake, AFTER, {"ada": 10}, table, city="Ulm")
    assert found(lake, table).is_nothing


def test_moves_are_counted_per_scheme_of_those_who_were_there_before(lake: Lake) -> None:
    write_memberships(lake, BEFORE, {("ada", "rfm"): "new", ("bob", "rfm"): "lost", ("ada", "value"): "a"})
    write_memberships(lake, AFTER, {("ada", "rfm"): "loyal", ("bob", "rfm"): "loyal", ("ada", "value"): "a", ("cleo", "rfm"): "new"})
    assert found(lake, CUSTOMER_SEGMENTS) == NightDifference(moved={"rfm": 2})


def test_entries_into_audiences_are_counted_of_those_who_were_there_before(lake: Lake) -> None:
    members = {BEFORE: "ada rich, bob rich, gone rich", AFTER: "ada empty, ada later, ada rich, cleo rich"}
    told = {BEFORE: ("empty", "rich"), AFTER: ("empty", "later", "rich")}
    for day, pairs in members.items():
        rows = [dict(zip(AUDIENCE_MEMBERS.column_names, pair.split(), strict=True)) for pair in pairs.split(", ")]
        batches = pa.Table.from_pylist(rows, schema=AUDIENCE_MEMBERS.schema).to_batches()
        lake.write(AUDIENCE_MEMBERS, batches, day=day, manifest={"audiences": dict.fromkeys(told[day], "digest")})
    write_memberships(lake, BEFORE, {("ada", "rfm"): "new", ("bob", "rfm"): "new", ("gone", "rfm"): "new"})
    write_memberships(lake, AFTER, {("ada", "rfm"): "new", ("bob", "rfm"): "new", ("cleo", "rfm"): "new"})
    files = [tuple(addresses.partition(table, day=day) for day in (BEFORE, AFTER)) for table in (AUDIENCE_MEMBERS, CUSTOMER_SEGMENTS)]
    difference = compare_audiences(lake, *files, engine=lambda: closing(DuckDBEngine(lake.store, memory_limit="500MB")))
    # Bob left, and ada entered one that was empty; one that is new is no move, nor is a customer who is new or gone.
    assert difference == NightDifference(moved={"rich": 1, "empty": 1})


def test_the_same_rows_in_other_bytes_are_no_difference(lake: Lake) -> None:
    write_spend(lake, BEFORE, {"ada": 10})
    rows = lake.read(CUSTOMER_FEATURES, day=BEFORE).to_batches()
    lake.write_file(CUSTOMER_FEATURES.schema, rows, addresses.partition(CUSTOMER_FEATURES, day=AFTER), {"written": "otherwise"})
    assert lake.path(CUSTOMER_FEATURES, day=AFTER).read_bytes() != lake.path(CUSTOMER_FEATURES, day=BEFORE).read_bytes()
    assert found(lake, CUSTOMER_FEATURES).is_nothing
