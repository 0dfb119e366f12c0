"""The words that begin an aggregate in a rule. Whether a file holds any is asked of every company, so this needs no parser."""

from __future__ import annotations

import re

FUNCTIONS = ("COUNT", "SUM", "MIN", "MAX", "AVG", "FIRST", "LAST", "MOST_FREQUENT", "LIST")
EXISTS = "EXISTS"
AGGREGATE_CALL = re.compile(rf"\b({'|'.join((*FUNCTIONS, EXISTS))})\s*\(", re.IGNORECASE)
