"""Clusters keep their ids: a candidate's clusters are matched with those of the current model by members and by centres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pipeline.models.clusters import ClusterModel, ModelFeature
from pipeline.models.clusters.algorithms import Labels
from pipeline.models.clusters.fitting import renumber_clusters
from pipeline.models.clusters.preparation import Numbers, round_figures

# Two clusters are one where they share this much of the customers that either has.
KEPT_OVERLAP = 1 / 3
# What centres add to members: it decides between overlaps that are alike.
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
    """One cluster that is not as before, in words; `other` is the cluster that it came from or went into, where there is one."""

    change: ClusterChange
    cluster: str
    words: str
    share: float
    other: str | None = None


@dataclass(frozen=True, slots=True)
class ClusterOverlap:
    """How many of the sampled customers are in each cluster now, a row, and in each of the candidate, a column."""

    shared: Labels

    @property
    def total(self) -> int:
        return int(self.shared.sum())

    def overlaps(self) -> Numbers:
        """Return the Jaccard overlap of each pair."""
        united = self.shared.sum(axis=1, keepdims=True) + self.shared.sum(axis=0, keepdims=True) - self.shared
        return np.asarray(self.shared / np.maximum(united, 1))


def cluster_overlap(now: Labels, then: Labels, counts: tuple[int, int]) -> ClusterOverlap:
    """Return where the customers of each current cluster would go, from two labels per customer."""
    return ClusterOverlap(np.bincount(now * counts[1] + then, minlength=counts[0] * counts[1]).reshape(counts))


def match_clusters(found: ClusterOverlap, distances: Numbers) -> Mapping[int, int]:
    """Return, by place in the candidate, the place in the current model of the cluster that it continues.

    `distances` are between centres, in standard deviations, a row per current cluster.
    """
    from scipy.optimize import linear_sum_assignment

    overlaps = found.overlaps()
    likeness = round_figures(overlaps + WEIGHT_OF_CENTRES / (1 + distances))
    pairs = zip(*linear_sum_assignment(-likeness), strict=True)
    return {int(then): int(now) for now, then in pairs if overlaps[now, then] >= KEPT_OVERLAP}


def distances_between(current: ClusterModel, candidate: ClusterModel) -> Numbers:
    """Return how far centres are apart in the candidate's coordinates, a row per current cluster, by the features that both have."""
    pairs = [(here, there) for here in current.features for there in candidate.features if _is_read_alike(here, there)]
    if not pairs:
        return np.zeros((len(current.clusters), len(candidate.clusters)))
    now, then = (np.array([cluster.centroid for cluster in model.clusters]) for model in (current, candidate))
    columns = [
        (now[:, current.features.index(here)] * here.scale + here.mean - there.mean)[:, None] / there.scale
        - then[:, candidate.features.index(there)]
        for here, there in pairs
    ]
    return np.asarray(np.sqrt(sum(column**2 for column in columns)))


def _is_read_alike(one: ModelFeature, other: ModelFeature) -> bool:
    return (one.name, one.transform) == (other.name, other.transform)


def with_lasting_ids(candidate: ClusterModel, current: ClusterModel, continued: Mapping[int, int], *, last_number: int) -> ClusterModel:
    """Return the candidate with the ids of the clusters it continues; a new one gets a number that none ever had."""
    numbers, highest = [], max(last_number, current.highest_number)
    for place in range(len(candidate.clusters)):
        if place in continued:
            numbers.append(current.clusters[continued[place]].number)
        else:
            highest += 1
            numbers.append(highest)
    return renumber_clusters(candidate, numbers, last_number=highest)


def cluster_events(
    candidate: ClusterModel, current: ClusterModel, found: ClusterOverlap, continued: Mapping[int, int]
) -> tuple[ClusterEvent, ...]:
    """Return what happened to each cluster that is not as before: new ones first, then gone ones, then those called otherwise."""
    gone = [place for place in range(len(current.clusters)) if place not in continued.values()]
    return (
        *(_arrival_event(candidate, current, found, place) for place in range(len(candidate.clusters)) if place not in continued),
        *(_departure_event(candidate, current, found, place) for place in gone),
        *_renaming_events(candidate, current, continued),
    )


def _arrival_event(candidate: ClusterModel, current: ClusterModel, found: ClusterOverlap, place: int) -> ClusterEvent:
    cluster, origins = candidate.clusters[place], found.shared[:, place]
    share = float(round_figures(origins.sum() / max(found.total, 1)))
    origin = current.clusters[int(origins.argmax())]
    if origins.max() >= MAJORITY * max(origins.sum(), 1):
        words = f"{cluster.id} `{cluster.title}` splits off {origin.id} `{origin.title}`, with {share:.1%} of customers"
        return ClusterEvent(ClusterChange.SPLIT, cluster.id, words, share, origin.id)
    return ClusterEvent(ClusterChange.BIRTH, cluster.id, f"{cluster.id} `{cluster.title}` is new, with {share:.1%} of customers", share)


def _departure_event(candidate: ClusterModel, current: ClusterModel, found: ClusterOverlap, place: int) -> ClusterEvent:
    cluster, goals = current.clusters[place], found.shared[place]
    share = float(round_figures(goals.sum() / max(found.total, 1)))
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
