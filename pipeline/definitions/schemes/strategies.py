"""Strategy cards: what to do about the customers of a segment, kept in one definition with its rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.definitions.fields import Fields
from pipeline.definitions.translations import LONGEST_SENTENCE, LONGEST_TITLE
from pipeline.errors import ConfigError
from pipeline.spelling import printable_line

STRATEGY_TEXTS = ("message", "promotion", "product_offer", "price", "channel", "service")
MOST_URGENT, LEAST_URGENT = 1, 5
LIFECYCLE = "lifecycle"
"""The scheme that says whether somebody is late: by what the card of their segment in it assumes."""
ON_TIME, LATE, GONE = "on_time", "late", "gone"


@dataclass(frozen=True, slots=True)
class Strategy:
    """What to say and offer; `priority` is 1 for the most urgent to 5, `budget_share` the segment's share of its scheme's budget.

    `assumes` is what the card takes for granted of the customer's own rhythm: that they are `on_time`, `late` or `gone`; empty where it
    would be right for anybody. A card for the late is right for those who are gone, too.
    `translations` are the texts of other languages, by language and name of the text.
    """

    message: str
    promotion: str
    product_offer: str
    price: str
    channel: str
    service: str
    priority: int
    budget_share: float
    assumes: str = ""
    translations: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)

    @property
    def stake_share(self) -> float:
        """The share of a customer's spend that is at stake: all of it where they are late, else what the card may cost of a budget."""
        return 1.0 if self.assumes in (LATE, GONE) else self.budget_share

    def texts(self, language: str) -> dict[str, str]:
        """Return the texts by name in `language`, each in the company's own where it is not translated."""
        return {name: getattr(self, name) for name in STRATEGY_TEXTS} | dict(self.translations.get(language, {}))


def fits_rhythm(assumes: str, rhythm: str) -> bool:
    """Whether a card that `assumes` something may be shown to a customer whose lifecycle's card assumes `rhythm`; both may be empty.

    The night decides the same in SQL: `customer_next_actions.sql`.
    """
    return not assumes or assumes == rhythm or (assumes, rhythm) == (LATE, GONE)


def read_translated_text(content: Fields, key: str, language: str) -> tuple[str, dict[str, str]]:
    """Return the text of `key` in the company's `language` and in others: a text, or a table of texts by language.

    Without the company's own language the first one given takes its place. Raises ConfigError for a text that cannot be shown on one
    line: an empty one, one that is very long, or one with line ends or with marks that turn the direction of reading.
    """
    content.note_translated(key)
    value = content.take(key, (str, dict))
    texts = [value] if isinstance(value, str) else list(value.values())
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ConfigError(f"`{content.name_of(key)}` holds no text", where=content.where, todo=f'Write `{key}.{language} = "text"`.')
    longest = LONGEST_TITLE if key == "title" else LONGEST_SENTENCE
    if not all(text.strip() and len(text) <= longest and printable_line(text) == text for text in texts):
        what = f"`{content.name_of(key)}` must be a text of 1 to {longest:,} characters on one line, all of which can be shown"
        raise ConfigError(what, where=content.where, todo="Write it anew, without line ends and invisible characters.")
    if isinstance(value, str):
        return value, {}
    own = language if language in value else next(iter(value))
    return value[own], {name: text for name, text in value.items() if name != own}


def read_strategy(content: Fields, language: str) -> Strategy | None:
    """Return the strategy card, if any; raises ConfigError for one that is incomplete or out of bounds."""
    card = content.section("strategy")
    _note_card(card)
    return None if card.is_empty else read_card(card, language)


def read_card(card: Fields, language: str) -> Strategy:
    """Return the strategy card that the fields are; raises ConfigError for one that is incomplete or out of bounds."""
    _note_card(card)
    given = {name: read_translated_text(card, name, language) for name in STRATEGY_TEXTS}
    languages = dict.fromkeys(name for _, others in given.values() for name in others)
    translations = {name: {key: others[name] for key, (_, others) in given.items() if name in others} for name in languages}
    priority = card.take("priority", int)
    share = float(card.take("budget_share", (int, float)))
    assumes = card.choice("assumes", ("", ON_TIME, LATE, GONE), default="")
    card.refuse_unknown()
    if not MOST_URGENT <= priority <= LEAST_URGENT or not 0 <= share <= 1:
        todo = "Give a priority from 1, the most urgent, to 5, and a budget_share from 0 to 1."
        raise ConfigError("the strategy is out of bounds", where=card.where, todo=todo)
    texts = {name: text for name, (text, _) in given.items()}
    return Strategy(**texts, priority=priority, budget_share=share, assumes=assumes, translations=translations)


def _note_card(card: Fields) -> None:
    """Write down for editors what a card holds, be there one or not."""
    for name in STRATEGY_TEXTS:
        card.note_translated(name)
        card.note(name, is_required=True)
    card.note("priority", kinds=frozenset({int}), low=MOST_URGENT, high=LEAST_URGENT, is_required=True)
    card.note("budget_share", kinds=frozenset({float}), low=0, high=1, is_required=True)
    card.note("assumes", kinds=frozenset({str}), choices=("", ON_TIME, LATE, GONE))


def require_budget_shares(strategies: Sequence[Strategy | None], where: str) -> None:
    """Raise ConfigError where the segments of a scheme share out more than the whole budget."""
    total = sum(strategy.budget_share for strategy in strategies if strategy)
    # Shares such as 0.1 have no exact double: ten of them may add up to a little more than 1.
    if total > 1 + 1e-9:
        raise ConfigError(f"the budget shares add up to {total:g}", where=where, todo="Share out 1 at most.")
