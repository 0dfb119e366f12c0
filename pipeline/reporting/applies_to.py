"""Whom a scheme is for, and how many it leaves out, in words."""

from __future__ import annotations


def applies_to_words(rule: str, outside_count: int | None) -> str:
    """Say that a scheme is for those who meet `rule`; `outside_count` is how many do not, None where no night has counted them."""
    words = f"applies where {' '.join(rule.split())}"
    if outside_count is None:
        return words
    return f"{words}; {outside_count:,} {'customer is' if outside_count == 1 else 'customers are'} outside"
