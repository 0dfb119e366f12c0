"""The cards of one customer's segments, which of them fit their rhythm, and the one that is the next action."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from pipeline.definitions.schemes import LIFECYCLE, fits_rhythm
from pipeline.lake.lake import Lake
from pipeline.lake.tables import SEGMENT_STRATEGIES

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SegmentCard:
    """The card of a segment that the customer is in; where it does not `fit`, it `assumes` what their lifecycle, `rhythm`, denies."""

    priority: int
    message: str
    assumes: str
    rhythm: str
    fits: bool


@dataclass(frozen=True, slots=True)
class NextAction:
    """The card to act on, and why; `since_date` is the night since which the customer has been in its segment, if any night tells."""

    scheme: str
    segment: str
    title: str
    message: str
    priority: int
    stake_amount: Decimal
    reason: str
    since_date: date | None


def stored_cards(lake: Lake, day: date, language: str) -> dict[tuple[str, str], Row]:
    """Read the cards of a night in a language, by scheme and segment; none of a night that an older version computed."""
    if not lake.has(SEGMENT_STRATEGIES, day=day):
        return {}
    rows = lake.read(SEGMENT_STRATEGIES, day=day)
    # Cards that do not say what they assume cannot be told to contradict the lifecycle: better none than a wrong one.
    if "assumes" not in rows.column_names:
        return {}
    return {(row["scheme"], row["segment"]): row for row in rows.to_pylist() if row["language"] == language and row["priority"] is not None}


def cards_of_segments(cards: Mapping[tuple[str, str], Row], segments: Mapping[str, str]) -> dict[str, SegmentCard]:
    """Return by scheme the card of each segment that the customer is in, as far as it has one."""
    rhythm = _assumption(cards.get((LIFECYCLE, segments.get(LIFECYCLE, ""))))
    found = {scheme: cards[scheme, segment] for scheme, segment in segments.items() if (scheme, segment) in cards}
    return {
        scheme: SegmentCard(row["priority"], row["message"], _assumption(row), rhythm, fits_rhythm(_assumption(row), rhythm))
        for scheme, row in found.items()
    }


def _assumption(card: Row | None) -> str:
    return (card or {}).get("assumes") or ""


def next_action_of(row: Row, cards: Mapping[tuple[str, str], Row], intervals: Iterable[Row], day: date) -> NextAction:
    """Return the next action that a row of customer_next_actions of the night `day` tells; `intervals` are all of the customer's."""
    held = [
        each["valid_from"]
        for each in intervals
        if (each["scheme"], each["segment"]) == (row["scheme"], row["segment"])
        # What the nights knew at the time: a restatement that moved the beginning later on was not known when the card was chosen.
        and each["known_from"] == each["valid_from"] <= day
        and (each["valid_to"] is None or each["valid_to"] > day)
    ]
    card = cards.get((row["scheme"], row["segment"]), {})
    return NextAction(
        scheme=row["scheme"],
        segment=row["segment"],
        title=card.get("title", row["segment"]),
        message=card.get("message", ""),
        priority=row["priority"],
        stake_amount=row["stake_amount"],
        reason=row["reason"],
        since_date=min(held, default=None),
    )
