"""From clean rows to one row per customer, as of the end of a night.

A night computes anew only the customers to whom something happened; the caches that make this possible may be deleted at any time.
It must not know schemes, segments or models; of definitions, only how customers are scored.
"""

from __future__ import annotations

from pipeline.features.baselines import baselines_statement
from pipeline.features.cache import forget_caches
from pipeline.features.features import compute_features, compute_rollups

__all__ = ["baselines_statement", "compute_features", "compute_rollups", "forget_caches"]
