"""Definitions, suites and targets are checked before the source is read, not by the step that would use them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from support.nights import SHOP, night_of, tree_bytes, write_shop

from pipeline.definitions.company import PROJECT_ROOT
from pipeline.errors import ConfigError, PipelineError
from pipeline.lake.lake import Lake
from pipeline.operations.check import check_company
from pipeline.operations.steps import STEPS

DAY = date(2024, 3, 5)
ORDERS = ["A1,1,1,2024-03-01 10:00:00,1,10.00,x"]


def write(shop: Path, name: str, text: str) -> None:
    (shop / name).parent.mkdir(exist_ok=True)
    (shop / name).write_text(text, "utf-8")


def edit_suite(shop: Path, table: str, edit: Callable[[dict[str, object]], object]) -> None:
    suite = json.loads((PROJECT_ROOT / "expectations" / f"{table}.json").read_text("utf-8"))
    edit(suite["expectations"][1])
    write(shop, f"expectations/{table}.json", json.dumps(suite))


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a scheme that is no TOML": (lambda shop: write(shop, "segments/mine.toml", "title ="), "not valid TOML"),
    "a scheme without rules": (lambda shop: write(shop, "segments/mine.toml", 'kind = "rules"\ntitle = "T"'), "is missing"),
    "a scheme of clusters": (lambda shop: write(shop, "segments/mine.toml", 'kind = "clusters"\ntitle = "T"'), "is missing"),
    "a rule of an audience": (
        lambda shop: write(shop, "audiences/mine.toml", 'title = "T"\npurpose = "P."\nowner = "O"\nrule = "order_cont > 1"'),
        "unknown name `order_cont`",
    ),
    "a suite that is no JSON": (lambda shop: write(shop, "expectations/raw_order_lines.json", "{"), "not valid JSON"),
    "a suite of rows": (lambda shop: edit_suite(shop, "raw_prospects", lambda rule: rule.update(severity="bad")), "needs `severity`"),
    "own rules of an event": (
        lambda shop: write(shop, "expectations/raw_visits.json", '{"expectations": [{"meta": {"rule": "x", "rejects_rows": true}}]}'),
        "the rule `x` needs `severity`",
    ),
    "a suite of features": (
        lambda shop: edit_suite(shop, "customer_features", lambda rule: rule.update(meta={"rule": "x", "rejects_rows": True})),
        "rejects rows of customer_features, which is computed",
    ),
    "a query of two": (lambda shop: write(shop, "sources/order_lines.sql", "SELECT 1; SELECT 2"), "several statements"),
    "a query in Latin-1": (lambda shop: (shop / "sources/visits.sql").write_bytes("SELECT 'é'".encode("latin-1")), "not UTF-8 text"),
    "a query in UTF-16": (lambda shop: (shop / "sources/visits.sql").write_bytes("SELECT 1".encode("utf-16")), "UTF-16 text"),
    "a connection that is not set": (
        lambda shop: write(shop, "company.toml", f'{SHOP}[publish]\nkind = "postgresql"\nconnection = "crm"\n'),
        "connection `crm` is not set",
    ),
    "a catalogue that is not set": (
        lambda shop: write(shop, "company.toml", f'{SHOP}[publish.iceberg]\ncatalog = "warehouse"\n'),
        "catalogue `warehouse` is not set",
    ),
    "a catalogue without a name": (
        lambda shop: write(shop, "company.toml", f'{SHOP}[publish.iceberg]\nnamespace = "segments"\n'),
        "`publish.iceberg.catalog` is missing",
    ),
}
OF_DEPLOYMENT = ("a connection that is not set", "a catalogue that is not set")


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_read_where_something_is_wrong(tmp_path: Path, lake: Lake, fault: str) -> None:
    shop = write_shop(tmp_path / "shop", ORDERS, customers=["1"])
    make, words = FAULTS[fault]
    make(shop)
    if fault not in OF_DEPLOYMENT:  # what a night would be stopped by, a check finds without one
        assert words in " ".join(problem.what for problem in check_company(shop).problems)
    with pytest.raises(PipelineError) as refused:
        STEPS["extract"](night_of(shop, lake, DAY))
    assert isinstance(refused.value, ConfigError)
    assert words in refused.value.what
    assert refused.value.where
    assert tree_bytes(lake, "tables") == {}


@pytest.mark.parametrize(
    ("remote", "message"), {"spark:15002": "is no address", "sc://127.0.0.1:9": "no Spark Connect server answers"}.items()
)
def test_a_cluster_that_cannot_be_reached_stops_the_night_before_anything_is_read(remote: str, message: str, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    night = night_of(write_shop(tmp_path / "shop", ORDERS, customers=["1"]), lake, DAY)
    with pytest.raises(PipelineError, match=message):
        STEPS["extract"](replace(night, deployment=replace(night.deployment, spark_remote=remote)))
    assert tree_bytes(lake, "tables") == {}
