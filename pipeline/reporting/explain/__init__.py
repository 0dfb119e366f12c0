"""Why a customer is where they are, and what would take them elsewhere."""

from pipeline.reporting.explain.cluster_centres import Centre, Clustering
from pipeline.reporting.explain.cluster_explanation import ClusterExplanation, cluster_explanation
from pipeline.reporting.explain.decide import Case, Judged, Ranks, Standing
from pipeline.reporting.explain.explanation import Explanation, Nearest, explanation_of, nearest_segment
from pipeline.reporting.explain.moves import Move, moves_of
from pipeline.reporting.explain.what_if import ANOTHER, Change, changes_of

__all__ = [
    "ANOTHER",
    "Case",
    "Centre",
    "Change",
    "ClusterExplanation",
    "Clustering",
    "Explanation",
    "Judged",
    "Move",
    "Nearest",
    "Ranks",
    "Standing",
    "changes_of",
    "cluster_explanation",
    "explanation_of",
    "moves_of",
    "nearest_segment",
]
