"""What people are shown of a scheme that does not apply to everybody: how many it leaves out, by name of the rule."""

from __future__ import annotations

import json
import shutil
from datetime import date
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from support.nights import run_night, write_shop

from pipeline.definitions.company import load_company
from pipeline.lake.lake import Lake
from pipeline.reporting.catalog.catalog import read_catalog
from pipeline.reporting.catalog.markdown import to_markdown
from pipeline.reporting.plan import SchemePlan, plan_change
from pipeline.reporting.plan.json import to_json
from pipeline.reporting.plan.view import render
from pipeline.reporting.summary import print_whole_summary

NIGHT = date(2024, 3, 31)
CUSTOMERS_SQL = "SELECT CAST(id AS VARCHAR) AS customer_id, NULLIF(business_type, '') AS business_type FROM customers"
SETTINGS = '[attributes.business_type]\nlevel = "firmographic"\n'
FIRMS = """
title = "Firms"
kind = "rules"
level = "firmographic"
question = "Q?"
applies_to = "business_type IS NOT NULL"
evidence = ["order_count"]
[[segment]]
id = "many"
title = "Many"
description = "D."
rule = "order_count >= 2"
[segment.strategy]
message = "M."
promotion = "P."
product_offer = "O."
price = "P."
channel = "C."
service = "S."
priority = 2
budget_share = 0.1
[[segment]]
id = "few"
title = "Few"
description = "D."
otherwise = true
"""
# Three firms of which one ordered twice, and four persons.
CUSTOMERS = ["f1,Shop", "f2,Shop", "f3,Bar", "p1,", "p2,", "p3,", "p4,"]
ORDERS = [f"{who}-{day},1,{who},2024-03-{day} 10:00,1,10,tea" for who, day in (("f1", 10), ("f1", 20), ("f2", 20), ("p1", 10), ("p1", 20))]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("some")
    shop = write_shop(folder / "shop", ORDERS, customers=[], settings=SETTINGS)
    (shop / "sources" / "customers.sql").write_text(CUSTOMERS_SQL)
    (shop / "data" / "customers.csv").write_text("\n".join(["id,business_type", *CUSTOMERS]) + "\n")
    (shop / "segments").mkdir()
    (shop / "segments" / "firms.toml").write_text(FIRMS)
    run_night(shop, Lake(folder / "lake"), NIGHT)
    return folder


def test_the_summary_says_whom_a_scheme_is_for_and_how_many_are_outside(night: Path) -> None:
    console = Console(width=120, record=True, file=StringIO())
    print_whole_summary(load_company(night / "shop"), Lake(night / "lake"), NIGHT, console=console)
    text = console.export_text()
    assert "Applies where business_type IS NOT NULL; 4 customers are outside." in text
    assert "66.7%" in text.split("Few")[1].splitlines()[0]


def test_the_summary_counts_next_actions_by_card(night: Path) -> None:
    console = Console(width=120, record=True, file=StringIO())
    print_whole_summary(load_company(night / "shop"), Lake(night / "lake"), NIGHT, console=console)
    part = console.export_text().split("Next actions")[1].split("Lifecycle")[0]
    rows = [line.split() for line in part.splitlines()[2:] if line.strip()]
    assert ["Prospects", "lifecycle", "3", "4", "57.1%", "0"] in rows
    assert sum(int(row[-3]) for row in rows) == len(CUSTOMERS)


def test_the_catalogue_says_the_same(night: Path) -> None:
    catalog = read_catalog(load_company(night / "shop"), Lake(night / "lake"), scheme="firms")
    [entry] = catalog.schemes
    assert (entry.applies_to, entry.outside_count, entry.state) == ("business_type IS NOT NULL", 4, "live")
    assert "- Applies where `business_type IS NOT NULL`; 4 customers are outside." in to_markdown(catalog)


def planned(night: Path, folder: Path, **definitions: str) -> SchemePlan:
    """Return the plan of the one scheme that these definitions change."""
    shop = Path(shutil.copytree(night / "shop", folder / "shop"))
    for name, text in definitions.items():
        (shop / "segments" / f"{name}.toml").write_text(text)
    plan = plan_change(load_company(shop), Lake(night / "lake"))
    text = Console(width=150, record=True, file=StringIO())
    for part in render(plan):
        text.print(part)
    assert json.loads(to_json(plan))["schemes"][0]["applies_to"] == plan.schemes[0].applies_to
    (folder / "shown.txt").write_text(text.export_text())
    [scheme] = plan.schemes
    return scheme


def flows(scheme: SchemePlan) -> dict[tuple[str | None, str | None], tuple[int, int]]:
    return {(flow.from_segment, flow.to_segment): (flow.customer_count, flow.write_count) for flow in scheme.flows}


def test_a_plan_counts_who_would_come_and_go_and_who_stays_outside(night: Path, tmp_path: Path) -> None:
    scheme = planned(night, tmp_path, firms=FIRMS.replace("business_type IS NOT NULL", "business_type = 'Bar' OR order_count >= 1"))
    assert flows(scheme) == {("many", "many"): (1, 0), ("few", "few"): (2, 0), (None, None): (3, 0), (None, "many"): (1, 1)}
    assert [(mover.customer_id, mover.from_segment, mover.to_segment) for mover in scheme.sample] == [("p1", None, "many")]
    assert scheme.priorities == {"many": 2}
    shown = (tmp_path / "shown.txt").read_text()
    assert [line.split() for line in shown.splitlines() if line.startswith("(does not apply)")] == [
        ["(does", "not", "apply)", "-", "4", "-", "-1", "3", "-20.00"]
    ]


def test_who_would_be_outside_is_told_by_the_rule(night: Path, tmp_path: Path) -> None:
    scheme = planned(night, tmp_path, firms=FIRMS.replace("business_type IS NOT NULL", "business_type = 'Shop'"))
    assert flows(scheme) == {("many", "many"): (1, 0), ("few", "few"): (1, 0), (None, None): (4, 0), ("few", None): (1, 1)}
    [mover] = scheme.sample
    assert (mover.customer_id, mover.reason) == ("f3", "the scheme applies where business_type = 'Shop'")


def test_a_new_scheme_for_some_sends_rows_of_them_alone(night: Path, tmp_path: Path) -> None:
    scheme = planned(night, tmp_path, others=FIRMS.replace("business_type IS NOT NULL", "business_type IS NULL"))
    assert flows(scheme) == {(None, "many"): (1, 1), (None, "few"): (3, 3), (None, None): (3, 0)}
