"""Declared features: `features/*.toml`, and aggregates within rules, read and typed.

Offers `read_features` and what it returns. It does not know how an aggregate is computed or carried from night to night.
"""

from pipeline.definitions.features.declared import DECLARED_FEATURES, DeclaredFeature, feature_digests
from pipeline.definitions.features.loading import read_features

__all__ = ["DECLARED_FEATURES", "DeclaredFeature", "feature_digests", "read_features"]
