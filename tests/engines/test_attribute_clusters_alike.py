"""Clusters of attributes are the same on both engines: empty answers, spaces, quotes and texts that no model knows."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from support.builders import a_company, an_attribute, write_rows
from support.local_spark import SparkOver

from pipeline.definitions.schemes import load_cluster_schemes
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, Column, Kind
from pipeline.models.clusters import Cluster, ClusterModel, ModelFeature, assignment_statement, segment_statements
from pipeline.models.sample import sample_customers

NIGHT = date(2024, 3, 31)
KINDS = {"order": Kind.FLAG, "region": Kind.TEXT, "age_years": Kind.INTEGER, "income": Kind.MONEY, "z0": Kind.FLAG, "nobody": Kind.FLAG}
VALUES = {
    "order": [True, False, None],
    "region": ["north", " north ", "", "   ", None, "l'Est", "NORTH", "\tnorth", "moon"],
    "age_years": [0, 18, 45, 99, None],
    "income": [Decimal(0), Decimal("12000.5"), Decimal("99999.99"), None],
    "z0": [True, False],
}
SCHEME = f"""kind = "clusters"
title = "Alike"
level = "psychographic"
question = "Alike?"
cluster_count_min = 2
cluster_count_max = 3
smallest_share = 0.03
jaccard_floor = 0.5
seed = 1
sample_rows = 1_000
attributes = {list(KINDS)}
"""
MODEL = ClusterModel(
    "alike", NIGHT, "k-means", "by hand", 1, "0" * 64, 30, 0.5,
    (
        ModelFeature("order", "none", None, 0.0, 1.0, 0.4, 0.5, encoding="flag"),
        ModelFeature("region", "none", None, 0.0, 1.0, 0.3, 0.707107, encoding="text", value="north"),
        ModelFeature("region", "none", None, 0.0, 1.0, 0.2, 0.707107, encoding="text", value="l'Est"),
        ModelFeature("age_years", "none", None, 18.0, 90.0, 45.0, 15.0),
        ModelFeature("income", "log1p", None, 0.0, 12.0, 8.0, 2.0),
        ModelFeature("z0", "none", None, 0.0, 1.0, 0.5, 0.5, encoding="flag"),
    ),
    (),
    tuple(
        Cluster(f"cluster_{n}", f"{n}", 10, 0.9, at)
        for n, at in enumerate([(1, -0.4, 0.9, 0.5, 1, 1), (-0.6, 0.9, -0.2, -0.7, -1, 0), (-0.6, -0.4, -0.2, 0.9, 0, -1)], 1)
    ),
    unknown_features=("nobody",),
)  # fmt: skip


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory, spark: SparkOver) -> tuple[Engine, Engine]:
    chance = random.Random(3)
    lake, table = Lake(tmp_path_factory.mktemp("lake")), a_company(Path("x"), attributes=ATTRIBUTES).table(CUSTOMER_FEATURES)
    rows = [{"customer_id": f"c{n:03}", **{name: chance.choice(values) for name, values in VALUES.items()}} for n in range(400)]
    write_rows(lake, table, rows, day=NIGHT)
    engines = DuckDBEngine(lake.store, memory_limit="1GB"), spark(lake)
    for engine in engines:
        engine.register(table, [addresses.partition(table, day=NIGHT)])
    return engines


ATTRIBUTES = tuple(an_attribute(Column(name, kind, "")) for name, kind in KINDS.items())


def test_who_is_in_which_cluster_and_why_is_equal_on_both_engines(engines: tuple[Engine, Engine], tmp_path: Path) -> None:
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / "alike.toml").write_text(SCHEME, "utf-8")
    [scheme] = [each for each in load_cluster_schemes(a_company(tmp_path, attributes=ATTRIBUTES)) if each.name == "alike"]
    duck, spark = (
        sorted(engine.run(assignment_statement(scheme, MODEL), {}).read_all().to_pylist(), key=lambda row: row["customer_id"])
        for engine in engines
    )
    assert duck == spark
    assert len(duck) == 400
    assert {row["segment"] for row in duck} == {"cluster_1", "cluster_2", "cluster_3", "insufficient_evidence"}
    lacking = {row["evidence"] for row in duck if row["segment"] == "insufficient_evidence"}
    assert lacking == {f"not known: {name}" for name in ("order", "region", "age_years", "income")}
    [one, other] = (
        sorted(map(str, engine.run(segment_statements([(scheme, MODEL)])["alike"], {}).read_all().to_pylist())) for engine in engines
    )
    assert one == other
    samples = [sample_customers(engine, scheme, rows=50) for engine in engines]
    complete = sum(row["segment"] != "insufficient_evidence" for row in duck)
    assert [sample.customer_count for sample in samples] == [complete, complete]
    assert sorted(samples[0].features["customer_id"].to_pylist()) == sorted(samples[1].features["customer_id"].to_pylist())
