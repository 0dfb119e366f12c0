"""Figures as they are stored: to nine significant digits, as the last bits of a float differ between versions of scipy."""

from __future__ import annotations

DIGITS = 9


def rounded(value: float | None) -> float | None:
    """Return the value to nine significant digits."""
    return None if value is None else float(f"{value:.{DIGITS}g}")
