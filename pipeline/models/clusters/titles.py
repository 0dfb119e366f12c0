"""Titles that say what sets a cluster apart from the other clusters of its model, such as `Frequent, full price, weekends`.

Each feature has a word for its high and one for its low side. A word is true of a cluster that is on that side both of the mean
customer and of the other clusters, and no cluster that is farther on that side goes without it. Two features that mean the same
(they share a word, or go together almost exactly) never both stand in one title. People learn titles, so a refit keeps a title
as long as it is still true (`lasting_titles`); a translation works on the finished title, part by part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from pipeline.definitions.schemes.cluster_features import VALUE, ClusterFeature
from pipeline.models.clusters.encoding import Numbers
from pipeline.models.clusters.title_words import BETWEEN, EQUALS, SMALLEST_DIFFERENCE, Side, TitleWords, places_by_size

MOST_WORDS = 3
TYPICAL = "typical"
_DOTTED_I = ("az", "tr")
# A title outlives small changes of the centre: else clusters on the verge of a word would change their title with every refit.
SLACK = 0.2
# From here on two features say the same of customers, under two names.
SAME_MEANING = 0.9


def distinct_titles(
    centroids: Numbers, features: Sequence[ClusterFeature], correlations: Numbers | None = None, shares: Numbers | None = None
) -> tuple[str, ...]:
    """One title per centroid, all different, each true beside the others.

    `correlations` are those of the features, a row and a column each; `shares` those of flags and texts in the clusters. Clusters
    that the same words are true of get one more word for what only one of them is, such as `highest spend`, else the figure in which
    they differ most; a number only where they differ in nothing worth a word.
    """
    words = TitleWords(centroids, features, _shared_meanings(features, correlations), _shares_or_none(centroids, shares))
    titles = _distinct_titles(words, _chosen_sides(words))
    return tuple(_numbered(title[0].title() + title[1:], titles[:place].count(title)) for place, title in enumerate(titles))


def lasting_titles(
    fresh: Sequence[str],
    earlier: Sequence[str | None],
    centroids: Numbers,
    features: Sequence[ClusterFeature],
    shares: Numbers | None = None,
) -> tuple[str, ...]:
    """Title of each centroid: the earlier one while it is still true beside the others, else the fresh one; all different.

    `fresh` are the titles that `distinct_titles` gives, `earlier` those of the clusters that are continued, None for a new one.
    """
    words = TitleWords(centroids, features, _shared_meanings(features, None), _shares_or_none(centroids, shares))
    titles = [title if title and _is_title_true(title, place, words) else fresh[place] for place, title in enumerate(earlier)]
    while kept := [place for place in _misleading(titles, words) if titles[place] != fresh[place]]:
        titles[kept[0]] = fresh[kept[0]]
    for place, title in enumerate(titles):
        used = titles[:place]
        titles[place] = next(each for each in (_numbered(title, number) for number in range(len(titles) + 1)) if each not in used)
    return tuple(titles)


def translated_title(title: str, features: Sequence[ClusterFeature], language: str) -> str:
    """Translate `title` into `language`, as far as the scheme's words for its features are translated."""
    parts = (title[:1].lower() + title[1:]).split(BETWEEN)
    translated = BETWEEN.join(_translate_part(part, features, language) for part in parts)
    if translated == BETWEEN.join(parts):
        return title
    # Turkish and Azerbaijani capitalise i with its dot. Not `upper`: Georgian capitals are for whole words alone.
    is_dotted = translated[:1] == "i" and language.partition("-")[0] in _DOTTED_I
    return ("\u0130" if is_dotted else translated[:1].title()) + translated[1:]


def _chosen_sides(words: TitleWords) -> list[list[Side]]:
    """Choose the sides that each title names: the farthest ones of each cluster, without leaving out a cluster that is farther still."""
    clusters = range(len(words.centroids))
    chosen = [_first_by_meaning(words, list(words.outstanding(cluster)))[:MOST_WORDS] for cluster in clusters]
    refused: list[set[Side]] = [set() for _ in clusters]
    while found := next(_left_out(words, chosen), None):
        cluster, side, other = found
        left = [each for each in words.outstanding(cluster) if each not in {*refused[cluster], side}]
        # The one that is farther gets the word where its title has room; else the word would mislead, and is not said of either.
        if (len(chosen[other]) <= MOST_WORDS or not left) and words.is_true(other, side) and side not in refused[other]:
            chosen[other] = _first_by_meaning(words, [*chosen[other], side])
        if side not in chosen[other]:
            refused[cluster].add(side)
            chosen[cluster] = _first_by_meaning(words, left)[:MOST_WORDS]
    return chosen


def _left_out(words: TitleWords, chosen: Sequence[Sequence[Side]]) -> Iterator[tuple[int, Side, int]]:
    """Yield each word of a cluster that another one lacks though it is farther on that side."""
    for cluster, sides in enumerate(chosen):
        for side in sides:
            yield from ((cluster, side, other) for other in words.farther(cluster, side) if side not in chosen[other])


def _first_by_meaning(words: TitleWords, sides: Sequence[Side]) -> list[Side]:
    first: dict[int, Side] = {}
    for side in sides:
        first.setdefault(words.meanings[side.place], side)
    return list(first.values())


def _distinct_titles(words: TitleWords, chosen: Sequence[Sequence[Side]]) -> list[str]:
    """Return the title of each cluster, with what sets it apart from others of the same words."""
    plain = [BETWEEN.join(map(words.word, sides)) or TYPICAL for sides in chosen]
    titles = list(plain)
    for place in range(len(plain)):
        alike = [other for other, title in enumerate(plain) if title == plain[place] and other != place]
        titles[place] = _title_with_most(words, place, alike, chosen[place]) or plain[place]
    worded = list(titles)
    for place, title in enumerate(worded):
        alike = [other for other, same in enumerate(worded) if same == title]
        widest = places_by_size(np.ptp(words.centroids[alike], axis=0))[0]
        if np.ptp(words.centroids[alike, widest]) >= SMALLEST_DIFFERENCE:
            titles[place] = f"{title} ({_figure(words, place, widest)})"
    return titles


def _figure(words: TitleWords, cluster: int, place: int) -> str:
    feature = words.features[place]
    if feature.encoding == "number":
        return f"{feature.name} {words.centroids[cluster, place]:+.1f} SD"
    return f"{feature.name} {100 * words.shares[cluster, place]:.0f} %"


def _title_with_most(words: TitleWords, place: int, alike: Sequence[int], sides: Sequence[Side]) -> str:
    """Return the title with what the cluster has most of all clusters, as far as that tells it from those `alike`; else nothing."""
    contrast = words.centroids[place] - np.mean(words.centroids[alike], axis=0) if alike else np.zeros(len(words.features))
    for feature in places_by_size(contrast):
        side = Side(feature, 1 if contrast[feature] > 0 else -1, is_most=True)
        same = [each for each in sides if words.meanings[each.place] == words.meanings[feature]]
        is_opposed = any(each.place != feature or each.sign != side.sign for each in same)
        if abs(contrast[feature]) >= SMALLEST_DIFFERENCE and words.is_true(place, side) and not is_opposed:
            return BETWEEN.join(map(words.word, [*(each for each in sides if each not in same), side]))
    return ""


def _shares_or_none(centroids: Numbers, shares: Numbers | None) -> Numbers:
    return np.full(centroids.shape, np.nan) if shares is None else shares


def _shared_meanings(features: Sequence[ClusterFeature], correlations: Numbers | None) -> list[int]:
    """Return a number per feature; those with a word in common, or that go together almost exactly, have the same one."""
    meanings = list(range(len(features)))
    for place, feature in enumerate(features):
        for other in range(place):
            is_same = bool({feature.high, feature.low} & {features[other].high, features[other].low})
            is_same |= EQUALS in feature.name and feature.name.partition(EQUALS)[0] == features[other].name.partition(EQUALS)[0]
            if is_same or (correlations is not None and abs(correlations[place, other]) >= SAME_MEANING):
                old, new = meanings[place], meanings[other]
                meanings = [new if number == old else number for number in meanings]
    return meanings


def _title_sides(title: str, words: TitleWords) -> list[Side | None]:
    parts = re.sub(r"( \([^()]*\))+$", "", title[0].lower() + title[1:]).split(BETWEEN)
    return [words.side_of(part) for part in parts if part != TYPICAL]


def _is_title_true(title: str, place: int, words: TitleWords) -> bool:
    """Return whether each word is still true, and none is missing for what now sets the cluster apart most by far."""
    if " SD)" in title or " %)" in title:  # a figure of centres that are gone
        return False
    sides = _title_sides(title, words)
    sizes, largest = np.abs(words.centroids[place]), float(np.abs(words.centroids[place]).max())
    if not sides:
        return largest < SMALLEST_DIFFERENCE + SLACK
    named = [side for side in sides if side is not None and words.is_true(place, side, slack=SLACK)]
    return len(named) == len(sides) and max(sizes[side.place] for side in named) >= largest - SLACK


def _misleading(titles: Sequence[str], words: TitleWords) -> list[int]:
    """Return the clusters whose titles mislead beside each other: two alike, or one without a word though it is clearly farther."""
    said = [{(side.place, side.sign) for side in _title_sides(title, words) if side} for title in titles]
    found = {place for place, title in enumerate(titles) if titles.count(title) > 1}
    for place, pairs in enumerate(said):
        for feature, sign in pairs:
            lead = sign * (words.centroids[:, feature] - words.centroids[place, feature])
            lacking = [other for other in np.flatnonzero(lead > SLACK).tolist() if (feature, sign) not in said[other]]
            found.update([place, *lacking] if lacking else [])
    return sorted(found)


def _numbered(title: str, earlier: int) -> str:
    return f"{title} ({earlier + 1})" if earlier else title


def _translate_part(part: str, features: Sequence[ClusterFeature], language: str) -> str:
    words: dict[str, Mapping[str, str]] = {}
    for feature in features:
        if feature.encoding == "text":
            words |= _words_with_value(part, feature)
            continue
        words |= {feature.high: feature.highs, feature.low: feature.lows}
        words |= {feature.highest: feature.highests, feature.lowest: feature.lowests}
    # A title may add to a word, as a number does; and one word may lie within another, so the longest counts.
    word = max((word for word in words if word and word in part), key=len, default="")
    return part.replace(word, words[word].get(language, word)) if word else part


def _words_with_value(part: str, feature: ClusterFeature) -> dict[str, Mapping[str, str]]:
    """Return the words of a text's feature that are `part` of a title for some value, with this value in the translations too."""
    sides = (
        (feature.high, feature.highs),
        (feature.low, feature.lows),
        (feature.highest, feature.highests),
        (feature.lowest, feature.lowests),
    )
    found: dict[str, Mapping[str, str]] = {}
    for word, translations in sides:
        before, _, after = word.partition(VALUE)
        if part.startswith(before) and part.endswith(after) and len(part) > len(before) + len(after):
            value = part[len(before) : len(part) - len(after)]
            found[part] = {language: text.replace(VALUE, value) for language, text in translations.items()}
    return found
