"""How far tonight's customers are from those that a model was fitted to, by three measures that fail in different ways.

A feature may shift while clusters stay (population stability index per feature), customers may move away from every centre
(mean distance), or clusters may run into each other (silhouette). Each has a limit of its own in the scheme.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from pipeline.definitions.schemes.cluster_scheme import ClusterScheme
from pipeline.models.clusters.algorithms import Labels, mean_silhouette
from pipeline.models.clusters.assignment import nearest_clusters
from pipeline.models.clusters.encoding import Numbers, feature_coordinates, round_figures, shares_between
from pipeline.models.clusters.model import ClusterModel, ModelFeature

# Of fewer customers shares jump by whole percentage points from night to night.
FEWEST_CUSTOMERS = 100
SILHOUETTE_ROWS = 2_000
SMALLEST_SHARE = 1e-4  # in place of an empty share, whose logarithm would be infinite
ALL = "all"


@dataclass(frozen=True, slots=True)
class Drift:
    """One measure of one subject beside its limit, in words too."""

    measure: str
    subject: str
    measured: float
    limit: float
    words: str

    @property
    def is_beyond(self) -> bool:
        """Whether the model asks for a refit."""
        return self.measured > self.limit


def measure_drifts(customers: pa.Table, model: ClusterModel, scheme: ClusterScheme) -> list[Drift]:
    """Measure how far a sample of customers, a row each, has drifted from the model; nothing for fewer than FEWEST_CUSTOMERS.

    Features and distances are left out where the model keeps no figures of its own fit to compare with.
    """
    if customers.num_rows < FEWEST_CUSTOMERS:
        return []
    # Several threads add up in any order. They would not be faster either: each waits for more work at full speed, for longer than all
    # of this takes.
    with threadpool_limits(limits=1):
        points, labels = feature_coordinates(customers, model.features), nearest_clusters(customers, model)
        fall = float(round_figures(model.silhouette - mean_silhouette(points, labels, scheme.seed, rows=SILHOUETTE_ROWS)))
        words = f"the silhouette fell by {fall:.3f} since {model.day}" if fall > 0 else f"the silhouette is no lower than on {model.day}"
        return [
            *_feature_drifts(points, model, scheme),
            *_distance_drifts(points, labels, model, scheme),
            Drift("silhouette", ALL, fall, scheme.drift_silhouette_limit, words),
        ]


def stability_index(expected: Numbers, actual: Numbers) -> float:
    """Compute the population stability index of shares against those expected: sum of (a - e) ln(a / e).

    0 for no shift; by the usual rule of thumb of credit scoring, 0.1 is worth a look and 0.25 a large shift (Siddiqi 2006,
    "Credit Risk Scorecards"). Both arrays hold shares that add up to 1.
    """
    one, other = np.maximum(expected, SMALLEST_SHARE), np.maximum(actual, SMALLEST_SHARE)
    return float(round_figures(((other - one) * np.log(other / one)).sum()))


def _feature_drifts(points: Numbers, model: ClusterModel, scheme: ClusterScheme) -> Iterator[Drift]:
    for name, shares in _shares_then_and_now(points, model.features):
        index = stability_index(*shares)
        words = f"{name} has a population stability index of {index:.3f} against {model.day}"
        yield Drift("feature", name, index, scheme.drift_psi_limit, words)


def _shares_then_and_now(points: Numbers, features: Sequence[ModelFeature]) -> Iterator[tuple[str, tuple[Numbers, Numbers]]]:
    """Yield per column the shares of customers between its cuts, or of each answer and the rest, at the fit and in `points`."""
    answers: dict[str, list[tuple[float, float]]] = {}
    for feature, column in zip(features, points.T, strict=True):
        if feature.cuts:
            yield feature.name, (np.array(feature.shares), shares_between(column, feature.cuts))
        elif feature.encoding != "number":
            answers.setdefault(feature.name, []).append((feature.mean, float(column.mean() * feature.scale + feature.mean)))
    for name, pairs in answers.items():
        then, now = np.array(pairs).T
        yield name, (np.append(then, 1 - then.sum()), np.append(now, 1 - now.sum()))


def _distance_drifts(points: Numbers, labels: Labels, model: ClusterModel, scheme: ClusterScheme) -> Iterator[Drift]:
    sizes = np.array([cluster.size for cluster in model.clusters])
    fitted = float((sizes * [cluster.spread for cluster in model.clusters]).sum() / sizes.sum())
    if fitted:
        centroids = np.array([cluster.centroid for cluster in model.clusters])
        ratio = float(round_figures(np.linalg.norm(points - centroids[labels], axis=1).mean() / fitted))
        words = f"customers are {ratio:.2f} times as far from their centre as on {model.day}"
        yield Drift("distance", ALL, ratio, scheme.drift_distance_limit, words)
