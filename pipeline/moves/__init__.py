"""Moves: who is in another segment than the night before, and for which one reason."""

from pipeline.moves.keeping import keep_moves
from pipeline.moves.reasons import REASONS

__all__ = ["REASONS", "keep_moves"]
