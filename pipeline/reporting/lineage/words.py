"""How a lineage reads: the ways in which a scheme uses a feature."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.reporting.lineage.uses import Way

USE_WORDS: Mapping[Way, str] = {
    "rule": "by its rules",
    "values": "its segments are the values",
    "evidence": "shown as evidence",
    "clusters": "clusters are made of it",
    "reference": "through",
}
