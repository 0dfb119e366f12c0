"""The catalogue of every scheme and segment: its words, its strategy, and how large it is in the live publication.

Offers `build_catalog` and the entries that views show. It must not know a lake: `catalog.py` reads the definitions and the live
publication and hands both over.
"""

from pipeline.reporting.catalog.building import build_catalog, translated_languages
from pipeline.reporting.catalog.entries import (
    Catalog,
    LiveSegments,
    PublishedSegment,
    PublishedSize,
    SchemeEntry,
    SegmentEntry,
    StrategyCard,
)
from pipeline.reporting.catalog.words import PROOFS

__all__ = [
    "PROOFS",
    "Catalog",
    "LiveSegments",
    "PublishedSegment",
    "PublishedSize",
    "SchemeEntry",
    "SegmentEntry",
    "StrategyCard",
    "build_catalog",
    "translated_languages",
]
