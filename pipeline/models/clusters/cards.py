"""What to do about the customers of a cluster: the card that the scheme's file has for it, else one made of what its title says.

A title names what sets a cluster apart and holds as long as the model's clusters do, and so does a card made of it. Such a card comes
after all that people wrote: it has the lowest priority. One that speaks to the late assumes that they are late, so that it is for those
alone who are late by the lifecycle.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.definitions.schemes import ClusterScheme, Strategy
from pipeline.definitions.schemes.cluster_features import VALUE, ClusterFeature
from pipeline.definitions.schemes.fixed_segments import UNCLUSTERED
from pipeline.definitions.schemes.scheme import INSUFFICIENT_EVIDENCE
from pipeline.definitions.schemes.strategies import LATE, LEAST_URGENT, STRATEGY_TEXTS, fits_rhythm
from pipeline.models.clusters.model import ClusterModel
from pipeline.models.clusters.title_words import BETWEEN
from pipeline.models.clusters.titles import TYPICAL

FILE = Path(__file__).with_suffix(".toml")
DESCRIPTION, WORDS = "description", "{words}"
HIGH, LOW = "high", "low"
OUTSIDE_CLUSTERS = (UNCLUSTERED, INSUFFICIENT_EVIDENCE)


@dataclass(frozen=True, slots=True)
class ClusterCard:
    """The card of a cluster, and who is in it, in a sentence or two; a default one was made of the title, and nobody wrote it."""

    strategy: Strategy
    description: str
    is_default: bool


@dataclass(frozen=True, slots=True)
class CardEntry:
    """What cards.toml says of clusters that are on one side of a feature; `texts` are by name, the description among them."""

    texts: Mapping[str, str]
    features: frozenset[str] = frozenset()
    side: str = ""
    assumes: str = ""


@dataclass(frozen=True, slots=True)
class CardEntries:
    """All of cards.toml: entries for sides of features, what is typical, and what is said of all other words of titles."""

    entries: tuple[CardEntry, ...]
    typical: CardEntry
    other: CardEntry


@cache
def card_entries() -> CardEntries:
    """Return what our file says; `features` and `side` of its entries name each side of a feature once at most."""
    content = tomllib.loads(FILE.read_text("utf-8"))
    return CardEntries(tuple(map(_read_entry, content["entry"])), _read_entry(content["typical"]), _read_entry(content["other"]))


def cluster_cards(scheme: ClusterScheme, model: ClusterModel) -> dict[str, ClusterCard]:
    """Return a card for every cluster of the model, by id; those that nobody wrote share what is left of the budget alike.

    Customers in no cluster have a card only where the scheme's file has one for them.
    """
    written = {cluster.id: scheme.strategies.get(cluster.id, scheme.strategy) for cluster in model.clusters}
    left = 1 - sum(card.budget_share for card in written.values() if card)
    share = max(left, 0.0) / max(sum(card is None for card in written.values()), 1)
    # Four places are kept of a share, and rounded up they would come to more than all of the budget.
    budget_share = int(round(share * 10_000, 6)) / 10_000
    cards = {each.id: _cluster_card(each.title, scheme, written[each.id], budget_share) for each in model.clusters}
    outside = {name: card for name, card in scheme.strategies.items() if name in OUTSIDE_CLUSTERS}
    return cards | {name: ClusterCard(card, "", is_default=False) for name, card in outside.items()}


def _cluster_card(title: str, scheme: ClusterScheme, written: Strategy | None, budget_share: float) -> ClusterCard:
    parts = _title_parts(title)
    entries = [_entry_of(part, scheme.features) for part in parts]
    # Who has not ordered for long is spoken to about that, whatever else is said of them.
    known = [entry for place, entry in enumerate(entries) if entry and entry not in entries[:place]]
    named = sorted(known, key=lambda entry: entry.assumes != LATE)
    others = [part for part, entry in zip(parts, entries, strict=True) if entry is None]
    told = [*named, *([_with_words(card_entries().other, others)] if others else []), *([] if parts else [card_entries().typical])]
    description = " ".join(entry.texts[DESCRIPTION] for entry in told)
    if written is not None:
        return ClusterCard(written, description, is_default=False)
    # Of customers within a segment of the lifecycle it is known whether they are late.
    right = [each for each in told if scheme.within_rhythm is None or fits_rhythm(each.assumes, scheme.within_rhythm)]
    chosen = {name: next(each for each in (*right, card_entries().typical) if name in each.texts) for name in STRATEGY_TEXTS}
    texts = {name: entry.texts[name] for name, entry in chosen.items()}
    assumes = next((entry.assumes for entry in chosen.values() if entry.assumes), "")
    strategy = Strategy(**texts, priority=LEAST_URGENT, budget_share=budget_share, assumes=assumes, translations={})
    return ClusterCard(strategy, description, is_default=True)


def _title_parts(title: str) -> list[str]:
    """Return what a title says, part by part, without the figures or numbers that tell it from others."""
    plain = re.sub(r"( \([^()]*\))+$", "", title[:1].lower() + title[1:])
    return [part for part in plain.split(BETWEEN) if part != TYPICAL]


def _entry_of(part: str, features: Sequence[ClusterFeature]) -> CardEntry | None:
    """Return what our file says of the side that a part of a title names, if anything."""
    for feature in features:
        for side, words in ((HIGH, (feature.high, feature.highest)), (LOW, (feature.low, feature.lowest))):
            patterns = (".+".join(map(re.escape, word.split(VALUE))) for word in words)
            if any(re.fullmatch(pattern, part, re.IGNORECASE) for pattern in patterns):
                return next((each for each in card_entries().entries if each.side == side and feature.name in each.features), None)
    return None


def _with_words(entry: CardEntry, parts: Sequence[str]) -> CardEntry:
    return replace(entry, texts={name: text.replace(WORDS, BETWEEN.join(parts)) for name, text in entry.texts.items()})


def _read_entry(content: Mapping[str, Any]) -> CardEntry:
    texts = {name: content[name] for name in (DESCRIPTION, *STRATEGY_TEXTS) if name in content}
    return CardEntry(texts, frozenset(content.get("features", ())), content.get("side", ""), content.get("assumes", ""))
