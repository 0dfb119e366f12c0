"""Last year's spend of real companies, scaled by the days that are known, errs as worked out apart from the pipeline."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from support.prediction_nights import outcomes_of

from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SURVIVORS
from pipeline.models.predictions.evaluation import measure_forecast
from pipeline.models.predictions.fitting import Forecast
from pipeline.models.signals import registered_days, signal_parameters

# The published lines, each with its day as the shop's clock showed it: Online Retail is in London time already.
ONLINE_RETAIL = """
SELECT CAST(CustomerID AS VARCHAR) AS customer_id, CAST(InvoiceDate AS DATE) AS day, Quantity * CAST(UnitPrice AS DECIMAL(18, 4)) AS amount
FROM '{data}/online_retail/year_2010_2011.parquet' WHERE CustomerID IS NOT NULL
"""
COMPLETE_JOURNEY = """
SELECT CAST(household_id AS VARCHAR) AS customer_id,
  CAST(timezone('America/New_York', timezone('UTC', CAST(transaction_timestamp AS TIMESTAMP))) AS DATE) AS day,
  CAST(sales_value AS DECIMAL(18, 4)) AS amount
FROM '{data}/complete_journey/transactions.parquet'
"""
FEATURES = """
SELECT customer_id, SUM(amount) AS spend, DATEDIFF('day', MIN(day) FILTER (amount >= 0), DATE '{night}') AS tenure_days
FROM lines WHERE day <= DATE '{night}' GROUP BY customer_id HAVING COUNT(*) FILTER (amount >= 0) > 0 ORDER BY customer_id
"""
SINCE = """
SELECT customer_id, GREATEST(SUM(amount), 0) AS spent
FROM lines WHERE day > DATE '{night}' AND day <= DATE '{night}' + 90 GROUP BY customer_id
"""


@pytest.mark.parametrize(
    ("lines", "night", "customers", "known_days", "error"),
    [
        (ONLINE_RETAIL, date(2011, 9, 10), 3370, 284, 536.62),
        (COMPLETE_JOURNEY, date(2017, 10, 1), 2447, 274, 183.69),
    ],
    ids=["Online Retail", "The Complete Journey"],
)
def test_last_years_spend_is_scaled_by_the_days_known(
    lines: str, night: date, customers: int, known_days: int, error: float, shared_data: Path, tmp_path: Path
) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW lines AS {lines.format(data=shared_data)}")
        known = connection.sql(FEATURES.format(night=night)).to_arrow_table()
        spent = dict(connection.sql(SINCE.format(night=night)).fetchall())
    assert known.num_rows == customers
    scaled = last_years_spend(tmp_path, known, night)
    raw = np.maximum(known["spend"].cast(pa.float64()).to_numpy(), 0)
    np.testing.assert_allclose(scaled, raw * 90 / known_days)
    amounts = np.array([float(spent.get(customer, 0)) for customer in known["customer_id"].to_pylist()])
    measured = measure_forecast(Forecast(scaled), replace(outcomes_of(customers), amounts=amounts))
    assert round(measured.error, 2) == error


def last_years_spend(folder: Path, known: pa.Table, night: date) -> np.ndarray:
    """Return what the pipeline makes of each customer's spend and tenure, in order of id."""
    given = {"customer_id": known["customer_id"], "spend_amount": known["spend"], "tenure_days": known["tenure_days"]}
    given["lifetime_order_day_count"] = pa.repeat(1, known.num_rows)
    columns = [given.get(column.name, pa.nulls(known.num_rows)).cast(column.kind.arrow) for column in CUSTOMER_FEATURES.columns]
    lake, address = Lake(folder), "features.parquet"
    lake.write_file(CUSTOMER_FEATURES.schema, pa.table(columns, schema=CUSTOMER_FEATURES.schema).to_batches(), address, {})
    with closing(DuckDBEngine(lake.store, memory_limit="1GB")) as engine:
        engine.register(CUSTOMER_FEATURES, [address])
        with registered_days(lake, engine, [], CUSTOMER_SURVIVORS.schema.empty_table()):
            signals = engine.run(statement("customer_signals"), signal_parameters(night, 365)).read_all().sort_by("customer_id")
    return signals["last_years_spend"].to_numpy()
