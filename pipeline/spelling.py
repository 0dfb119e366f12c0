"""Suggestions for names that nobody declared."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Return ` (did you mean `x`?)` for the nearest known name, or an empty string where none is at least `cutoff` alike."""
    near = get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f" (did you mean `{near[0]}`?)" if near else ""
