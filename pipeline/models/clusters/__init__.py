"""Clusters: fit in Python, kept as JSON, applied in SQL."""

from pipeline.models.clusters.assignment import UNCLUSTERED, assignment_statement, assignments, places
from pipeline.models.clusters.drift import Drift, drifts
from pipeline.models.clusters.fitting import Fit, fit, fit_told
from pipeline.models.clusters.model import Cluster, ClusterModel, ModelFeature, NotFitted, cluster_titles, model_from_json, to_json
from pipeline.models.clusters.preparation import sample_prefix
from pipeline.models.clusters.selection import Trial
from pipeline.models.clusters.titles import translated_title

__all__ = [
    "UNCLUSTERED",
    "Cluster",
    "ClusterModel",
    "Drift",
    "Fit",
    "ModelFeature",
    "NotFitted",
    "Trial",
    "assignment_statement",
    "assignments",
    "cluster_titles",
    "drifts",
    "fit",
    "fit_told",
    "model_from_json",
    "places",
    "sample_prefix",
    "to_json",
    "translated_title",
]
