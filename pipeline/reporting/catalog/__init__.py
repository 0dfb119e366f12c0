"""The catalogue of every scheme and segment: its words, its strategy, and how large it is in the live publication.

Offers `read_catalog`, which reads the definitions and the live publication, and the entries that `view.py`, `markdown.py` and
`json.py` show. Only `catalog.py` knows a lake; `building.py` makes the entries from what it is handed.
"""

from pipeline.reporting.catalog.catalog import read_catalog
from pipeline.reporting.catalog.entries import (
    AudienceEntry,
    Catalog,
    PublishedSize,
    SchemeEntry,
    SegmentEntry,
    StrategyCard,
)
from pipeline.reporting.catalog.words import ASSUMPTIONS, PROOFS

__all__ = [
    "ASSUMPTIONS",
    "PROOFS",
    "AudienceEntry",
    "Catalog",
    "PublishedSize",
    "SchemeEntry",
    "SegmentEntry",
    "StrategyCard",
    "read_catalog",
]
