"""Where a customer stands among the centres of a cluster model: the assignment of a night, worked out for one customer in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot, log1p
from typing import Any

from pipeline.definitions.rules import Value
from pipeline.definitions.schemes import ClusterScheme
from pipeline.definitions.schemes.cluster_scheme import POPULATION_COLUMN
from pipeline.models.clusters import UNCLUSTERED, Cluster, ClusterModel, ModelFeature

Row = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class CentreDistance:
    """A cluster, and how far its centre is from the customer, in standard deviations of the customers it was fitted to."""

    segment: str
    title: str
    distance: float


@dataclass(frozen=True, slots=True)
class CustomerClustering:
    """How a scheme that rules look at clusters one customer: by `model`, if there is one and the customer `is_clustered` by it at all.

    `held` are features that also decide whom the scheme clusters; no what-if changes them, as nothing here would follow.
    """

    model: ClusterModel | None
    is_clustered: bool
    held: frozenset[str]

    @classmethod
    def of(cls, scheme: ClusterScheme, model: ClusterModel | None, stored: str) -> CustomerClustering:
        """Return how the customer is clustered whose `stored` segment of the scheme this is."""
        held = frozenset({*scheme.member_columns, POPULATION_COLUMN}) if scheme.within else frozenset[str]()
        return cls(model, stored != UNCLUSTERED or not scheme.within, held)

    def segment_of(self, row: Row) -> str:
        """Return the segment of the customer with the features `row`."""
        if self.model is None or not self.is_clustered or not is_buying(row):
            return UNCLUSTERED
        return centres_by_distance(self.model, row)[0].segment


def is_buying(row: Row) -> bool:
    """Whether the customer has an order in the window."""
    orders: Any = row[POPULATION_COLUMN] or 0
    return bool(orders >= 1)


def centres_by_distance(model: ClusterModel, row: Row) -> tuple[CentreDistance, ...]:
    """Return the centres by distance; of equally near ones the lowest number is first, as in the statement."""
    point = feature_point(model, row)
    nearest_first = clusters_by_distance(model, point)
    return tuple(CentreDistance(cluster.id, cluster.title, centre_distance(cluster, point)) for cluster in nearest_first)


def clusters_by_distance(model: ClusterModel, point: list[float]) -> list[Cluster]:
    """Return the clusters by their distance to `point`."""
    return sorted(model.clusters, key=lambda cluster: (centre_distance(cluster, point), cluster.number))


def feature_point(model: ClusterModel, row: Row) -> list[float]:
    """Return the coordinates of a customer with the features `row`: log1p, winsorised and standardised as the model was fitted."""
    return [_feature_coordinate(feature, row[feature.name]) for feature in model.features]


def centre_distance(cluster: Cluster, point: list[float]) -> float:
    """Return the Euclidean distance of the centre from `point`, in standard deviations."""
    return hypot(*(own - centre for own, centre in zip(point, cluster.centroid, strict=True)))


def _feature_coordinate(feature: ModelFeature, value: Any) -> float:  # noqa: ANN401  # a number of any kind, or nothing
    number = feature.fill if value is None else float(value)
    transformed = log1p(max(number, 0.0)) if feature.transform == "log1p" else number
    return (min(max(transformed, feature.low), feature.high) - feature.mean) / feature.scale
