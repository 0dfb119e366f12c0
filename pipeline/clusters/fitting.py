"""Fit clusters: as many as separate best, among those counts where every cluster is large and stable enough."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pyarrow as pa

from pipeline.clusters.algorithms import Labels, Task, found, nearest
from pipeline.clusters.model import Cluster, ClusterModel, NotFitted
from pipeline.clusters.placing import places
from pipeline.clusters.preparation import FEWEST_CUSTOMERS_PER_CLUSTER, CannotFitError, Numbers, Prepared, prepared, rounded
from pipeline.clusters.references import GAP_FLOOR, Gap, gap_beyond_reference
from pipeline.clusters.scheme import ClusterScheme
from pipeline.clusters.separation import silhouette
from pipeline.clusters.stability import stabilities
from pipeline.clusters.titles import titles

FIDELITY_FLOOR = 0.9
# Another number of clusters than now has to separate better by this much, since it gives many customers another cluster.
STAYING = 0.05


@dataclass(frozen=True, slots=True)
class Candidate:
    """One possible clustering of the sample; a label is the place of its centroid."""

    centroids: Numbers
    labels: Labels
    silhouette: float

    @property
    def count(self) -> int:
        return len(self.centroids)

    @property
    def sizes(self) -> Labels:
        return np.bincount(self.labels, minlength=self.count)


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of one number of clusters; what was not asked any more is None, and `refusal` is empty for the chosen one."""

    count: int
    refusal: str
    smallest_share: float
    largest_share: float
    silhouette: float | None = None
    gap: float | None = None
    jaccard: float | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """A model or why there is none, what was tried, and the sample in the order of `labels`, which are places of centroids."""

    model: ClusterModel | NotFitted
    trials: tuple[Trial, ...] = ()
    sample: Prepared | None = None
    labels: Labels | None = None


@dataclass(frozen=True, slots=True)
class _Question:
    """What the clusters are looked for in, by which scheme; `start` is the place of each customer's cluster as it is now."""

    sample: Prepared
    scheme: ClusterScheme
    start: Labels | None
    count_now: int

    def task(self, count: int) -> Task:
        return Task(count, self.scheme.smallest_share, self.scheme.seed, self.start if count == self.count_now else None)

    def merit(self, candidate: Candidate) -> float:
        return candidate.silhouette + (STAYING if candidate.count == self.count_now else 0)


def fit(features: pa.Table, scheme: ClusterScheme, *, day: date, customer_count: int | None = None) -> ClusterModel | NotFitted:
    """Return the model of customer features as of `day`, or why there is none.

    The same rows give the same model, whatever their order and however many threads there are; `customer_count` is the size
    of the population where `features` are a sample of it. Raises SchemaDrift where a column of the scheme is missing.
    """
    return fit_told(features, scheme, day=day, customer_count=customer_count).model


def fit_told(
    features: pa.Table, scheme: ClusterScheme, *, day: date, customer_count: int | None = None, current: ClusterModel | None = None
) -> Fit:
    """Return what `fit` returns, and how it came about.

    With a `current` model, k-means starts from its clusters, and keeps their number unless another separates clearly better.
    """
    # Loaded by a fit alone: it takes seconds. And before the limit, which holds for the libraries it finds loaded.
    from sklearn import __version__ as version
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    trials: list[Trial] = []
    with threadpool_limits(limits=1):
        try:
            sample = prepared(features, scheme, customer_count=customer_count)
            chosen, jaccards = _chosen(_question(sample, scheme, current), trials)
        except CannotFitError as reason:
            return Fit(NotFitted(str(reason)), tuple(trials))
    model = ClusterModel(
        scheme=scheme.name,
        day=day,
        algorithm=scheme.algorithm,
        library=f"scikit-learn {version}",
        seed=scheme.seed,
        inputs_digest=sample.digest,
        customer_count=sample.customer_count,
        silhouette=chosen.silhouette,
        features=sample.features,
        constant_features=sample.constant_features,
        clusters=_clusters(chosen, jaccards, sample, scheme),
        last_number=chosen.count,
    )
    return Fit(model, tuple(trials), sample, chosen.labels)


def _question(sample: Prepared, scheme: ClusterScheme, current: ClusterModel | None) -> _Question:
    start = None if current is None else places(sample.table, current)
    return _Question(sample, scheme, start, 0 if current is None else len(current.clusters))


def _chosen(asked: _Question, trials: list[Trial]) -> tuple[Candidate, Numbers]:
    """Return the best candidate with the stability of its clusters; the costly questions are asked in order of merit."""
    candidates = list(_candidates(asked, trials))
    for candidate in sorted(candidates, key=lambda candidate: -asked.merit(candidate)):
        gap = gap_beyond_reference(asked.sample.points, candidate.count, asked.scheme.seed)
        # What was structure once stays it while there is a gap at all, or chance would make clusters come and go.
        is_structure = gap.gap > (GAP_FLOOR if candidate.count == asked.count_now else gap.needed)
        jaccards = stabilities(asked.sample.points, candidate.labels, asked.scheme) if is_structure else None
        trial = _trial(candidate, asked.scheme, gap, jaccards)
        trials.append(trial)
        if jaccards is not None and not trial.refusal:
            return candidate, jaccards
    scheme = asked.scheme
    raise CannotFitError(
        f"no stable clusters: with {scheme.cluster_count_min} to {scheme.cluster_count_max} of them, one always holds under "
        f"{scheme.smallest_share:.1%} of customers, or has a bootstrap Jaccard under {scheme.jaccard_floor:g}, or customers are no "
        "more alike in them than in data without structure"
    )


def _trial(candidate: Candidate, scheme: ClusterScheme, gap: Gap, jaccards: Numbers | None) -> Trial:
    lowest = None if jaccards is None else float(jaccards.min())
    if lowest is None:
        refusal = "no tighter than data without structure"
    elif lowest < scheme.jaccard_floor:
        refusal = f"a cluster has a bootstrap Jaccard under {scheme.jaccard_floor:g}"
    else:
        refusal = ""
    return Trial(candidate.count, refusal, *_extremes(candidate.sizes), candidate.silhouette, gap.gap, lowest)


def _extremes(sizes: Labels) -> tuple[float, float]:
    return float(rounded(sizes.min() / sizes.sum())), float(rounded(sizes.max() / sizes.sum()))


def _candidates(asked: _Question, trials: list[Trial]) -> Iterator[Candidate]:
    """Yield a candidate per count whose clusters are neither too small nor too large."""
    points, scheme = asked.sample.points, asked.scheme
    for count in _counts(points, scheme):
        centres = found(points, scheme.algorithm, asked.task(count))
        labels = nearest(points, centres.centres) if len(centres.centres) else np.zeros(len(points), np.int64)
        sizes = np.bincount(labels, minlength=len(centres.centres))
        if refusal := _refusal(count, centres.centres, sizes, centres.fidelity, scheme):
            trials.append(Trial(len(sizes), refusal, *_extremes(sizes)))
        else:
            yield Candidate(centres.centres, labels, silhouette(points, labels, scheme.seed))


def _refusal(count: int, centres: Numbers, sizes: Labels, fidelity: float, scheme: ClusterScheme) -> str:
    """Return why these clusters are no candidate, or nothing."""
    smallest, largest = _extremes(sizes)
    if scheme.algorithm == "hdbscan":
        is_count = scheme.cluster_count_min <= len(centres) <= scheme.cluster_count_max
    else:
        is_count = len(centres) == count
    if not is_count:
        return f"only {len(centres)} clusters differ" if len(centres) < count else f"{len(centres)} clusters are too many"
    if smallest < scheme.smallest_share:
        return f"a cluster holds under {scheme.smallest_share:.1%} of customers"
    if largest > scheme.largest_share:
        return f"a cluster holds over {scheme.largest_share:.1%} of customers"
    if fidelity < FIDELITY_FLOOR:
        return f"only {fidelity:.0%} of customers are nearest to the centre of the group that {scheme.algorithm} put them in"
    return ""


def _counts(points: Numbers, scheme: ClusterScheme) -> Sequence[int]:
    kinds = len(np.unique(rounded(points), axis=0))
    if kinds < scheme.cluster_count_min:
        raise CannotFitError(f"too few kinds of customers: fewer than {scheme.cluster_count_min} differ in any feature")
    most = min(scheme.cluster_count_max, kinds, len(points) // FEWEST_CUSTOMERS_PER_CLUSTER)
    counts = range(scheme.cluster_count_min, most + 1)
    return counts[:1] if scheme.algorithm == "hdbscan" else counts


def _clusters(chosen: Candidate, jaccards: Numbers, sample: Prepared, scheme: ClusterScheme) -> tuple[Cluster, ...]:
    used = {feature.name for feature in sample.features}
    words = titles(chosen.centroids, [feature for feature in scheme.features if feature.name in used])
    facts = zip(words, chosen.sizes.tolist(), jaccards.tolist(), chosen.centroids.tolist(), _spreads(chosen, sample.points), strict=True)
    return tuple(
        Cluster(f"cluster_{number}", title, size, jaccard, tuple(centroid), spread)
        for number, (title, size, jaccard, centroid, spread) in enumerate(facts, start=1)
    )


def _spreads(chosen: Candidate, points: Numbers) -> Iterable[float]:
    distances = np.sqrt(((points - chosen.centroids[chosen.labels]) ** 2).sum(axis=1))
    sums = np.bincount(chosen.labels, weights=distances, minlength=chosen.count)
    return [float(spread) for spread in rounded(sums / chosen.sizes)]


def renumbered(model: ClusterModel, numbers: Sequence[int], *, last_number: int) -> ClusterModel:
    """Return the model with other numbers for its clusters, in their order; `last_number` is the highest that was ever given."""
    clusters = tuple(replace(cluster, id=f"cluster_{number}") for cluster, number in zip(model.clusters, numbers, strict=True))
    return replace(model, clusters=clusters, last_number=last_number)
