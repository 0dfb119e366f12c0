"""Moves: who is in another segment than the night before, and for which one reason.

Offers `write_moves` and the list of REASONS. `moves.py` reads and writes the lake, `reasons.py` builds the statements and does no I/O.
"""

from pipeline.segmentation.moves.moves import write_moves
from pipeline.segmentation.moves.reasons import REASONS

__all__ = ["REASONS", "write_moves"]
