"""Every night measures how far customers have drifted from the models that assign them.

Beyond a limit of the scheme the night requests a refit, but never makes one: a night must cost the same whatever it finds, and
a new model is judged before anybody is assigned by it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import date
from typing import Any

import pyarrow as pa

from pipeline.definitions.company import Company
from pipeline.definitions.schemes import ClusterScheme, load_cluster_schemes
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake, sorted_by
from pipeline.lake.tables import CLUSTER_DRIFTS, CUSTOMER_FEATURES, CUSTOMER_SEGMENTS
from pipeline.models.clusters import Drift, measure_drifts
from pipeline.models.refits.model_store import stored_model
from pipeline.models.sample import sample_customers

log = logging.getLogger("pipeline.models.measure_drift")
# Measured every night, so it has to be cheap: of 10,000 customers a share of a tenth is known to about a third of a percentage point.
SAMPLE_ROWS = 10_000


def write_drifts(company: Company, lake: Lake, engine: Engine, day: date) -> None:
    """Write how far the customers of night `day` are from those of the models."""
    # Steps before this one may have left fewer columns readable.
    engine.register(company.table(CUSTOMER_FEATURES), [addresses.partition(CUSTOMER_FEATURES, day=day)])
    rows = [
        _drift_row(scheme.name, drift) for scheme in load_cluster_schemes(company) for drift in _scheme_drifts(lake, engine, scheme, day)
    ]
    for row in rows:
        if row["is_beyond"]:
            log.warning("%s asks for a refit: %s; the limit is %g: segments refit --day %s", row["scheme"], row["words"], row["limit"], day)
    table = sorted_by(pa.Table.from_pylist(rows, schema=CLUSTER_DRIFTS.schema), CLUSTER_DRIFTS.key)
    lake.write(CLUSTER_DRIFTS, table.to_batches(), day=day)


def requested_refits(lake: Lake, day: date) -> list[str]:
    """Return a sentence for each measure by which night `day` requests a refit; empty where none is beyond its limit."""
    return [f"{row['scheme']}: {row['words']}" for row in rows_beyond_limits(lake, day)]


def rows_beyond_limits(lake: Lake, day: date) -> list[dict[str, Any]]:
    """Return the rows of CLUSTER_DRIFTS that are beyond their limit; none for a night that measured nothing."""
    if not lake.has(CLUSTER_DRIFTS, day=day):
        return []
    return [row for row in lake.read(CLUSTER_DRIFTS, day=day).to_pylist() if row["is_beyond"]]


def _scheme_drifts(lake: Lake, engine: Engine, scheme: ClusterScheme, day: date) -> Iterator[Drift]:
    # The models that the night was really assigned by stand in the manifest of its memberships; newer ones may be stored by now.
    models = lake.manifest(addresses.partition(CUSTOMER_SEGMENTS, day=day)).get("models", {})
    first_night = models.get(scheme.name)
    if first_night:
        model = stored_model(lake, scheme.name, first_night)
        sample = sample_customers(engine, scheme, columns=[feature.name for feature in model.features], rows=SAMPLE_ROWS)
        # In order of id: sums of doubles depend on the order in their last digits, and an engine gives rows in any.
        yield from measure_drifts(sample.features.sort_by("customer_id"), model, scheme)


def _drift_row(scheme: str, drift: Drift) -> dict[str, object]:
    return {
        "scheme": scheme,
        "measure": drift.measure,
        "subject": drift.subject,
        "measured": drift.measured,
        "limit": drift.limit,
        "is_beyond": drift.is_beyond,
        "words": drift.words,
    }
