"""What `segments explain` says of clusters of answers is what the engine decides, and what would follow from another answer."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from support.builders import a_company, an_attribute

from pipeline.definitions.schemes import ClusterScheme, load_cluster_schemes
from pipeline.lake.tables import Column, Kind
from pipeline.models.clusters import Cluster, ClusterModel, ModelFeature, assignment_statement
from pipeline.reporting.explain.cluster_borders import what_ifs_at_borders
from pipeline.reporting.explain.cluster_centres import CustomerClustering
from pipeline.reporting.explain.cluster_explanation import cluster_explanation
from pipeline.reporting.explain.words import cluster_words

KINDS = {"q1": Kind.FLAG, "q2": Kind.FLAG, "region": Kind.TEXT, "age_years": Kind.INTEGER}
MODEL = ClusterModel(
    "motives", date(2024, 3, 31), "k-means", "by hand", 1, "0" * 64, 30, 0.5,
    (
        ModelFeature("q1", "none", None, 0.0, 1.0, 0.5, 0.5, encoding="flag"),
        ModelFeature("q2", "none", None, 0.0, 1.0, 0.3, 0.5, encoding="flag"),
        ModelFeature("region", "none", None, 0.0, 1.0, 0.5, 0.707107, encoding="text", value="north"),
        ModelFeature("region", "none", None, 0.0, 1.0, 0.4, 0.707107, encoding="text", value="south"),
        ModelFeature("age_years", "none", None, 18.0, 90.0, 45.0, 15.0),
    ),
    (),
    (
        Cluster("cluster_1", "Mostly answers yes to q1", 10, 0.9, (0.8, 0.6, 0.5, -0.4, 0.2)),
        Cluster("cluster_2", "Region mostly south", 10, 0.9, (-0.7, -0.3, -0.6, 0.7, 0.3)),
        Cluster("cluster_3", "Low age years", 10, 0.9, (-0.2, -0.5, 0.4, -0.3, -1.4)),
    ),
)  # fmt: skip


@pytest.fixture(scope="module")
def scheme(tmp_path_factory: pytest.TempPathFactory) -> ClusterScheme:
    folder = tmp_path_factory.mktemp("company")
    (folder / "segments").mkdir()
    text = f"""kind = "clusters"
title = "Motives"
level = "psychographic"
question = "What?"
cluster_count_min = 2
cluster_count_max = 3
smallest_share = 0.03
jaccard_floor = 0.5
seed = 1
sample_rows = 1_000
attributes = {list(KINDS)}
"""
    (folder / "segments" / "motives.toml").write_text(text, "utf-8")
    company = a_company(Path(folder), attributes=tuple(an_attribute(Column(name, kind, "")) for name, kind in KINDS.items()))
    [found] = [each for each in load_cluster_schemes(company) if each.name == "motives"]
    return found


def some_customers(count: int = 200) -> list[dict[str, Any]]:
    """Return customers who gave any answers, and some who gave none or have spaces for one; nobody has an order."""
    chance = np.random.default_rng(7)
    return [
        {
            "customer_id": f"c{number:03}",
            "order_day_count": 0,
            "q1": None if number % 11 == 0 else bool(chance.integers(2)),
            "q2": bool(chance.integers(2)),
            "region": ["north", " south ", "west", "  "][int(chance.integers(4))],
            "age_years": None if number % 13 == 0 else int(chance.integers(18, 90)),
        }
        for number in range(count)
    ]


def assigned(customers: list[dict[str, Any]], scheme: ClusterScheme) -> dict[str, tuple[str, str]]:
    kinds = {"q1": pa.bool_(), "q2": pa.bool_(), "region": pa.string(), "age_years": pa.int64()}
    schema = pa.schema([("customer_id", pa.string()), ("order_day_count", pa.int64()), *kinds.items()])
    with duckdb.connect() as connection:
        connection.register("customer_features", pa.Table.from_pylist(customers, schema=schema))
        rows = connection.sql(assignment_statement(scheme, MODEL).sql("duckdb")).to_arrow_table().to_pylist()
    return {row["customer_id"]: (row["segment"], row["evidence"]) for row in rows}


def test_the_cluster_that_is_explained_is_the_one_that_the_engine_gives(scheme: ClusterScheme) -> None:
    customers = some_customers()
    found = assigned(customers, scheme)
    for row in customers:
        told = cluster_explanation(MODEL, row, KINDS, needs_order=False)
        segment, evidence = found[row["customer_id"]]
        assert told.segment_now == segment
        assert evidence == (f"not known: {told.lacking[0]}" if told.lacking else f"margin={told.margin}")
        assert CustomerClustering.from_stored_segment(scheme, MODEL, segment).segment_of(row) == segment
    assert len({segment for segment, _ in found.values()}) == 4


def test_another_answer_leads_where_it_is_said_to_lead(scheme: ClusterScheme) -> None:
    told = [(row, cluster_explanation(MODEL, row, KINDS, needs_order=False)) for row in some_customers()]
    proposed = [(row, each.nearest) for row, each in told if each.nearest]
    assert {nearest.change.feature for _, nearest in proposed} >= {"q1", "age_years"}
    changed = assigned([{**row, nearest.change.feature: nearest.change.after} for row, nearest in proposed], scheme)
    for row, nearest in proposed:
        assert changed[row["customer_id"]][0] == nearest.segment


def test_every_other_answer_is_tried_and_the_values_of_a_number_at_which_another_centre_is_nearer() -> None:
    row = {"order_day_count": 0, "q1": True, "q2": False, "region": "west", "age_years": 40}
    tried = [(change.feature, change.after) for change in what_ifs_at_borders(MODEL, row, KINDS)]
    assert tried[:4] == [("q1", False), ("q2", True), ("region", "north"), ("region", "south")]
    assert {feature for feature, _ in tried[4:]} == {"age_years"}


def test_who_did_not_answer_is_told_what_is_missing() -> None:
    row = {"order_day_count": 0, "q1": None, "q2": True, "region": " ", "age_years": 30}
    told = cluster_explanation(MODEL, row, KINDS, needs_order=False)
    assert (told.segment_now, told.centres, told.lacking) == ("insufficient_evidence", (), ("q1", "region"))
    assert cluster_words("insufficient_evidence", told) == "a cluster, once q1 and region are known"
