"""Where a customer stands among the centres of a cluster model: the assignment of a night, worked out for one customer in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import hypot, log1p
from typing import Any

from pipeline.definitions.rules import Value
from pipeline.definitions.schemes import ClusterScheme
from pipeline.definitions.schemes.cluster_scheme import POPULATION_COLUMN
from pipeline.definitions.schemes.scheme import INSUFFICIENT_EVIDENCE
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

    `fixed_features` are features that also decide whom the scheme clusters; no what-if changes them, as nothing here would follow.
    `needs_order` is whether the scheme clusters those alone who have an order in the window.
    """

    model: ClusterModel | None
    is_clustered: bool
    fixed_features: frozenset[str]
    needs_order: bool = True

    @classmethod
    def from_stored_segment(cls, scheme: ClusterScheme, model: ClusterModel | None, stored: str) -> CustomerClustering:
        """Return how the customer is clustered whose `stored` segment of the scheme this is."""
        # Whom a scheme clusters is decided by SQL alone; here the night's answer is taken over.
        fixed_features = frozenset({*scheme.member_columns, POPULATION_COLUMN}) if scheme.within else frozenset[str]()
        return cls(model, stored != UNCLUSTERED or not scheme.within, fixed_features, scheme.goes_by_orders)

    def segment_of(self, row: Row) -> str:
        """Assign the customer with the features `row` to a segment."""
        if self.model is None or not self.is_clustered or (self.needs_order and not is_buying(row)):
            return UNCLUSTERED
        if lacked_attributes(self.model, row):
            return INSUFFICIENT_EVIDENCE
        return centres_by_distance(self.model, row)[0].segment


def is_buying(row: Row) -> bool:
    """Whether the customer has an order in the window."""
    orders: Any = row[POPULATION_COLUMN] or 0
    return bool(orders >= 1)


def lacked_attributes(model: ClusterModel, row: Row) -> tuple[str, ...]:
    """Return the attributes that the model goes by and that are not known of the customer; a text of spaces alone is not."""
    return tuple(name for name in model.attributes if row[name] is None or str(row[name]).strip(" ") == "")


def centres_by_distance(model: ClusterModel, row: Row) -> tuple[CentreDistance, ...]:
    """Sort the centres by distance; of equally near ones the lowest number is first, as in the statement."""
    point = feature_point(model, row)
    nearest_first = clusters_by_distance(model, point)
    return tuple(CentreDistance(cluster.id, cluster.title, centre_distance(cluster, point)) for cluster in nearest_first)


def clusters_by_distance(model: ClusterModel, point: list[float]) -> list[Cluster]:
    """Sort the clusters by the distance of their centres to `point`."""
    return sorted(model.clusters, key=lambda cluster: (centre_distance(cluster, point), cluster.number))


def feature_point(model: ClusterModel, row: Row) -> list[float]:
    """Turn the features `row` of a customer into coordinates: log1p, winsorised and standardised as the model was fitted."""
    return [_coordinate(feature, row[feature.name]) for feature in model.features]


def _coordinate(feature: ModelFeature, value: Any) -> float:  # noqa: ANN401  # of any kind
    if feature.encoding == "text":
        return (float(value is not None and value.strip(" ") == feature.value) - feature.mean) / feature.scale
    number = float(feature.fill or 0 if value is None else value)
    # Money net of refunds may be negative, where a logarithm has no value: it counts as nothing, as in the statement.
    transformed = log1p(max(number, 0.0)) if feature.transform == "log1p" else number
    return (min(max(transformed, feature.low), feature.high) - feature.mean) / feature.scale


def centre_distance(cluster: Cluster, point: list[float]) -> float:
    """Measure the Euclidean distance of the centre from `point`, in standard deviations."""
    return hypot(*(own - centre for own, centre in zip(point, cluster.centroid, strict=True)))
