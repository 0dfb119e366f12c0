"""Why a customer is where they are, and what would take them elsewhere."""

from pipeline.explanations.centres import Centre, Clustering
from pipeline.explanations.changes import ANOTHER, Change, changes_of
from pipeline.explanations.clusters import ClusterExplanation, cluster_explanation
from pipeline.explanations.deciding import Case, Judged, Ranks, Standing
from pipeline.explanations.explaining import Explanation, Nearest, explanation_of, nearest_segment
from pipeline.explanations.moves import Move, moves_of

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
