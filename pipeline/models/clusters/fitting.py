"""Fit clusters: as many as separate best, among those counts where every cluster is large and stable enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pyarrow as pa

from pipeline.definitions.schemes.cluster_scheme import ClusterScheme
from pipeline.models.clusters.algorithms import Labels
from pipeline.models.clusters.model import Cluster, ClusterModel, NotFitted
from pipeline.models.clusters.preparation import CannotFitError, Numbers, PreparedSample, prepare_sample, round_figures
from pipeline.models.clusters.selection import CandidateClustering, ClusterCountTrial, select_clusters
from pipeline.models.clusters.titles import distinct_titles


@dataclass(frozen=True, slots=True)
class FitReport:
    """A model or why there is none, what was tried, and the sample in the order of `labels`, which are places of centroids."""

    model: ClusterModel | NotFitted
    trials: tuple[ClusterCountTrial, ...] = ()
    sample: PreparedSample | None = None
    labels: Labels | None = None


def fit_model(features: pa.Table, scheme: ClusterScheme, *, day: date, customer_count: int | None = None) -> ClusterModel | NotFitted:
    """Return the model of customer features as of `day`, or why there is none.

    The same rows give the same model, whatever their order and however many threads there are; `customer_count` is the size
    of the population where `features` are a sample of it. Raises SchemaDrift where a column of the scheme is missing.
    """
    return fit_with_report(features, scheme, day=day, customer_count=customer_count).model


def fit_with_report(
    features: pa.Table, scheme: ClusterScheme, *, day: date, customer_count: int | None = None, current: ClusterModel | None = None
) -> FitReport:
    """Return what `fit` returns, and how it came about.

    With a `current` model, k-means starts from its clusters, and keeps their number unless another separates clearly better.
    """
    # Loaded by a fit alone: it takes seconds. And before the limit, which holds for the libraries it finds loaded.
    from sklearn import __version__ as version
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    trials: list[ClusterCountTrial] = []
    with threadpool_limits(limits=1):
        try:
            sample = prepare_sample(features, scheme, customer_count=customer_count)
            best = select_clusters(sample, scheme, current, trials)
        except CannotFitError as reason:
            return FitReport(NotFitted(str(reason)), tuple(trials))
    sample, chosen = best.sample, best.candidate
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
        clusters=_numbered_clusters(chosen, best.jaccards, sample, scheme),
        last_number=chosen.count,
    )
    return FitReport(model, tuple(trials), sample, chosen.labels)


def _numbered_clusters(
    chosen: CandidateClustering, jaccards: Numbers, sample: PreparedSample, scheme: ClusterScheme
) -> tuple[Cluster, ...]:
    used = {feature.name for feature in sample.features}
    words = distinct_titles(chosen.centroids, [feature for feature in scheme.features if feature.name in used])
    facts = zip(
        words, chosen.sizes.tolist(), jaccards.tolist(), chosen.centroids.tolist(), _mean_distances(chosen, sample.points), strict=True
    )
    return tuple(
        Cluster(f"cluster_{number}", title, size, jaccard, tuple(centroid), spread)
        for number, (title, size, jaccard, centroid, spread) in enumerate(facts, start=1)
    )


def _mean_distances(chosen: CandidateClustering, points: Numbers) -> Iterable[float]:
    distances = np.sqrt(((points - chosen.centroids[chosen.labels]) ** 2).sum(axis=1))
    sums = np.bincount(chosen.labels, weights=distances, minlength=chosen.count)
    return [float(spread) for spread in round_figures(sums / chosen.sizes)]


def renumber_clusters(model: ClusterModel, numbers: Sequence[int], *, last_number: int) -> ClusterModel:
    """Return the model with other numbers for its clusters, in their order; `last_number` is the highest that was ever given."""
    clusters = tuple(replace(cluster, id=f"cluster_{number}") for cluster, number in zip(model.clusters, numbers, strict=True))
    return replace(model, clusters=clusters, last_number=last_number)
