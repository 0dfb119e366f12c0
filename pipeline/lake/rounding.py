"""Statistics as tables hold them: with nine significant digits, as further ones differ between machines and versions of scipy."""

from __future__ import annotations

import math

DIGITS = 9


def rounded(value: float | None) -> float | None:
    """Return `value` with DIGITS significant digits, and no minus before a zero; None where it is no finite number."""
    return float(f"{value:.{DIGITS}g}") + 0.0 if value is not None and math.isfinite(value) else None
