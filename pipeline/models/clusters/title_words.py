"""What may be said of the clusters of a model: a word for each side of a feature, and where it is true.

Of a flag, or of a text, a word speaks of most customers, so that it is true only where more than half of the cluster are so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.definitions.schemes.cluster_features import VALUE, ClusterFeature
from pipeline.definitions.schemes.cluster_scheme import ClusterScheme
from pipeline.models.clusters.encoding import Numbers
from pipeline.models.clusters.model import ModelFeature

SMALLEST_DIFFERENCE = 0.4  # in standard deviations: nearer to the mean, a word would claim more than there is
MOSTLY, RARELY = 0.5, 0.1  # shares of a cluster
BETWEEN = ", "
EQUALS = " = "


@dataclass(frozen=True, slots=True)
class Side:
    """A side of a feature, by its place: -1 for low, 1 for high; `is_most` of the cluster that is farthest on that side."""

    place: int
    sign: int
    is_most: bool = False


@dataclass(frozen=True, slots=True)
class TitleWords:
    """The clusters of a model, by what their titles may say.

    `centroids` has a row per cluster and a column per feature, in standard deviations; `meanings` has for each feature a number
    that it shares with those that mean the same; `shares` is what `shares_of_clusters` returns.
    """

    centroids: Numbers
    features: Sequence[ClusterFeature]
    meanings: Sequence[int]
    shares: Numbers

    def word(self, side: Side) -> str:
        feature = self.features[side.place]
        words = (feature.highest, feature.high) if side.sign > 0 else (feature.lowest, feature.low)
        return words[0] if side.is_most else words[1]

    def side_of(self, word: str) -> Side | None:
        """Return the side that a word names, if any."""
        sides = (Side(place, sign, is_most=is_most) for place in range(len(self.features)) for sign in (1, -1) for is_most in (False, True))
        return next((side for side in sides if _lowered(self.word(side)) == _lowered(word)), None)

    def is_true(self, cluster: int, side: Side, *, slack: float = 0.0) -> bool:
        """Whether the cluster is on that side of the mean customer, and of the other clusters."""
        column = self.centroids[:, side.place] * side.sign
        others = np.delete(column, cluster)
        if side.is_most:
            return bool(column[cluster] > others.max())
        is_apart = column[cluster] >= SMALLEST_DIFFERENCE - slack and column[cluster] > np.median(others)
        return bool(is_apart and self._is_of_most(cluster, side))

    def _is_of_most(self, cluster: int, side: Side) -> bool:
        encoding, share = self.features[side.place].encoding, self.shares[cluster, side.place]
        if encoding == "number":
            return True
        return bool(share > MOSTLY if side.sign > 0 else share < MOSTLY if encoding == "flag" else share <= RARELY)

    def farther(self, cluster: int, side: Side) -> list[int]:
        """Return the clusters that are farther on that side, or just as far."""
        column = self.centroids[:, side.place] * side.sign
        return [other for other in range(len(column)) if other != cluster and column[other] >= column[cluster]]

    def outstanding(self, cluster: int) -> Iterator[Side]:
        """Yield the true sides of a cluster, the farthest first."""
        for place in places_by_size(self.centroids[cluster]):
            side = Side(place, 1 if self.centroids[cluster, place] > 0 else -1)
            if self.is_true(cluster, side):
                yield side
            elif self.features[place].encoding != "number" and abs(self.centroids[cluster, place]) >= SMALLEST_DIFFERENCE:
                # Few of a cluster may say yes, and still more than of any other.
                yield from (most for most in (replace(side, is_most=True),) if self.is_true(cluster, most))


def _lowered(word: str) -> str:
    return word[:1].lower() + word[1:]


def title_features(scheme: ClusterScheme, fitted: Sequence[ModelFeature]) -> list[ClusterFeature]:
    """Return the words for each coordinate of a model; those of a text hold its value, and its name tells the value too."""
    named = {feature.name: feature for feature in scheme.features}
    return [_with_value(named[each.name], each.value) if each.encoding == "text" else named[each.name] for each in fitted]


def shares_of_clusters(centroids: Numbers, fitted: Sequence[ModelFeature]) -> Numbers:
    """Return the share of each cluster, a row each, that has a flag or a text; NaN for numbers."""
    means, scales, is_number = (np.array([get(each) for each in fitted]) for get in (_mean_of, _scale_of, _is_number))
    return np.where(is_number, np.nan, centroids * scales + means)


def _mean_of(feature: ModelFeature) -> float:
    return feature.mean


def _scale_of(feature: ModelFeature) -> float:
    return feature.scale


def _is_number(feature: ModelFeature) -> bool:
    return feature.encoding == "number"


def _with_value(feature: ClusterFeature, value: str) -> ClusterFeature:
    # A title is taken apart at its commas and brackets.
    plain = value.replace(BETWEEN, "; ").replace("(", "[").replace(")", "]")
    said = {side: getattr(feature, side).replace(VALUE, plain) for side in ("high", "low", "highest", "lowest")}
    return replace(feature, name=f"{feature.name}{EQUALS}{plain}", **said)


def places_by_size(differences: Numbers) -> list[int]:
    """Return the places of the differences, the largest first."""
    return [int(place) for place in np.argsort(-np.abs(differences), kind="stable")]
