"""Campaigns that a CRM assigned: measured where it drew at random, and where the split holds; told apart from all others."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.campaigns import CUSTOMERS, END, START, command, orders_before
from support.nights import NO_GATES, run_night, write_shop

from pipeline.lake.lake import Lake
from pipeline.lake.tables import CAMPAIGN_CHECKS, CAMPAIGN_RESULTS, CAMPAIGN_SUMMARIES, CAMPAIGN_VALUES

NIGHT = END + timedelta(days=3)
CAMPAIGNS_SQL = """
SELECT id AS campaign_id, CAST(first AS DATE) AS start_day, CAST(last AS DATE) AS end_day, title, scheme,
  CAST(per_contact AS DECIMAL(18, 4)) AS cost_per_contact, 0.5 AS margin_share, metric AS primary_metric, drawn = 'yes' AS is_random,
  CAST(held AS DOUBLE) AS control_share
FROM campaigns
"""
MEMBERS_SQL = "SELECT campaign AS campaign_id, customer AS customer_id, arm FROM members"
CONSENTS_SQL = "SELECT customer AS customer_id, says = 'yes' AS is_consenting FROM consents"
MERGES_SQL = """
SELECT old AS customer_id, new AS merged_into, CAST(done AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS merged_at FROM merges
"""
Split = Callable[[str], str]


def coin(name: str, salt: str) -> int:
    """Return 0 to 99, alike for a name and a salt, and unrelated to what the customer spends."""
    return zlib.crc32(f"{salt}:{name}".encode()) % 100


def by_coin(name: str, *, salt: str = "draw", held: int = 50) -> str:
    return "control" if coin(name, salt) < held else "mail"


PLACES = {name: place for place, name in enumerate(CUSTOMERS)}
CAMPAIGNS: dict[str, tuple[str, Split]] = {
    # id: (metric, drawn, control share), who is in which arm
    "drawn": ("spend,yes,", by_coin),
    "shared": ("ordered,yes,0.5", by_coin),
    "broken": ("ordered,yes,0.5", lambda name: by_coin(name, salt="broken", held=30)),
    "skewed": ("spend,yes,", lambda name: "control" if PLACES[name] < 200 else "mail"),
    "chosen": ("ordered,no,", by_coin),
    "everyone": ("ordered,yes,", lambda name: by_coin(name, held=0)),
    "three": ("ordered,yes,", lambda name: ("control", "mail", "call", "mail")[coin(name, "three") % 4]),
    "few": ("spend,yes,", lambda name: by_coin(name, salt="few") if PLACES[name] < 40 else ""),
}


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lake]:
    """One night on which the results of all campaigns are due; whoever got mail by the coin bought three times as often."""
    folder = tmp_path_factory.mktemp("listed")
    rows = [f"{name},{each},{arm}" for name, (_, split) in CAMPAIGNS.items() for each in CUSTOMERS if (arm := split(each))]
    buys = [
        f"p{place},1,{name},{START + timedelta(days=2)} 10:00,1,{20 + place % 9},tea"
        for place, name in enumerate(CUSTOMERS)
        if coin(name, "buys") < (60 if by_coin(name) == "mail" else 20)
    ]
    shop = write_shop(folder / "shop", [*orders_before(), *buys], customers=CUSTOMERS, settings=NO_GATES)
    listed = [f"{name},{START},{END},{name.title()},rfm,0.1,{facts}" for name, (facts, _) in CAMPAIGNS.items()]
    listed += [f"next,{NIGHT + timedelta(days=1)},{NIGHT + timedelta(days=9)},Next,,0.1,ordered,yes,"]
    for name, text in {
        "sources/campaigns.sql": CAMPAIGNS_SQL,
        "sources/campaign_members.sql": MEMBERS_SQL,
        "sources/consents.sql": CONSENTS_SQL,
        "sources/customer_merges.sql": MERGES_SQL,
        "data/campaigns.csv": "\n".join(["id,first,last,title,scheme,per_contact,metric,drawn,held", *listed]),
        "data/members.csv": "\n".join(["campaign,customer,arm", *rows, "drawn,stranger,mail", "next,c001,"]),
        "data/consents.csv": "customer,says\nc010,no\nc011,no\nc012,yes\n",
        "data/merges.csv": "old,new,done\n" + "\n".join(f"{old},{new},{START} 10:00" for old, new in MERGED) + "\n",
    }.items():
        (shop / name).write_text(text)
    lake = Lake(folder / "lake")
    run_night(shop, lake, NIGHT, until="segment")
    return shop, lake


def merged_pairs() -> list[tuple[str, str]]:
    """Return a pair within one arm and a pair of two arms, by the coin."""
    control, mail = ([name for name in CUSTOMERS[20:60] if by_coin(name) == arm] for arm in ("control", "mail"))
    return [(mail[0], mail[1]), (mail[2], control[0])]


MERGED = merged_pairs()


def summary(lake: Lake, name: str) -> dict[str, Any]:
    [row] = [row for row in lake.read(CAMPAIGN_SUMMARIES, day=NIGHT).to_pylist() if row["campaign_id"] == name]
    return row


def results(lake: Lake, name: str, **wanted: Any) -> list[dict[str, Any]]:
    rows = lake.read(CAMPAIGN_RESULTS, day=NIGHT).to_pylist()
    return [row for row in rows if row["campaign_id"] == name and all(row[key] == value for key, value in wanted.items())]


def checks(lake: Lake, name: str) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["check"], row["arm"]): row for row in lake.read(CAMPAIGN_CHECKS, day=NIGHT).to_pylist() if row["campaign_id"] == name}


def test_what_was_drawn_at_random_is_measured(night: tuple[Path, Lake]) -> None:
    _, lake = night
    told = summary(lake, "drawn")
    assert (told["state"], told["origin"], told["title"]) == ("final", "source", "Drawn")
    [spend] = results(lake, "drawn", metric="spend", segment="all", is_headline=True)
    assert spend["is_significant"]
    assert spend["low"] > 0
    [ordered] = results(lake, "drawn", metric="ordered", segment="all")
    assert ordered["low"] < 0.4 < ordered["high"], "the effect that was planted"
    [value] = [row for row in lake.read(CAMPAIGN_VALUES, day=NIGHT).to_pylist() if row["campaign_id"] == "drawn"]
    assert float(value["cost_amount"]) == pytest.approx(0.1 * sum(by_coin(name) == "mail" for name in CUSTOMERS) + 0.1)


def test_who_said_no_or_is_unknown_or_merged_across_arms_is_not_measured_and_counted(night: tuple[Path, Lake]) -> None:
    _, lake = night
    told = summary(lake, "drawn")
    # Assigned: everybody and a stranger. Left: two who said no, the stranger, one who is another of the same arm, two of different arms.
    assert (told["assigned_count"], told["left_count"]) == (401, 6)
    [ordered] = results(lake, "drawn", metric="ordered", segment="all")
    assert ordered["customer_count"] + ordered["control_count"] == 395


def test_segments_are_those_of_the_last_night_before_the_start_and_nobody_has_one_without(night: tuple[Path, Lake]) -> None:
    _, lake = night
    assert {row["segment"] for row in results(lake, "drawn")} == {"all"}, "no night before the start is stored"


def test_a_split_that_is_not_as_planned_is_caught(night: tuple[Path, Lake]) -> None:
    _, lake = night
    assert summary(lake, "shared")["state"] == "final"
    assert summary(lake, "broken")["state"] == "sample ratio"
    assert not checks(lake, "broken")["sample_ratio_assigned", "all"]["is_passed"]
    assert {row["difference"] for row in results(lake, "broken")} == {None}


def test_arms_that_had_spent_unlike_before_were_not_drawn_whoever_says_so(night: tuple[Path, Lake]) -> None:
    shop, lake = night
    assert summary(lake, "skewed")["state"] == "not comparable"
    before = checks(lake, "skewed")["spend_before", "mail"]
    assert before["measured"] < 0.001
    assert before["arm_value"] > before["control_value"]
    said = command(shop, lake, "results", "skewed")
    assert said.exit_code == 6
    words = " ".join(said.stdout.split())
    assert "they were others to begin with" in words
    assert "there is no control" not in words, "there is one; it was not drawn as the CRM says"


@pytest.mark.parametrize("name", ["chosen", "everyone"])
def test_without_a_random_control_nothing_is_compared(night: tuple[Path, Lake], name: str) -> None:
    shop, lake = night
    assert ("and no control" in command(shop, lake, "results", name).stdout) == (name == "everyone")
    assert summary(lake, name)["state"] == "not comparable"
    assert {row["difference"] for row in results(lake, name)} == {None}
    assert name not in lake.read(CAMPAIGN_VALUES, day=NIGHT)["campaign_id"].to_pylist()


def test_several_arms_are_each_compared_with_the_control_and_p_values_stand_for_all(night: tuple[Path, Lake]) -> None:
    _, lake = night
    rows = results(lake, "three", metric="ordered", segment="all")
    assert [row["arm"] for row in rows] == ["call", "mail"]
    smaller, larger = sorted(row["p_value"] for row in rows)
    adjusted = {row["p_value"]: row["adjusted_p_value"] for row in rows}
    assert adjusted[smaller] == pytest.approx(min(1, 2 * smaller))
    assert adjusted[larger] == pytest.approx(max(larger, min(1, 2 * smaller)))
    assert not any(row["is_significant"] for row in rows), "what was planted went by another split"


def test_spend_takes_buyers(night: tuple[Path, Lake]) -> None:
    _, lake = night
    assert summary(lake, "few")["state"] == "too few"
    [spend] = results(lake, "few", metric="spend")
    assert spend["state"] == "too few"
    assert spend["difference"] is None
    assert spend["needed_count"] > 10
    assert results(lake, "few", metric="ordered", segment="all")[0]["difference"] is not None, "the rate is told all the same"


def test_what_is_still_to_come_says_nothing(night: tuple[Path, Lake]) -> None:
    shop, lake = night
    assert summary(lake, "next")["state"] == "planned"
    assert results(lake, "next") == []
    assert command(shop, lake, "results", "next").exit_code == 2


def test_members_of_several_campaigns_at_once_are_told(night: tuple[Path, Lake]) -> None:
    _, lake = night
    overlap = checks(lake, "few")["overlap", "all"]
    assert (overlap["measured"], overlap["is_passed"]) == (1.0, True)
