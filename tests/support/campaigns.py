"""A shop of 400 customers for campaigns, and what happens in them: nights, orders planted by arm, results."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from pipeline.cli import app
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CAMPAIGN_ASSIGNMENTS, CUSTOMER_SEGMENTS
from support.nights import NO_GATES, run_night, write_shop

EVE, START, END = date(2024, 2, 25), date(2024, 2, 26), date(2024, 3, 3)
DUE = END + timedelta(days=3)
CAMPAIGN = f"""
title = "Spring mail"
audience = "lifetime_order_count >= 1"
start_day = {START}
end_day = {END}
cost_per_contact = 0.1
margin_share = 0.4
[arms.control]
share = 0.5
"""
CUSTOMERS = [f"c{number:03}" for number in range(400)]


def orders_before() -> list[str]:
    """Return an order or two of each customer before the campaign; they spend from 10 to 409."""
    later = [place for place in range(len(CUSTOMERS)) if place % 3 == 0]
    lines = [f"a{place},1,{name},2024-01-{1 + place % 28:02} 10:00,1,{10 + place},tea" for place, name in enumerate(CUSTOMERS)]
    return lines + [f"b{place},1,{CUSTOMERS[place]},2024-02-{1 + place % 20:02} 10:00,1,5,tea" for place in later]


def write_campaign_shop(folder: Path, campaign: str = CAMPAIGN, *, settings: str = "", name: str = "spring") -> Path:
    shop = write_shop(folder, orders_before(), customers=CUSTOMERS, settings=settings + NO_GATES)
    (shop / "campaigns").mkdir(exist_ok=True)
    (shop / "campaigns" / f"{name}.toml").write_text(campaign)
    return shop


def add_orders(shop: Path, lines: list[str]) -> None:
    with (shop / "data" / "orders.csv").open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def arms_of(lake: Lake, campaign: str = "spring") -> dict[str, str]:
    """Return the arm of each customer, as it was stored at the start."""
    rows = lake.local(f"tables/{CAMPAIGN_ASSIGNMENTS.name}/campaign={campaign}/part-0.parquet")
    import pyarrow.parquet as pq

    return {row["customer_id"]: row["arm"] for row in pq.ParquetFile(rows).read().to_pylist()}


def planted_orders(arms: Mapping[str, str], buys: Callable[[str, int], bool], *, spend: int = 20, prefix: str = "p") -> list[str]:
    """Return an order in the campaign for each customer who `buys`, by arm and place."""
    day = START + timedelta(days=2)
    return [
        f"{prefix}{place},1,{name},{day} 10:00,1,{spend + place % 7},tea"
        for place, (name, arm) in enumerate(sorted(arms.items()))
        if buys(arm, place)
    ]


def command(shop: Path, lake: Lake, *words: str) -> Result:
    return CliRunner().invoke(app, ["campaign", *words, "--company", str(shop), "--lake", str(lake.root)])


def start(shop: Path, lake: Lake, name: str = "spring") -> dict[str, Any]:
    """Start the campaign of a file, and return what the command says."""
    return shown(command(shop, lake, "start", str(shop / "campaigns" / f"{name}.toml"), "--json"))


def shown(result: Result) -> dict[str, Any]:
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    content: dict[str, Any] = json.loads(result.stdout)
    return content


def run_campaign(shop: Path, lake: Lake, buys: Callable[[str, int], bool]) -> None:
    """Start a campaign after its eve, which is run where it was not yet, plant orders and run the night on which its results are due."""
    if not lake.nights(CUSTOMER_SEGMENTS):
        run_night(shop, lake, EVE)
    start(shop, lake)
    add_orders(shop, planted_orders(arms_of(lake), buys))
    run_night(shop, lake, DUE)
