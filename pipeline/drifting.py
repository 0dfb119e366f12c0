"""Every night measures how far customers have drifted from the models they are assigned by. It asks for a refit, and never makes one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pyarrow as pa

from pipeline.clusters import ClusterScheme, Drift, drifts, load_cluster_schemes
from pipeline.company import Company
from pipeline.engines import Engine
from pipeline.lake import Lake, sorted_by
from pipeline.publish.pointer import current_publication
from pipeline.refits.models import model_at, models_folder
from pipeline.refits.stored import judged_days
from pipeline.samples import sampled_customers
from pipeline.tables import CLUSTER_DRIFTS, CUSTOMER_SEGMENTS

log = logging.getLogger("pipeline.drifting")
SAMPLE_ROWS = 10_000
# A candidate that was refused, or that waits for a person, is not fitted again the night after.
REST = timedelta(days=7)


def keep_drifts(company: Company, lake: Lake, engine: Engine, day: date) -> None:
    """Write how far the customers of night `day`, registered as `customer_features`, are from those of the models."""
    rows = [_row(scheme.name, drift) for scheme in load_cluster_schemes(company) for drift in _drifts(lake, engine, scheme, day)]
    for row in rows:
        if row["is_beyond"]:
            log.warning("%s asks for a refit: %s; the limit is %g: segments refit --day %s", row["scheme"], row["words"], row["limit"], day)
    table = sorted_by(pa.Table.from_pylist(rows, schema=CLUSTER_DRIFTS.schema), CLUSTER_DRIFTS.key)
    lake.write(CLUSTER_DRIFTS, table.to_batches(), day=day)


def asked_refits(lake: Lake, day: date) -> list[str]:
    """Return in words why night `day` asks for a refit, most urgent scheme by scheme; empty where it does not."""
    return [f"{row['scheme']}: {row['words']}" for row in _beyond(lake, day)]


def due_refits(lake: Lake, day: date) -> list[str]:
    """Return the schemes that night `day` asks to refit, where it is live and no refit was judged in the week before.

    Raises DataError where what is live, or the night's drift, cannot be read.
    """
    live = current_publication(lake)
    if live is None or live.day != day:
        return []
    asked = {row["scheme"] for row in _beyond(lake, day)}
    return sorted(scheme for scheme in asked if all(judged <= day - REST for judged in judged_days(lake, scheme)))


def _beyond(lake: Lake, day: date) -> list[dict[str, Any]]:
    """Return what a night measured beyond its limit; nothing where it measured nothing."""
    if not lake.path(CLUSTER_DRIFTS, day=day).exists():
        return []
    return [row for row in lake.read(CLUSTER_DRIFTS, day=day).to_pylist() if row["is_beyond"]]


def _drifts(lake: Lake, engine: Engine, scheme: ClusterScheme, day: date) -> Iterator[Drift]:
    models = lake.manifest(lake.path(CUSTOMER_SEGMENTS, day=day)).get("models", {})
    first_night = models.get(scheme.name)
    if first_night:
        model = model_at(models_folder(lake, scheme.name) / f"{first_night}.json")
        sample = sampled_customers(engine, scheme, columns=[feature.name for feature in model.features], rows=SAMPLE_ROWS)
        yield from drifts(sample.features.sort_by("customer_id"), model, scheme)


def _row(scheme: str, drift: Drift) -> dict[str, object]:
    return {
        "scheme": scheme,
        "measure": drift.measure,
        "subject": drift.subject,
        "measured": drift.measured,
        "limit": drift.limit,
        "is_beyond": drift.is_beyond,
        "words": drift.words,
    }
