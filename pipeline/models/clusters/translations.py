"""Titles of clusters in other languages: word by word, as the definition of their scheme translates its words."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.definitions.schemes.cluster_scheme import ClusterFeature

BETWEEN = ", "
_DOTTED_I = ("az", "tr")


def translated_title(title: str, features: Sequence[ClusterFeature], language: str) -> str:
    """Return `title` in `language`, as far as the scheme's words for its features are translated."""
    parts = (title[:1].lower() + title[1:]).split(BETWEEN)
    found = BETWEEN.join(_translated(part, features, language) for part in parts)
    return title if found == BETWEEN.join(parts) else _first_letter(found[:1], language) + found[1:]


def _first_letter(letter: str, language: str) -> str:
    """Return a letter as it begins a title: Georgian ones stay as they are, and Turkish has an i with a dot of its own."""
    return "\u0130" if letter == "i" and language.partition("-")[0] in _DOTTED_I else letter.title()


def _translated(part: str, features: Sequence[ClusterFeature], language: str) -> str:
    words = {feature.high: feature.highs for feature in features} | {feature.low: feature.lows for feature in features}
    # A title may add to a word, as `rather` or a number does.
    known = [word for word in words if word in part]
    word = max(known, key=len, default="")
    return part.replace(word, words[word].get(language, word)) if word else part
