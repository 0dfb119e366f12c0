"""Declared features carried from night to night equal those computed from all rows, and what plain Python adds up."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest
from sqlglot import exp
from support.builders import write_customers
from support.declared_features import OF_LINES, OF_SEQUENCES, ORACLE, a_declaring_company
from support.feature_nights import compute, computed_without_caches
from support.late_shops import FIRST, Shop

from pipeline.definitions.features import DeclaredFeature
from pipeline.features import features_as_declared
from pipeline.features.declared import aggregates_by_source
from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES

NEAR_THE_MONTHS_END = date(2024, 2, 28)  # within six nights a month and a week begin


def require_as_by_hand(lake: Lake, shop: Shop, day: date) -> None:
    rows: dict[str, list[dict[str, Any]]] = {}
    for line in (line for lines in shop.days.values() for line in lines if line["line_kind"] != "cancelled"):
        rows.setdefault(line["customer_id"], []).append(line)
    for row in lake.read(CUSTOMER_FEATURES, day=day).to_pylist():
        found = {name: row[name] for name in ORACLE}
        assert found == {name: by_hand(rows.get(row["customer_id"], []), day) for name, (_, by_hand) in ORACLE.items()}, row["customer_id"]


def require_caches_in_order(lake: Lake) -> None:
    """Require that what nights leave for later ones has its customers in order: else threads, and engines, would decide on its bytes."""
    files = [pq.ParquetFile(lake.local(address)) for address in lake.list_addresses(addresses.CACHES, suffix=".parquet")]
    ids = [file.read(["customer_id"])["customer_id"].to_pylist() for file in files if "customer_id" in file.schema_arrow.names]
    assert any("_aggregates" in address for address in lake.list_addresses(addresses.CACHES))
    assert ids == [sorted(each) for each in ids]


def test_carried_features_equal_those_computed_by_hand_and_from_all_rows(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pipeline.features.declared.states")
    company, shop = a_declaring_company(lake.root), Shop(1)
    write_customers(lake, company, [{"customer_id": "never"}, {"customer_id": "c1"}], known_on=FIRST)
    shop.open(lake)
    for number in range((NEAR_THE_MONTHS_END - FIRST).days):
        shop.night(lake, FIRST + timedelta(number))
    for day in (NEAR_THE_MONTHS_END + timedelta(number) for number in range(6)):
        shop.night(lake, day)
        carried = compute(company, lake, day)
        require_as_by_hand(lake, shop, day)
    # Those of each source were computed for everybody once, on the first night.
    assert sum("computed for everybody" in record.getMessage() for record in caplog.records) == len(aggregates_by_source(company))
    require_caches_in_order(lake)
    assert carried == computed_without_caches(company, lake, day)


def test_nights_in_any_order_and_restated_ones_equal_those_computed_from_all_rows(lake: Lake) -> None:
    company, shop = a_declaring_company(lake.root, (*OF_LINES, *OF_SEQUENCES)), Shop(5)
    shop.open(lake)
    nights = [FIRST + timedelta(number) for number in range(6)]
    for day in nights:
        shop.night(lake, day)
    for day in random.Random(5).sample(nights, 4):
        assert compute(company, lake, day) == computed_without_caches(company, lake, day), day
    restated = compute(company, lake, nights[1], known_on=nights[-1])
    assert restated == computed_without_caches(company, lake, nights[1], known_on=nights[-1])


def test_what_was_declared_since_a_night_is_what_the_night_tells_with_it(lake: Lake) -> None:
    company, shop, day = a_declaring_company(lake.root), Shop(3), FIRST + timedelta(5)
    write_customers(lake, company, [{"customer_id": "never"}, {"customer_id": "c1"}], known_on=FIRST)
    shop.open(lake)
    for number in range(6):
        shop.night(lake, FIRST + timedelta(number))
    compute(company, lake, day)
    expected = {row["customer_id"]: row for row in lake.read(company.table(CUSTOMER_FEATURES), day=day).to_pylist()}
    compute(replace(company, features=()), lake, day)
    # All of them together, and each with what it is made of alone: how rows are read depends on what else is asked of them.
    alone = [with_all_behind(company.features, feature) for feature in company.features]
    for number, features in enumerate((company.features, *alone)):
        is_once = number % 2 == 1
        some = replace(company, features=tuple(features))
        names = [feature.name for feature in features]
        with closing(DuckDBEngine(lake.store, memory_limit="1GB")) as engine, features_as_declared(some, lake, engine, day) as night:
            columns = [exp.column(name, quoted=True) for name in ("customer_id", *names)]
            assert night.features
            if is_once:
                night.features.work_out(names)
            night.features.define(night.table)
            rows = engine.run(exp.select(*columns).from_(night.table.name), {}).read_all().to_pylist()
        assert {row["customer_id"]: [row[name] for name in names] for row in rows} == {
            customer: [row[name] for name in names] for customer, row in expected.items()
        }, names


def with_all_behind(features: Sequence[DeclaredFeature], wanted: DeclaredFeature) -> list[DeclaredFeature]:
    names = {wanted.name}
    for feature in reversed(features):
        names |= feature.looks_at if feature.name in names else set()
    return [feature for feature in features if feature.name in names]
