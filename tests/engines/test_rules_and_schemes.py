"""Rules and schemes give the same answers on DuckDB and on Spark, on values chosen to make engines differ."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlglot import exp
from support.builders import a_company, an_attribute, write_rows
from support.local_spark import SparkOver

from pipeline.definitions.company import PROJECT_ROOT, Company
from pipeline.definitions.rules import Vocabulary, parse_rule
from pipeline.definitions.schemes import load_cluster_schemes, load_schemes, schemes_with_assignments, segments_statement
from pipeline.errors import ConfigError
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, Column, Kind
from pipeline.models.clusters import (
    Cluster,
    ClusterModel,
    ModelFeature,
    assignment_statement,
    coordinate_sums_statement,
    segment_statements,
)
from pipeline.models.sample import sample_customers

NIGHT = date(2024, 3, 31)
INTEGERS = [None, 0, 1, 2, 5, -1, 2**31, 10**15, 2**63 - 1]
AMOUNTS = [Decimal(text) for text in ("0", "0.0001", "-0.0001", "0.3", "19.99", "1000000", "99999999999999.9999", "-99999999999999.9999")]
NUMBERS = [None, 0.0, -0.0, 0.1, 0.3, 0.8, 0.30000000000000004, 19.99, 29.5, 1e-9, 1e15]
DATES = [None, date(1, 1, 1), date(1582, 10, 10), date(1970, 1, 1), date(2024, 2, 29), date(9999, 12, 31)]
TEXTS = [None, "", " ", "a", "A", "ä", "z", "it's", "x\\", "\\n", "\u0131", "i", "ÿ", "\U0001f600", "\uffee", "%", "a b"]
COLUMNS = {
    "recency_days": INTEGERS, "order_count": [0, 1, 2, 2**31], "spend_amount": AMOUNTS, "refund_amount": AMOUNTS,
    "gap_mean_days": NUMBERS, "value_rank_share": NUMBERS, "last_order_date": DATES, "first_order_date": DATES,
    "favourite_category": TEXTS, "main_channel": TEXTS, "is_prospect": [True, False], "is_member": [None, True, False],
    'Größe "x"': TEXTS,
    "r_score": [None, 1, 2, 3, 4, 5], "fm_score": [None, 1, 2, 3, 4, 5], "lifetime_order_day_count": [0, 1, 2],
    "order_day_count": [0, 1, 2],
    **{f"r_{score}_limit_days": [None, 10 - score] for score in range(2, 6)},
    **{f"f_{score}_limit_count": [None, score - 1] for score in range(2, 6)},
    **{f"m_{score}_limit_amount": [None, Decimal(score)] for score in range(2, 6)},
    **{f"value_{score}_limit_amount": [None, Decimal("19.99") * score] for score in (2, 3)},
    "last_gap_days": [None, 1, 50], "new_limit_days": [None, 20.0], "active_limit_days": [None, 30.5],
    "dormant_limit_days": [None, 45.0], "rhythm_days": [None, 20.0],
}  # fmt: skip
OPERANDS = {
    "number": [
        *(name for name, values in COLUMNS.items() if values in (INTEGERS, AMOUNTS, NUMBERS)),
        *("order_count", "0", "2", "-3", "0.3", "0.0001", "19.99", "999999999999999"),
    ],
    "text": ["favourite_category", "main_channel", '"Größe ""x"""', "'a'", "'A'", "'it''s'", "'x\\'", "'\\n'", "'ä'", "''", "'\U0001f600'"],
    "date": ["last_order_date", "first_order_date", "DATE '0001-01-01'", "DATE '1582-10-10'", "DATE '2024-02-29'", "DATE '9999-12-31'"],
}  # fmt: skip
SCHEME = """
title = "Everything as evidence"
kind = "rules"
level = "behavioural"
question = "Does every kind print alike?"
evidence = ["order_count", "spend_amount", "last_order_date", "favourite_category", "is_prospect", "is_member"]
[[segment]]
id = "x"
title = "X"
description = "X."
rule = "is_member AND favourite_category < 'b'"
[[segment]]
id = "rest"
title = "Rest"
description = "Rest."
otherwise = true
"""

SCORED = """
title = "Every score, as it is"
kind = "rules"
level = "behavioural"
question = "Do scores of every method read alike?"
evidence = ["r_score", "f_score", "m_score", "fm_score", "value_score"]
[scores]
{scores}
[[segment]]
id = "best"
title = "B"
description = "B."
rule = "r_score + f_score + m_score + value_score >= 11"
[[segment]]
id = "rest"
title = "Rest"
description = "Rest."
otherwise = true
"""
METHODS = {
    "ranked": 'r_score = "rank"\nf_score = "rank"\nm_score = "rank"\nvalue_score = "rank"',
    "absolute": "r_score = { thresholds = [0, 1, 2, 5] }\nf_score = { thresholds = [1, 2, 3, 4] }\n"
    "m_score = { thresholds = [0, 0.0001, 0.3, 19.99] }\nvalue_score = { thresholds = [0.3, 19.99] }",
    "frozen": 'r_score = "frozen"',
}
CHANNELS = """
title = "Channels of those who buy one kind of thing"
kind = "values"
level = "behavioural"
question = "Do values of those whom another scheme of values takes count alike?"
evidence = ["order_count"]
attribute = "main_channel"
fewest_customers = 1
rule = "category_affinity.segment <> 'other'"
"""
FOR_SOME = """
title = "Channels of some alone"
kind = "values"
level = "behavioural"
question = "Do those whom a scheme applies to count alike?"
applies_to = "is_member OR favourite_category > 'b'"
evidence = ["order_count"]
attribute = "main_channel"
fewest_customers = 1
"""
REFERRING = """
title = "By values of others"
kind = "rules"
level = "behavioural"
question = "Do segments that are values read alike?"
evidence = ["order_count"]
[[segment]]
id = "x"
title = "X"
description = "X."
rule = "channels.segment IN ('a', 'z', 'it''s') OR category_affinity.segment = 'unknown' AND for_some.segment IS NULL"
[[segment]]
id = "rest"
title = "Rest"
description = "Rest."
otherwise = true
"""
CLUSTERED = """
title = "By clusters and by values of others"
kind = "rules"
level = "behavioural"
question = "Do clusters read alike?"
evidence = ["order_count"]
[[segment]]
id = "x"
title = "X"
description = "X."
rule = "behaviour_clusters.segment = 'cluster_2' AND referring.segment = 'rest'"
[[segment]]
id = "y"
title = "Y"
description = "Y."
rule = "behaviour_clusters.segment IN ('cluster_1', 'cluster_3')"
[[segment]]
id = "rest"
title = "Rest"
description = "Rest."
otherwise = true
"""
MODEL = ClusterModel(
    "behaviour_clusters", NIGHT, "k-means", "by hand", 1, "0" * 64, 30, 0.5,
    (
        ModelFeature("spend_amount", "log1p", 0.0, 0.0, 7.0, 4.0, 1.5),
        ModelFeature("recency_days", "none", 400.0, 0.0, 365.0, 90.0, 80.0),
        ModelFeature("order_count", "log1p", 0.0, 0.0, 4.0, 1.5, 0.8),
    ),
    (),
    tuple(Cluster(f"cluster_{n}", f"{n}", 10, 0.9, at) for n, at in enumerate([(1.2, -0.9, 1.1), (-0.2, 0.1, 0.0), (-0.9, 1.6, -0.8)], 1)),
)  # fmt: skip


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    folder: Path = tmp_path_factory.mktemp("company")
    (folder / "segments").mkdir()
    for name, text in {
        "everything": SCHEME,
        "channels": CHANNELS,
        "for_some": FOR_SOME,
        "referring": REFERRING,
        "clustered": CLUSTERED,
    }.items():
        (folder / "segments" / f"{name}.toml").write_text(text, "utf-8")
    attributes = (Column("is_member", Kind.FLAG, ""), Column('Größe "x"', Kind.TEXT, ""))
    return a_company(folder, attributes=tuple(an_attribute(column) for column in attributes))


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory, spark: SparkOver, company: Company) -> tuple[Engine, Engine]:
    """Return both engines with the same adversarial customers registered."""
    lake = Lake(tmp_path_factory.mktemp("lake"))
    chance = random.Random(11)
    rows = [{"customer_id": f"c{n:03}", **{name: chance.choice(values) for name, values in COLUMNS.items()}} for n in range(400)]
    for row in rows:
        row["last_order_date"] = row["last_order_date"] or (date(2024, 2, 28) if row["order_day_count"] else None)
    features = company.table(CUSTOMER_FEATURES)
    write_rows(lake, features, rows, day=NIGHT)
    engines = DuckDBEngine(lake.store, memory_limit="1GB"), spark(lake)
    for engine in engines:
        engine.register(features, [addresses.partition(features, day=NIGHT)])
    return engines


def some_rules(names: dict[str, Kind]) -> list[exp.Expression]:
    chance = random.Random(5)
    rules = []
    while len(rules) < 60:
        try:
            rules.append(parse_rule(a_condition(chance, 2), Vocabulary(names), where="x"))
        except ConfigError as error:
            if "38 digits" not in str(error):
                raise
    return rules


def a_condition(chance: random.Random, depth: int) -> str:
    if depth and chance.random() < 0.6:
        left, right = a_condition(chance, depth - 1), a_condition(chance, depth - 1)
        return chance.choice([f"({left} AND {right})", f"({left} OR {right})", f"NOT ({left})", f"({left}) = ({right})"])
    kind = chance.choice([*OPERANDS, "number", "number"])
    left, middle, right = (an_operand(chance, kind) for _ in range(3))
    order = chance.choice(["=", "<>", "<", "<=", ">", ">="])
    literals = ", ".join(value for value in OPERANDS[kind] if value[0] in "'-0123456789D")
    return chance.choice(
        [
            f"{left} {order} {right}",
            f"{left} BETWEEN {middle} AND {right}",
            f"{left} NOT IN ({literals})",
            f"{left} IS NULL",
            f"{left} IS NOT {right}",
            f"{left} IS NOT DISTINCT FROM {right}",
        ]
    )


def an_operand(chance: random.Random, kind: str) -> str:
    value = chance.choice(OPERANDS[kind])
    if kind == "number" and chance.random() < 0.5:
        return f"({value} {chance.choice('+-*')} {chance.choice(OPERANDS[kind])})"
    return value


def sorted_rows(engine: Engine, statement: exp.Expression) -> list[dict[str, Any]]:
    table: pa.Table = engine.run(statement, {}).read_all()
    return sorted(table.to_pylist(), key=str)


def test_rules_decide_alike_on_both_engines(engines: tuple[Engine, Engine], company: Company) -> None:
    names = {column.name: column.kind for column in company.table(CUSTOMER_FEATURES).columns}
    rules = some_rules(names)
    columns = [exp.alias_(rule, f"rule_{number}") for number, rule in enumerate(rules)]
    duck, spark = (sorted_rows(engine, exp.select("customer_id", *columns).from_("customer_features")) for engine in engines)
    wrong = {rules[int(name[5:])].sql() for left, right in zip(duck, spark, strict=True) for name in left if left[name] != right[name]}
    assert not wrong
    assert {value for row in duck for name, value in row.items() if name != "customer_id"} == {True, False, None}


def test_segments_and_evidence_are_equal_on_both_engines(engines: tuple[Engine, Engine], company: Company) -> None:
    clusters = [(scheme, MODEL) for scheme in load_cluster_schemes(company)]
    schemes = schemes_with_assignments(load_schemes(company).schemes, segment_statements(clusters))
    duck, spark = (sorted_rows(engine, segments_statement(schemes)) for engine in engines)
    assert duck == spark
    counts = Counter(row["scheme"] for row in duck)
    assert 0 < counts.pop("for_some") < 400
    assert set(counts.values()) == {400}
    assert len(counts) == len(schemes) - 1
    assert {row["segment"] for row in duck if row["scheme"] == "clustered"} == {"x", "y", "rest"}


def test_figures_of_clusters_are_equal_on_both_engines(engines: tuple[Engine, Engine], company: Company) -> None:
    [scheme] = [scheme for scheme in load_cluster_schemes(company) if scheme.name == MODEL.scheme]
    found = []
    for engine in engines:
        members = assignment_statement(scheme, MODEL).subquery("assigned")
        query = coordinate_sums_statement(MODEL)
        for table in [each for each in query.find_all(exp.Table) if each.name == CUSTOMER_SEGMENTS.name]:
            table.replace(members.copy())
        found.append(sorted(engine.run(query, {}).read_all().to_pylist(), key=lambda row: row["segment"]))
    assert found[0] == found[1]
    assert [row["segment"] for row in found[0]] == [cluster.id for cluster in MODEL.clusters]
    assert all(isinstance(row[f"sum_{place}"], int) for row in found[0] for place in range(len(MODEL.features)))


@pytest.mark.parametrize("stage", ["lifecycle.active", "rfm.champions", "value_tier.a"])
def test_clusters_within_a_segment_are_equal_on_both_engines(engines: tuple[Engine, Engine], tmp_path: Path, stage: str) -> None:
    (tmp_path / "segments").mkdir()
    text = (PROJECT_ROOT / "segments" / "behaviour_clusters.toml").read_text("utf-8")
    (tmp_path / "segments" / "stage_clusters.toml").write_text(f'within = "{stage}"\n{text}', "utf-8")
    [scheme] = [scheme for scheme in load_cluster_schemes(a_company(tmp_path)) if scheme.within]
    duck, spark = (sorted_rows(engine, assignment_statement(scheme, replace(MODEL, scheme=scheme.name))) for engine in engines)
    assert duck == spark
    assert len(duck) == 400
    clustered = [row["customer_id"] for row in duck if row["segment"] != "unclustered"]
    assert 0 < len(clustered) < 400
    samples = [sample_customers(engine, scheme, rows=len(clustered) // 2) for engine in engines]
    assert [sample.customer_count for sample in samples] == [len(clustered)] * 2
    one, other = (set(sample.features["customer_id"].to_pylist()) for sample in samples)
    assert one == other < set(clustered)
