"""Campaigns that a CRM lists: read each night, checked row by row, erased with the customer."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from support.nights import NO_GATES, run_night, write_shop

from pipeline.lake.lake import Lake
from pipeline.lake.tables import CAMPAIGN_MEMBERS, CAMPAIGNS, RAW_CAMPAIGN_MEMBERS, REJECTED_ROWS, VALIDATION_RESULTS
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers

NIGHT = date(2024, 3, 27)
CAMPAIGNS_SQL = """
SELECT id AS campaign_id, CAST(first AS DATE) AS start_day, CAST(last AS DATE) AS end_day, CAST(cost AS DECIMAL(18, 4)) AS cost_amount,
  CAST(margin AS DOUBLE) AS margin_share, metric AS primary_metric
FROM campaigns
"""
MEMBERS_SQL = "SELECT campaign AS campaign_id, customer AS customer_id, arm FROM members"


def a_shop(folder: Path, campaigns: list[str], members: list[str]) -> Path:
    orders = [f"o{place},1,c{place},2024-03-2{place} 10:00,1,10,tea" for place in range(1, 5)]
    write_shop(folder, orders, customers=[f"c{place}" for place in range(1, 5)], settings=NO_GATES)
    for name, text in {
        "sources/campaigns.sql": CAMPAIGNS_SQL,
        "sources/campaign_members.sql": MEMBERS_SQL,
        "data/campaigns.csv": "\n".join(["id,first,last,cost,margin,metric", *campaigns]) + "\n",
        "data/members.csv": "\n".join(["campaign,customer,arm", *members]) + "\n",
    }.items():
        (folder / name).write_text(text)
    return folder


def test_sound_rows_are_kept_and_the_others_set_aside_with_their_rule(tmp_path: Path, lake: Lake) -> None:
    shop = a_shop(
        tmp_path / "shop",
        [
            "spring,2024-03-01,2024-03-20,100.5,0.4,spend",
            "back,2024-03-20,2024-03-01,1,0.4,spend",
            "dear,2024-03-01,2024-03-20,-1,0.4,spend",
            "rich,2024-03-01,2024-03-20,1,40,spend",
            "odd,2024-03-01,2024-03-20,1,0.4,opens",
            "twice,2024-03-01,2024-03-20,1,0.4,spend",
            "twice,2024-03-01,2024-03-21,1,0.4,spend",
            ",2024-03-01,2024-03-20,1,0.4,spend",
        ],
        ["spring,c1,mail", "spring,c2,", "spring,c3,mail", "spring,c3,call", "spring,,mail", "spring,stranger,mail", ",c4,mail"],
    )
    run_night(shop, lake, NIGHT, until="validate")
    assert [row["campaign_id"] for row in lake.read(CAMPAIGNS, known_on=NIGHT).to_pylist()] == ["spring"]
    members = [(row["customer_id"], row["arm"]) for row in lake.read(CAMPAIGN_MEMBERS, known_on=NIGHT).to_pylist()]
    assert members == [("c1", "mail"), ("c2", None), ("stranger", "mail")]
    rejected = {(row["source_table"], row["rule"]) for row in lake.read(REJECTED_ROWS, day=NIGHT).to_pylist()}
    assert rejected == {
        ("raw_campaigns", "end_day_is_not_before_start_day"),
        ("raw_campaigns", "cost_amount_is_not_negative"),
        ("raw_campaigns", "margin_share_is_a_share"),
        ("raw_campaigns", "primary_metric_is_known"),
        ("raw_campaigns", "campaign_id_is_unique"),
        ("raw_campaigns", "campaign_id_is_given"),
        ("raw_campaign_members", "key_is_unique"),
        ("raw_campaign_members", "customer_id_is_given"),
        ("raw_campaign_members", "campaign_id_is_given"),
    }
    warned = {row["rule"] for row in lake.read(VALIDATION_RESULTS, day=NIGHT).to_pylist() if row["failed_count"]}
    assert "customer_is_known" in warned


def test_who_is_erased_is_in_no_campaign(tmp_path: Path, lake: Lake) -> None:
    shop = a_shop(tmp_path / "shop", ["spring,2024-03-01,2024-03-20,1,0.4,spend"], ["spring,c1,mail", "spring,c2,control"])
    run_night(shop, lake, NIGHT, until="validate")
    erase_customers(Deployment.of(shop, lake.root), ["c1"])
    for table in (RAW_CAMPAIGN_MEMBERS, CAMPAIGN_MEMBERS):
        assert [row["customer_id"] for row in lake.read(table, known_on=NIGHT).to_pylist()] == ["c2"]
