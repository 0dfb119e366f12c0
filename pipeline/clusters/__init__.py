"""Clusters: fit in Python, kept as JSON, applied in SQL."""

from pipeline.clusters.assignment import UNCLUSTERED, assignment_statement, assignments
from pipeline.clusters.choosing import Trial
from pipeline.clusters.drift import Drift, drifts
from pipeline.clusters.fitting import Fit, fit, fit_told
from pipeline.clusters.model import Cluster, ClusterModel, ModelFeature, NotFitted, cluster_titles, model_from_json, to_json
from pipeline.clusters.placing import places
from pipeline.clusters.preparation import sample_prefix
from pipeline.clusters.scheme import ClusterFeature, ClusterScheme, load_cluster_schemes
from pipeline.clusters.translations import translated_title

__all__ = [
    "UNCLUSTERED",
    "Cluster",
    "ClusterFeature",
    "ClusterModel",
    "ClusterScheme",
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
    "load_cluster_schemes",
    "model_from_json",
    "places",
    "sample_prefix",
    "to_json",
    "translated_title",
]
