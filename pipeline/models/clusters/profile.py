"""What sets a cluster apart, in figures: where its centre lies in each feature, beside the mean of all customers of the fit."""

from __future__ import annotations

from dataclasses import dataclass
from math import expm1

from pipeline.models.clusters.model import Cluster, ClusterModel, ModelFeature


@dataclass(frozen=True, slots=True)
class FeatureProfile:
    """The centre of a cluster in one feature, and the mean of all customers, both in units of the feature.

    Of a feature whose logarithm was taken both are means of the logarithm, put back: near the median of skewed amounts.
    `difference` is between them, in standard deviations.
    """

    feature: str
    here: float
    among_all: float
    difference: float


def cluster_profile(model: ClusterModel, cluster: Cluster) -> tuple[FeatureProfile, ...]:
    """Return a row per feature of the model, the one first in which the cluster differs most from all customers."""
    rows = [
        FeatureProfile(feature.name, _in_units(feature, coordinate), _in_units(feature, 0.0), coordinate)
        for feature, coordinate in zip(model.features, cluster.centroid, strict=True)
    ]
    return tuple(sorted(rows, key=lambda row: -abs(row.difference)))


def _in_units(feature: ModelFeature, coordinate: float) -> float:
    value = coordinate * feature.scale + feature.mean
    return expm1(value) if feature.transform == "log1p" else value
