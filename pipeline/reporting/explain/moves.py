"""A customer's moves from one segment to another, as the interval table tells them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any


@dataclass(frozen=True, slots=True)
class Move:
    """One move, by the night that told it; None is no segment, as before the first one; `reason` is empty where none is stored."""

    day: date
    scheme: str
    from_segment: str | None
    to_segment: str | None
    reason: str = ""


def moves_of(intervals: Iterable[Mapping[str, Any]], through: date) -> list[Move]:
    """Return the moves up to the day `through` that rows of customer_segment_intervals of one customer tell, as known now."""
    by_scheme: dict[str, list[Mapping[str, Any]]] = {}
    for row in intervals:
        by_scheme.setdefault(row["scheme"], []).append(row)
    return [move for scheme, rows in by_scheme.items() for move in _moves(scheme, rows, through)]


def _moves(scheme: str, rows: list[Mapping[str, Any]], through: date) -> list[Move]:
    days = sorted({day for row in rows for day in (row["valid_from"], row["valid_to"]) if day is not None and day <= through})
    told = [(date.min, None), *((day, _segment(rows, day)) for day in days)]
    return [Move(day, scheme, before, after) for (_, before), (day, after) in pairwise(told) if before != after]


def _segment(rows: list[Mapping[str, Any]], day: date) -> str | None:
    covering = [row for row in rows if row["valid_from"] <= day and (row["valid_to"] is None or day < row["valid_to"])]
    segment: str | None = max(covering, key=lambda row: row["known_from"])["segment"] if covering else None
    return segment
