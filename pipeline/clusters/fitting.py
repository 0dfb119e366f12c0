"""Fit clusters: as many as separate best, among those counts where every cluster is large and stable enough."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.clusters.model import Cluster, ClusterModel, NotFitted
from pipeline.clusters.preparation import FEWEST_CUSTOMERS_PER_CLUSTER, CannotFitError, Numbers, Prepared, prepared, rounded
from pipeline.clusters.scheme import ClusterScheme
from pipeline.clusters.titles import titles

ALGORITHM = "k-means"
INITIALISATIONS = 10
SILHOUETTE_ROWS = 4_000
BOOTSTRAP_FITS = 20
BOOTSTRAP_ROWS = 10_000

Labels = npt.NDArray[np.int64]


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


def fit(features: pa.Table, scheme: ClusterScheme, *, day: date) -> ClusterModel | NotFitted:
    """Return the model of customer features as of `day`, or why there is none.

    The same rows give the same model, whatever their order and however many threads there are.
    Raises SchemaDrift where a column of the scheme is missing.
    """
    # Loaded by a fit alone: it takes seconds. And before the limit, which holds for the libraries it finds loaded.
    from sklearn import __version__ as version
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(limits=1):
        try:
            sample = prepared(features, scheme)
            chosen, jaccards = _chosen(sample, scheme)
        except CannotFitError as reason:
            return NotFitted(str(reason))
    return ClusterModel(
        scheme=scheme.name,
        day=day,
        algorithm=ALGORITHM,
        library=f"scikit-learn {version}",
        seed=scheme.seed,
        inputs_digest=sample.digest,
        customer_count=sample.customer_count,
        silhouette=chosen.silhouette,
        features=sample.features,
        constant_features=sample.constant_features,
        clusters=_clusters(chosen, jaccards, sample, scheme),
    )


def nearest(points: Numbers, centroids: Numbers) -> Labels:
    """Return the place of the nearest centroid for each point; on a tie the first."""
    labels: Labels = np.argmin((centroids**2).sum(axis=1) - 2 * points @ centroids.T, axis=1)
    return labels


def _chosen(sample: Prepared, scheme: ClusterScheme) -> tuple[Candidate, Numbers]:
    """Return the best candidate with the stability of its clusters; the costly question is asked in order of merit."""
    for candidate in sorted(_candidates(sample, scheme), key=lambda candidate: -candidate.silhouette):
        jaccards = _jaccards(sample.points, candidate, scheme.seed)
        if jaccards.min() >= scheme.jaccard_floor:
            return candidate, jaccards
    raise CannotFitError(
        f"no stable clusters: with {scheme.cluster_count_min} to {scheme.cluster_count_max} of them, one always holds under "
        f"{scheme.smallest_share:.1%} of customers or has a bootstrap Jaccard under {scheme.jaccard_floor:g}"
    )


def _candidates(sample: Prepared, scheme: ClusterScheme) -> Iterator[Candidate]:
    """Yield a candidate per count whose clusters are all large enough."""
    for count in _counts(sample.points, scheme):
        centroids = _canonical(_centres(sample.points, count, scheme.seed))
        labels = nearest(sample.points, centroids)
        sizes = np.bincount(labels, minlength=count)
        if len(centroids) == count and sizes.min() >= scheme.smallest_share * len(labels):
            yield Candidate(centroids, labels, _silhouette(sample.points, labels, scheme.seed))


def _counts(points: Numbers, scheme: ClusterScheme) -> range:
    kinds = len(np.unique(rounded(points), axis=0))
    if kinds < scheme.cluster_count_min:
        raise CannotFitError(f"too few kinds of customers: fewer than {scheme.cluster_count_min} differ in any feature")
    most = min(scheme.cluster_count_max, kinds, len(points) // FEWEST_CUSTOMERS_PER_CLUSTER)
    return range(scheme.cluster_count_min, most + 1)


def _centres(points: Numbers, count: int, seed: int) -> Numbers:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # A resample may hold fewer different points than clusters; the overlap then says so.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return np.asarray(KMeans(count, n_init=INITIALISATIONS, random_state=seed).fit(points).cluster_centers_)


def _canonical(centres: Numbers) -> Numbers:
    """Return the rounded centres from the largest first coordinate down, equal ones once."""
    return np.unique(rounded(centres), axis=0)[::-1]


def _silhouette(points: Numbers, labels: Labels, seed: int) -> float:
    from sklearn.metrics import silhouette_score

    rows = np.random.default_rng(seed).permutation(len(points))[:SILHOUETTE_ROWS]
    return float(rounded(silhouette_score(points[rows], labels[rows])))


def _jaccards(points: Numbers, candidate: Candidate, seed: int) -> Numbers:
    """Return, per cluster, its mean overlap with the most similar cluster of fits to resampled customers."""
    random = np.random.default_rng([seed, candidate.count])
    found = np.zeros((BOOTSTRAP_FITS, candidate.count))
    for overlaps in found:
        rows = random.integers(len(points), size=min(len(points), BOOTSTRAP_ROWS))
        centres = _centres(points[rows], candidate.count, int(random.integers(2**31)))
        overlaps[:] = _overlaps(candidate.labels, nearest(points, centres), candidate.count)
    return rounded(found.mean(axis=0))


def _overlaps(ours: Labels, theirs: Labels, count: int) -> Numbers:
    shared = np.bincount(ours * count + theirs, minlength=count * count).reshape(count, count)
    united = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0, keepdims=True) - shared
    return np.asarray((shared / united).max(axis=1))


def _clusters(chosen: Candidate, jaccards: Numbers, sample: Prepared, scheme: ClusterScheme) -> tuple[Cluster, ...]:
    used = {feature.name for feature in sample.features}
    words = titles(chosen.centroids, [feature for feature in scheme.features if feature.name in used])
    facts = zip(words, chosen.sizes.tolist(), jaccards.tolist(), chosen.centroids.tolist(), strict=True)
    return tuple(
        Cluster(f"cluster_{number}", title, size, jaccard, tuple(centroid))
        for number, (title, size, jaccard, centroid) in enumerate(facts, start=1)
    )
