"""A customer's moves from one segment to another, read from the interval table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any


@dataclass(frozen=True, slots=True)
class CustomerMove:
    """One move, on the night that found it; None is no segment, as before the first one; `reason` is empty where none is stored."""

    day: date
    scheme: str
    from_segment: str | None
    to_segment: str | None
    reason: str = ""


def customer_moves(intervals: Iterable[Mapping[str, Any]], through: date) -> list[CustomerMove]:
    """Derive the moves of one customer up to the day `through`, from their rows of customer_segment_intervals, as known now."""
    by_scheme: dict[str, list[Mapping[str, Any]]] = {}
    for row in intervals:
        by_scheme.setdefault(row["scheme"], []).append(row)
    moves: list[CustomerMove] = []
    for scheme, rows in by_scheme.items():
        # A segment changes only where an interval begins or ends; most of these days change nothing, as another one begins there.
        days = sorted({day for row in rows for day in (row["valid_from"], row["valid_to"]) if day is not None and day <= through})
        segments = [(date.min, None), *((day, _segment_on(rows, day)) for day in days)]
        moves += [CustomerMove(day, scheme, before, after) for (_, before), (day, after) in pairwise(segments) if before != after]
    return moves


def _segment_on(rows: list[Mapping[str, Any]], day: date) -> str | None:
    # Intervals of a restated night overlap older ones: what was known last counts.
    covering = [row for row in rows if row["valid_from"] <= day and (row["valid_to"] is None or day < row["valid_to"])]
    segment: str | None = max(covering, key=lambda row: row["known_from"])["segment"] if covering else None
    return segment
