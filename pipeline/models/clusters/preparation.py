"""From customer features to coordinates: who counts, which of them are looked at, and what each column becomes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import md5, sha256

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.definitions.fields import LARGEST_NUMBER
from pipeline.definitions.schemes.cluster_scheme import POPULATION_COLUMN, ClusterFeature, ClusterScheme
from pipeline.errors import SchemaDrift
from pipeline.lake.tables import CUSTOMER_FEATURES
from pipeline.models.clusters.model import SMALLEST_SCALE, ModelFeature

DECIMALS = 6
WINSOR_QUANTILES = (0.01, 0.99)
FEWEST_CUSTOMERS_PER_CLUSTER = 10
# What nearly everyone shares separates nobody: standardised, it would only put the few others far away from all.
SHARED_BY_NEARLY_ALL = 0.95
CUT_QUANTILES = tuple(place / 10 for place in range(1, 10))

Numbers = npt.NDArray[np.float64]


class CannotFitError(Exception):
    """There is nothing to fit; the message is the reason."""


@dataclass(frozen=True, slots=True)
class PreparedSample:
    """A sample of customers as points: a row per customer in order of id, a standardised column per feature that varies.

    A feature is constant when nearly all customers share one value of it. `table` holds the same customers as they were read.
    """

    table: pa.Table
    features: tuple[ModelFeature, ...]
    constant_features: tuple[str, ...]
    points: Numbers
    customer_count: int
    digest: str


def prepare_sample(features: pa.Table, scheme: ClusterScheme, *, customer_count: int | None = None) -> PreparedSample:
    """Return the points that `scheme` makes of customer features, whatever the order of rows.

    `customer_count` is the size of the population where `features` are already a sample of it. Raises CannotFitError where
    they hold nothing to cluster, SchemaDrift where a column is missing.
    """
    population = _buying_customers(features, scheme)
    total = population.num_rows if customer_count is None else customer_count
    _require_enough(total, scheme)
    sample = _sample_by_hash(population, scheme)
    values = [_finite_values(sample, feature) for feature in scheme.features]
    columns = [_standardise_feature(feature, column) for feature, column in zip(scheme.features, values, strict=True)]
    varying = [(feature, column) for feature, column in columns if feature.scale >= SMALLEST_SCALE]
    if not varying:
        raise CannotFitError("every customer looks the same: no feature varies")
    return PreparedSample(
        table=sample,
        features=tuple(feature for feature, _ in varying),
        constant_features=tuple(feature.name for feature, _ in columns if feature.scale < SMALLEST_SCALE),
        points=np.column_stack([column for _, column in varying]),
        customer_count=total,
        digest=_sample_digest(scheme, sample, values),
    )


def round_figures(values: Numbers | float) -> Numbers:
    """Return `values` to the digits that a model keeps; zero has no sign."""
    return np.asarray(np.round(values, DECIMALS) + 0.0)


def feature_coordinates(table: pa.Table, features: Sequence[ModelFeature]) -> Numbers:
    """Return a row of coordinates per customer, a column per feature, as the statement of a model computes them."""
    columns = []
    for feature in features:
        values = _filled_numbers(table, feature.name, feature.fill)
        columns.append((np.clip(_transform_values(values, feature.transform), feature.low, feature.high) - feature.mean) / feature.scale)
    return np.column_stack(columns)


def shares_between(values: Numbers, cuts: Sequence[float]) -> Numbers:
    """Return the share of values below, between and above the cuts; a value on a cut counts as below it."""
    counts = np.bincount(np.searchsorted(np.asarray(cuts), values, side="left"), minlength=len(cuts) + 1)
    return round_figures(counts / max(len(values), 1))


def sample_prefix(scheme: ClusterScheme) -> str:
    """Return what stands before an id when it is hashed: the customers with the smallest hashes are the sample."""
    return f"{scheme.name}:{scheme.seed}:"


def _buying_customers(features: pa.Table, scheme: ClusterScheme) -> pa.Table:
    missing = [name for name in ("customer_id", *scheme.columns) if name not in features.column_names]
    if missing:
        raise SchemaDrift(f"{CUSTOMER_FEATURES.name} lacks {', '.join(missing)}", where=scheme.name)
    return features.filter(pc.greater_equal(features[POPULATION_COLUMN], 1))


def _require_enough(customers: int, scheme: ClusterScheme) -> None:
    fewest = FEWEST_CUSTOMERS_PER_CLUSTER * scheme.cluster_count_min
    if customers < fewest:
        raise CannotFitError(f"too few customers: {scheme.cluster_count_min} clusters need {fewest} with an order in the window")


def _sample_by_hash(population: pa.Table, scheme: ClusterScheme) -> pa.Table:
    """Return at most the scheme's number of rows, chosen by a hash of the id, in order of id."""
    if population.num_rows > scheme.sample_rows:
        prefix, chunks = sample_prefix(scheme), population["customer_id"].chunks
        hashes = np.array([_hash_of_id(prefix, customer) for chunk in chunks for customer in chunk.to_pylist()])
        population = population.take(np.argpartition(hashes, scheme.sample_rows)[: scheme.sample_rows])
    return population.sort_by("customer_id")


def _hash_of_id(prefix: str, customer_id: str) -> str:
    """Return what SQL calls MD5, which every engine has and computes alike; nothing is kept secret by it."""
    return md5(f"{prefix}{customer_id}".encode(), usedforsecurity=False).hexdigest()


def _finite_values(sample: pa.Table, feature: ClusterFeature) -> Numbers:
    column = sample[feature.name].cast(pa.float64())
    if column.null_count == len(column):
        raise CannotFitError(f"not computed: needs {feature.name}, which is empty for every customer")
    values = _filled_numbers(sample, feature.name, feature.fill)
    if not (np.abs(values) <= LARGEST_NUMBER).all():
        raise CannotFitError(f"{feature.name} has values that are not finite, or beyond {LARGEST_NUMBER:g}")
    return values


def _filled_numbers(table: pa.Table, name: str, fill: float) -> Numbers:
    return np.asarray(table[name].cast(pa.float64()).fill_null(fill).to_numpy(), dtype=np.float64)


def _transform_values(values: Numbers, transform: str) -> Numbers:
    return np.log(1 + np.maximum(values, 0)) if transform == "log1p" else values


def _standardise_feature(feature: ClusterFeature, values: Numbers) -> tuple[ModelFeature, Numbers]:
    """Return how the column is read and its coordinates, both by the rounded figures that the model keeps."""
    transformed = _transform_values(values, feature.transform)
    low, high = (float(limit) for limit in round_figures(np.quantile(transformed, WINSOR_QUANTILES)))
    held = np.clip(transformed, low, high)
    mean = float(round_figures(held.mean()))
    scale = 0.0 if _is_shared_by_nearly_all(held) else float(round_figures(held.std()))
    points = (held - min(max(mean, low), high)) / max(scale, SMALLEST_SCALE)
    cuts = tuple(np.unique(round_figures(np.quantile(points, CUT_QUANTILES))).tolist()) if scale else ()
    shares = tuple(shares_between(points, cuts).tolist()) if cuts else ()
    return ModelFeature(feature.name, feature.transform, feature.fill, low, high, min(max(mean, low), high), scale, cuts, shares), points


def _is_shared_by_nearly_all(values: Numbers) -> bool:
    counts = np.unique(values, return_counts=True)[1]
    return bool(counts.max() >= SHARED_BY_NEARLY_ALL * len(values))


def _sample_digest(scheme: ClusterScheme, sample: pa.Table, values: list[Numbers]) -> str:
    content = sha256(json.dumps(asdict(scheme), sort_keys=True).encode())
    content.update(json.dumps(sample["customer_id"].to_pylist()).encode())
    for column in values:
        content.update(column.astype("<f8").tobytes())
    return content.hexdigest()
