"""Schemes: named sets of segments, of which every customer has exactly one; proven when a definition loads."""

from pipeline.segments.beside import beside_statement
from pipeline.segments.loading import load_schemes
from pipeline.segments.membership_statement import membership_statement, segments_statement
from pipeline.segments.scheme import Scheme, Schemes, Segment, Signals, clusters_looked_at, with_assignments
from pipeline.segments.strategies import STRATEGY_TEXTS, Strategy
from pipeline.segments.undecided import Unmet, unmet_segments

__all__ = [
    "STRATEGY_TEXTS",
    "Scheme",
    "Schemes",
    "Segment",
    "Signals",
    "Strategy",
    "Unmet",
    "beside_statement",
    "clusters_looked_at",
    "load_schemes",
    "membership_statement",
    "segments_statement",
    "unmet_segments",
    "with_assignments",
]
