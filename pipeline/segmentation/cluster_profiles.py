"""What sets each cluster of a night apart: the table cluster_profiles."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date

import pyarrow as pa

from pipeline.definitions.schemes import ClusterScheme
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.statements import statement_digest
from pipeline.lake.tables import CLUSTER_PROFILES
from pipeline.models.clusters import ClusterModel, NotFitted, coordinate_sums_statement, profile_rows

log = logging.getLogger("pipeline.segmentation.cluster_profiles")


def write_cluster_profiles(
    lake: Lake, engine: Engine, models: Sequence[tuple[ClusterScheme, ClusterModel | NotFitted]], day: date, *, known_on: date | None = None
) -> None:
    """Write the figures of every cluster; it reads the registered tables customer_features and customer_segments of the night.

    `known_on` is the night whose knowledge counts.
    """
    queries = {model: coordinate_sums_statement(model) for _, model in models if isinstance(model, ClusterModel)}
    rows = [row for model, query in queries.items() for row in profile_rows(model, engine.run(query, {}).read_all().to_pylist())]
    small = sorted({f"{row['scheme']}.{row['segment']}" for row in rows if row["known_count"] and row["cluster_mean"] is None})
    if small:
        log.info("%s: figures of fewer than five customers are withheld in %s", CLUSTER_PROFILES.name, ", ".join(small))
    table = pa.Table.from_pylist(rows, schema=CLUSTER_PROFILES.schema)
    manifest = {"statements": {model.scheme: statement_digest(query) for model, query in queries.items()}, "withheld": small}
    lake.write(CLUSTER_PROFILES, table.to_batches(), day=day, known_on=known_on, manifest=manifest)
