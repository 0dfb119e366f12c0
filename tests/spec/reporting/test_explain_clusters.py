"""`segments explain` of clusters: how far each centre is, and the smallest change that brings another one nearer."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from support.builders import a_company
from support.nights import run_night, write_shop
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.schemes import load_cluster_schemes
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CLUSTER_PROFILES, CUSTOMER_FEATURES
from pipeline.models.clusters import Cluster, ClusterModel, ModelFeature, assignment_statement, to_json
from pipeline.reporting.explain import ClusterExplanation
from pipeline.reporting.explain.cluster_explanation import cluster_explanation

NIGHT = date(2024, 3, 4)
Told = dict[str, tuple[dict[str, Any], ClusterExplanation]]
KINDS = {column.name: column.kind for column in CUSTOMER_FEATURES.columns}
FEATURES = (
    ModelFeature("spend_amount", "log1p", 0.0, 0.0, 7.0, 4.0, 1.5),
    ModelFeature("recency_days", "none", 400.0, 0.0, 365.0, 90.0, 80.0),
    ModelFeature("order_day_count", "log1p", 0.0, 0.0, 4.0, 1.5, 0.8),
    ModelFeature("discount_share", "none", 0.5, 0.0, 1.0, 0.3, 0.25),
)
CENTROIDS = {"Regulars": (1.2, -0.9, 1.1, -0.4), "Bargain hunters": (-0.2, 0.1, 0.0, 1.5), "Sleepers": (-0.9, 1.6, -0.8, -0.3)}


def a_model() -> ClusterModel:
    clusters = [Cluster(f"cluster_{n}", title, 10, 0.9, centre) for n, (title, centre) in enumerate(CENTROIDS.items(), 1)]
    return ClusterModel("behaviour_clusters", date(2024, 3, 1), "k-means", "by hand", 1, "0" * 64, 30, 0.5, FEATURES, (), tuple(clusters))


def some_customers(count: int) -> list[dict[str, Any]]:
    chance = np.random.default_rng(7)
    return [
        {
            "customer_id": f"c{number:03}",
            "is_prospect": False,
            "is_refund_only": False,
            "spend_amount": Decimal(int(chance.integers(-500, 90_000))).scaleb(-2),
            "recency_days": int(chance.integers(0, 400)),
            "order_day_count": int(chance.integers(1, 30)),
            "discount_share": None if number % 9 == 0 else round(float(chance.random()), 3),
        }
        for number in range(count)
    ]


def exact(row: dict[str, Any]) -> dict[str, Any]:
    return {name: Fraction(value) if isinstance(value, Decimal) else value for name, value in row.items()}


def assigned(customers: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """Return cluster and margin by customer, as an engine decides them."""
    schema = pa.schema([(column.name, column.kind.arrow) for column in CUSTOMER_FEATURES.columns if column.name in customers[0]])
    (scheme,) = load_cluster_schemes(a_company(Path("no such folder")))
    with duckdb.connect() as connection:
        connection.register("customer_features", pa.Table.from_pylist(customers, schema=schema))
        rows = connection.sql(assignment_statement(scheme, a_model()).sql("duckdb")).to_arrow_table().to_pylist()
    return {row["customer_id"]: (row["segment"], row["evidence"]) for row in rows}


@pytest.fixture(scope="module")
def told() -> Told:
    return {row["customer_id"]: (row, cluster_explanation(a_model(), exact(row), KINDS)) for row in some_customers(300)}


def test_the_cluster_and_margin_explained_are_those_that_the_engine_gives(
    told: Told,
) -> None:
    found = {customer: (each.segment_now, f"margin={each.margin}") for customer, (_, each) in told.items()}
    assert found == assigned([row for row, _ in told.values()])
    assert {margin for _, margin in found.values()} == {"margin=high", "margin=medium", "margin=low"}
    assert all([c.distance for c in each.centres] == sorted(c.distance for c in each.centres) for _, each in told.values())


def test_the_engine_gives_the_nearest_cluster_once_the_change_is_made(told: Told) -> None:
    proposed = {customer: (row, each.nearest) for customer, (row, each) in told.items() if each.nearest}
    assert len(proposed) > len(told) / 2
    changed = [{**row, nearest.change.feature: as_stored(nearest.change.after)} for row, nearest in proposed.values()]
    found = assigned(changed)
    assert {customer: found[customer][0] for customer in proposed} == {
        customer: nearest.segment for customer, (_, nearest) in proposed.items()
    }
    assert {nearest.change.feature for _, nearest in proposed.values()} == {feature.name for feature in FEATURES}
    assert all(each.nearest is None or each.nearest.segment != each.segment_now for _, each in told.values())


def as_stored(value: Any) -> Any:
    return Decimal(float(value)).quantize(Decimal("0.0001")) if isinstance(value, Fraction) else value


def test_what_is_unknown_or_held_back_is_not_proposed_to_change() -> None:
    row = exact(some_customers(1)[0]) | {"discount_share": None, "spend_amount": Fraction(10**6)}
    found = cluster_explanation(a_model(), row, KINDS)
    assert found.nearest is None or found.nearest.change.feature != "discount_share"


def test_who_has_no_order_in_the_window_is_near_to_no_centre() -> None:
    found = cluster_explanation(a_model(), {**exact(some_customers(1)[0]), "order_day_count": 0}, KINDS)
    assert (found.segment_now, found.centres, found.nearest) == ("unclustered", (), None)


def test_the_command_tells_distances_and_the_next_cluster(tmp_path: Path) -> None:
    orders = [f"o{n},1,ada,2024-03-0{n} 12:00:00,1,90,tea" for n in (1, 2, 4)]
    shop, lake = write_shop(tmp_path / "shop", orders, customers=["ada", "bob"]), Lake(tmp_path / "lake")
    lake.write_text("models/behaviour_clusters/2024-03-01.json", to_json(a_model()))
    run_night(shop, lake, NIGHT)
    place = ("--company", str(shop), "--lake", str(lake.root))
    text = CliRunner().invoke(app, ["explain", "ada", *place]).stdout
    words = " ".join(text.partition("behaviour_clusters: ")[2].partition("\n\n")[0].split())
    assert words.startswith("Regulars by the nearest centre, in standard deviations with spend_amount = 270, recency_days = 0")
    assert "Bargain hunters is next (cluster_2, " in words
    assert "Bargain hunters, if spend_amount were 198.91 instead of 270" in words
    found = {each["scheme"]: each for each in json.loads(CliRunner().invoke(app, ["explain", "bob", *place, "--json"]).stdout)["schemes"]}
    assert found["behaviour_clusters"]["nearest_words"] == "no order in the window"


def test_what_sets_the_own_cluster_apart_is_told_in_the_figures_that_the_night_stored(tmp_path: Path) -> None:
    names = ("ada", "bea", "cem", "dea", "eva", "fay")
    orders = [f"{name}{n},1,{name},2024-03-0{n} 12:00:00,1,90,tea" for name in names for n in (1, 2, 4)]
    orders += [f"x{n},1,x{n},2024-03-01 12:00:00,1,0.5,tea" for n in range(4)]  # sleepers, too few to tell of
    shop, lake = write_shop(tmp_path / "shop", orders, customers=[*names, "x0"]), Lake(tmp_path / "lake")
    lake.write_text("models/behaviour_clusters/2024-03-01.json", to_json(a_model()))
    run_night(shop, lake, NIGHT)
    place = ("--company", str(shop), "--lake", str(lake.root))
    words = " ".join(CliRunner().invoke(app, ["explain", "ada", *place]).stdout.partition("behaviour_clusters: ")[2].split())
    assert "apart spend_amount 270 (all customers 270) recency_days 0 (all customers 0) order_day_count 3 (all customers 3)" in words
    others = CliRunner().invoke(app, ["explain", "x0", *place]).stdout.partition("behaviour_clusters: ")[2]
    assert "spend_amount withheld: fewer than five customers have it" in " ".join(others.split())
    told = json.loads(CliRunner().invoke(app, ["explain", "ada", *place, "--json"]).stdout)["schemes"]
    [found] = (each["apart"] for each in told if each["scheme"] == "behaviour_clusters")
    stored = lake.read(CLUSTER_PROFILES, day=NIGHT).to_pylist()
    assert found == [{name: row[name] for name in found[0]} for row in stored if row["segment"] == "cluster_1"]
