"""Titles that say what sets a cluster apart, in the words of the scheme."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pipeline.clusters.preparation import Numbers
from pipeline.clusters.scheme import ClusterFeature

MOST_WORDS = 3
SMALLEST_DIFFERENCE = 0.4
TYPICAL = "typical"


def titles(centroids: Numbers, features: Sequence[ClusterFeature]) -> tuple[str, ...]:
    """Return one title per centroid, all different: the largest differences from the mean customer, in standard deviations.

    Clusters that differ from the mean in the same words are told apart by how they differ from each other.
    """
    plain = [_words(centroid, features) for centroid in centroids]
    found = list(plain)
    for title, count in Counter(plain).items():
        alike = [place for place, other in enumerate(plain) if other == title]
        for place in alike if count > 1 else ():
            found[place] = f"{title}, {_contrast(centroids[place] - np.mean(centroids[alike], axis=0), features)}"
    return tuple(_numbered(text[0].upper() + text[1:], place, found) for place, text in enumerate(found))


def _words(centroid: Numbers, features: Sequence[ClusterFeature]) -> str:
    telling = [place for place in _by_size(centroid) if abs(centroid[place]) >= SMALLEST_DIFFERENCE][:MOST_WORDS]
    return ", ".join(_word(centroid[place], features[place]) for place in telling) or TYPICAL


def _contrast(difference: Numbers, features: Sequence[ClusterFeature]) -> str:
    place = _by_size(difference)[0]
    return f"rather {_word(difference[place], features[place])}"


def _by_size(differences: Numbers) -> list[int]:
    return [int(place) for place in np.argsort(-np.abs(differences), kind="stable")]


def _word(difference: float, feature: ClusterFeature) -> str:
    return feature.high if difference > 0 else feature.low


def _numbered(title: str, place: int, found: Sequence[str]) -> str:
    earlier = sum(other == found[place] for other in found[:place])
    return f"{title} ({earlier + 1})" if earlier else title
