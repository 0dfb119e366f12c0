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
from pipeline.models.clusters import sample_prefix


@dataclass(frozen=True, slots=True)
class CustomerSample:
    """Features of some customers with an order in the window, a row each, and how many such customers there are in all."""

    features: pa.Table
    customer_count: int


def sample_customers(engine: Engine, scheme: ClusterScheme, *, columns: Iterable[str] = (), rows: int | None = None) -> CustomerSample:
    """Return at most `rows` customers, by default the scheme's number, out of the registered `customer_features`.

    Their columns are `customer_id`, those of the scheme and `columns`. Chosen are those with the smallest hashes of their ids.
    """
    population = exp.select().from_(CUSTOMER_FEATURES.name).where(exp.column(POPULATION_COLUMN) >= exp.Literal.number(1))
    if scheme.members is not None:
        population = population.where(exp.In(this=exp.column("customer_id"), query=scheme.members.subquery()))
    [count] = engine.run(population.select("CAST(COUNT(*) AS BIGINT) AS customer_count"), {}).read_all()["customer_count"].to_pylist()
    names = dict.fromkeys(("customer_id", *scheme.columns, *columns))
    query = population.select(*(exp.column(name, quoted=True) for name in names))
    sample_size = scheme.sample_rows if rows is None else rows
    if count > sample_size:  # else hashing and sorting would choose everyone
        hashed = exp.MD5(this=exp.DPipe(this=exp.Literal.string(sample_prefix(scheme)), expression=exp.column("customer_id")))
        query = query.order_by(hashed, "customer_id").limit(sample_size)
    return CustomerSample(engine.run(query, {}).read_all(), count)
