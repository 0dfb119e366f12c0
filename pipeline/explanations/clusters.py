"""One customer among the centres of a cluster model: how far each is, and the smallest change that brings another one nearer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import expm1, hypot, log1p
from typing import Any

from pipeline.clusters import UNCLUSTERED, Cluster, ClusterModel, ModelFeature
from pipeline.clusters.assignment import CLEAR_RATIO, FAIR_RATIO
from pipeline.clusters.scheme import POPULATION_COLUMN
from pipeline.explanations.changes import Change, changes_across
from pipeline.explanations.deciding import Row
from pipeline.explanations.explaining import Nearest
from pipeline.rules import Value
from pipeline.tables import Kind


@dataclass(frozen=True, slots=True)
class Centre:
    """A cluster, and how far its centre is from the customer, in standard deviations of the customers it was fitted to."""

    segment: str
    title: str
    distance: float


@dataclass(frozen=True, slots=True)
class ClusterExplanation:
    """Why a customer is in a cluster: what was looked at, and the centres, the nearest first; nobody outside has any.

    `margin` says in words how much nearer the own centre is than the next one; `nearest` is the cluster that the smallest change of
    one feature leads to. `decided` is what the model says now of what is stored.
    """

    decided: str
    values: Mapping[str, Value]
    centres: tuple[Centre, ...]
    margin: str
    nearest: Nearest | None


def cluster_explanation(model: ClusterModel, row: Row, kinds: Mapping[str, Kind]) -> ClusterExplanation:
    """Return why a customer with the features `row`, of these `kinds`, is in their cluster."""
    values = {name: row[name] for name in dict.fromkeys(feature.name for feature in model.features)}
    orders: Any = row[POPULATION_COLUMN] or 0
    if orders < 1:
        return ClusterExplanation(UNCLUSTERED, {POPULATION_COLUMN: orders}, (), "", None)
    centres = _centres(model, row)
    return ClusterExplanation(centres[0].segment, values, centres, _margin(centres), _nearest(model, row, kinds))


def _centres(model: ClusterModel, row: Row) -> tuple[Centre, ...]:
    """Return the centres by distance; of equally near ones the lowest number is first, as in the statement."""
    point = [_coordinate(feature, row[feature.name]) for feature in model.features]
    clusters = sorted(model.clusters, key=lambda cluster: (_distance(cluster, point), cluster.number))
    return tuple(Centre(cluster.id, cluster.title, _distance(cluster, point)) for cluster in clusters)


def _distance(cluster: Cluster, point: list[float]) -> float:
    return hypot(*(own - centre for own, centre in zip(point, cluster.centroid, strict=True)))


def _coordinate(feature: ModelFeature, value: Any) -> float:  # noqa: ANN401  # a number of any kind, or nothing
    number = feature.fill if value is None else float(value)
    transformed = log1p(max(number, 0.0)) if feature.transform == "log1p" else number
    return (min(max(transformed, feature.low), feature.high) - feature.mean) / feature.scale


def _margin(centres: tuple[Centre, ...]) -> str:
    own, other = (centre.distance for centre in centres[:2])
    return "high" if own <= CLEAR_RATIO * other else "medium" if own <= FAIR_RATIO * other else "low"


def _nearest(model: ClusterModel, row: Row, kinds: Mapping[str, Kind]) -> Nearest | None:
    own = _centres(model, row)[0].segment
    for change in sorted(_changes(model, row, kinds), key=lambda change: change.size):
        found = _centres(model, change.applied(row))[0]
        if found.segment != own:
            return Nearest(found.segment, found.title, change)
    return None


def _changes(model: ClusterModel, row: Row, kinds: Mapping[str, Kind]) -> Iterator[Change]:
    """Yield the changes of one feature at which another centre becomes as near as the own one."""
    point = [_coordinate(feature, row[feature.name]) for feature in model.features]
    own, *others = sorted(model.clusters, key=lambda cluster: (_distance(cluster, point), cluster.number))
    for other in others:
        ahead = _distance(other, point) ** 2 - _distance(own, point) ** 2
        for place, feature in enumerate(model.features):
            apart = other.centroid[place] - own.centroid[place]
            root = _value_at(feature, point[place] + ahead / (2 * apart)) if apart else None
            if root is not None:
                yield from changes_across(feature.name, kinds[feature.name], root, row)


def _value_at(feature: ModelFeature, coordinate: float) -> Fraction | None:
    """Return the value of a feature that has a coordinate; None where values are held back before they reach it."""
    transformed = coordinate * feature.scale + feature.mean
    if not feature.low < transformed < feature.high:
        return None
    return Fraction(expm1(transformed) if feature.transform == "log1p" else transformed)
