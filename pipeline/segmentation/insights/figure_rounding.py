"""Statistics are stored with nine significant digits: further ones differ from machine to machine."""

from __future__ import annotations

import math

DIGITS = 9


def rounded(value: float) -> float | None:
    """Return `value` with DIGITS significant digits; None where it is no number."""
    return float(f"{value:.{DIGITS}g}") + 0.0 if math.isfinite(value) else None
