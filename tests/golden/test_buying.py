"""BG/NBD and Gamma-Gamma find what their authors published for CDNOW's 1/10th sample, 39 weeks of it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import numpy as np
import pytest

from pipeline.models.predictions.bg_nbd import (
    BgNbdParameters,
    PurchaseHistories,
    buying_probabilities,
    expected_amounts,
    expected_order_days,
    fit_bg_nbd,
    fit_gamma_gamma,
)

CALIBRATION = """
SELECT master_id, COUNT(DISTINCT day) - 1 AS repeats, DATEDIFF('day', MIN(day), MAX(day)) AS last,
  DATEDIFF('day', MIN(day), DATE '1997-09-30') AS known
FROM (SELECT *, CAST(STRPTIME(date, '%Y%m%d') AS DATE) AS day FROM '{file}') WHERE day <= DATE '1997-09-30' GROUP BY 1 ORDER BY 1
"""
REPEATS = """
WITH days AS (SELECT master_id, date, SUM(value_usd) AS value FROM '{file}' WHERE date <= '19970930' GROUP BY 1, 2),
ranked AS (SELECT *, ROW_NUMBER() OVER (PARTITION BY master_id ORDER BY date) AS number FROM days)
SELECT master_id, CAST(COUNT(*) AS DOUBLE) AS days, AVG(value) AS mean FROM ranked WHERE number > 1 GROUP BY 1 ORDER BY 1
"""


@pytest.fixture(scope="module")
def history(shared_data: Path) -> PurchaseHistories:
    found = duckdb.sql(CALIBRATION.format(file=shared_data / "cdnow" / "sample.parquet")).fetchnumpy()
    return PurchaseHistories(found["repeats"].astype(float), found["last"] / 7, found["known"] / 7)


@pytest.fixture(scope="module")
def buying(history: PurchaseHistories) -> BgNbdParameters:
    found = fit_bg_nbd(history)
    assert found is not None
    return found


def test_bg_nbd_finds_the_published_parameters_and_likelihood(buying: BgNbdParameters) -> None:
    assert (round(buying.r, 3), round(buying.alpha, 3), round(buying.a, 3), round(buying.b, 3)) == (0.243, 4.414, 0.793, 2.426)
    assert round(buying.log_likelihood, 1) == -9582.4


def test_the_published_customer_is_expected_to_buy_1_226_times_in_39_weeks(buying: BgNbdParameters) -> None:
    customer = PurchaseHistories(np.array([2.0]), np.array([30.43]), np.array([38.86]))
    assert expected_order_days(customer, buying, 39)[0] == pytest.approx(1.226, abs=0.0005)


def test_who_is_more_regular_and_more_recent_is_more_likely_to_buy(buying: BgNbdParameters) -> None:
    customers = PurchaseHistories(np.array([0.0, 5.0, 5.0]), np.array([0.0, 10.0, 38.0]), np.array([39.0, 39.0, 39.0]))
    never, lapsed, regular = buying_probabilities(customers, buying, 13)
    assert 0 < never < regular < 1
    assert lapsed < regular


def test_expected_order_days_have_their_limit_where_a_is_1(history: PurchaseHistories) -> None:
    beside, at = (expected_order_days(history, BgNbdParameters(0.243, 4.414, a, 2.426, 0.0), 39) for a in (1.0001, 1.0))
    assert at.min() > 0
    np.testing.assert_allclose(at, beside, rtol=1e-3)


def test_gamma_gamma_finds_the_published_parameters(shared_data: Path) -> None:
    found = duckdb.sql(REPEATS.format(file=shared_data / "cdnow" / "sample.parquet")).fetchnumpy()
    spending = fit_gamma_gamma(found["days"], found["mean"])
    assert spending is not None
    assert (round(spending.p, 2), round(spending.q, 2), round(spending.gamma, 2)) == (6.25, 3.74, 15.44)
    few, many = expected_amounts(np.array([1.0, 50.0]), np.array([100.0, 100.0]), spending)
    assert few < many < 100


def test_what_cannot_be_fitted_is_none() -> None:
    assert fit_gamma_gamma(np.ones(5), np.zeros(5)) is None
