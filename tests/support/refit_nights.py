"""Nights of made-up customers for tests of clusters: features written as a night would, segmented and refitted for real."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.definitions.company import Company
from pipeline.definitions.schemes import ClusterScheme, load_cluster_schemes
from pipeline.features import MergeHistory
from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake, sorted_by
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, Kind
from pipeline.models.measure_drift import write_drifts
from pipeline.models.refits.candidate import ClusterRefit, fit_candidate
from pipeline.models.refits.model_store import RefitContext
from pipeline.segmentation import write_memberships
from support.builders import a_company

# What a customer of each kind is like: spend, order-days, days since, days known, categories, discount share.
KINDS = {
    "regulars": (900, 24, 8, 340, 8, 0.1),
    "bargain hunters": (150, 6, 60, 300, 4, 0.9),
    "newcomers": (60, 1, 12, 14, 1, 0.1),
    "sleepers": (80, 2, 320, 350, 1, 0.1),
    "collectors": (9_000, 40, 3, 350, 1, 0.9),
}
NOTHING = {Kind.INTEGER: 0, Kind.NUMBER: 0.0, Kind.MONEY: 0, Kind.TEXT: "", Kind.FLAG: False, Kind.DATE: date(2024, 3, 31)}


def customers_of(*kinds: str, each: int = 150, seed: int = 1) -> pa.Table:
    """Return features of `each` customers of each kind, kind after kind, in order of id."""
    random = np.random.default_rng(seed)
    spend, orders, recency, tenure, categories, discount = np.repeat(np.array([KINDS[kind] for kind in kinds], float), each, axis=0).T
    count = each * len(kinds)
    noise = np.exp(random.normal(0, 0.12, (5, count)))
    return pa.table(
        {
            "customer_id": [f"c{number:05}" for number in range(count)],
            "order_day_count": pa.array(np.maximum(1, np.round(orders * noise[0])), pa.int64()),
            "spend_amount": pa.array(np.round(spend * noise[1], 2)).cast(pa.decimal128(18, 4)),
            "recency_days": pa.array(np.round(recency * noise[2]), pa.int64()),
            "tenure_days": pa.array(np.round(tenure * noise[3]), pa.int64()),
            "category_count": pa.array(np.maximum(1, np.round(categories * noise[4])), pa.int64()),
            "discount_share": pa.array(np.clip(discount + random.normal(0, 0.03, count), 0, 1)),
            "return_share": pa.array(np.zeros(count)),
        }
    )


def noise_of(count: int, *, seed: int = 2) -> pa.Table:
    """Return customers without any structure."""
    random = np.random.default_rng(seed)
    table = customers_of("regulars", each=count)
    for name in ("spend_amount", "recency_days", "tenure_days", "order_day_count"):
        values = pa.array(np.round(np.exp(random.normal(4, 0.3, count))))
        table = table.set_column(table.column_names.index(name), name, values.cast(table[name].type))
    for name in ("discount_share", "return_share"):
        table = table.set_column(table.column_names.index(name), name, pa.array(random.random(count)))
    return table.set_column(
        table.column_names.index("category_count"), "category_count", pa.array(random.integers(1, 30, count), pa.int64())
    )


def only_clusters(folder: Path) -> Company:
    """Return a company whose one scheme is our clusters, so that a night of it costs little."""
    folder.mkdir(parents=True, exist_ok=True)
    return a_company(folder)


def scheme_of(company: Company, **changes: Any) -> ClusterScheme:
    [scheme] = load_cluster_schemes(company)
    return replace(scheme, **changes)


def write_features(lake: Lake, company: Company, customers: pa.Table, day: date) -> None:
    """Write the features of a night; what `customers` do not have is nothing."""
    table = company.table(CUSTOMER_FEATURES)
    columns = [
        customers[column.name].cast(column.kind.arrow)
        if column.name in customers.column_names
        else pa.array([NOTHING.get(column.kind)] * customers.num_rows, column.kind.arrow)
        for column in table.columns
    ]
    lake.write(table, sorted_by(pa.Table.from_arrays(columns, schema=table.schema), table.key).to_batches(), day=day)


def segment_night(lake: Lake, company: Company, day: date) -> dict[str, str]:
    """Assign everybody as a night does, and return the cluster of each customer."""
    with closing(DuckDBEngine(lake.store, memory_limit="1GB")) as engine:
        write_memberships(company, lake, engine, day)
    rows = lake.read(CUSTOMER_SEGMENTS, day=day).to_pylist()
    return {row["customer_id"]: row["segment"] for row in rows if row["scheme"] == "behaviour_clusters"}


def measure_drift(lake: Lake, company: Company, day: date) -> None:
    """Write how far a night's customers are from the models, as a night does."""
    with closing(DuckDBEngine(lake.store)) as engine:
        write_drifts(company, lake, engine, day)


def refit_night(lake: Lake, company: Company, day: date, **changes: Any) -> ClusterRefit:
    """Return what a refit to the customers of a night finds."""
    with closing(DuckDBEngine(lake.store, memory_limit="1GB")) as engine:
        return fit_candidate(
            RefitContext(company, lake, engine, day, scheme_of(company, **changes), MergeHistory(lake, company.zone).rows_of)
        )


def make_live(lake: Lake, day: date) -> None:
    """Point to a night as if it were published: a plan reads the lake's own tables."""
    folder = lake.root / "publications" / f"{day}-test"
    folder.mkdir(parents=True)
    schemes = lake.manifest(addresses.partition(CUSTOMER_SEGMENTS, day=day))["schemes"]
    told = {"day": day.isoformat(), "publication_id": folder.name, "previous": None, "tables": {}, "schemes": schemes}
    (folder / "manifest.json").write_text(json.dumps(told), "utf-8")
    (lake.root / "current").symlink_to(Path("publications", folder.name))
