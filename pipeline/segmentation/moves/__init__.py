"""Moves: who is in another segment than the night before, and for which one reason.

Offers `write_moves` and the list of REASONS. `moves.py` and `left_out.py` read and write the lake; `reasons.py` and
`moved_features.py` build the statements and do no I/O.
"""

from pipeline.segmentation.moves.moves import write_moves
from pipeline.segmentation.moves.reasons import REASONS

__all__ = ["REASONS", "write_moves"]
