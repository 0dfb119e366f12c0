"""From customer features to coordinates: who is clustered, who of them is sampled, and what each column becomes.

Spend and counts are skewed: on raw values k-means finds a few outliers and calls everyone else one cluster. So a column is
filled, its logarithm taken where the scheme says so, limited to its 1st and 99th percentile (winsorised), and standardised.
Every figure is rounded as the model stores it before it is used, so that the stored model gives the very same coordinates.
"""

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

DECIMALS = 6  # beyond that, sums differ with the number of threads that add them up
WINSOR_QUANTILES = (0.01, 0.99)
FEWEST_CUSTOMERS_PER_CLUSTER = 10
# What nearly everyone shares separates nobody: standardised, it would only put the few others far away from all.
SHARED_BY_NEARLY_ALL = 0.95
MOST_DISCRETE_VALUES = 10
FEWEST_EFFECTIVE_VALUES = 20
CUT_QUANTILES = tuple(place / 10 for place in range(1, 10))

Numbers = npt.NDArray[np.float64]


class CannotFitError(Exception):
    """There is nothing to fit; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One thing that is known of customers, as the places of its `columns` among the coordinates.

    A discrete one has few values. Its distribution tells nothing of groups: two values are not two groups of customers. `is_spread`
    tells whether equal values may be spread over the room they have; the parts of a whole may not.
    """

    columns: tuple[int, ...]
    is_discrete: bool = False
    is_spread: bool = True


@dataclass(frozen=True, slots=True)
class PreparedSample:
    """A sample of customers as points: a row per customer in order of id, a standardised column per feature that varies.

    A feature is constant when nearly all customers share one value of it, unknown when it is empty for all of them. `table` holds
    the same customers as they were read; `digest` is that of all that a fit depends on; `variables` say which columns belong together.
    """

    table: pa.Table
    features: tuple[ModelFeature, ...]
    constant_features: tuple[str, ...]
    unknown_features: tuple[str, ...]
    points: Numbers
    customer_count: int
    digest: str
    variables: tuple[Variable, ...]


def prepare_sample(features: pa.Table, scheme: ClusterScheme, *, customer_count: int | None = None) -> PreparedSample:
    """Prepare the points that `scheme` makes of customer features; the same ones whatever the order of rows.

    `customer_count` is the size of the population where `features` are already a sample of it. Raises CannotFitError where
    they hold nothing to cluster, SchemaDrift where a column is missing.
    """
    population = _buying_customers(features, scheme)
    total = population.num_rows if customer_count is None else customer_count
    fewest = FEWEST_CUSTOMERS_PER_CLUSTER * scheme.cluster_count_min
    if total < fewest:
        raise CannotFitError(f"too few customers: {scheme.cluster_count_min} clusters need {fewest} with an order in the window")
    sample = _sample_by_hash(population, scheme)
    known = [feature for feature in scheme.features if sample[feature.name].null_count < sample.num_rows]
    unknown = tuple(feature.name for feature in scheme.features if feature not in known)
    if not known:
        raise CannotFitError(f"not computed: needs {', '.join(dict.fromkeys(map(_needed_by, unknown)))}, of which nobody has any")
    values = [_finite_values(sample, feature) for feature in known]
    columns = [_standardise_feature(feature, column) for feature, column in zip(known, values, strict=True)]
    varying = [(feature, column) for feature, column in columns if feature.scale >= SMALLEST_SCALE]
    held_values = [held for (feature, _), held in zip(columns, values, strict=True) if feature.scale >= SMALLEST_SCALE]
    if not varying:
        raise CannotFitError("every customer looks the same: no feature varies")
    return PreparedSample(
        table=sample,
        features=tuple(feature for feature, _ in varying),
        constant_features=tuple(feature.name for feature, _ in columns if feature.scale < SMALLEST_SCALE),
        unknown_features=unknown,
        points=np.column_stack([column for _, column in varying]),
        customer_count=total,
        digest=_sample_digest(scheme, sample, values),
        variables=tuple(_variable_of(place, held) for place, held in enumerate(held_values)),
    )


def _variable_of(place: int, values: Numbers) -> Variable:
    """Return the variable of a single column: counts on a scale are spread, shares of a few orders (0, 1/3, 1/2 ...) are not.

    How many values count is the inverse Simpson index, 1 / sum of squared shares.
    """
    distinct, counts = np.unique(values, return_counts=True)
    is_whole = bool((distinct == np.round(distinct)).all())
    effective = len(values) ** 2 / (counts.astype(np.float64) ** 2).sum()
    is_lumpy = not is_whole and bool(effective < FEWEST_EFFECTIVE_VALUES)
    return Variable((place,), is_discrete=is_lumpy or len(distinct) <= MOST_DISCRETE_VALUES, is_spread=not is_lumpy)


def round_figures(values: Numbers | float) -> Numbers:
    """Round `values` to the digits that a model keeps."""
    # Adding zero turns a negative zero into a positive one, which JSON would tell apart.
    return np.asarray(np.round(values, DECIMALS) + 0.0)


def feature_coordinates(table: pa.Table, features: Sequence[ModelFeature]) -> Numbers:
    """Coordinates as the statement of a model computes them: a row per customer, a column per feature, in standard deviations."""
    columns = []
    for feature in features:
        values = _filled_numbers(table, feature.name, feature.fill)
        columns.append((np.clip(_transform_values(values, feature.transform), feature.low, feature.high) - feature.mean) / feature.scale)
    return np.column_stack(columns)


def shares_between(values: Numbers, cuts: Sequence[float]) -> Numbers:
    """Share of values below, between and above the cuts: one share more than cuts; a value on a cut counts as below it."""
    counts = np.bincount(np.searchsorted(np.asarray(cuts), values, side="left"), minlength=len(cuts) + 1)
    return round_figures(counts / max(len(values), 1))


def sample_prefix(scheme: ClusterScheme) -> str:
    """Text that is put before an id when it is hashed to sample customers.

    Scheme and seed are in it, so that two schemes, or two seeds, do not look at the same customers.
    """
    return f"{scheme.name}:{scheme.seed}:"


def _buying_customers(features: pa.Table, scheme: ClusterScheme) -> pa.Table:
    missing = [name for name in ("customer_id", *scheme.columns) if name not in features.column_names]
    if missing:
        raise SchemaDrift(f"{CUSTOMER_FEATURES.name} lacks {', '.join(missing)}", where=scheme.name)
    return features.filter(pc.greater_equal(features[POPULATION_COLUMN], 1))


def _sample_by_hash(population: pa.Table, scheme: ClusterScheme) -> pa.Table:
    """Return at most the scheme's number of rows, chosen by a hash of the id, in order of id."""
    if population.num_rows > scheme.sample_rows:
        prefix, chunks = sample_prefix(scheme), population["customer_id"].chunks
        # MD5, since every engine has it and computes it alike; nothing is kept secret by it.
        hashes = np.array(
            [md5(f"{prefix}{customer}".encode(), usedforsecurity=False).hexdigest() for chunk in chunks for customer in chunk.to_pylist()]
        )
        population = population.take(np.argpartition(hashes, scheme.sample_rows)[: scheme.sample_rows])
    return population.sort_by("customer_id")


def _needed_by(name: str) -> str:
    """Return what a feature is made of where the source may leave it out, else the feature itself."""
    needs = next((column.needs for column in CUSTOMER_FEATURES.columns if column.name == name), "")
    return needs or name


def _finite_values(sample: pa.Table, feature: ClusterFeature) -> Numbers:
    values = _filled_numbers(sample, feature.name, feature.fill)
    if not (np.abs(values) <= LARGEST_NUMBER).all():
        raise CannotFitError(f"{feature.name} has values that are not finite, or beyond {LARGEST_NUMBER:g}")
    return values


def _filled_numbers(table: pa.Table, name: str, fill: float) -> Numbers:
    return np.asarray(table[name].cast(pa.float64()).fill_null(fill).to_numpy(), dtype=np.float64)


def _transform_values(values: Numbers, transform: str) -> Numbers:
    return np.log(1 + np.maximum(values, 0)) if transform == "log1p" else values


def _standardise_feature(feature: ClusterFeature, values: Numbers) -> tuple[ModelFeature, Numbers]:
    """Return how the column becomes coordinates, and these, both by the rounded figures that the model keeps."""
    transformed = _transform_values(values, feature.transform)
    low, high = (float(limit) for limit in round_figures(np.quantile(transformed, WINSOR_QUANTILES)))
    held = np.clip(transformed, low, high)
    mean = float(round_figures(held.mean()))
    most_shared = np.unique(held, return_counts=True)[1].max()
    scale = 0.0 if most_shared >= SHARED_BY_NEARLY_ALL * len(held) else float(round_figures(held.std()))
    # Rounding may put the mean just outside the limits, which a model that is read again would refuse.
    points = (held - min(max(mean, low), high)) / max(scale, SMALLEST_SCALE)
    cuts = tuple(np.unique(round_figures(np.quantile(points, CUT_QUANTILES))).tolist()) if scale else ()
    shares = tuple(shares_between(points, cuts).tolist()) if cuts else ()
    return ModelFeature(feature.name, feature.transform, feature.fill, low, high, min(max(mean, low), high), scale, cuts, shares), points


def _sample_digest(scheme: ClusterScheme, sample: pa.Table, values: list[Numbers]) -> str:
    content = sha256(json.dumps(asdict(scheme), sort_keys=True).encode())
    content.update(json.dumps(sample["customer_id"].to_pylist()).encode())
    for column in values:
        content.update(column.astype("<f8").tobytes())
    return content.hexdigest()
