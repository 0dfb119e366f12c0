"""What to do today: the strategy cards of segments that customers entered by what they did or left undone, at most four.

Nobody is written to because others moved. Where too few entered any segment, as on a first night, the cards that most customers have
as their next action stand in their place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pipeline.lake.tables import FEWEST_PUBLISHED
from pipeline.reporting.pages.morning.figures import is_withheld
from pipeline.reporting.pages.morning.movement import Cause, Entries, entries_of
from pipeline.reporting.pages.morning.night_tables import NightTables

MOST_CARDS, MOST_ORIGINS = 4, 3
LEAST_URGENT = 3  # priority; 1 is the most urgent
CARD_TEXTS = ("message", "promotion", "product_offer", "price", "channel", "service")


@dataclass(frozen=True, slots=True)
class Origin:
    """A segment that customers came from; without a title all that are not named."""

    title: str | None
    customer_count: int


@dataclass(frozen=True, slots=True)
class ActionCard:
    """A card to act on: whom it is for, what they are worth, and what to say and give.

    `spend_amount` is what those who entered have spent ever, or what is at stake; None where they are too few to tell.
    """

    scheme: str
    segment: str
    title: str
    priority: int
    customer_count: int
    spend_amount: Decimal | None
    texts: Mapping[str, str]
    origins: Sequence[Origin] = ()
    causes: Sequence[tuple[Cause, int]] = ()


@dataclass(frozen=True, slots=True)
class Actions:
    """The cards of the day; `are_of_entries` where they are for who entered a segment in the last seven nights."""

    are_of_entries: bool
    cards: Sequence[ActionCard]


def actions_of(tables: NightTables) -> Actions:
    """Return what to do today."""
    entered = list(_entry_cards(tables))
    if entered:
        entered.sort(key=lambda card: (card.priority, -(card.spend_amount or 0), card.segment))
        return Actions(are_of_entries=True, cards=entered[:MOST_CARDS])
    return Actions(are_of_entries=False, cards=list(_standing_cards(tables))[:MOST_CARDS])


def _entry_cards(tables: NightTables) -> Iterator[ActionCard]:
    scheme = tables.main_scheme
    for segment, entries in entries_of(tables.flows, scheme).items():
        card = tables.cards.get((scheme, segment))
        if card and card["priority"] <= LEAST_URGENT and entries.customer_count >= FEWEST_PUBLISHED:
            yield ActionCard(
                scheme,
                segment,
                tables.title_of(scheme, segment),
                card["priority"],
                entries.customer_count,
                entries.lifetime_spend_amount,
                _texts(card),
                _origins(tables, scheme, entries),
                [(cause, count) for cause, count in sorted(entries.by_cause.items(), key=_most_first) if count >= FEWEST_PUBLISHED],
            )


def _standing_cards(tables: NightTables) -> Iterator[ActionCard]:
    for action in sorted(tables.next_actions, key=lambda each: (each.priority, -each.stake_amount, each.scheme, each.segment)):
        card = tables.cards.get((action.scheme, action.segment))
        if card and action.priority <= LEAST_URGENT:
            title, stake = tables.title_of(action.scheme, action.segment), action.stake_amount
            known = None if is_withheld(action.customer_count) else stake
            yield ActionCard(action.scheme, action.segment, title, action.priority, action.customer_count, known, _texts(card))


def _most_first(item: tuple[Cause, int]) -> tuple[int, str]:
    cause, count = item
    return -count, cause.value


def _texts(card: Mapping[str, object]) -> dict[str, str]:
    return {name: str(card[name]) for name in CARD_TEXTS if card[name]}


def _origins(tables: NightTables, scheme: str, entries: Entries) -> list[Origin]:
    """Return where most of them came from; all other segments are joined, so that the counts add up, unless they are a few together."""
    counted = sorted(((count, segment) for segment, count in entries.by_origin.items() if segment), key=lambda item: (-item[0], item[1]))
    large = [(count, segment) for count, segment in counted if count >= FEWEST_PUBLISHED][:MOST_ORIGINS]
    others = sum(count for count, _ in counted) - sum(count for count, _ in large)
    named = [Origin(tables.title_of(scheme, segment), count) for count, segment in large]
    return [*named, Origin(None, others)] if others >= FEWEST_PUBLISHED else named
