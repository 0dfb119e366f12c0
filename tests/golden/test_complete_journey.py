"""A whole night on Complete Journey, its coupon campaigns among it, reaches the answers that are known of it."""

from __future__ import annotations

import shutil
from datetime import date
from decimal import Decimal

import pytest
from support.cluster_models import require_true_figures_of_clusters
from support.nights import run_night
from support.stored_answers import answers

from pipeline.definitions.company import PROJECT_ROOT
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CAMPAIGN_CHECKS, CAMPAIGN_RESULTS, CAMPAIGN_SUMMARIES, CAMPAIGN_VALUES, ORDER_LINES

CAMPAIGNS_SQL = """
SELECT CAST(campaign_id AS VARCHAR) AS campaign_id, campaign_type AS title, CAST(start_date AS DATE) AS start_day,
  CAST(end_date AS DATE) AS end_day
FROM campaign_descriptions
"""
MEMBERS_SQL = "SELECT CAST(campaign_id AS VARCHAR) AS campaign_id, CAST(household_id AS VARCHAR) AS customer_id FROM campaigns"
TOUCHPOINTS_SQL = """
SELECT CAST(household_id AS VARCHAR) AS customer_id, CAST(redemption_date AS TIMESTAMP) AT TIME ZONE 'America/New_York' AS happened_at,
  'redeemed' AS kind, CAST(campaign_id AS VARCHAR) AS campaign_id, CAST(coupon_upc AS VARCHAR) AS message_id
FROM coupon_redemptions GROUP BY ALL
"""
TOUCHPOINTS = """
[events.touchpoints]
key = ["customer_id", "happened_at", "kind", "campaign_id", "message_id"]
instant = "happened_at"
columns = {kind = "text", campaign_id = "text", message_id = "text"}
"""
JOURNEY_NIGHT = date(2017, 12, 31)


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """The last night of Complete Journey, whose coupon campaigns are listed by the source, nobody held back."""
    folder = tmp_path_factory.mktemp("journey")
    company = folder / "company"
    shutil.copytree(PROJECT_ROOT / "examples" / "complete_journey", company)
    for name, text in (("campaigns", CAMPAIGNS_SQL), ("campaign_members", MEMBERS_SQL), ("touchpoints", TOUCHPOINTS_SQL)):
        (company / "sources" / f"{name}.sql").write_text(text)
    settings = company / "company.toml"
    settings.write_text(settings.read_text("utf-8") + TOUCHPOINTS, "utf-8")
    lake = Lake(folder / "lake")
    run_night(company, lake, JOURNEY_NIGHT)
    return lake


def test_complete_journeys_campaigns_are_all_there(journey: Lake) -> None:
    rows = journey.read(CAMPAIGN_SUMMARIES, day=JOURNEY_NIGHT).to_pylist()
    assert {kind: sum(row["title"] == f"Type {kind}" for row in rows) for kind in "ABC"} == {"A": 4, "B": 17, "C": 6}
    assert sum(row["assigned_count"] for row in rows) == 6_589
    redeemed = {row["campaign_id"]: (row["redeemed_count"], row["assigned_count"]) for row in rows}
    assert [redeemed[each] for each in ("8", "13", "18")] == [(158, 1_076), (196, 1_077), (214, 1_133)]


@pytest.mark.parametrize(("campaign", "difference"), [("8", 0.92), ("13", 0.99), ("18", 0.92)])
def test_who_got_coupons_had_spent_more_already_so_nothing_is_compared(journey: Lake, campaign: str, difference: float) -> None:
    [summary] = [row for row in journey.read(CAMPAIGN_SUMMARIES, day=JOURNEY_NIGHT).to_pylist() if row["campaign_id"] == campaign]
    assert summary["state"] == "not comparable"
    results = [row for row in journey.read(CAMPAIGN_RESULTS, day=JOURNEY_NIGHT).to_pylist() if row["campaign_id"] == campaign]
    assert {(row["difference"], row["arm_value"], row["p_value"]) for row in results} == {(None, None, None)}
    assert campaign not in journey.read(CAMPAIGN_VALUES, day=JOURNEY_NIGHT)["campaign_id"].to_pylist()
    checks = journey.read(CAMPAIGN_CHECKS, day=JOURNEY_NIGHT).to_pylist()
    [before] = [row for row in checks if row["campaign_id"] == campaign and row["check"] == "spend_before"]
    assert round(before["measured"], 2) == difference
    assert not before["is_passed"]


def test_figures_of_clusters_are_those_of_their_customers(journey: Lake) -> None:
    assert require_true_figures_of_clusters(journey)


def test_complete_journey_keeps_every_line_of_every_household(journey: Lake) -> None:
    select = "COUNT(*), COUNT(DISTINCT customer_id), SUM(net_amount), MIN(order_day)::VARCHAR, MAX(order_day)::VARCHAR"
    assert answers(journey, ORDER_LINES, select) == (1469307, 2469, Decimal("4596039.5800"), "2017-01-01", "2017-12-31")
