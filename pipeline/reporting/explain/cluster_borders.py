"""The smallest changes of one feature that bring a customer across the border between two clusters.

The border between two centres is the plane halfway between them. Moving along one feature, the squared distances to both change
linearly against each other, so that the crossing has a closed form: half the difference of the squared distances, divided by how far
the centres are apart in that feature. Of a flag, or of a text, every other answer is tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import expm1

from pipeline.definitions.rules import Value
from pipeline.lake.tables import Kind
from pipeline.models.clusters import ClusterModel, ModelFeature
from pipeline.reporting.explain.cluster_centres import Row, centre_distance, clusters_by_distance, feature_point
from pipeline.reporting.explain.what_if import WhatIf, what_ifs_across, what_ifs_to


def what_ifs_at_borders(model: ClusterModel, row: Row, kinds: Mapping[str, Kind]) -> Iterator[WhatIf]:
    """Propose for each feature the values where another centre becomes as near as the own one, and every other answer."""
    answers: dict[str, list[Value]] = {}
    for feature in model.features:
        # Answers have nothing between them, so that the border has no place among them; a text has one coordinate for each of its values.
        if feature.encoding != "number":
            answers.setdefault(feature.name, []).extend([feature.value] if feature.encoding == "text" else [False, True])
    for name, values in answers.items():
        yield from what_ifs_to(name, values, row)
    point = feature_point(model, row)
    own, *others = clusters_by_distance(model, point)
    for other in others:
        ahead = centre_distance(other, point) ** 2 - centre_distance(own, point) ** 2
        for place, feature in enumerate(model.features):
            if feature.encoding != "number":
                continue
            # Where both centres have the same coordinate, no move along it ever reaches the border.
            apart = other.centroid[place] - own.centroid[place]
            root = _value_of_coordinate(feature, point[place] + ahead / (2 * apart)) if apart else None
            if root is not None:
                yield from what_ifs_across(feature.name, kinds[feature.name], root, row)


def _value_of_coordinate(feature: ModelFeature, coordinate: float) -> Fraction | None:
    """Undo a coordinate: the value of the feature that has it; None where values are winsorised before they reach it."""
    transformed = coordinate * feature.scale + feature.mean
    if not feature.low < transformed < feature.high:
        return None
    return Fraction(expm1(transformed) if feature.transform == "log1p" else transformed)
