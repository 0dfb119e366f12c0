"""Titles that say what sets a cluster apart, in the words of the scheme and in those that it translates them into."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipeline.definitions.schemes.cluster_scheme import ClusterFeature
from pipeline.models.clusters.preparation import Numbers

MOST_WORDS = 3
SMALLEST_DIFFERENCE = 0.4
TYPICAL = "typical"
RATHER = "rather "
BETWEEN = ", "
_DOTTED_I = ("az", "tr")
# A title outlives small changes of the centre, so that clusters on the verge of a word do not change their title every time.
SLACK = 0.2


def distinct_titles(centroids: Numbers, features: Sequence[ClusterFeature]) -> tuple[str, ...]:
    """Return one title per centroid, all different: the largest differences from the mean customer, in standard deviations.

    Clusters that differ from the mean in the same words are told apart by how they differ from each other.
    """
    plain = [_title_words(centroid, features) for centroid in centroids]
    found = list(plain)
    for title, count in Counter(plain).items():
        alike = [place for place, other in enumerate(plain) if other == title]
        for place in alike if count > 1 else ():
            found[place] = f"{title}, {_contrasting_word(centroids[place] - np.mean(centroids[alike], axis=0), features)}"
    return tuple(_with_number(text[0].title() + text[1:], place, found) for place, text in enumerate(found))


def lasting_titles(
    fresh: Sequence[str], earlier: Sequence[str | None], centroids: Numbers, features: Sequence[ClusterFeature]
) -> tuple[str, ...]:
    """Return the title of each centroid: the earlier one while it still holds, else the fresh one; all different."""
    kept = [
        title if title and _is_title_true(title, centroid, features) else None for title, centroid in zip(earlier, centroids, strict=True)
    ]
    found = list(kept)
    for place, title in enumerate(fresh):
        found[place] = found[place] or _unused_title(title, {other for other in found if other})
    return tuple(title for title in found if title)


def translated_title(title: str, features: Sequence[ClusterFeature], language: str) -> str:
    """Return `title` in `language`, as far as the scheme's words for its features are translated."""
    parts = (title[:1].lower() + title[1:]).split(BETWEEN)
    found = BETWEEN.join(_translate_part(part, features, language) for part in parts)
    return title if found == BETWEEN.join(parts) else _first_letter(found[:1], language) + found[1:]


def _is_title_true(title: str, centroid: Numbers, features: Sequence[ClusterFeature]) -> bool:
    """Return whether each word is still true, and none is missing for what now sets the cluster apart most by far."""
    words = re.sub(r" \([0-9]+\)$", "", title[0].lower() + title[1:]).split(", ")
    plain = [word for word in words if not word.startswith(RATHER)]
    told = [_distance_to_named_side(word, centroid, features) for word in plain if word != TYPICAL]
    largest = float(np.abs(centroid).max())
    if not told:
        return plain == [TYPICAL] and largest < SMALLEST_DIFFERENCE + SLACK
    return min(told) >= SMALLEST_DIFFERENCE - SLACK and max(told) >= largest - SLACK


def _distance_to_named_side(word: str, centroid: Numbers, features: Sequence[ClusterFeature]) -> float:
    """Return how far the centroid is to the side that the word names; below zero where it is not, or no feature has that word."""
    sides = [difference for difference, feature in zip(centroid, features, strict=True) if word == feature.high]
    sides += [-difference for difference, feature in zip(centroid, features, strict=True) if word == feature.low]
    return float(sides[0]) if sides else -1.0


def _unused_title(title: str, others: set[str]) -> str:
    numbered = (title, *(f"{title} ({number})" for number in range(2, len(others) + 3)))
    return next(each for each in numbered if each not in others)


def _title_words(centroid: Numbers, features: Sequence[ClusterFeature]) -> str:
    telling = [place for place in _places_by_size(centroid) if abs(centroid[place]) >= SMALLEST_DIFFERENCE][:MOST_WORDS]
    return ", ".join(_side_word(centroid[place], features[place]) for place in telling) or TYPICAL


def _contrasting_word(difference: Numbers, features: Sequence[ClusterFeature]) -> str:
    place = _places_by_size(difference)[0]
    return f"{RATHER}{_side_word(difference[place], features[place])}"


def _places_by_size(differences: Numbers) -> list[int]:
    return [int(place) for place in np.argsort(-np.abs(differences), kind="stable")]


def _side_word(difference: float, feature: ClusterFeature) -> str:
    return feature.high if difference > 0 else feature.low


def _with_number(title: str, place: int, found: Sequence[str]) -> str:
    earlier = sum(other == found[place] for other in found[:place])
    return f"{title} ({earlier + 1})" if earlier else title


def _first_letter(letter: str, language: str) -> str:
    """Return a letter as it begins a title: Georgian ones stay as they are, and Turkish has an i with a dot of its own."""
    return "\u0130" if letter == "i" and language.partition("-")[0] in _DOTTED_I else letter.title()


def _translate_part(part: str, features: Sequence[ClusterFeature], language: str) -> str:
    words = {feature.high: feature.highs for feature in features} | {feature.low: feature.lows for feature in features}
    # A title may add to a word, as `rather` or a number does.
    known = [word for word in words if word in part]
    word = max(known, key=len, default="")
    return part.replace(word, words[word].get(language, word)) if word else part
