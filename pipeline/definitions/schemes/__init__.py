"""Schemes: named sets of segments. Everybody a scheme applies to has exactly one of them, which is proven when it loads.

Offers `load_schemes` and `load_cluster_schemes`, which read a company's files, and statements that give each customer's segment
(`segments_statement`) or two versions of a scheme beside each other (`comparison_statement`). It builds SQL, and runs none.
"""

from pipeline.definitions.schemes.cluster_features import ClusterFeature
from pipeline.definitions.schemes.cluster_scheme import ClusterScheme, load_cluster_schemes
from pipeline.definitions.schemes.comparison_sql import comparison_statement
from pipeline.definitions.schemes.digests import decision_digest, declared_behind, scheme_digest
from pipeline.definitions.schemes.loading import load_schemes
from pipeline.definitions.schemes.quantile_limits import quantiles_of, with_limits
from pipeline.definitions.schemes.scheme import (
    AudienceTerms,
    Scheme,
    Schemes,
    Segment,
    Signals,
    joined_columns_of,
    referenced_clusters,
    schemes_with_assignments,
)
from pipeline.definitions.schemes.sql import decisions_statement, membership_statement, segments_statement
from pipeline.definitions.schemes.strategies import LIFECYCLE, STRATEGY_TEXTS, Strategy, fits_rhythm
from pipeline.definitions.schemes.unknown_features import without_unknown
from pipeline.definitions.schemes.unknown_values import may_be_unknown, scheme_taking_unknown_in
from pipeline.definitions.schemes.unproven import UnprovenSegment, unproven_segments

__all__ = [
    "LIFECYCLE",
    "STRATEGY_TEXTS",
    "AudienceTerms",
    "ClusterFeature",
    "ClusterScheme",
    "Scheme",
    "Schemes",
    "Segment",
    "Signals",
    "Strategy",
    "UnprovenSegment",
    "comparison_statement",
    "decision_digest",
    "decisions_statement",
    "declared_behind",
    "fits_rhythm",
    "joined_columns_of",
    "load_cluster_schemes",
    "load_schemes",
    "may_be_unknown",
    "membership_statement",
    "quantiles_of",
    "referenced_clusters",
    "scheme_digest",
    "scheme_taking_unknown_in",
    "schemes_with_assignments",
    "segments_statement",
    "unproven_segments",
    "with_limits",
    "without_unknown",
]
