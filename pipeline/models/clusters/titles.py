"""Titles that say what sets a cluster apart, in the words of the scheme, such as `Frequent, full price, weekends`.

Each feature has a word for its high and one for its low side; a title names the features in which the centre is farthest from
the mean customer. People learn titles, so a refit keeps a title as long as it is still true (`lasting_titles`), and a
translation works on the finished title, part by part.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipeline.definitions.schemes.cluster_scheme import ClusterFeature
from pipeline.models.clusters.preparation import Numbers

MOST_WORDS = 3
SMALLEST_DIFFERENCE = 0.4  # in standard deviations: nearer to the mean, a word would claim more than there is
TYPICAL = "typical"
RATHER = "rather "
BETWEEN = ", "
_DOTTED_I = ("az", "tr")
# A title outlives small changes of the centre: else clusters on the verge of a word would change their title with every refit.
SLACK = 0.2


def distinct_titles(centroids: Numbers, features: Sequence[ClusterFeature]) -> tuple[str, ...]:
    """One title per centroid, all different, by its largest differences from the mean customer.

    `centroids` has a row per cluster and a column per feature, in standard deviations. Clusters that differ from the mean in the
    same words get one more word, for how they differ from each other, and a number where that is not enough either.
    """
    plain = []
    for centroid in centroids:
        outstanding = [place for place in _places_by_size(centroid) if abs(centroid[place]) >= SMALLEST_DIFFERENCE][:MOST_WORDS]
        plain.append(BETWEEN.join(_side_word(centroid[place], features[place]) for place in outstanding) or TYPICAL)
    worded = list(plain)
    for title, count in Counter(plain).items():
        alike = [place for place, other in enumerate(plain) if other == title]
        for place in alike if count > 1 else ():
            contrast = centroids[place] - np.mean(centroids[alike], axis=0)
            largest = _places_by_size(contrast)[0]
            worded[place] = f"{title}{BETWEEN}{RATHER}{_side_word(contrast[largest], features[largest])}"
    titles = []
    for place, text in enumerate(worded):
        earlier = worded[:place].count(text)
        titles.append(text[0].title() + text[1:] + (f" ({earlier + 1})" if earlier else ""))
    return tuple(titles)


def lasting_titles(
    fresh: Sequence[str], earlier: Sequence[str | None], centroids: Numbers, features: Sequence[ClusterFeature]
) -> tuple[str, ...]:
    """Title of each centroid: the earlier one while it is still true, else the fresh one; all different.

    `fresh` are the titles that `distinct_titles` gives, `earlier` those of the clusters that are continued, None for a new one.
    """
    titles = [
        title if title and _is_title_true(title, centroid, features) else None for title, centroid in zip(earlier, centroids, strict=True)
    ]
    for place, title in enumerate(fresh):
        used = {other for other in titles if other}
        numbered = (title, *(f"{title} ({number})" for number in range(2, len(used) + 3)))
        titles[place] = titles[place] or next(each for each in numbered if each not in used)
    return tuple(title for title in titles if title)


def translated_title(title: str, features: Sequence[ClusterFeature], language: str) -> str:
    """Translate `title` into `language`, as far as the scheme's words for its features are translated."""
    parts = (title[:1].lower() + title[1:]).split(BETWEEN)
    translated = BETWEEN.join(_translate_part(part, features, language) for part in parts)
    if translated == BETWEEN.join(parts):
        return title
    # Turkish and Azerbaijani capitalise i with its dot. Not `upper`: Georgian capitals are for whole words alone.
    is_dotted = translated[:1] == "i" and language.partition("-")[0] in _DOTTED_I
    return ("\u0130" if is_dotted else translated[:1].title()) + translated[1:]


def _is_title_true(title: str, centroid: Numbers, features: Sequence[ClusterFeature]) -> bool:
    """Return whether each word is still true, and none is missing for what now sets the cluster apart most by far."""
    words = re.sub(r" \([0-9]+\)$", "", title[0].lower() + title[1:]).split(BETWEEN)
    # `rather` compares with clusters that may be gone by now: it is neither true nor false.
    plain = [word for word in words if not word.startswith(RATHER)]
    distances = [_distance_to_named_side(word, centroid, features) for word in plain if word != TYPICAL]
    largest = float(np.abs(centroid).max())
    if not distances:
        return plain == [TYPICAL] and largest < SMALLEST_DIFFERENCE + SLACK
    return min(distances) >= SMALLEST_DIFFERENCE - SLACK and max(distances) >= largest - SLACK


def _distance_to_named_side(word: str, centroid: Numbers, features: Sequence[ClusterFeature]) -> float:
    """Return how far the centroid is to the side that the word names; below zero where it is not, or no feature has that word."""
    sides = [difference for difference, feature in zip(centroid, features, strict=True) if word == feature.high]
    sides += [-difference for difference, feature in zip(centroid, features, strict=True) if word == feature.low]
    return float(sides[0]) if sides else -1.0


def _places_by_size(differences: Numbers) -> list[int]:
    return [int(place) for place in np.argsort(-np.abs(differences), kind="stable")]


def _side_word(difference: float, feature: ClusterFeature) -> str:
    return feature.high if difference > 0 else feature.low


def _translate_part(part: str, features: Sequence[ClusterFeature], language: str) -> str:
    words = {feature.high: feature.highs for feature in features} | {feature.low: feature.lows for feature in features}
    # A title may add to a word, as `rather` or a number does; and one word may lie within another, so the longest counts.
    word = max((word for word in words if word in part), key=len, default="")
    return part.replace(word, words[word].get(language, word)) if word else part
