"""Cluster models written by hand: state only what they go by."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CLUSTER_PROFILES, CUSTOMER_FEATURES, CUSTOMER_SEGMENTS
from pipeline.models.clusters import Cluster, ClusterModel, ModelFeature
from pipeline.models.refits.model_store import stored_model

FEWEST_KNOWN = 5


def a_cluster_model(
    day: date, features: tuple[ModelFeature, ...], clusters: tuple[Cluster, ...], *, scheme: str = "behaviour_clusters", customers: int = 9
) -> ClusterModel:
    """Return the model as if k-means had found these clusters on the night of `day`."""
    return ClusterModel(
        scheme=scheme,
        day=day,
        algorithm="k-means",
        library="by hand",
        seed=0,
        inputs_digest="0" * 64,
        customer_count=customers,
        silhouette=0.5,
        features=features,
        constant_features=(),
        clusters=clusters,
    )


def model_by_last_order(day: date) -> ClusterModel:
    """Return a model of two clusters: customers who ordered more than 50 days ago, and those who did later."""
    feature = ModelFeature("recency_days", "none", fill=0, low=0, high=100, mean=50, scale=10)
    long_ago, lately = Cluster("cluster_1", "Long ago", 1, 1.0, (1.0,)), Cluster("cluster_2", "Lately", 1, 1.0, (-1.0,))
    return a_cluster_model(day, (feature,), (long_ago, lately), customers=2)


def expected_profiles(customers: pa.Table, memberships: pa.Table, model: ClusterModel) -> dict[tuple[str, str], tuple[float, ...]]:
    """Work out cluster_profiles anew, from values and not from coordinates, in an order of its own.

    By cluster and feature: customers of whom it is known, mean of the cluster, of all, and the difference in the model's scale; without
    what is withheld. `customers` and `memberships` are the rows of a night.
    """
    held = {row["customer_id"]: row["segment"] for row in memberships.to_pylist() if row["scheme"] == model.scheme}
    segments = np.array([held[customer] for customer in customers["customer_id"].to_pylist()])
    found: dict[tuple[str, str], tuple[float, ...]] = {}
    for feature in model.features:
        values = np.array([np.nan if cell is None else float(cell) for cell in customers[feature.name].to_pylist()])
        compared = np.log1p(np.maximum(values, 0)) if feature.transform == "log1p" else values
        compared = np.clip(compared, feature.low, feature.high)
        own = {cluster.id: compared[(segments == cluster.id) & ~np.isnan(values)] for cluster in model.clusters}
        told = {name: each for name, each in own.items() if len(each) >= FEWEST_KNOWN}
        for name, each in told.items():
            everybody = np.concatenate(list(told.values()))
            means = [np.expm1(part.mean()) if feature.transform == "log1p" else part.mean() for part in (each, everybody)]
            difference = (each.mean() - everybody.mean()) / feature.scale
            found[name, feature.name] = (len(each), *(float(mean) for mean in means), float(difference))
    return found


def require_true_figures_of_clusters(lake: Lake) -> list[dict[str, Any]]:
    """Compare the figures of a night's clusters with what is worked out from its customers alone, and return them."""
    [night] = lake.nights(CLUSTER_PROFILES)
    features, memberships = (lake.read(table, day=night) for table in (CUSTOMER_FEATURES, CUSTOMER_SEGMENTS))
    first = lake.manifest(addresses.partition(CUSTOMER_SEGMENTS, day=night))["models"]["behaviour_clusters"]
    expected = expected_profiles(features, memberships, stored_model(lake, "behaviour_clusters", first))
    rows = lake.read(CLUSTER_PROFILES, day=night).to_pylist()
    assert {(row["segment"], row["feature"]) for row in rows if row["cluster_mean"] is not None} == expected.keys()
    for row in rows:
        count, own, overall, difference = expected[row["segment"], row["feature"]]
        assert row["known_count"] == count
        assert (row["cluster_mean"], row["overall_mean"]) == pytest.approx((own, overall), rel=1e-6, abs=1e-6)
        assert row["standardised_difference"] == pytest.approx(difference, abs=2e-6)
    return rows
