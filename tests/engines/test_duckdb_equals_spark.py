"""Every statement gives the same rows on DuckDB and on Spark, on rows chosen to make engines differ."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from support.builders import an_order_line, write_customers, write_order_lines, write_rows
from support.declared_features import ORACLE, a_declaring_company
from support.local_spark import SparkOver

from pipeline.features import compute_features, compute_rollups
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_DAY_CATEGORIES, CUSTOMER_DAYS, CUSTOMER_FEATURES, POPULATION_BASELINES, POPULATION_RHYTHM, VISITS

NIGHT = date(2024, 3, 31)
NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)
TOLERANCE = 1e-12


def adversarial_lines() -> list[dict[str, Any]]:
    """Ties, unicode, refunds before and after, zero prices, window edges, huge amounts, one-day customers."""
    chance = random.Random(7)
    days = [NIGHT - timedelta(chance.randrange(800)) for _ in range(40)]
    edges = [NIGHT, NIGHT - timedelta(364), NIGHT - timedelta(365), date(2024, 2, 29), date(2020, 1, 1)]
    names = ["c1", "C1", "ı", "i", "İ", "ქ", "ÿ", "z" * 40, "o'b", "0001", "1", " "]
    categories = ["a", "A", "ä", "unknown", "ზ", "a b"]
    lines = []
    for number in range(1, 1500):
        day = chance.choice(edges) if number % 7 == 0 else chance.choice(days)
        kind = chance.choices(["order", "refund", "cancelled"], [8, 2, 1])[0]
        amount = Decimal(chance.choice(["0", "0.0001", "10", "10", "19.99", "99999999999.9999"]))
        lines.append(
            an_order_line(
                number,
                day=day,
                customer_id=chance.choice([*names, f"n{chance.randrange(80)}"]),
                order_id=f"o{chance.randrange(400)}",
                net_amount=-amount if kind == "refund" else amount,
                discount_amount=Decimal(chance.choice(["0", "0", "1.5"])),
                category=chance.choice(categories),
                channel=chance.choice(["web", "store", "Web"]),
                line_kind=kind,
                order_day=day - timedelta(chance.choice([0, 0, 30])) if kind == "refund" else day,
            )
        )
    return lines


def write_visits(lake: Lake) -> None:
    """Write visits of buyers and of others, on the edges of the 90 days and between them."""
    chance = random.Random(11)
    for day in (NIGHT, NIGHT - timedelta(89), NIGHT - timedelta(90), date(2024, 3, 1), date(2024, 2, 29)):
        names = [chance.choice(["c1", "never", "ı", *(f"n{number}" for number in range(40))]) for _ in range(60)]
        rows = [{"visit_id": str(number), "customer_id": name, "visited_at": NOON} for number, name in enumerate(names)]
        write_rows(lake, VISITS, rows, day=day, known_on=NIGHT)


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory, spark: SparkOver) -> dict[str, Lake]:
    """Return the same night computed by either engine."""
    lakes = {}
    for name in ("duckdb", "spark"):
        lake = Lake(tmp_path_factory.mktemp(name) / "lake")
        company = a_declaring_company(lake.root)
        write_order_lines(lake, adversarial_lines(), known_on=NIGHT)
        write_customers(lake, company, [{"customer_id": "never"}, {"customer_id": "c1"}], known_on=NIGHT)
        write_visits(lake)
        engine = spark(lake) if name == "spark" else DuckDBEngine(lake.store, memory_limit="1GB")
        for night in (NIGHT - timedelta(1), NIGHT):  # the second rolls the states of the first forward, over an archive
            compute_rollups(lake, engine, night)
            compute_features(company, lake, engine, night)
        lakes[name] = lake
    return lakes


def assert_equal(left: pa.Table, right: pa.Table) -> None:
    assert left.schema.equals(right.schema)
    for name in left.column_names:
        if pa.types.is_floating(left.schema.field(name).type):
            assert right[name].to_pylist() == [
                value if value is None else pytest.approx(value, rel=TOLERANCE, abs=TOLERANCE) for value in left[name].to_pylist()
            ], name
        else:
            assert left[name].to_pylist() == right[name].to_pylist(), name


@pytest.mark.parametrize("table", [CUSTOMER_DAYS, CUSTOMER_DAY_CATEGORIES], ids=lambda table: table.name)
def test_rollups_are_equal_on_both_engines(nights: dict[str, Lake], table: Any) -> None:
    versions = nights["duckdb"].versions(table)
    assert versions == nights["spark"].versions(table)
    for version in versions:
        left, right = (nights[name].read(table, day=version.day, known_on=version.known_on) for name in ("duckdb", "spark"))
        assert_equal(left, right)


@pytest.mark.parametrize("table", [POPULATION_RHYTHM, POPULATION_BASELINES, CUSTOMER_FEATURES], ids=lambda table: table.name)
def test_night_tables_are_equal_on_both_engines(nights: dict[str, Lake], table: Any) -> None:
    left, right = (nights[name].read(table, day=NIGHT) for name in ("duckdb", "spark"))
    assert left.num_rows > 0
    assert table is not CUSTOMER_FEATURES or ORACLE.keys() <= {*left.column_names}
    assert_equal(left, right)
