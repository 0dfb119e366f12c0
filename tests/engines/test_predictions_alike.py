"""What is predicted is the same on DuckDB and on Spark."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
from support.local_spark import SparkOver
from support.prediction_nights import outcomes_of
from support.refit_nights import KINDS, customers_of, only_clusters, write_features

from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SURVIVORS
from pipeline.models.predictions import NotPredicted, fit_predictions, predictions_statement
from pipeline.models.signals import recent_days, registered_days, signal_parameters

NIGHT = date(2024, 12, 31)


def test_both_engines_predict_alike(tmp_path: Path, spark: SparkOver) -> None:
    lake, company = Lake(tmp_path / "lake"), only_clusters(tmp_path / "company")
    customers = customers_of(*KINDS, each=20)
    ever = pa.array([row % 9 for row in range(customers.num_rows)], pa.int64())
    spend = pa.array([row * 1000.0 - 50 for row in range(customers.num_rows)]).cast(pa.decimal128(18, 4))
    extra = customers.append_column("lifetime_order_day_count", ever).append_column("lifetime_spend_amount", spend)
    write_features(lake, company, extra, NIGHT)
    statements = [predictions_statement(by) for by in (fit_predictions(outcomes_of(), NIGHT), NotPredicted(NIGHT, "it isn't"))]
    survivors = pa.table([["merged"], ["c1"]], CUSTOMER_SURVIVORS.schema)
    told: list[list[pa.Table]] = []
    for engine in (DuckDBEngine(lake.store, memory_limit="1GB"), spark(lake)):
        engine.register(CUSTOMER_FEATURES, [addresses.partition(CUSTOMER_FEATURES, day=NIGHT)])
        with registered_days(lake, engine, recent_days(lake, NIGHT, NIGHT), survivors):
            told.append([engine.run(each, signal_parameters(NIGHT, 365)).read_all() for each in statements])
    for ours, theirs in zip(*told, strict=True):
        assert ours.select(["customer_id", "evidence"]).to_pylist() == theirs.select(["customer_id", "evidence"]).to_pylist()
        for name, unit in (("expected_spend_amount", 0.01), ("repeat_probability", 0.0001)):
            one, other = (table[name].to_numpy().astype(float) for table in (ours, theirs))
            np.testing.assert_allclose(one, other, atol=1.001 * unit, rtol=1e-9)
    assert sum(row["expected_spend_amount"] is not None for row in told[0][0].to_pylist()) == sum(value > 0 for value in ever.to_pylist())
