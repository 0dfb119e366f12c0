"""One customer among the centres of a cluster model: how far each is, and the smallest change that brings another one nearer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.definitions.rules import Value
from pipeline.definitions.schemes.cluster_scheme import POPULATION_COLUMN
from pipeline.definitions.schemes.scheme import INSUFFICIENT_EVIDENCE
from pipeline.lake.tables import Kind
from pipeline.models.clusters import UNCLUSTERED, ClusterModel, FeatureProfile
from pipeline.models.clusters.assignment import CLEAR_RATIO, FAIR_RATIO
from pipeline.reporting.explain.cluster_borders import what_ifs_at_borders
from pipeline.reporting.explain.cluster_centres import CentreDistance, Row, centres_by_distance, is_buying, lacked_attributes
from pipeline.reporting.explain.explanation import NearestSegment


@dataclass(frozen=True, slots=True)
class ClusterExplanation:
    """Why a customer is in a cluster: what was looked at, and the centres, the nearest first; nobody outside has any.

    `margin` says in words how much nearer the own centre is than the next one; `nearest` is the cluster that the smallest change of
    one feature leads to; `profile` is what set the cluster apart on the night, as stored. `segment_now` is what the model says now.
    `lacking` are the attributes without which nobody is in a cluster.
    """

    segment_now: str
    values: Mapping[str, Value]
    centres: tuple[CentreDistance, ...]
    margin: str
    nearest: NearestSegment | None
    profile: tuple[FeatureProfile, ...] = ()
    lacking: tuple[str, ...] = ()


def cluster_explanation(
    model: ClusterModel, row: Row, kinds: Mapping[str, Kind], profile: tuple[FeatureProfile, ...] = (), *, needs_order: bool = True
) -> ClusterExplanation:
    """Explain why a customer with the features `row`, of these `kinds`, is in their cluster, of which `profile` was stored.

    `needs_order` is whether the scheme clusters those alone who have an order in the window.
    """
    values = {name: row[name] for name in dict.fromkeys(feature.name for feature in model.features)}
    if needs_order and not is_buying(row):
        return ClusterExplanation(UNCLUSTERED, {POPULATION_COLUMN: row[POPULATION_COLUMN] or 0}, (), "", None)
    if lacking := lacked_attributes(model, row):
        return ClusterExplanation(INSUFFICIENT_EVIDENCE, values, (), "", None, lacking=lacking)
    centres = centres_by_distance(model, row)
    own, other = (centre.distance for centre in centres[:2])
    margin = "high" if own <= CLEAR_RATIO * other else "medium" if own <= FAIR_RATIO * other else "low"
    return ClusterExplanation(centres[0].segment, values, centres, margin, _nearest_cluster(model, row, kinds), profile)


def _nearest_cluster(model: ClusterModel, row: Row, kinds: Mapping[str, Kind]) -> NearestSegment | None:
    # A feature may be part of several columns of the model, so that each what-if is tried and not taken at its word.
    own = centres_by_distance(model, row)[0].segment
    for change in sorted(what_ifs_at_borders(model, row, kinds), key=lambda change: change.size):
        nearest = centres_by_distance(model, change.apply_to(row))[0]
        if nearest.segment != own:
            return NearestSegment(nearest.segment, nearest.title, change)
    return None
