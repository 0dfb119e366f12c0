"""Fit a model of clusters: prepare a sample, select the clusters, name them, and put all that a night needs into one document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import numpy as np
import pyarrow as pa

from pipeline.definitions.schemes.cluster_scheme import ClusterScheme
from pipeline.models.clusters.algorithms import Labels
from pipeline.models.clusters.encoding import CannotFitError, Numbers, round_figures
from pipeline.models.clusters.model import Cluster, ClusterModel, NotFitted
from pipeline.models.clusters.preparation import PreparedSample, prepare_sample
from pipeline.models.clusters.selection import CandidateClustering, ClusterCountTrial, select_clusters
from pipeline.models.clusters.title_words import shares_of_clusters, title_features
from pipeline.models.clusters.titles import distinct_titles


@dataclass(frozen=True, slots=True)
class FitReport:
    """A model, or why there is none; the numbers of clusters that were tried; and the sample it was fitted to.

    `labels` has the place of a cluster in the model for each row of the sample.
    """

    model: ClusterModel | NotFitted
    trials: tuple[ClusterCountTrial, ...] = ()
    sample: PreparedSample | None = None
    labels: Labels | None = None


def fit_model(features: pa.Table, scheme: ClusterScheme, *, day: date, customer_count: int | None = None) -> ClusterModel | NotFitted:
    """Fit a model to customer features as of `day`, or return why there is none.

    The same rows give the same model, whatever their order and however many threads there are; `customer_count` is the size
    of the population where `features` are a sample of it. Raises SchemaDrift where a column of the scheme is missing.
    """
    return fit_with_report(features, scheme, day=day, customer_count=customer_count).model


def fit_with_report(
    features: pa.Table, scheme: ClusterScheme, *, day: date, customer_count: int | None = None, current: ClusterModel | None = None
) -> FitReport:
    """Fit as `fit_model` does, and return how the model came about too.

    With a `current` model, k-means starts from its clusters, and keeps their number unless another separates clearly better:
    a refit should move customers only for a gain.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    one_thread = partial(threadpool_limits, limits=1)  # several threads add up in any order, and sums differ in their last bits
    trials: list[ClusterCountTrial] = []
    try:
        with one_thread():
            sample = prepare_sample(features, scheme, customer_count=customer_count)
        # Loaded by a fit alone, as it takes seconds; and before the limit, which holds for the libraries it finds loaded.
        from sklearn import __version__ as version

        with one_thread():
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
        unknown_features=sample.unknown_features,
        clusters=_numbered_clusters(chosen, best.jaccards, sample, scheme),
        # A refit raises it to the highest number ever, once it knows which clusters continue which.
        last_number=chosen.count,
    )
    return FitReport(model, tuple(trials), sample, chosen.labels)


def _numbered_clusters(
    chosen: CandidateClustering, jaccards: Numbers, sample: PreparedSample, scheme: ClusterScheme
) -> tuple[Cluster, ...]:
    # One feature alone gives a bare number, which becomes a matrix like any other.
    correlations = np.corrcoef(sample.points.T).reshape(len(sample.features), -1)
    titles = distinct_titles(
        chosen.centroids, title_features(scheme, sample.features), correlations, shares_of_clusters(chosen.centroids, sample.features)
    )
    distances = np.sqrt(((sample.points - chosen.centroids[chosen.labels]) ** 2).sum(axis=1))
    spreads = round_figures(np.bincount(chosen.labels, weights=distances, minlength=chosen.count) / chosen.sizes)
    figures = zip(titles, chosen.sizes.tolist(), jaccards.tolist(), chosen.centroids.tolist(), spreads.tolist(), strict=True)
    return tuple(
        Cluster(f"cluster_{number}", title, size, jaccard, tuple(centroid), spread)
        for number, (title, size, jaccard, centroid, spread) in enumerate(figures, start=1)
    )


def renumber_clusters(model: ClusterModel, numbers: Sequence[int], *, last_number: int) -> ClusterModel:
    """Give the clusters of a model other numbers, in their order; `last_number` is the highest that was ever given."""
    clusters = tuple(replace(cluster, id=f"cluster_{number}") for cluster, number in zip(model.clusters, numbers, strict=True))
    return replace(model, clusters=clusters, last_number=last_number)
