"""A fitted model of clusters is a small JSON document.

Not a pickle: nothing in it is executed when it is read, a diff shows what a refit changed, and it outlives the library that
fitted it. As it may have been edited by hand, reading it checks every field.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from itertools import pairwise
from typing import cast

from pipeline.definitions.fields import Document, Fields, json_fields, printable_value
from pipeline.definitions.schemes.cluster_features import ENCODINGS, NUMERIC_FEATURES, TRANSFORMS, Encoding
from pipeline.definitions.schemes.cluster_scheme import MOST_CLUSTERS
from pipeline.errors import DataError
from pipeline.lake.tables import CUSTOMER_FEATURES

LONGEST_DOCUMENT = 1_000_000
# Coordinates are divided by the scale, which is kept to six digits: below this it would be zero.
SMALLEST_SCALE = 1e-6
# A hundredth of customers at either limit makes ten. Sums of coordinates have to hold.
WIDEST_SCALES = 10_000
MOST_ROWS = 10**12
FEWEST_CLUSTERS = 2
MOST_NUMBER = 9999
MOST_COORDINATES = 800  # of 20 features, and 60 attributes of 12 texts each
LONGEST_VALUE = 60
LONGEST_TITLE = 1_000  # of four words, which definitions keep to 200 characters, and a figure


@dataclass(frozen=True, slots=True)
class ModelFeature:
    """How a column becomes a coordinate: filled, transformed, limited to `low` and `high`, then standardised.

    `low`, `high`, `mean` and `scale` are in units of the transformed column. `cuts` are limits between coordinates, in units of the
    scale, and `shares` the shares of customers below, between and above them at the fit: what drift is measured against.
    Both are empty where the mean says it all, and in models that keep none. An attribute has no `fill`. Of a flag, and of whether a
    text is `value`, the mean is the share of customers of whom it is true.
    """

    name: str
    transform: str
    fill: float | None
    low: float
    high: float
    mean: float
    scale: float
    cuts: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()
    encoding: Encoding = "number"
    value: str = ""

    @property
    def is_attribute(self) -> bool:
        """Whether customers who lack it are in no cluster."""
        return self.fill is None

    @property
    def label(self) -> str:
        """What people know the coordinate by."""
        return f"{self.name} = {self.value}" if self.encoding == "text" else self.name


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster: its lasting id, its title for people, its centre, and what was measured of it at the fit.

    `centroid` is one coordinate per feature of the model, in standard deviations. `size` counts the customers of the sample;
    `jaccard` is the mean overlap with itself in bootstrap fits, 0 to 1; `spread` is the mean distance of its customers to the
    centre, 0 where it was not measured.
    """

    id: str
    title: str
    size: int
    jaccard: float
    centroid: tuple[float, ...]
    spread: float = 0.0

    @property
    def number(self) -> int:
        """Return the number in the id."""
        return int(self.id.removeprefix("cluster_"))


@dataclass(frozen=True, slots=True)
class ClusterModel:
    """A fitted model; clusters stand in canonical order, by centroid from the largest first coordinate down.

    `day` is the night whose customers it was fitted to, `customer_count` how many of them could have been sampled. `valid_from`
    is the first night that goes by it, where that is not `day`; `last_number` the highest number that an id of this scheme ever
    had, so that no id is given twice. `unknown_features` are those that nobody had, so that they do not count.
    """

    scheme: str
    day: date
    algorithm: str
    library: str
    seed: int
    inputs_digest: str
    customer_count: int
    silhouette: float
    features: tuple[ModelFeature, ...]
    constant_features: tuple[str, ...]
    clusters: tuple[Cluster, ...]
    valid_from: date | None = None
    last_number: int = 0
    unknown_features: tuple[str, ...] = ()

    @property
    def first_night(self) -> date:
        """Return the first night that goes by this model, which names its file."""
        return self.valid_from or self.day

    @property
    def highest_number(self) -> int:
        """Return the highest number that an id of this scheme ever had."""
        return max(self.last_number, *(cluster.number for cluster in self.clusters))

    @property
    def attributes(self) -> tuple[str, ...]:
        """Return the attributes that a customer must have to be in a cluster."""
        return tuple(dict.fromkeys(feature.name for feature in self.features if feature.is_attribute))

    @property
    def smallest_share(self) -> float:
        """Return the share of the sample that the smallest cluster holds."""
        sizes = [cluster.size for cluster in self.clusters]
        return min(sizes) / sum(sizes)


@dataclass(frozen=True, slots=True)
class NotFitted:
    """Why there is no model: a sentence that stays the same while the cause does."""

    reason: str


def cluster_titles(model: ClusterModel) -> Mapping[str, str]:
    """Return the title of every cluster by its id, in canonical order."""
    return {cluster.id: cluster.title for cluster in model.clusters}


def to_json(model: ClusterModel) -> str:
    """Return `model` as a JSON document with sorted keys: equal models give equal bytes."""
    content = {**asdict(model), "day": model.day.isoformat(), "valid_from": model.valid_from and model.valid_from.isoformat()}
    return json.dumps(content, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def model_from_json(text: str, *, where: str) -> ClusterModel:
    """Read a model from its document.

    Raises DataError naming `where` and the field for anything that `to_json` would not have written.
    """
    todo = "Put back the file as it was written, or fit a new model."
    fields = json_fields(text, Document(where, DataError, "not a cluster model: ", todo, noun="field"), longest=LONGEST_DOCUMENT)
    features = tuple(_read_feature(row) for row in fields.rows("features", 1, MOST_COORDINATES))
    clusters = tuple(_read_cluster(row, len(features)) for row in fields.rows("clusters", FEWEST_CLUSTERS, MOST_CLUSTERS))
    model = ClusterModel(
        scheme=fields.text("scheme"),
        day=fields.day("day"),
        algorithm=fields.text("algorithm"),
        library=fields.text("library"),
        seed=fields.integer("seed", 0, 2**31 - 1),
        inputs_digest=fields.text("inputs_digest", pattern="[0-9a-f]{64}"),
        customer_count=fields.integer("customer_count", 1, MOST_ROWS),
        silhouette=fields.number("silhouette", -1, 1),
        features=features,
        constant_features=fields.texts("constant_features"),
        unknown_features=fields.texts("unknown_features") if fields.has("unknown_features") else (),
        clusters=clusters,
        valid_from=fields.day("valid_from") if fields.has("valid_from") else None,
        last_number=fields.integer("last_number", 0, MOST_NUMBER, default=0),
    )
    fields.refuse_unknown()
    _refuse_repeated(model, fields)
    return model


def _read_feature(fields: Fields) -> ModelFeature:
    low = fields.number("low")
    high = fields.number("high", low)
    encoding = cast("Encoding", fields.choice("encoding", ENCODINGS, default="number"))
    is_attribute = not fields.has("fill")
    name = fields.text("name", pattern="[a-z][a-z0-9_]*")
    # A name that is none of ours is one that the company declares, which the night that goes by the model looks up.
    if not is_attribute and name in CUSTOMER_FEATURES.column_names and name not in NUMERIC_FEATURES:
        raise fields.refusal("name", f"is {printable_value(name)}, which is no number")
    feature = ModelFeature(
        name=name,
        transform=fields.choice("transform", TRANSFORMS),
        fill=None if is_attribute else fields.number("fill"),
        low=low,
        high=high,
        mean=fields.number("mean", low, high),
        scale=fields.number("scale", SMALLEST_SCALE),
        cuts=fields.numbers("cuts", default=[]),
        shares=fields.numbers("shares", default=[]),
        encoding=encoding,
        value=fields.text("value") if encoding == "text" else fields.take("value", str, default=""),
    )
    fields.refuse_unknown()
    if encoding != "number" and not is_attribute:
        raise fields.refusal("encoding", "is for attributes, which have no `fill`")
    if feature.value and encoding != "text":
        raise fields.refusal("value", "is for texts")
    if high - low > WIDEST_SCALES * feature.scale:
        raise fields.refusal("scale", f"is too small: `low` and `high` must be within {WIDEST_SCALES:,} scales")
    _refuse_wrong_shares(feature, fields)
    return feature


def _refuse_wrong_shares(feature: ModelFeature, fields: Fields) -> None:
    if any(low >= high for low, high in pairwise(feature.cuts)):
        raise fields.refusal("cuts", "must rise")
    if len(feature.shares) != (len(feature.cuts) + 1 if feature.cuts else 0) or any(not 0 <= share <= 1 for share in feature.shares):
        raise fields.refusal("shares", "must be one share, 0 to 1, more than there are cuts, or none of both")


def _read_cluster(fields: Fields, feature_count: int) -> Cluster:
    cluster = Cluster(
        id=fields.text("id", pattern="cluster_[1-9][0-9]{0,3}"),
        title=fields.text("title", longest=LONGEST_TITLE),
        size=fields.integer("size", 1, MOST_ROWS),
        jaccard=fields.number("jaccard", 0, 1),
        centroid=fields.numbers("centroid"),
        spread=fields.number("spread", 0, default=0.0),
    )
    fields.refuse_unknown()
    if len(cluster.centroid) != feature_count:
        raise fields.refusal("centroid", f"must have one number per feature, {feature_count}")
    return cluster


def _refuse_repeated(model: ClusterModel, fields: Fields) -> None:
    # Two clusters of one title or centre could not be told apart, by people or by the statement.
    _require_unique(fields, "features", "names a column twice", ((feature.name, feature.value) for feature in model.features))
    _require_unique(fields, "clusters", "gives two clusters one id", (cluster.id for cluster in model.clusters))
    _require_unique(fields, "clusters", "gives two clusters one title", (cluster.title for cluster in model.clusters))
    _require_unique(fields, "clusters", "gives two clusters one centre", (cluster.centroid for cluster in model.clusters))


def _require_unique(fields: Fields, key: str, what: str, values: Iterable[Hashable]) -> None:
    listed = list(values)
    if len(set(listed)) < len(listed):
        raise fields.refusal(key, what)
