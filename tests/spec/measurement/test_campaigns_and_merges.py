"""Customers who are merged while a campaign runs: their arm goes with them, and whoever was in two is left alone and in none."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.campaigns import CAMPAIGN, CUSTOMERS, DUE, END, EVE, START, add_orders, arms_of, command, shown, start, write_campaign_shop
from support.nights import run_night

from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    CAMPAIGN_ARMS,
    CAMPAIGN_CHECKS,
    CAMPAIGN_RESULTS,
    CAMPAIGN_SUMMARIES,
    CAMPAIGN_VALUES,
    FEWEST_PUBLISHED,
    Table,
)

MERGES_SQL = """
SELECT old AS customer_id, new AS merged_into, CAST(done AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS merged_at FROM merges
"""
LISTED_SQL = f"""
SELECT campaign AS campaign_id, DATE '{START}' AS start_day, DATE '{END}' AS end_day, 'rfm' AS scheme, TRUE AS is_random FROM members
GROUP BY campaign
"""
MEMBERS_SQL = "SELECT campaign AS campaign_id, customer AS customer_id, arm FROM members"
TOUCHPOINTS_SQL = """
SELECT customer AS customer_id, 'listed' AS campaign_id, 'sent' AS kind, CAST(sent AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS happened_at
FROM touchpoints
"""
SETTINGS = """
[crm]
[events.touchpoints]
key = ["customer_id", "happened_at"]
instant = "happened_at"
columns = {kind = "text", campaign_id = "text"}
"""
AUDIENCE = 'title = "Twice"\npurpose = "P."\nowner = "O"\nrule = "lifetime_order_count >= 2"\n'
TWICE = [name for place, name in enumerate(CUSTOMERS) if place % 3 == 0]
ONCE = [name for name in CUSTOMERS if name not in set(TWICE)]
SPENDS = {name: 10 + place + (5 if place % 3 == 0 else 0) for place, name in enumerate(CUSTOMERS)}
LATE = list(zip(ONCE[100:140], ONCE[140:180], strict=True))
BUYERS = ONCE[180:210]


def other_campaign(first: Any) -> str:
    """Return a campaign for everybody that lasts a week."""
    return f'audience = "lifetime_order_count >= 1"\nstart_day = {first}\nend_day = {first + timedelta(days=6)}\n'


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[str, Any]]:
    """Six pairs of a campaign's customers merged on its first day, and forty others later; what plans say at each stage, and all lists."""
    folder = tmp_path_factory.mktemp("merges")
    campaign = CAMPAIGN.replace('"lifetime_order_count >= 1"', '"twice"')
    campaign = campaign.replace("[arms.control]", "[arms.mail]\n[arms.call]\n[arms.held]\nis_control = true")
    shop, lake = write_campaign_shop(folder / "shop", campaign, settings=SETTINGS), Lake(folder / "lake")
    for name, text in {
        "sources/customer_merges.sql": MERGES_SQL,
        "audiences/twice.toml": AUDIENCE,
        "data/merges.csv": "old,new,done\n",
        "sources/touchpoints.sql": TOUCHPOINTS_SQL,
        "data/touchpoints.csv": "customer,sent\n",
    }.items():
        (shop / name).parent.mkdir(exist_ok=True)
        (shop / name).write_text(text)
    run_night(shop, lake, EVE)
    start(shop, lake)
    arms = arms_of(lake)
    mail, call, held = ([name for name in TWICE if arms[name] == arm] for arm in ("mail", "call", "held"))
    pairs = {
        "held": (held[0], ONCE[0]),
        "mail": (mail[0], ONCE[1]),
        "mail into held": (mail[1], held[1]),
        "held into mail": (held[2], mail[2]),
        "mail into mail": (mail[3], mail[4]),
        "mail into call": (mail[5], call[0]),
    }
    rows = [f"{old},{new},{START} 10:00" for old, new in pairs.values()]
    rows += [f"{old},{new},{START + timedelta(days=2)} 10:00" for old, new in LATE]
    (shop / "data" / "merges.csv").write_text("\n".join(["old,new,done", *rows]) + "\n")
    mailed = [old for old, _ in pairs.values()] + ONCE[10:50]
    (shop / "sources" / "campaigns.sql").write_text(LISTED_SQL)
    (shop / "sources" / "campaign_members.sql").write_text(MEMBERS_SQL)
    news = [new for _, new in pairs.values()]
    members = [f"listed,{name},mail" for name in mailed] + [f"listed,{name},control" for name in ONCE[50:95]]
    members += [f"beside,{name},mail" for name in [*news, *ONCE[220:240]]]
    (shop / "data" / "members.csv").write_text("\n".join(["campaign,customer,arm", *members]) + "\n")
    sent = [f"{name},{START + timedelta(days=1)} 10:00" for name in [*mailed, *news]]
    (shop / "data" / "touchpoints.csv").write_text("\n".join(["customer,sent", *sent]) + "\n")
    add_orders(shop, [f"q{place},1,{name},{START + timedelta(days=3)} 10:00,1,9,tea" for place, name in enumerate(BUYERS)])
    seen: dict[str, Any] = {"pairs": pairs, "mailed": mailed}
    for name, day in (("running", START), ("over", DUE)):
        run_night(shop, lake, day)
        file = shop / "campaigns" / "other.toml"
        file.write_text(other_campaign(day + timedelta(days=1)))
        seen[name] = shown(command(shop, lake, "plan", str(file), "--json"))
        if name == "running":
            seen["lists"] = pq.read_table(lake.root / "current" / "crm_members.parquet").to_pylist()
    return lake, seen


def test_who_is_left_keeps_the_arm_of_whom_was_merged_and_who_was_in_two_is_left_alone(merged: tuple[Lake, dict[str, Any]]) -> None:
    lake, seen = merged
    pairs = seen["pairs"]
    rows = {row["customer_id"]: (row["arm"], row["is_control"]) for row in lake.read(CAMPAIGN_ARMS, day=START).to_pylist()}
    assert not {old for old, _ in pairs.values()} & rows.keys()
    assert {name: rows[new] for name, (_, new) in pairs.items()} == {
        "held": ("held", True),
        "mail": ("mail", False),
        "mail into held": ("held", True),
        "held into mail": ("held", True),
        "mail into mail": ("mail", False),
        "mail into call": ("held", True),
    }
    assert len(rows) == len(TWICE) - len(pairs) + 2, "six are somebody else, two others stand for one"


def test_the_survivor_of_a_control_is_on_no_list_of_the_campaign(merged: tuple[Lake, dict[str, Any]]) -> None:
    _, seen = merged
    lists = {name: {row["list_name"] for row in seen["lists"] if row["customer_id"] == new} for name, (_, new) in seen["pairs"].items()}
    of_campaign = {
        name: sorted(found & {"twice", "campaign.spring.mail", "campaign.spring.call", "campaign.spring.held"})
        for name, found in lists.items()
    }
    both, none = ["campaign.spring.mail", "twice"], list[str]()
    assert of_campaign == {
        "held": none,
        "mail": both,
        "mail into held": none,
        "held into mail": none,
        "mail into mail": both,
        "mail into call": none,
    }
    assert not {old for old, _ in seen["pairs"].values()} & {row["customer_id"] for row in seen["lists"]}


def test_the_survivor_of_a_customer_of_one_campaign_is_not_drawn_for_another(merged: tuple[Lake, dict[str, Any]]) -> None:
    _, seen = merged
    assert seen["running"]["excluded"] == {"other_campaign": len(TWICE) - 6 + 2}


def test_what_a_member_listed_by_a_merged_id_had_spent_before_is_that_of_the_survivor(merged: tuple[Lake, dict[str, Any]]) -> None:
    lake, seen = merged
    checks = lake.read(CAMPAIGN_CHECKS, day=DUE).to_pylist()
    [before] = [row for row in checks if (row["campaign_id"], row["check"]) == ("listed", "spend_before")]
    survivors = dict(seen["pairs"].values())
    spends = [SPENDS[name] + SPENDS.get(survivors.get(name, ""), 0) for name in seen["mailed"]]
    assert before["arm_value"] == pytest.approx(sum(spends) / len(spends))


def test_a_customer_reached_or_listed_under_two_ids_is_one(merged: tuple[Lake, dict[str, Any]]) -> None:
    lake, seen = merged
    reached = {row["campaign_id"]: row["reached_count"] for row in lake.read(CAMPAIGN_SUMMARIES, day=DUE).to_pylist()}
    assert reached["listed"] == len(seen["mailed"])
    checks = lake.read(CAMPAIGN_CHECKS, day=DUE).to_pylist()
    overlaps = {row["campaign_id"]: row["measured"] for row in checks if row["check"] == "overlap"}
    assert overlaps == pytest.approx({"listed": 6 / (46 + 45), "beside": 6 / 26}), "each pair has one in either"


def published(lake: Lake, table: Table) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(lake.root / "current" / f"{table.name}.parquet").to_pylist()
    return rows


def test_no_figure_of_fewer_than_ten_customers_is_published_of_a_campaign(merged: tuple[Lake, dict[str, Any]]) -> None:
    lake, _ = merged
    tables = (CAMPAIGN_SUMMARIES, CAMPAIGN_RESULTS, CAMPAIGN_CHECKS, CAMPAIGN_VALUES)
    counts = [pair for table in tables for row in published(lake, table) for pair in row.items() if pair[0].endswith("_count") and pair[1]]
    assert len(counts) > 5
    assert not [pair for pair in counts if pair[0] != "needed_count" and pair[1] < FEWEST_PUBLISHED]


def test_a_campaign_that_few_left_is_published_without_their_number_which_is_counted(merged: tuple[Lake, dict[str, Any]]) -> None:
    lake, _ = merged
    [stored] = [row for row in lake.read(CAMPAIGN_SUMMARIES, day=DUE).to_pylist() if row["campaign_id"] == "spring"]
    assert (stored["assigned_count"], stored["customer_count"], stored["left_count"]) == (len(TWICE), len(TWICE) - 7, 7)
    [told] = [row for row in published(lake, CAMPAIGN_SUMMARIES) if row["campaign_id"] == "spring"]
    # What they are could be had by subtracting one from the other.
    assert (told["assigned_count"], told["customer_count"], told["left_count"]) == (None, len(TWICE) - 7, None)
    entry = json.loads((lake.root / "current" / "manifest.json").read_text())["tables"]["campaign_summaries"]
    hidden = sum(row[name] is None for row in published(lake, CAMPAIGN_SUMMARIES) for name in ("assigned_count", "left_count"))
    assert entry["withheld_values"] == hidden >= 2


def test_merged_customers_are_one_where_a_plan_reckons_from_an_older_night(merged: tuple[Lake, dict[str, Any]]) -> None:
    _, seen = merged
    assert seen["over"]["reckoned_from"] == str(START)
    assert seen["over"]["metric_value"] == pytest.approx(len(BUYERS) / (len(CUSTOMERS) - 6 - len(LATE)))
