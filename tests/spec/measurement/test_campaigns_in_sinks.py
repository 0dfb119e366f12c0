"""What CRMs see of a campaign: its arms as lists, its control on no list that it is for, and everybody back when it is over."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.campaigns import CAMPAIGN, END, EVE, START, arms_of, start, write_campaign_shop
from support.crm_stubs import ReceiverStub, serving
from support.nights import run_night

from pipeline.lake.lake import Lake
from pipeline.operations.deployment import Deployment
from pipeline.operations.sync import sync_sinks

AUDIENCE = 'title = "Twice"\npurpose = "P."\nowner = "O"\nrule = "lifetime_order_count >= 2"\n'
HOLDOUT = f'audience = "everybody"\nholdout = true\nstart_day = {START}\nend_day = {END}\n'
SINKS = {"files": 'kind = "files"\nschemes = []\n', "hook": 'kind = "webhook"\nconnection = "hook"\nschemes = []\n'}
FIRST, OVER = START + timedelta(days=1), END + timedelta(days=1)


@pytest.fixture(scope="module")
def receiver() -> Iterator[ReceiverStub]:
    stub = ReceiverStub()
    with serving(stub):
        yield stub


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory, receiver: ReceiverStub) -> tuple[Path, Lake, dict[str, Any]]:
    """A campaign and a holdout, synced to files and to a webhook on the eve, while they run and when they are over."""
    folder = tmp_path_factory.mktemp("sinks")
    campaign = CAMPAIGN.replace('"lifetime_order_count >= 1"', '"twice"')
    shop, lake = write_campaign_shop(folder / "shop", campaign, settings="[crm]\n"), Lake(folder / "lake")
    sinks = {f"sinks/{name}": text for name, text in SINKS.items()}
    for name, text in {"audiences/twice": AUDIENCE, "campaigns/quarter": HOLDOUT, **sinks}.items():
        (shop / f"{name}.toml").parent.mkdir(exist_ok=True)
        (shop / f"{name}.toml").write_text(text)
    run_night(shop, lake, EVE)
    start(shop, lake, "quarter")
    start(shop, lake)
    seen: dict[str, Any] = {}
    for name, day in (("eve", EVE), ("running", FIRST), ("over", OVER)):
        run_night(shop, lake, day)
        deployment = Deployment.of(shop, lake.root, connections=lambda _: receiver.address)
        list(sync_sinks(deployment, override_reason="a small shop"))
        seen[name] = {
            "members": published_lists(lake),
            "profiles": pq.read_table(lake.root / "current" / "crm_profiles.parquet").to_pylist(),
            "files": file_lists(lake),
            "database": database_lists(lake),
            "hook": hook_lists(receiver),
        }
    return shop, lake, seen


Lists = dict[str, set[str]]


def published_lists(lake: Lake) -> Lists:
    found: Lists = {}
    for row in pq.read_table(lake.root / "current" / "crm_members.parquet").to_pylist():
        found.setdefault(row["list_name"], set()).add(row["customer_id"])
    return found


def file_lists(lake: Lake) -> Lists:
    files = (lake.root / "sync" / "files" / "files").glob("*/members.csv")
    return {path.parent.name: {row["customer_id"] for row in csv.DictReader(path.read_text().splitlines())} for path in files}


def database_lists(lake: Lake) -> Lists:
    found: Lists = {}
    with closing(sqlite3.connect(lake.root / "segments.sqlite")) as database:
        for customer, name in database.execute("SELECT customer_id, list_name FROM crm_members"):
            found.setdefault(name, set()).add(customer)
    return found


def hook_lists(receiver: ReceiverStub) -> Lists:
    """Return who is on which list by all that the receiver was told."""
    found: Lists = {}
    for told in receiver.seen.values():
        for event in told["events"]:
            members = found.setdefault(event["list"], set())
            members.add(told["customer_id"]) if event["event"] == "entered" else members.discard(told["customer_id"])
    return found


def members_by_arm(lake: Lake) -> tuple[set[str], set[str], set[str]]:
    """Return the campaign's treated customers and its control, and the control of the holdout."""
    spring = arms_of(lake)
    held_out = {name for name, arm in arms_of(lake, "quarter").items() if arm == "control"}
    return {name for name in spring if spring[name] == "treated"}, {name for name in spring if spring[name] == "control"}, held_out


def test_while_it_lasts_the_control_is_on_no_list_of_the_campaign(synced: tuple[Path, Lake, dict[str, Any]]) -> None:
    _, lake, seen = synced
    treated, control, held_out = members_by_arm(lake)
    twice = treated | control | (held_out & seen["eve"]["members"]["twice"])
    assert seen["eve"]["members"]["twice"] == twice
    running = seen["running"]
    for place in ("members", "files", "database", "hook"):
        assert running[place]["twice"] == treated, place
        assert running[place]["campaign.spring.treated"] == treated, place
        assert "campaign.spring.control" not in running[place]
    assert len(control) > 50
    assert held_out


def test_the_profile_says_which_arm_and_names_no_list_that_the_customer_is_not_on(synced: tuple[Path, Lake, dict[str, Any]]) -> None:
    _, lake, seen = synced
    treated, control, held_out = members_by_arm(lake)
    for profile in seen["running"]["profiles"]:
        name = profile["customer_id"]
        arms = {"quarter": "control" if name in held_out else "treated"}
        arms |= {"spring": "treated" if name in treated else "control"} if name in treated | control else {}
        assert json.loads(profile["arm"]) == arms
        assert json.loads(profile["audiences"]) == (["twice"] if name in treated else [])


def test_when_it_is_over_everybody_is_where_they_were(synced: tuple[Path, Lake, dict[str, Any]]) -> None:
    _, _, seen = synced
    eve, over = seen["eve"], seen["over"]
    for place in ("members", "files", "database", "hook"):
        assert over[place]["twice"] == eve[place]["twice"], place
        assert not over[place].get("campaign.spring.treated")
    assert {profile["arm"] for profile in over["profiles"]} == {None}


def test_changes_say_that_a_campaign_was_the_reason(synced: tuple[Path, Lake, dict[str, Any]]) -> None:
    _, lake, _ = synced
    changes = pq.read_table(lake.root / "current" / "crm_changes.parquet").to_pylist()
    _, control, _ = members_by_arm(lake)
    told = ("twice", "removed", "campaign_change")
    left = {row["customer_id"] for row in changes if (row["list_name"], row["change"], row["reason"]) == told}
    assert control <= left
