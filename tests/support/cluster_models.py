"""Cluster models written by hand: state only what they go by."""

from __future__ import annotations

from datetime import date

from pipeline.models.clusters import Cluster, ClusterModel, ModelFeature


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
