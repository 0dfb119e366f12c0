"""Schemes for tests that only ask who is in which segment."""

from __future__ import annotations

_YES_OR_NO = """
title = "T"
kind = "rules"
level = "behavioural"
question = "Q?"
evidence = ["order_count"]
segment = [
  {{id = "yes", title = "Y", description = "Y.", rule = "{rule}"}},
  {{id = "no", title = "N", description = "N.", otherwise = true}},
]
"""


def yes_or_no_scheme(rule: str) -> str:
    """Return the definition of a scheme with a segment `yes` for whom `rule` takes, and a segment `no` for all others."""
    return _YES_OR_NO.format(rule=rule)
