"""What would change in one scheme: who would go from which segment to which, some of them by id, and the rule that would take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any

from pipeline.definitions.schemes import Scheme
from pipeline.reporting.plan.moves import SAMPLE_SIZE


@dataclass(frozen=True, slots=True)
class SegmentFlow:
    """How many customers go from one segment to another, or stay, and the window's spend they bring; None is no segment."""

    from_segment: str | None
    to_segment: str | None
    customer_count: int
    spend_amount: Decimal
    write_count: int

    @property
    def is_move(self) -> bool:
        """Whether these customers change their segment."""
        return self.from_segment != self.to_segment


@dataclass(frozen=True, slots=True)
class Mover:
    """One customer who would move, by id, and the rule that would take them; None is no segment, as the scheme does not apply to them."""

    customer_id: str
    from_segment: str | None
    to_segment: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class SchemePlan:
    """What would change in one scheme; `segments` are the ids it has before or after, in the order of its definition.

    `applies_to` is the rule of whom it is for, as it would be, empty where that is everybody; `priorities` are those of the segments'
    cards, by id. Of clusters, whose model decides what they are called, `titles` and `messages` of the cards are given too.
    `is_audience` says that it is an audience, of which there are members and others.
    """

    scheme: str
    title: str
    segments: tuple[str, ...]
    flows: tuple[SegmentFlow, ...]
    sample: tuple[Mover, ...]
    downstream: tuple[str, ...]
    applies_to: str = ""
    priorities: Mapping[str, int] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)
    is_audience: bool = False

    @property
    def moving_flows(self) -> tuple[SegmentFlow, ...]:
        """The flows from one segment to another."""
        return tuple(flow for flow in self.flows if flow.is_move)


def scheme_plan(old: Scheme | None, new: Scheme | None, flows: Sequence[Mapping[str, Any]], downstream: tuple[str, ...]) -> SchemePlan:
    """Sum up what would change in the scheme that `old` or `new`, or both, define; `flows` are rows of planned_moves."""
    [scheme, *_] = (each for each in (new, old) if each)
    rows = [row for row in flows if row["scheme"] == scheme.name]
    segments = _segment_ids(old, new, rows)
    cards = {segment.id: segment.strategy for segment in new.segments} if new else {}
    # A scheme of values has one card for all of them, as it does not know them by id.
    shown = {name: cards.get(name) or new.strategy for name in segments} if new else {}
    return SchemePlan(
        scheme=scheme.name,
        title=scheme.title,
        segments=segments,
        flows=tuple(segment_flow(row) for row in rows),
        # Of a new or a removed scheme everybody moves, so that some ids would say nothing.
        sample=sample_movers(rows, partial(_reason_to_enter, new)) if new and old else (),
        downstream=downstream,
        applies_to=new.applies_to_text if new else "",
        priorities={name: card.priority for name, card in shown.items() if card},
        is_audience=scheme.audience is not None,
    )


def segment_flow(row: Mapping[str, Any]) -> SegmentFlow:
    """Make the flow that a row of planned_moves counts."""
    return SegmentFlow(**{name: value for name, value in row.items() if name not in ("scheme", "customer_ids")})


def _segment_ids(old: Scheme | None, new: Scheme | None, rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the ids in the order of the new definition, then of the old one, then the values that are segments themselves."""
    defined = [segment.id for scheme in (new, old) if scheme for segment in scheme.segments]
    met = sorted({row[name] for row in rows for name in ("from_segment", "to_segment") if row[name]})
    return tuple(dict.fromkeys((*defined, *met)))


def sample_movers(rows: Sequence[Mapping[str, Any]], reason: Callable[[str | None], str]) -> tuple[Mover, ...]:
    """Pick the first customers by id who go from one segment to another, or none; `reason` says what takes them there."""
    moves = [row for row in rows if row["from_segment"] != row["to_segment"]]
    movers = [
        Mover(name, row["from_segment"], row["to_segment"], reason(row["to_segment"])) for row in moves for name in row["customer_ids"]
    ]
    # Each flow brings its own first customers; of all together the first by id are the same ones whatever flows there are.
    return tuple(sorted(movers, key=lambda mover: mover.customer_id)[:SAMPLE_SIZE])


def _reason_to_enter(scheme: Scheme, name: str | None) -> str:
    if scheme.audience is not None:
        return f"the audience {'takes' if name else 'is for'} those with {scheme.applies_to_text}"
    if name is None:
        return f"the scheme applies where {scheme.applies_to_text}"
    segment = next((segment for segment in scheme.segments if segment.id == name), None)
    if segment and segment.signals:
        return f"{segment.signals.needed} of: {'; '.join(segment.signals.texts)}"
    reason = segment.rule_text if segment and segment.rule_text else scheme.rule_text
    return reason or "no other rule takes them any more"
