"""What sets a cluster apart, in figures: a small table of customers in, rows of cluster_profiles out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from pipeline.lake.tables import CUSTOMER_SEGMENTS
from pipeline.models.clusters import Cluster, ClusterModel, ModelFeature, coordinate_sums_statement, feature_profiles, profile_rows

NIGHT = date(2024, 3, 31)
DAYS = ModelFeature("recency_days", "none", 0.0, 0.0, 100.0, 50.0, 20.0)
SPEND = ModelFeature("spend_amount", "log1p", 0.0, 0.0, 5.0, 2.0, 2.0)
SHARE = ModelFeature("discount_share", "none", 0.0, 0.0, 1.0, 0.5, 0.25)
FLAG = ModelFeature("likes_wine", "none", None, 0.0, 1.0, 0.4, 0.5, encoding="flag")
TEXT = ModelFeature("region", "none", None, 0.0, 1.0, 0.4, 0.707107, encoding="text", value="north")
Customers = Mapping[str, Sequence[Any]]


def a_model(*features: ModelFeature, clusters: int = 2) -> ClusterModel:
    found = [Cluster(f"cluster_{n}", f"Title {n}", 10, 0.9, (float(n),) * len(features)) for n in range(1, clusters + 1)]
    return ClusterModel("groups", NIGHT, "k-means", "by hand", 1, "0" * 64, 30, 0.5, features, (), tuple(found))


def profiles(model: ClusterModel, segments: Sequence[str], columns: Customers) -> list[dict[str, Any]]:
    """Return the rows of the customers with these segments and columns, by the statement that a night runs."""
    ids = [f"c{number:02}" for number in range(len(segments))]
    members = [(name, "groups", segment, None) for name, segment in zip(ids, segments, strict=True)]
    # The cluster of another scheme is another cluster.
    members += [(name, "others", "cluster_1", None) for name in ids]
    cells = [dict(zip(CUSTOMER_SEGMENTS.column_names, row, strict=True)) for row in members]
    with duckdb.connect() as connection:
        connection.register("customer_features", pa.table({"customer_id": ids, **columns}))
        connection.register("customer_segments", pa.Table.from_pylist(cells, schema=CUSTOMER_SEGMENTS.schema))
        sums = connection.sql(coordinate_sums_statement(model).sql("duckdb")).to_arrow_table().to_pylist()
    return profile_rows(model, sums)


def figures(rows: Sequence[Mapping[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


TWO_GROUPS = ["cluster_1"] * 5 + ["cluster_2"] * 5


def test_a_number_has_its_mean_in_the_cluster_and_among_all_and_their_distance_in_standard_deviations() -> None:
    rows = profiles(a_model(DAYS), TWO_GROUPS, {"recency_days": [10, 10, 20, 20, 40, 60, 60, 80, 80, 100]})
    assert figures(rows, "segment", "customer_count", "known_count", "cluster_mean", "overall_mean", "standardised_difference") == [
        ("cluster_1", 5, 5, 20.0, 48.0, -1.4),
        ("cluster_2", 5, 5, 76.0, 48.0, 1.4),
    ]
    assert {(row["scheme"], row["feature"], row["value"], row["difference_rank"]) for row in rows} == {("groups", "recency_days", None, 1)}


def test_beyond_the_limits_of_the_model_a_value_counts_as_the_limit() -> None:
    rows = profiles(a_model(DAYS), TWO_GROUPS, {"recency_days": [0] * 5 + [100, 100, 100, 100, 9_999]})
    assert rows[1]["cluster_mean"] == 100


def test_of_a_logarithm_the_mean_is_put_back_so_that_one_huge_order_does_not_change_a_cluster() -> None:
    # The logarithms of 1 + spend are 0, 0, 0, 0 and 5: the greatest is held at the limit.
    rows = profiles(a_model(SPEND), TWO_GROUPS, {"spend_amount": [0.0, 0.0, 0.0, -7.0, 1e9] + [1.718281828] * 5})
    assert figures(rows, "cluster_mean", "overall_mean") == [(pytest.approx(1.718282),) * 2] * 2
    assert [row["standardised_difference"] for row in rows] == pytest.approx([0, 0], abs=1e-8)


def test_of_a_flag_and_of_a_text_the_mean_is_the_share_of_customers() -> None:
    columns = {"likes_wine": [True] * 4 + [False] * 6, "region": ["north"] + ["south"] * 4 + [" north "] * 4 + ["east"]}
    rows = profiles(a_model(FLAG, TEXT), TWO_GROUPS, columns)
    assert figures(rows, "segment", "difference_rank", "feature", "value", "cluster_mean", "overall_mean", "standardised_difference") == [
        ("cluster_1", 1, "likes_wine", None, 0.8, 0.4, 0.8),
        ("cluster_1", 2, "region", "north", 0.2, 0.5, pytest.approx(-0.424264)),
        ("cluster_2", 1, "likes_wine", None, 0.0, 0.4, -0.8),
        ("cluster_2", 2, "region", "north", 0.8, 0.5, pytest.approx(0.424264)),
    ]


def test_what_is_not_known_of_a_customer_is_not_taken_for_zero() -> None:
    shares = [0.5, 0.5, 0.5, 0.5, 0.5, None, 0.1, 0.1, 0.1, 0.1, 0.1]
    rows = profiles(a_model(SHARE), ["cluster_1"] * 6 + ["cluster_2"] * 5, {"discount_share": shares})
    assert figures(rows, "customer_count", "known_count", "cluster_mean", "overall_mean") == [(6, 5, 0.5, 0.3), (5, 5, 0.1, 0.3)]


def test_what_is_known_of_nobody_in_a_cluster_is_unknown_and_comes_last() -> None:
    columns = {"discount_share": [None] * 5 + [0.5] * 5, "recency_days": [50] * 10}
    rows = profiles(a_model(SHARE, DAYS), TWO_GROUPS, columns)
    assert figures(rows[:2], "difference_rank", "feature", "known_count", "cluster_mean", "standardised_difference") == [
        (1, "recency_days", 5, 50.0, 0.0),
        (2, "discount_share", 0, None, None),
    ]


def test_means_of_fewer_than_five_are_withheld_and_cannot_be_worked_out_from_the_others() -> None:
    segments = ["cluster_1"] * 5 + ["cluster_2"] * 5 + ["cluster_3"] * 4
    rows = profiles(a_model(DAYS, clusters=3), segments, {"recency_days": [10] * 5 + [30] * 5 + [99] * 4})
    assert figures(rows, "customer_count", "known_count", "cluster_mean", "overall_mean", "standardised_difference") == [
        (5, 5, 10.0, 20.0, -0.5),
        (5, 5, 30.0, 20.0, 0.5),
        (4, 4, None, 20.0, None),
    ]
    told = feature_profiles(pa.Table.from_pylist(rows))
    assert [told["groups", f"cluster_{n}"][0].is_withheld for n in (1, 2, 3)] == [False, False, True]


def test_only_customers_in_a_cluster_count_and_a_cluster_that_nobody_is_in_has_rows_too() -> None:
    segments = [*["cluster_1"] * 5, "unclustered", "insufficient_evidence"]
    rows = profiles(a_model(DAYS), segments, {"recency_days": [10] * 5 + [90, 90]})
    assert figures(rows, "segment", "customer_count", "cluster_mean", "overall_mean") == [
        ("cluster_1", 5, 10.0, 10.0),
        ("cluster_2", 0, None, 10.0),
    ]


def test_what_sets_a_cluster_apart_most_has_rank_1_on_either_side() -> None:
    columns = {"discount_share": [0.4] * 5 + [0.6] * 5, "recency_days": [90] * 5 + [10] * 5}
    rows = profiles(a_model(SHARE, DAYS), TWO_GROUPS, columns)
    assert figures(rows, "segment", "difference_rank", "feature", "standardised_difference") == [
        ("cluster_1", 1, "recency_days", 2.0),
        ("cluster_1", 2, "discount_share", -0.4),
        ("cluster_2", 1, "recency_days", -2.0),
        ("cluster_2", 2, "discount_share", 0.4),
    ]
