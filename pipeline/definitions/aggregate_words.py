"""The words that begin an aggregate in a rule. Whether a file holds any is asked of every company, so this needs no parser."""

from __future__ import annotations

import re
from functools import lru_cache

FUNCTIONS = ("COUNT", "SUM", "MIN", "MAX", "AVG", "FIRST", "LAST", "MOST_FREQUENT", "LIST")
EXISTS = "EXISTS"
AGGREGATE_CALL = re.compile(rf"\b({'|'.join((*FUNCTIONS, EXISTS))})\s*\(", re.IGNORECASE)


@lru_cache(maxsize=1_000)
def has_aggregate(text: str) -> bool:
    """Whether a text may hold an aggregate; cached, as a command asks of every file several times, and most hold none."""
    return AGGREGATE_CALL.search(text) is not None
