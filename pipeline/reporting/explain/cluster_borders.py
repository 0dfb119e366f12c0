"""The smallest changes of one feature that bring a customer across the border between two clusters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import expm1

from pipeline.lake.tables import Kind
from pipeline.models.clusters import ClusterModel, ModelFeature
from pipeline.reporting.explain.cluster_centres import Row, distance, nearest_first, point_of
from pipeline.reporting.explain.what_if import Change, changes_across


def border_changes(model: ClusterModel, row: Row, kinds: Mapping[str, Kind]) -> Iterator[Change]:
    """Yield the changes of one feature at which another centre becomes as near as the own one."""
    point = point_of(model, row)
    own, *others = nearest_first(model, point)
    for other in others:
        ahead = distance(other, point) ** 2 - distance(own, point) ** 2
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
