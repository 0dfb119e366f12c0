"""Clusters keep their ids: a candidate's clusters are matched with those of the current model by members and by centres.

An algorithm numbers its clusters as it likes, so a plain refit would give most customers another id though hardly anybody
moved (76 % on the CDNOW data). Which cluster continues which is an assignment problem: choose pairs so that the sum of likeness is
greatest, by the Hungarian method (Kuhn 1955, "The Hungarian method for the assignment problem", Naval Research Logistics 2).
A pair counts only where enough customers are the same. What is left is told as events: a birth, a split, a merge, a death.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pipeline.models.clusters import ClusterModel
from pipeline.models.clusters.algorithms import Labels
from pipeline.models.clusters.encoding import Numbers, round_figures
from pipeline.models.clusters.fitting import renumber_clusters

# Two clusters are one where they share this much of the customers that either has: half of each of two equal clusters.
KEPT_OVERLAP = 1 / 3
# Likeness of centres counts half as much as that of members: it decides where overlaps are about the same.
WEIGHT_OF_CENTRES = 0.5
MAJORITY = 0.5


class ClusterChange(StrEnum):
    """What happened to a cluster by a refit."""

    BIRTH = "birth"
    DEATH = "death"
    SPLIT = "split"
    MERGE = "merge"
    RENAMING = "renaming"


@dataclass(frozen=True, slots=True)
class ClusterEvent:
    """One cluster that is not as before, in words; `other` is the id of the cluster that it came from or went into, if any.

    `share` is that of the sampled customers in the cluster, 0 to 1; 0 for a renaming, which moves nobody.
    """

    change: ClusterChange
    cluster: str
    words: str
    share: float
    other: str | None = None


@dataclass(frozen=True, slots=True)
class ClusterOverlap:
    """How many of the sampled customers are in each pair of clusters: a row per current cluster, a column per candidate's."""

    shared: Labels

    @property
    def total(self) -> int:
        return int(self.shared.sum())

    def overlaps(self) -> Numbers:
        """Jaccard overlap of each pair, 0 to 1: customers in both clusters, of those in either."""
        united = self.shared.sum(axis=1, keepdims=True) + self.shared.sum(axis=0, keepdims=True) - self.shared
        return np.asarray(self.shared / np.maximum(united, 1))


def cluster_overlap(now: Labels, then: Labels, counts: tuple[int, int]) -> ClusterOverlap:
    """Count where the customers of each current cluster would go.

    `now` and `then` have a place of a cluster per customer, `counts` the numbers of clusters of the current model and the candidate.
    """
    return ClusterOverlap(np.bincount(now * counts[1] + then, minlength=counts[0] * counts[1]).reshape(counts))


def match_clusters(overlap: ClusterOverlap, distances: Numbers) -> Mapping[int, int]:
    """Match clusters: the place in the current model of the cluster that each place in the candidate continues, if it does.

    `distances` are between centres, in standard deviations, a row per current cluster and a column per candidate's.
    """
    from scipy.optimize import linear_sum_assignment

    overlaps = overlap.overlaps()
    likeness = round_figures(overlaps + WEIGHT_OF_CENTRES / (1 + distances))
    # Negative, as the method looks for the least cost.
    pairs = zip(*linear_sum_assignment(-likeness), strict=True)
    return {int(then): int(now) for now, then in pairs if overlaps[now, then] >= KEPT_OVERLAP}


def distances_between(current: ClusterModel, candidate: ClusterModel) -> Numbers:
    """Distances between centres in the candidate's coordinates, by the features that both have.

    A row per current cluster, a column per candidate's; all 0 where no feature is used, and transformed, alike by both.
    """
    pairs = [
        (here, there)
        for here in current.features
        for there in candidate.features
        if (here.name, here.transform) == (there.name, there.transform)
    ]
    if not pairs:
        return np.zeros((len(current.clusters), len(candidate.clusters)))
    now, then = (np.array([cluster.centroid for cluster in model.clusters]) for model in (current, candidate))
    # Each model standardises by its own sample, so current centres are put back into units of the feature, then standardised anew.
    columns = [
        (now[:, current.features.index(here)] * here.scale + here.mean - there.mean)[:, None] / there.scale
        - then[:, candidate.features.index(there)]
        for here, there in pairs
    ]
    return np.asarray(np.sqrt(sum(column**2 for column in columns)))


def with_lasting_ids(candidate: ClusterModel, current: ClusterModel, continued: Mapping[int, int], *, last_number: int) -> ClusterModel:
    """Give the candidate the ids of the clusters it continues; a new cluster gets a number that none ever had."""
    numbers, highest = [], max(last_number, current.highest_number)
    for place in range(len(candidate.clusters)):
        if place in continued:
            numbers.append(current.clusters[continued[place]].number)
        else:
            # Not even the number of a cluster that is gone: somebody's campaign may still name it.
            highest += 1
            numbers.append(highest)
    return renumber_clusters(candidate, numbers, last_number=highest)


def cluster_events(
    candidate: ClusterModel, current: ClusterModel, overlap: ClusterOverlap, continued: Mapping[int, int]
) -> tuple[ClusterEvent, ...]:
    """List what happened to each cluster that is not as before: new ones first, then gone ones, then those with another title."""
    gone = [place for place in range(len(current.clusters)) if place not in continued.values()]
    return (
        *(_arrival_event(candidate, current, overlap, place) for place in range(len(candidate.clusters)) if place not in continued),
        *(_departure_event(candidate, current, overlap, place) for place in gone),
        *_renaming_events(candidate, current, continued),
    )


def _arrival_event(candidate: ClusterModel, current: ClusterModel, overlap: ClusterOverlap, place: int) -> ClusterEvent:
    cluster, origins = candidate.clusters[place], overlap.shared[:, place]
    share = float(round_figures(origins.sum() / max(overlap.total, 1)))
    origin = current.clusters[int(origins.argmax())]
    if origins.max() >= MAJORITY * max(origins.sum(), 1):
        words = f"{cluster.id} `{cluster.title}` splits off {origin.id} `{origin.title}`, with {share:.1%} of customers"
        return ClusterEvent(ClusterChange.SPLIT, cluster.id, words, share, origin.id)
    return ClusterEvent(ClusterChange.BIRTH, cluster.id, f"{cluster.id} `{cluster.title}` is new, with {share:.1%} of customers", share)


def _departure_event(candidate: ClusterModel, current: ClusterModel, overlap: ClusterOverlap, place: int) -> ClusterEvent:
    cluster, goals = current.clusters[place], overlap.shared[place]
    share = float(round_figures(goals.sum() / max(overlap.total, 1)))
    goal = candidate.clusters[int(goals.argmax())]
    if goals.sum() and goals.max() >= MAJORITY * goals.sum():
        words = f"{cluster.id} `{cluster.title}` merges into {goal.id} `{goal.title}`, with {share:.1%} of customers"
        return ClusterEvent(ClusterChange.MERGE, cluster.id, words, share, goal.id)
    return ClusterEvent(
        ClusterChange.DEATH, cluster.id, f"{cluster.id} `{cluster.title}` is no more; it had {share:.1%} of customers", share
    )


def _renaming_events(candidate: ClusterModel, current: ClusterModel, continued: Mapping[int, int]) -> Sequence[ClusterEvent]:
    pairs = [(candidate.clusters[then], current.clusters[now]) for then, now in sorted(continued.items())]
    return [
        ClusterEvent(ClusterChange.RENAMING, then.id, f"{then.id} was `{now.title}` and is `{then.title}`", 0.0)
        for then, now in pairs
        if then.title != now.title
    ]
