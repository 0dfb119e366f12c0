"""Clusters: fitted in Python, kept as JSON, applied in SQL.

A fit runs through `preparation` (customers to points, by the `encoding` of each column), `selection` (which number of clusters, found
by `algorithms`, checked by `stability` and `gap_statistic`) and `titles`. `assignment` puts every customer of a night with the nearest
centre, `profile` tells what sets each cluster apart, `cards` what to do about it; `drift` measures whether the model still suits the
customers. Nothing in here reads or writes a lake.
"""

from pipeline.definitions.schemes.fixed_segments import UNCLUSTERED
from pipeline.models.clusters.assignment import (
    assignment_statement,
    has_value_condition,
    nearest_clusters,
    outside_words,
    segment_statements,
)
from pipeline.models.clusters.cards import ClusterCard, cluster_cards
from pipeline.models.clusters.drift import Drift, measure_drifts
from pipeline.models.clusters.fitting import FitReport, fit_model, fit_with_report
from pipeline.models.clusters.model import Cluster, ClusterModel, ModelFeature, NotFitted, cluster_titles, model_from_json, to_json
from pipeline.models.clusters.preparation import sample_prefix
from pipeline.models.clusters.profile import FeatureProfile, coordinate_sums_statement, feature_profiles, profile_rows
from pipeline.models.clusters.selection import ClusterCountTrial
from pipeline.models.clusters.titles import translated_title

__all__ = [
    "UNCLUSTERED",
    "Cluster",
    "ClusterCard",
    "ClusterCountTrial",
    "ClusterModel",
    "Drift",
    "FeatureProfile",
    "FitReport",
    "ModelFeature",
    "NotFitted",
    "assignment_statement",
    "cluster_cards",
    "cluster_titles",
    "coordinate_sums_statement",
    "feature_profiles",
    "fit_model",
    "fit_with_report",
    "has_value_condition",
    "measure_drifts",
    "model_from_json",
    "nearest_clusters",
    "outside_words",
    "profile_rows",
    "sample_prefix",
    "segment_statements",
    "to_json",
    "translated_title",
]
