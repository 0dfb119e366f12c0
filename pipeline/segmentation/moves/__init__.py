"""Moves: who is in another segment than the night before, and for which one reason."""

from pipeline.segmentation.moves.moves import keep_moves
from pipeline.segmentation.moves.reasons import REASONS

__all__ = ["REASONS", "keep_moves"]
