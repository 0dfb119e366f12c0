"""What a company wants clustered: the definition files of kind `clusters`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.clusters.fields import Fields, shown
from pipeline.company import LEVELS, Company
from pipeline.errors import ConfigError, PipelineError
from pipeline.spelling import did_you_mean
from pipeline.tables import CUSTOMER_FEATURES, Kind

KIND = "clusters"
TRANSFORMS = ("log1p", "none")
POPULATION_COLUMN = "order_day_count"
NUMERIC_FEATURES = tuple(c.name for c in CUSTOMER_FEATURES.columns if c.kind in (Kind.INTEGER, Kind.NUMBER, Kind.MONEY))
MOST_FEATURES = 20
MOST_CLUSTERS = 20


@dataclass(frozen=True, slots=True)
class ClusterFeature:
    """One column that clusters are made of; `fill` stands for an empty cell, `high` and `low` are words for titles."""

    name: str
    transform: str
    fill: float
    high: str
    low: str


@dataclass(frozen=True, slots=True)
class ClusterScheme:
    """What to cluster customers by, and which clusters are good enough."""

    name: str
    title: str
    level: str
    question: str
    features: tuple[ClusterFeature, ...]
    cluster_count_min: int
    cluster_count_max: int
    smallest_share: float
    jaccard_floor: float
    seed: int
    sample_rows: int

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of `customer_features` that a fit reads besides `customer_id`, each once."""
        return tuple(dict.fromkeys((POPULATION_COLUMN, *(feature.name for feature in self.features))))


def load_cluster_schemes(company: Company) -> tuple[ClusterScheme, ...]:
    """Return the cluster schemes of `company`, by name: ours, each replaced by the company's file of the same name.

    Raises ConfigError naming file and field where something is missing, unknown or out of bounds.
    """
    schemes = []
    for name, definition in sorted(company.definitions("segments", ".toml").items()):
        values = definition.toml()
        if values.get("kind") == KIND:
            schemes.append(_scheme(name, definition.file, values))
    return tuple(schemes)


def _scheme(name: str, file: Path, values: dict[str, Any]) -> ClusterScheme:
    def refuse(what: str) -> PipelineError:
        return ConfigError(what, where=str(file), todo="Mend the file; segments/behaviour_clusters.toml is the pattern.")

    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise refuse("the file's name must be lower-case letters, digits and underscores, since it names the scheme")
    fields = Fields(values, refuse)
    fields.choice("kind", (KIND,))
    fewest = fields.integer("cluster_count_min", 2, MOST_CLUSTERS)
    scheme = ClusterScheme(
        name=name,
        title=fields.text("title"),
        level=fields.choice("level", LEVELS),
        question=fields.text("question"),
        features=tuple(_feature(row) for row in fields.rows("features", 1, MOST_FEATURES)),
        cluster_count_min=fewest,
        cluster_count_max=fields.integer("cluster_count_max", fewest, MOST_CLUSTERS),
        smallest_share=fields.number("smallest_share", 0.01, 1 / fewest),
        jaccard_floor=fields.number("jaccard_floor", 0, 1),
        seed=fields.integer("seed", 0, 2**31 - 1),
        sample_rows=fields.integer("sample_rows", 1_000, 1_000_000),
    )
    fields.refuse_the_rest()
    _refuse_repeated(scheme, fields)
    return scheme


def _feature(fields: Fields) -> ClusterFeature:
    name = fields.text("name")
    if name not in NUMERIC_FEATURES:
        what = f"is {shown(name)}, which is no numeric column of {CUSTOMER_FEATURES.name}{did_you_mean(name, NUMERIC_FEATURES)}"
        raise fields.refusal("name", what)
    words = name.replace("_", " ")
    feature = ClusterFeature(
        name=name,
        transform=fields.choice("transform", TRANSFORMS),
        fill=fields.number("fill", default=0.0),
        high=fields.text("high", default=f"high {words}"),
        low=fields.text("low", default=f"low {words}"),
    )
    fields.refuse_the_rest()
    return feature


def _refuse_repeated(scheme: ClusterScheme, fields: Fields) -> None:
    names = [feature.name for feature in scheme.features]
    if len(set(names)) < len(names):
        raise fields.refusal("features", "names a column twice")
