"""One customer among the centres of a cluster model: how far each is, and the smallest change that brings another one nearer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.definitions.rules import Value
from pipeline.definitions.schemes.cluster_scheme import POPULATION_COLUMN
from pipeline.lake.tables import Kind
from pipeline.models.clusters import UNCLUSTERED, ClusterModel
from pipeline.models.clusters.assignment import CLEAR_RATIO, FAIR_RATIO
from pipeline.reporting.explain.cluster_borders import border_changes
from pipeline.reporting.explain.cluster_centres import Centre, Row, centres_of, is_buying
from pipeline.reporting.explain.explanation import Nearest


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
    if not is_buying(row):
        return ClusterExplanation(UNCLUSTERED, {POPULATION_COLUMN: row[POPULATION_COLUMN] or 0}, (), "", None)
    centres = centres_of(model, row)
    return ClusterExplanation(centres[0].segment, values, centres, _margin(centres), _nearest(model, row, kinds))


def _margin(centres: tuple[Centre, ...]) -> str:
    own, other = (centre.distance for centre in centres[:2])
    return "high" if own <= CLEAR_RATIO * other else "medium" if own <= FAIR_RATIO * other else "low"


def _nearest(model: ClusterModel, row: Row, kinds: Mapping[str, Kind]) -> Nearest | None:
    own = centres_of(model, row)[0].segment
    for change in sorted(border_changes(model, row, kinds), key=lambda change: change.size):
        found = centres_of(model, change.applied(row))[0]
        if found.segment != own:
            return Nearest(found.segment, found.title, change)
    return None
