"""Both engines say the same of every audience: rules, sizes, and what rules say of those who moved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from support.builders import a_company, write_rows

from pipeline.definitions.audiences import (
    conditions_statement,
    formula_flags,
    load_audiences,
    memberships_on_features,
    rule_formulas,
    rule_of,
    unknown_counts_statement,
)
from pipeline.definitions.schemes import load_schemes
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.statements import statement
from pipeline.lake.tables import AUDIENCE_MEMBERS, CUSTOMER_FEATURES, CUSTOMER_SEGMENTS

NIGHT = date(2024, 3, 31)
AUDIENCE = 'title = "T"\npurpose = "P."\nowner = "O"\n{decided}\n'
DECIDED = {
    "big": 'rule = "spend_amount >= 20"',
    "fresh": 'rule = "recency_days <= 5"',
    "tea": "rule = \"favourite_category <> 'tea'\"",
    "prospects": 'segment = "lifecycle.prospect"',
    "leading": 'rule = "value_score = 3"',
}


@pytest.fixture(params=["duckdb", "spark"])
def engine(request: pytest.FixtureRequest, lake: Lake) -> Iterator[Engine]:
    if request.param == "spark":
        yield request.getfixturevalue("spark")(lake)
        return
    with closing(DuckDBEngine(lake.store, memory_limit="500MB")) as duckdb:
        yield duckdb


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_rules_sizes_and_moves_are_told_alike(tmp_path: Path, lake: Lake, engine: Engine) -> None:
    (tmp_path / "audiences").mkdir()
    for name, decided in DECIDED.items():
        (tmp_path / "audiences" / f"{name}.toml").write_text(AUDIENCE.format(decided=decided))
    company = a_company(tmp_path)
    audiences = load_audiences(company).schemes
    by_name = {scheme.name: scheme for scheme in load_schemes(company).schemes}
    rows = [
        {"customer_id": "a", "spend_amount": Decimal(30), "recency_days": 3, "favourite_category": "tea", "value_score": 3},
        {"customer_id": "b", "spend_amount": Decimal("19.9999"), "recency_days": None, "favourite_category": None, "is_prospect": True},
        {"customer_id": "c", "spend_amount": Decimal(20), "recency_days": 6, "favourite_category": "wine", "value_score": 1},
    ]
    write_rows(lake, CUSTOMER_FEATURES, [{"is_prospect": False, "is_refund_only": False, **row} for row in rows], day=NIGHT)
    engine.register(CUSTOMER_FEATURES, [addresses.partition(CUSTOMER_FEATURES, day=NIGHT)])
    rules = rule_formulas([rule_of(audience) for audience in audiences])
    [said] = engine.run(conditions_statement(rules.conditions, audiences, by_name), {}).read_all().combine_chunks().to_batches()
    each_rule = [formula_flags(formula, {name: said[name] for name in rules.conditions}, {}).to_pylist() for formula in rules.formulas]
    flags = dict(zip(said["customer_id"].to_pylist(), zip(*each_rule, strict=True), strict=True))
    assert [audience.name for audience in audiences] == ["big", "fresh", "leading", "prospects", "tea"]
    big, fresh = ["a", "c"], {"a": True, "b": None, "c": False}
    assert {name: each[0] for name, each in flags.items()} == {name: name in big for name in flags}
    assert {name: each[1] for name, each in flags.items()} == fresh
    assert {name: each[4] for name, each in flags.items()} == {"a": False, "b": None, "c": True}
    assert flags["b"][3] is True
    [unknown] = engine.run(unknown_counts_statement(audiences, by_name), {}).read_all().to_pylist()
    assert (unknown["fresh"], unknown["tea"], unknown["big"]) == (1, 1, 0)

    moved = [{"customer_id": "a", "scheme": "tea"}, {"customer_id": "b", "scheme": "prospects"}, {"customer_id": "c", "scheme": "big"}]
    write_rows(lake, CUSTOMER_SEGMENTS, [{"segment": "member", **row} for row in moved], day=NIGHT)
    engine.register(CUSTOMER_SEGMENTS, [addresses.partition(CUSTOMER_SEGMENTS, day=NIGHT)])
    tried = engine.run(memberships_on_features(audiences, by_name, moved=CUSTOMER_SEGMENTS.name), {}).read_all().to_pylist()
    assert {(row["customer_id"], row["scheme"], row["segment"]) for row in tried} == {
        ("a", "tea", None),
        ("b", "prospects", "member"),
        ("c", "big", "member"),
    }

    write_rows(lake, AUDIENCE_MEMBERS, [{"customer_id": each, "audience": "big"} for each in big], day=NIGHT)
    engine.register(AUDIENCE_MEMBERS, [addresses.partition(AUDIENCE_MEMBERS, day=NIGHT)])
    sizes = {row["audience"]: row for row in engine.run(statement("audiences"), {}).read_all().to_pylist()}
    assert sizes["big"]["customer_count"] == 2
    assert (sizes["big"]["spend_amount"], sizes[""]["spend_amount"]) == (Decimal(50), Decimal(0))
    assert sizes["big"]["customer_share"] == 2 / 3
