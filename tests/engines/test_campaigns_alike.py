"""Arms are drawn alike and campaigns measured alike, to the byte, whichever engine works them out."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from support.campaigns import CUSTOMERS, DUE, END, EVE, START, add_orders, arms_of, planted_orders, start, write_campaign_shop
from support.local_spark import SparkOver
from support.nights import run_night, tree_bytes

from pipeline.definitions.campaigns import load_campaign
from pipeline.definitions.company import load_company
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CAMPAIGN_ASSIGNMENTS, CAMPAIGN_NIGHT_TABLES, CAMPAIGN_SUMMARIES
from pipeline.measurement.planning import start_campaign
from pipeline.measurement.writing import write_campaigns

LISTED = f"SELECT 'listed' AS campaign_id, DATE '{START}' AS start_day, DATE '{END}' AS end_day, 'rfm' AS scheme, TRUE AS is_random"
MEMBERS = "SELECT 'listed' AS campaign_id, customer AS customer_id, arm FROM members"
VISITS = "SELECT visit AS visit_id, customer AS customer_id, CAST(day AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS visited_at FROM seen"
CONSENTS = "SELECT customer AS customer_id, FALSE AS is_consenting FROM refusals"
MERGES = f"""
SELECT 'c001' AS customer_id, 'c002' AS merged_into, TIMESTAMP '{START} 10:00' AT TIME ZONE 'Europe/Berlin' AS merged_at FROM customers
WHERE id = 'c002'
"""
TABLES = tuple(f"tables/{table.name}" for table in CAMPAIGN_NIGHT_TABLES)


def test_every_engine_draws_and_measures_alike(tmp_path: Path, spark: SparkOver) -> None:
    shop, lake = write_campaign_shop(tmp_path / "shop"), Lake(tmp_path / "lake")
    members = [f"{each},{('control', ' mail', '')[place % 3]}" for place, each in enumerate(CUSTOMERS)]
    visits = [f"v{place},{each},{START}" for place, each in enumerate(CUSTOMERS) if place % 4]
    for name, text in {
        "sources/campaigns.sql": LISTED,
        "sources/campaign_members.sql": MEMBERS,
        "sources/visits.sql": VISITS,
        "sources/consents.sql": CONSENTS,
        "sources/customer_merges.sql": MERGES,
        "data/members.csv": "\n".join(["customer,arm", *members]),
        "data/seen.csv": "\n".join(["visit,customer,day", *visits]),
        "data/refusals.csv": "customer\nc005\n",
    }.items():
        (shop / name).write_text(text)
    run_night(shop, lake, EVE)
    company = load_company(shop)
    start(shop, lake)
    address = f"tables/{CAMPAIGN_ASSIGNMENTS.name}"
    drawn = tree_bytes(lake, address)
    lake.delete(next(iter(drawn)))
    start_campaign(company, lake, spark(lake), load_campaign(shop / "campaigns" / "spring.toml"))
    assert tree_bytes(lake, address) == drawn
    add_orders(shop, planted_orders(arms_of(lake), lambda arm, place: place % 10 < (5 if arm == "treated" else 2), spend=3_000_000_000))
    for day in (START, DUE):
        run_night(shop, lake, day, until="segment")
        measured = tree_bytes(lake, *TABLES)
        write_campaigns(company, lake, spark(lake), day)
        assert tree_bytes(lake, *TABLES) == measured
        assert {row["campaign_id"] for row in lake.read(CAMPAIGN_SUMMARIES, day=day).to_pylist()} == {"listed", "spring"}


def test_members_and_nights_in_any_order_draw_the_same_arms(tmp_path: Path) -> None:
    """What is drawn depends on who the customers are, and on nothing else: neither on threads nor on the order of rows."""
    arms = []
    for order in (1, -1):
        folder = tmp_path / str(order)
        shop, lake = write_campaign_shop(folder / "shop"), Lake(folder / "lake")
        orders = (shop / "data" / "orders.csv").read_text().splitlines()
        (shop / "data" / "orders.csv").write_text("\n".join([orders[0], *orders[1:][::order]]) + "\n")
        run_night(shop, lake, EVE - timedelta(days=1), until="segment")
        run_night(shop, lake, EVE)
        engine = DuckDBEngine(lake.store, memory_limit="1GB", threads=1 if order == 1 else 4)
        start_campaign(load_company(shop), lake, engine, load_campaign(shop / "campaigns" / "spring.toml"))
        engine.close()
        arms.append(arms_of(lake))
    assert arms[0] == arms[1]
