"""Why a customer is where they are, and what would take them elsewhere."""

from pipeline.reporting.explain.cluster_centres import CentreDistance, CustomerClustering
from pipeline.reporting.explain.cluster_explanation import ClusterExplanation, cluster_explanation
from pipeline.reporting.explain.decide import SchemeCase, ScoredSegment, ValueRank, ValueRanks
from pipeline.reporting.explain.explanation import NearestSegment, SchemeExplanation, nearest_segment, scheme_explanation
from pipeline.reporting.explain.moves import CustomerMove, customer_moves
from pipeline.reporting.explain.what_if import ANY_OTHER_TEXT, WhatIf, what_ifs_of_rules

__all__ = [
    "ANY_OTHER_TEXT",
    "CentreDistance",
    "ClusterExplanation",
    "CustomerClustering",
    "CustomerMove",
    "NearestSegment",
    "SchemeCase",
    "SchemeExplanation",
    "ScoredSegment",
    "ValueRank",
    "ValueRanks",
    "WhatIf",
    "cluster_explanation",
    "customer_moves",
    "nearest_segment",
    "scheme_explanation",
    "what_ifs_of_rules",
]
