"""A bounded sample of a night's customers, read by column: a fit costs the same for any population.

Customers are chosen by a hash of their id rather than by chance, so that every engine and any order of rows gives the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
from sqlglot import exp

from pipeline.definitions.schemes import ClusterScheme
from pipeline.definitions.schemes.cluster_scheme import POPULATION_COLUMN
from pipeline.lake.engines import Engine
from pipeline.lake.tables import CUSTOMER_FEATURES
from pipeline.models.clusters import has_value_condition, sample_prefix
from pipeline.models.clusters.preparation import FEWEST_CUSTOMERS_PER_CLUSTER


@dataclass(frozen=True, slots=True)
class CustomerSample:
    """Features of some of the customers whom a scheme clusters, a row each, and how many such customers there are in all."""

    features: pa.Table
    customer_count: int


def sample_customers(engine: Engine, scheme: ClusterScheme, *, columns: Iterable[str] = (), rows: int | None = None) -> CustomerSample:
    """Return at most `rows` customers, by default the scheme's number, out of the registered `customer_features`.

    Their columns are `customer_id`, those of the scheme and `columns`. Of those who have all attributes of the scheme, chosen are the
    ones with the smallest hashes of their ids.
    """
    population = exp.select().from_(CUSTOMER_FEATURES.name)
    if scheme.goes_by_orders:
        population = population.where(exp.column(POPULATION_COLUMN) >= exp.Literal.number(1))
    if scheme.members is not None:
        population = population.where(exp.In(this=exp.column("customer_id"), query=scheme.members.subquery()))
    # Left out before sampling, or whoever lacks an answer would use up the sample and then drop out of it.
    complete = _with_attributes(engine, population, scheme)
    [count] = engine.run(complete.select("CAST(COUNT(*) AS BIGINT) AS customer_count"), {}).read_all()["customer_count"].to_pylist()
    # A fit that has too few customers says which attribute they lack: it looks at those who lack it too.
    chosen, size = (complete, count) if count >= FEWEST_CUSTOMERS_PER_CLUSTER * scheme.cluster_count_min else (population, None)
    names = dict.fromkeys(("customer_id", *scheme.columns, *columns))
    query = chosen.select(*(exp.column(name, quoted=True) for name in names))
    sample_size = scheme.sample_rows if rows is None else rows
    if size is None or size > sample_size:  # else hashing and sorting would choose everyone
        hashed = exp.MD5(this=exp.DPipe(this=exp.Literal.string(sample_prefix(scheme)), expression=exp.column("customer_id")))
        query = query.order_by(hashed, "customer_id").limit(sample_size)
    return CustomerSample(engine.run(query, {}).read_all(), count)


def _with_attributes(engine: Engine, population: exp.Select, scheme: ClusterScheme) -> exp.Select:
    """Return the customers of the population who have all attributes of the scheme but those that nobody has."""
    if not scheme.attributes:
        return population
    conditions = {feature.name: has_value_condition(feature.name, feature.encoding) for feature in scheme.features if feature.is_attribute}
    counts = [exp.alias_(exp.Max(this=exp.case().when(has, 1).else_(0)), f"known_{place}") for place, has in enumerate(conditions.values())]
    [held] = engine.run(population.select(*counts), {}).read_all().to_pylist()
    # An attribute that nobody has would leave nobody: the fit reports it as unknown and does without it.
    known = [has for has, is_held in zip(conditions.values(), held.values(), strict=True) if is_held]
    return population.where(*known)
