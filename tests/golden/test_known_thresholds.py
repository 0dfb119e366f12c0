"""Where the recency of Online Retail's customers tells most about who orders in the next 90 days: a published answer, worked out apart."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import pytest

from pipeline.segmentation.insights.thresholds import Threshold, best_cut, threshold_proposals

RECENCIES = """
WITH lines AS (
  SELECT CustomerID AS customer_id, CAST(InvoiceDate AS DATE) AS day, Quantity > 0 AND UnitPrice > 0 AS is_order
  FROM '{data}/online_retail/year_2010_2011.parquet' WHERE CustomerID IS NOT NULL
)
SELECT
  DATE '2011-08-31' - MAX(day) FILTER (is_order AND day <= DATE '2011-08-31') AS recency_days,
  MAX(CASE WHEN is_order AND day > DATE '2011-08-31' AND day <= DATE '2011-08-31' + 90 THEN 1 ELSE 0 END) AS is_back
FROM lines GROUP BY customer_id HAVING recency_days IS NOT NULL ORDER BY customer_id
"""


@pytest.fixture(scope="module")
def customers(shared_data: Path) -> tuple[np.ndarray, np.ndarray]:
    if not (shared_data / "online_retail").is_dir():
        pytest.skip("online_retail is not in ../shared/data")
    with closing(duckdb.connect()) as connection:
        found = connection.sql(RECENCIES.format(data=shared_data)).fetchnumpy()
    return found["recency_days"].astype(float), found["is_back"].astype(float)


@pytest.mark.parametrize("today", [90, 100])
def test_no_threshold_of_recency_is_to_be_moved_that_may_be_the_best(customers: tuple[np.ndarray, np.ndarray], today: float) -> None:
    threshold = Threshold("mine", "lapsing", "recency_days", "<=", today)
    cut = best_cut(threshold, *customers)
    assert cut is not None
    assert cut.limit == 111
    assert (cut.low, cut.high) == (pytest.approx(49, abs=2), pytest.approx(115, abs=2))
    assert not list(threshold_proposals([threshold], {"mine": {"recency_days": customers[0]}}, {"mine": customers[1]}))


def test_one_that_is_not_is(customers: tuple[np.ndarray, np.ndarray]) -> None:
    threshold = Threshold("mine", "lapsing", "recency_days", "<=", 180)
    [found] = threshold_proposals([threshold], {"mine": {"recency_days": customers[0]}}, {"mine": customers[1]})
    assert (found.rule, found.measured) == ("recency_days <= 111", 111)
