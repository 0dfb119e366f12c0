"""Why a customer is where they are, and what would take them elsewhere.

Offers `explain_customer` and what it answers. What it decides with (`decide`, `what_if`, the cluster modules) is a second evaluator of
schemes beside the SQL of a night, for one customer in memory: nobody outside this folder may use it, and a property test proves that
both agree. It must not know how an explanation is shown.
"""

from pipeline.reporting.explain.audiences import AudienceExplanation
from pipeline.reporting.explain.candidate_values import ANY_OTHER_TEXT
from pipeline.reporting.explain.cards import NextAction, SegmentCard
from pipeline.reporting.explain.cluster_centres import CentreDistance
from pipeline.reporting.explain.cluster_explanation import ClusterExplanation
from pipeline.reporting.explain.customer import CustomerExplanation, ExplainedMembership, OutsideScheme, explain_customer
from pipeline.reporting.explain.decide import ScoredSegment, ValueRank
from pipeline.reporting.explain.explanation import NearestSegment, SchemeExplanation
from pipeline.reporting.explain.moves import CustomerMove
from pipeline.reporting.explain.what_if import WhatIf

__all__ = [
    "ANY_OTHER_TEXT",
    "AudienceExplanation",
    "CentreDistance",
    "ClusterExplanation",
    "CustomerExplanation",
    "CustomerMove",
    "ExplainedMembership",
    "NearestSegment",
    "NextAction",
    "OutsideScheme",
    "SchemeExplanation",
    "ScoredSegment",
    "SegmentCard",
    "ValueRank",
    "WhatIf",
    "explain_customer",
]
