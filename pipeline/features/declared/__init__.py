"""Declared features: what they add up is computed once and carried from night to night; then each is a column of customer_features.

A night reads the rows of customers who did something, and of those whose old rows left a window; all others keep what they had.
"""

from pipeline.features.declared.aggregate_sets import aggregates_by_source, columns_read, columns_read_of_others, first_days
from pipeline.features.declared.aggregate_sql import aggregates_statement
from pipeline.features.declared.columns import declared_features_lacking, unknown_declared_features, with_declared_columns
from pipeline.features.declared.since import FeaturesSince, features_as_declared, features_declared_since
from pipeline.features.declared.states import known_events, register_aggregates

__all__ = [
    "FeaturesSince",
    "aggregates_by_source",
    "aggregates_statement",
    "columns_read",
    "columns_read_of_others",
    "declared_features_lacking",
    "features_as_declared",
    "features_declared_since",
    "first_days",
    "known_events",
    "register_aggregates",
    "unknown_declared_features",
    "with_declared_columns",
]
