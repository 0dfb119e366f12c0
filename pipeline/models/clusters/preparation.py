"""From customer features to points: who is clustered, who of them is sampled, and what `encoding` makes of each column."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import md5, sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.definitions.schemes.cluster_scheme import POPULATION_COLUMN, ClusterScheme
from pipeline.errors import SchemaDrift
from pipeline.lake.tables import CUSTOMER_FEATURES
from pipeline.models.clusters.encoding import CannotFitError, EncodedColumn, Numbers, Variable, encode_column, has_value, places_from
from pipeline.models.clusters.model import ModelFeature

FEWEST_CUSTOMERS_PER_CLUSTER = 10


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

    @property
    def are_answers(self) -> bool:
        """Whether all that is known of customers are attributes of few values."""
        return all(variable.is_answer for variable in self.variables)


def prepare_sample(features: pa.Table, scheme: ClusterScheme, *, customer_count: int | None = None) -> PreparedSample:
    """Prepare the points that `scheme` makes of customer features; the same ones whatever the order of rows.

    `customer_count` is the size of the population where `features` are already a sample of it. Raises CannotFitError where
    they hold nothing to cluster, SchemaDrift where a column is missing.
    """
    population = _population(features, scheme)
    known = [feature for feature in scheme.features if _is_known(population, feature.name)]
    unknown = tuple(feature.name for feature in scheme.features if feature not in known)
    # Only what somebody has is asked of everybody: an attribute that nobody has leaves the model, not all customers.
    everybody, population = population, _complete_rows(population, [feature.name for feature in known if feature.is_attribute])
    total = population.num_rows if customer_count is None else customer_count
    fewest = FEWEST_CUSTOMERS_PER_CLUSTER * scheme.cluster_count_min
    if total < fewest:
        raise CannotFitError(_too_few_words(scheme, everybody, fewest))
    if not known:
        raise CannotFitError(f"not computed: needs {', '.join(dict.fromkeys(map(_needed_by, unknown)))}, of which nobody has any")
    sample = _sample_by_hash(population, scheme)
    columns = [encode_column(sample, feature) for feature in known]
    varying = [column for column in columns if column.features]
    if not varying:
        raise CannotFitError("every customer looks the same: no feature varies")
    return PreparedSample(
        table=sample,
        features=tuple(feature for column in varying for feature in column.features),
        constant_features=tuple(column.name for column in columns if not column.features),
        unknown_features=unknown,
        points=np.column_stack([column.points for column in varying]),
        customer_count=total,
        digest=_sample_digest(scheme, sample, columns),
        variables=tuple(places_from(0, [column.variable for column in varying])),
    )


def sample_prefix(scheme: ClusterScheme) -> str:
    """Text that is put before an id when it is hashed to sample customers.

    Scheme and seed are in it, so that two schemes, or two seeds, do not look at the same customers.
    """
    return f"{scheme.name}:{scheme.seed}:"


def _population(features: pa.Table, scheme: ClusterScheme) -> pa.Table:
    missing = [name for name in ("customer_id", *scheme.columns) if name not in features.column_names]
    if missing:
        raise SchemaDrift(f"{CUSTOMER_FEATURES.name} lacks {', '.join(missing)}", where=scheme.name, todo="Run the night again.")
    return features.filter(pc.greater_equal(features[POPULATION_COLUMN], 1)) if scheme.goes_by_orders else features


def _is_known(population: pa.Table, name: str) -> bool:
    # Of nobody nothing is known, and nothing unknown: that there are too few is said elsewhere.
    return population.num_rows == 0 or bool(pc.any(has_value(population[name])).as_py())


def _complete_rows(population: pa.Table, attributes: Sequence[str]) -> pa.Table:
    """Return the customers of whom all the attributes are known."""
    for name in attributes:
        population = population.filter(has_value(population[name]))
    return population


def _too_few_words(scheme: ClusterScheme, population: pa.Table, fewest: int) -> str:
    needed = f"too few customers: {scheme.cluster_count_min} clusters need {fewest}"
    who = " with an order in the window" if scheme.goes_by_orders else ""
    lacking = {name: population.num_rows - pc.sum(has_value(population[name])).as_py() for name in scheme.attributes if population.num_rows}
    if not any(lacking.values()):
        return f"{needed}{who}"
    most = max(lacking, key=lambda name: lacking[name])
    return f"{needed}{who} of whom all attributes are known; `{most}` is not known of {lacking[most]:,} of {population.num_rows:,}"


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


def _sample_digest(scheme: ClusterScheme, sample: pa.Table, columns: Sequence[EncodedColumn]) -> str:
    # What to do about a cluster changes none.
    facts = {name: value for name, value in asdict(scheme).items() if name not in ("strategy", "strategies", "within_rhythm")}
    content = sha256(json.dumps(facts, sort_keys=True).encode())
    content.update(json.dumps(sample["customer_id"].to_pylist()).encode())
    for column in columns:
        content.update(column.content)
    return content.hexdigest()
