"""What is known of Hillstrom's e-mails, which were drawn at random, and of what spend before explains in Complete Journey."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipeline.measurement.arm_sums import CampaignSums
from pipeline.measurement.campaign import SOURCE, Campaign, MeasuredArm
from pipeline.measurement.cuped import cuped_difference
from pipeline.measurement.effects import arm_effects
from pipeline.measurement.intervals import Mean, welch_difference
from pipeline.measurement.looks import looks
from pipeline.measurement.moments import Moments
from pipeline.measurement.multiple_testing import holm_adjusted
from pipeline.measurement.results import CampaignRows, Observations, reported_rows
from pipeline.measurement.sample_ratio import chi_square, sample_ratio_p_value
from pipeline.measurement.sample_size import control_size_for_rates, smallest_visible_mean_difference

EXACT = 1e-6
MENS, WOMENS, NONE = "mens", "womens", "control"
SUMS = """
WITH mailed AS (
  SELECT CASE segment WHEN 'Mens E-Mail' THEN 'mens' WHEN 'Womens E-Mail' THEN 'womens' ELSE 'control' END AS arm,
    CASE WHEN mens = 1 AND womens = 1 THEN 'both' WHEN mens = 1 THEN 'mens' ELSE 'womens' END AS segment,
    visit, conversion AS o, CAST(spend AS DECIMAL(18, 4)) AS y, CAST(history AS DECIMAL(18, 4)) AS x
  FROM '{file}'
)
SELECT arm, segment, COUNT(*) AS customer_count, SUM(o) AS ordered_count, SUM(visit) AS visited_count, SUM(o) AS o, SUM(o * o) AS oo,
  SUM(y) AS y, SUM(y * y) AS yy, SUM(x) AS x, SUM(x * x) AS xx, SUM(x * y) AS xy, SUM(o * y) AS oy
FROM mailed GROUP BY ALL
"""


@pytest.fixture(scope="module")
def sums(shared_data: Path) -> CampaignSums:
    found = duckdb.sql(SUMS.format(file=shared_data / "hillstrom" / "campaign.parquet")).to_arrow_table().to_pylist()
    return CampaignSums.of_rows([{name: int(each) if name in COUNTS else each for name, each in row.items()} for row in found])


COUNTS = ("customer_count", "ordered_count", "visited_count", "o", "oo")


@pytest.fixture(scope="module")
def told(sums: CampaignSums) -> CampaignRows:
    """Hillstrom's campaign as a night would tell it."""
    day = date(2008, 3, 20)
    arms = tuple(
        MeasuredArm(name, name == NONE, 1 / 3, Decimal(0) if name == NONE else Decimal("0.1"), sums.of_arm(name).customer_count)
        for name in (MENS, WOMENS, NONE)
    )
    campaign = Campaign("hillstrom", "E-mail", SOURCE, "", "goods", "mail", day, day, 1, "spend", 0.4, Decimal(0), False, True, arms)
    return reported_rows(campaign, looks(day, day, count=1)[0], Observations(sums, has_visits=True), 3)


def result(told: CampaignRows, arm: str, metric: str, method: str, segment: str = "all") -> Mapping[str, Any]:
    keys = {"arm": arm, "metric": metric, "method": method, "segment": segment}
    [row] = [row for row in told.results if all(row[name] == value for name, value in keys.items())]
    return row


@pytest.mark.parametrize(
    ("arm", "metric", "method", "difference", "low", "high"),
    [
        (MENS, "visited", "newcombe", 0.076590, 0.069953, 0.083227),
        (WOMENS, "visited", "newcombe", 0.045233, 0.038894, 0.051574),
        (MENS, "ordered", "newcombe", 0.006805, 0.005014, 0.008641),
        (WOMENS, "ordered", "newcombe", 0.003111, 0.001502, 0.004745),
        (MENS, "spend", "welch", 0.769827, 0.485140, 1.054515),
        (WOMENS, "spend", "welch", 0.424412, 0.168957, 0.679868),
        (MENS, "spend", "welch_cuped", 0.767438, 0.482813, 1.052064),
        (WOMENS, "spend", "welch_cuped", 0.422701, 0.167294, 0.678108),
    ],
)
def test_hillstroms_differences_and_intervals(
    told: CampaignRows, arm: str, metric: str, method: str, difference: float, low: float, high: float
) -> None:
    row = result(told, arm, metric, method)
    assert (row["difference"], row["low"], row["high"]) == pytest.approx((difference, low, high), abs=EXACT)


def test_hillstroms_lifts_errors_and_p_values(told: CampaignRows, sums: CampaignSums) -> None:
    for arm, lift, error, p_value in ((MENS, 0.721, 0.145247, 1.1638e-7), (WOMENS, 0.426, 0.130333, 1.1294e-3)):
        visits, spend = result(told, arm, "visited", "newcombe"), result(told, arm, "spend", "welch")
        assert visits["difference"] / visits["control_value"] == pytest.approx(lift, abs=5e-4)
        assert spend["standard_error"] == pytest.approx(error, abs=EXACT)
        assert spend["p_value"] == pytest.approx(p_value, rel=1e-4)
        assert spend["is_headline"], "what they had spent before explains next to nothing"
        assert not result(told, arm, "spend", "welch_cuped")["is_headline"]
    pair = spend_difference(sums, MENS, WOMENS)
    assert (pair.value, pair.low, pair.high, pair.p_value) == pytest.approx((0.345415, 0.032561, 0.658268, 0.030469), abs=EXACT)
    p_values = [result(told, arm, "spend", "welch")["p_value"] for arm in (MENS, WOMENS)]
    assert holm_adjusted([*p_values, pair.p_value]) == pytest.approx([3.491e-7, 2.259e-3, 3.047e-2], rel=5e-4)


def spend_difference(sums: CampaignSums, treated: str, control: str) -> Any:
    means = [sums.of_arm(arm).spend for arm in (treated, control)]
    return welch_difference(*(Mean.of(each.mean_y, each.var_y, each.n) for each in means))


def test_hillstroms_thetas(sums: CampaignSums) -> None:
    thetas = [cuped_difference(sums.of_arm(arm).spend, sums.of_arm(NONE).spend).theta for arm in (MENS, WOMENS)]
    assert thetas == pytest.approx([0.001223, 0.001035], abs=EXACT)
    left = [cuped_difference(sums.of_arm(arm).spend, sums.of_arm(NONE).spend).variance_left for arm in (MENS, WOMENS)]
    assert left == pytest.approx([0.9995, 0.9995], abs=2e-4)


@pytest.mark.parametrize(("arm", "figures"), [(MENS, (-0.4758, -23.0667, 22.1152)), (WOMENS, (7.8921, -15.7247, 31.5088))])
def test_hillstroms_spend_per_order(told: CampaignRows, arm: str, figures: tuple[float, ...]) -> None:
    row = result(told, arm, "spend_per_order", "ratio")
    assert (row["difference"], row["low"], row["high"]) == pytest.approx(figures, abs=5e-5)


@pytest.mark.parametrize(
    ("arm", "incremental", "buyers", "profit", "paid", "verdict"),
    [
        (MENS, (16402.71, 10336.87, 22468.54), 145.0, (4430.38, 2004.05, 6856.72), 0.9998, "paid"),
        (WOMENS, (9076.90, 3613.48, 14540.33), 66.5, (1492.06, -693.31, 3677.43), 0.910, "not sure"),
    ],
)
def test_hillstroms_money(
    told: CampaignRows,
    arm: str,
    incremental: tuple[float, ...],
    buyers: float,
    profit: tuple[float, ...],
    paid: float,
    verdict: str,
) -> None:
    [row] = [row for row in told.values if row["arm"] == arm]
    assert tuple(row[f"incremental_{name}"] for name in ("amount", "low", "high")) == pytest.approx(incremental, abs=0.005)
    assert row["incremental_buyers"] == pytest.approx(buyers, abs=0.05)
    assert (row["profit"], row["profit_low"], row["profit_high"]) == pytest.approx(profit, abs=0.005)
    assert row["probability_paid"] == pytest.approx(paid, abs=5e-4)
    assert row["verdict"] == verdict


@pytest.mark.parametrize(
    ("arm", "metric", "raw", "shrunk", "q", "p_value"),
    [
        (MENS, "visited", (0.1344, 0.0692, 0.0706), (0.1180, 0.0696, 0.0709), 23.24, 9e-6),
        (WOMENS, "visited", (0.0711, 0.0111, 0.0740), (0.0689, 0.0115, 0.0736), 97.34, 7e-22),
        (MENS, "spend", (1.8250, 0.6827, 0.6157), (0.8422, 0.7342, 0.6893), 2.96, 0.23),
        (WOMENS, "spend", (0.1619, 0.2784, 0.6316), (0.4200, 0.4111, 0.4503), 2.14, 0.34),
    ],
)
def test_hillstroms_segments_are_drawn_together(
    told: CampaignRows, arm: str, metric: str, raw: tuple[float, ...], shrunk: tuple[float, ...], q: float, p_value: float
) -> None:
    method = "newcombe" if metric == "visited" else "welch"
    rows = [result(told, arm, metric, method, segment) for segment in ("both", "mens", "womens")]
    assert tuple(row["difference"] for row in rows) == pytest.approx(raw, abs=5e-5)
    assert tuple(row["shrunk_difference"] for row in rows) == pytest.approx(shrunk, abs=5.5e-5)
    found = result(told, arm, metric, method)["segments_differ_p_value"]
    assert found == pytest.approx(p_value, rel=0.06)
    assert found == pytest.approx(chi_square_tail(q), rel=0.005)


def chi_square_tail(q: float) -> float:
    from scipy.stats import chi2

    return float(chi2.sf(q, 2))


def test_hillstroms_arms_are_as_large_as_drawn(sums: CampaignSums) -> None:
    counts = [sums.of_arm(arm).customer_count for arm in (MENS, WOMENS, NONE)]
    assert counts == [21_307, 21_387, 21_306]
    assert chi_square(counts, [64_000 / 3] * 3) == pytest.approx(0.2025, abs=5e-5)
    assert sample_ratio_p_value(counts, [1, 1, 1]) == pytest.approx(0.904, abs=5e-4)


def test_hillstroms_sizes_of_samples(sums: CampaignSums) -> None:
    assert round(control_size_for_rates(0.1062, 0.1162)) == 15_511
    assert round(control_size_for_rates(0.005726, 0.007726)) == 26_214
    assert round(control_size_for_rates(0.005726, 0.007726, ratio=9)) == 12_843
    deviation = float(sums.of_arm(NONE).spend.var_y) ** 0.5
    assert smallest_visible_mean_difference(deviation, 10_000, 10_000) == pytest.approx(0.459, abs=5e-4)


def test_hillstroms_figures_are_those_of_another_library(sums: CampaignSums, shared_data: Path) -> None:
    """tea-tasting reads the rows, and agrees to the last digit but one."""
    import tea_tasting as tt

    query = f"""SELECT CASE segment WHEN 'No E-Mail' THEN 0 ELSE 1 END AS variant, visit, conversion, spend, history
        FROM '{shared_data / "hillstrom" / "campaign.parquet"}' WHERE segment IN ('Mens E-Mail', 'No E-Mail')"""
    # As pandas: of Arrow's table the library takes sums that pyarrow 26, by threads, now and then adds up wrongly (2 of 17 processes).
    rows = duckdb.sql(query).df()
    experiment = tt.Experiment(
        spend=tt.Mean("spend"), cuped=tt.Mean("spend", covariate="history"), per_order=tt.RatioOfMeans("spend", "conversion")
    )
    theirs = experiment.analyze(rows, control=0)
    effects = arm_effects(sums, MENS, NONE, confidence=0.95, has_visits=True)
    ours = {(each.metric, each.method): each for each in effects if each.segment == "all"}
    for name, key in (("spend", ("spend", "welch")), ("cuped", ("spend", "welch_cuped")), ("per_order", ("spend_per_order", "ratio"))):
        difference = ours[key].difference
        assert difference is not None
        found = (theirs[name].effect_size, theirs[name].effect_size_ci_lower, theirs[name].effect_size_ci_upper, theirs[name].pvalue)
        assert (difference.value, difference.low, difference.high, difference.p_value) == pytest.approx(found, rel=1e-9)


LEFT = """
WITH days AS (
  SELECT household_id, CAST(CAST(transaction_timestamp AS TIMESTAMP) AS DATE) AS day,
    CAST(sales_value AS DECIMAL(18, 4)) AS value
  FROM '{file}'
), spends AS (
  SELECT household_id, COALESCE(SUM(value) FILTER (day BETWEEN DATE '2017-09-01' AND DATE '2017-09-30'), 0) AS y,
    COALESCE(SUM(value) FILTER (day BETWEEN DATE '2017-09-01' - {days} AND DATE '2017-08-31'), 0) AS x
  FROM days GROUP BY household_id HAVING MIN(day) < DATE '2017-09-01'
)
SELECT COUNT(*), SUM(y), SUM(y * y), SUM(x), SUM(x * x), SUM(x * y) FROM spends
"""


@pytest.mark.parametrize(("days", "left"), [(90, 0.304), (180, 0.305)])
def test_what_complete_journeys_households_had_spent_explains_seven_tenths(shared_data: Path, days: int, left: float) -> None:
    file = shared_data / "complete_journey" / "transactions.parquet"
    [[n, y, yy, x, xx, xy]] = duckdb.sql(LEFT.format(file=file, days=days)).fetchall()
    everybody = Moments.of_sums(n, y, yy, x=x, xx=xx, xy=xy)
    assert cuped_difference(everybody, replace(everybody)).variance_left == pytest.approx(left, abs=5e-4)
