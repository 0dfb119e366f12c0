"""The catalogue of every scheme and segment: its words, its strategy, and how large it is in the live publication. Pure."""

from pipeline.reporting.catalog.building import catalog_of, languages_of
from pipeline.reporting.catalog.entries import Card, Catalog, Live, Profiled, SchemeEntry, SegmentEntry, Size
from pipeline.reporting.catalog.words import PROOFS, WAYS

__all__ = [
    "PROOFS",
    "WAYS",
    "Card",
    "Catalog",
    "Live",
    "Profiled",
    "SchemeEntry",
    "SegmentEntry",
    "Size",
    "catalog_of",
    "languages_of",
]
