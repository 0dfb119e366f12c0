"""Clusters: fit in Python, kept as JSON, applied in SQL."""

from pipeline.clusters.assignment import UNCLUSTERED, assignment_statement
from pipeline.clusters.fitting import fit
from pipeline.clusters.model import Cluster, ClusterModel, ModelFeature, NotFitted, cluster_titles, model_from_json, to_json
from pipeline.clusters.scheme import ClusterFeature, ClusterScheme, load_cluster_schemes

__all__ = [
    "UNCLUSTERED",
    "Cluster",
    "ClusterFeature",
    "ClusterModel",
    "ClusterScheme",
    "ModelFeature",
    "NotFitted",
    "assignment_statement",
    "cluster_titles",
    "fit",
    "load_cluster_schemes",
    "model_from_json",
    "to_json",
]
