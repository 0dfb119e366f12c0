"""From customer features to coordinates: who counts, which of them are looked at, and what each column becomes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import blake2b, sha256

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.clusters.fields import LARGEST_NUMBER
from pipeline.clusters.model import SMALLEST_SCALE, ModelFeature
from pipeline.clusters.scheme import POPULATION_COLUMN, ClusterFeature, ClusterScheme
from pipeline.errors import SchemaDrift
from pipeline.tables import CUSTOMER_FEATURES

DECIMALS = 6
WINSOR_QUANTILES = (0.01, 0.99)
FEWEST_CUSTOMERS_PER_CLUSTER = 10
# What nearly everyone shares separates nobody: standardised, it would only put the few others far away from all.
SHARED_BY_NEARLY_ALL = 0.95

Numbers = npt.NDArray[np.float64]


class CannotFitError(Exception):
    """There is nothing to fit; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A sample of customers as points: a row per customer in order of id, a standardised column per feature that varies.

    A feature is constant when nearly all customers share one value of it.
    """

    features: tuple[ModelFeature, ...]
    constant_features: tuple[str, ...]
    points: Numbers
    customer_count: int
    digest: str


def prepared(features: pa.Table, scheme: ClusterScheme) -> Prepared:
    """Return the points that `scheme` makes of customer features, whatever the order of rows.

    Raises CannotFitError where they hold nothing to cluster, SchemaDrift where a column is missing.
    """
    population = _population(features, scheme)
    _require_enough(population.num_rows, scheme)
    sample = _sample(population, scheme)
    values = [_values(sample, feature) for feature in scheme.features]
    columns = [_standardised(feature, column) for feature, column in zip(scheme.features, values, strict=True)]
    varying = [(feature, column) for feature, column in columns if feature.scale >= SMALLEST_SCALE]
    if not varying:
        raise CannotFitError("every customer looks the same: no feature varies")
    return Prepared(
        features=tuple(feature for feature, _ in varying),
        constant_features=tuple(feature.name for feature, _ in columns if feature.scale < SMALLEST_SCALE),
        points=np.column_stack([column for _, column in varying]),
        customer_count=population.num_rows,
        digest=_digest(scheme, sample, values),
    )


def rounded(values: Numbers | float) -> Numbers:
    """Return `values` to the digits that a model keeps; zero has no sign."""
    return np.asarray(np.round(values, DECIMALS) + 0.0)


def _population(features: pa.Table, scheme: ClusterScheme) -> pa.Table:
    names = ["customer_id", *scheme.columns]
    missing = [name for name in names if name not in features.column_names]
    if missing:
        raise SchemaDrift(f"{CUSTOMER_FEATURES.name} lacks {', '.join(missing)}", where=scheme.name)
    table = features.select(names)
    return table.filter(pc.greater_equal(table[POPULATION_COLUMN], 1))


def _require_enough(customers: int, scheme: ClusterScheme) -> None:
    fewest = FEWEST_CUSTOMERS_PER_CLUSTER * scheme.cluster_count_min
    if customers < fewest:
        raise CannotFitError(f"too few customers: {scheme.cluster_count_min} clusters need {fewest} with an order in the window")


def _sample(population: pa.Table, scheme: ClusterScheme) -> pa.Table:
    """Return at most the scheme's number of rows, chosen by a hash of the id, in order of id."""
    if population.num_rows > scheme.sample_rows:
        key = f"{scheme.name}:{scheme.seed}".encode()[:64]
        chunks = population["customer_id"].chunks
        ranks = np.fromiter((_rank(customer, key) for chunk in chunks for customer in chunk.to_pylist()), np.uint64, population.num_rows)
        population = population.take(np.argpartition(ranks, scheme.sample_rows)[: scheme.sample_rows])
    return population.sort_by("customer_id")


def _rank(customer_id: str, key: bytes) -> int:
    return int.from_bytes(blake2b(customer_id.encode(), digest_size=8, key=key).digest(), "little")


def _values(sample: pa.Table, feature: ClusterFeature) -> Numbers:
    column = sample[feature.name].cast(pa.float64())
    if column.null_count == len(column):
        raise CannotFitError(f"not computed: needs {feature.name}, which is empty for every customer")
    values = np.asarray(column.fill_null(feature.fill).to_numpy(), dtype=np.float64)
    if not (np.abs(values) <= LARGEST_NUMBER).all():
        raise CannotFitError(f"{feature.name} has values that are not finite, or beyond {LARGEST_NUMBER:g}")
    return values


def _standardised(feature: ClusterFeature, values: Numbers) -> tuple[ModelFeature, Numbers]:
    """Return how the column is read and its coordinates, both by the rounded figures that the model keeps."""
    transformed = np.log(1 + np.maximum(values, 0)) if feature.transform == "log1p" else values
    low, high = (float(limit) for limit in rounded(np.quantile(transformed, WINSOR_QUANTILES)))
    held = np.clip(transformed, low, high)
    mean = float(rounded(held.mean()))
    scale = 0.0 if _is_shared(held) else float(rounded(held.std()))
    model = ModelFeature(feature.name, feature.transform, feature.fill, low, high, min(max(mean, low), high), scale)
    return model, (held - model.mean) / max(scale, SMALLEST_SCALE)


def _is_shared(values: Numbers) -> bool:
    counts = np.unique(values, return_counts=True)[1]
    return bool(counts.max() >= SHARED_BY_NEARLY_ALL * len(values))


def _digest(scheme: ClusterScheme, sample: pa.Table, values: list[Numbers]) -> str:
    content = sha256(json.dumps(asdict(scheme), sort_keys=True).encode())
    content.update(json.dumps(sample["customer_id"].to_pylist()).encode())
    for column in values:
        content.update(column.astype("<f8").tobytes())
    return content.hexdigest()
