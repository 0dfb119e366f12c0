"""From clean rows to one row per customer, as of the end of a night.

A night computes anew only the customers to whom something happened; the caches that make this possible may be deleted at any time.
It also works out what features would be had customers done less since an earlier night. It must not know schemes, segments or models;
of definitions, only how customers are scored.
"""

from __future__ import annotations

from pipeline.features.attribute_quantiles import frozen_quantiles
from pipeline.features.baselines import baselines_statement
from pipeline.features.cache import CacheSession, forget_caches
from pipeline.features.counterfactuals import (
    EVENTS,
    Counterfactual,
    buyers_beside,
    event_tables,
    gather_rows,
    part_name,
    register_changes,
    write_counterfactual,
)
from pipeline.features.declared import (
    FeaturesSince,
    columns_read,
    columns_read_of_others,
    features_as_declared,
    features_declared_since,
)
from pipeline.features.features import compute_features, compute_rollups
from pipeline.features.known_columns import (
    DECLARED,
    OPTIONAL_COLUMNS,
    features_without_columns,
    lacks_orders,
    partly_known_columns,
    reads_orders,
    unknown_features,
    with_stored_attributes,
)
from pipeline.features.merges import CustomerMerge, MergeHistory, Survivors
from pipeline.features.united_rows import reading_merges

__all__ = [
    "DECLARED",
    "EVENTS",
    "OPTIONAL_COLUMNS",
    "CacheSession",
    "Counterfactual",
    "CustomerMerge",
    "FeaturesSince",
    "MergeHistory",
    "Survivors",
    "baselines_statement",
    "buyers_beside",
    "columns_read",
    "columns_read_of_others",
    "compute_features",
    "compute_rollups",
    "event_tables",
    "features_as_declared",
    "features_declared_since",
    "features_without_columns",
    "forget_caches",
    "frozen_quantiles",
    "gather_rows",
    "lacks_orders",
    "part_name",
    "partly_known_columns",
    "reading_merges",
    "reads_orders",
    "register_changes",
    "unknown_features",
    "with_stored_attributes",
    "write_counterfactual",
]
