"""Who is in an audience on a night, who entered and left and why, and what is published of it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.nights import night_of, run_night, tree_bytes, write_shop

from pipeline.definitions.company import load_company
from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    AUDIENCE_MEMBERS,
    AUDIENCE_MOVES,
    AUDIENCE_STRATEGIES,
    AUDIENCE_TABLES,
    AUDIENCES,
    CUSTOMER_SEGMENT_INTERVALS,
    SEGMENT_MOVES,
)
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers
from pipeline.operations.steps import STEPS
from pipeline.publication.rollback import roll_back
from pipeline.reporting.catalog.catalog import read_catalog
from pipeline.reporting.explain import explain_customer
from pipeline.reporting.explain.words import nearest_change_words
from pipeline.reporting.history.history import read_history
from pipeline.reporting.plan import plan_change
from pipeline.reporting.status.status import read_status
from pipeline.segmentation import write_moves
from pipeline.segmentation.intervals import register_changed_memberships

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (date(2024, 3, day) for day in (25, 26, 27, 28))
SETTINGS = '[attributes.city]\nlevel = "geographic"\n[gates]\noff = ["churn", "vanished", "freshness", "volume"]\n'
CUSTOMERS_SQL = "SELECT CAST(id AS VARCHAR) AS customer_id, NULLIF(city, '') AS city FROM customers"
HEAD = 'title = "{name}"\npurpose = "To be told."\nowner = "CRM"\n'
AUDIENCES_ON_MONDAY = {
    "repeaters": 'rule = "order_count >= 2"',
    "fresh": 'rule = "recency_days <= 6"',
    "away": "rule = \"city <> 'Bonn'\"",
    "short": 'rule = "order_count >= 1"\nexpires = 2024-03-26',
    "prospects": 'segment = "lifecycle.prospect"',
}
ORDERS = [
    "o1,1,ann,2024-03-20 10:00,1,10,tea",
    "o2,1,ann,2024-03-21 10:00,1,10,tea",
    "o3,1,bob,2024-03-20 10:00,1,10,tea",
]
CITIES = ["ann,Bonn", "bob,Ulm", "cem,", "dea,Ulm"]


def write(shop: Path, orders: list[str], cities: list[str], audiences: dict[str, str]) -> Path:
    write_shop(shop, orders, customers=[], settings=SETTINGS)
    (shop / "sources" / "customers.sql").write_text(CUSTOMERS_SQL)
    (shop / "data" / "customers.csv").write_text("\n".join(["id,city", *cities]) + "\n")
    (shop / "audiences").mkdir(exist_ok=True)
    for file in (shop / "audiences").glob("*.toml"):
        file.unlink()
    for name, decided in audiences.items():
        (shop / "audiences" / f"{name}.toml").write_text(f"{HEAD.format(name=name)}{decided}\n")
    return shop


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lake]:
    """Bob orders again and Cem's city is learned; then an audience expires; then a rule is edited and an audience deleted."""
    folder = tmp_path_factory.mktemp("audiences")
    shop, lake = folder / "shop", Lake(folder / "lake")
    run_night(write(shop, ORDERS, CITIES, AUDIENCES_ON_MONDAY), lake, MONDAY)
    orders = [*ORDERS, "o4,1,bob,2024-03-26 10:00,1,10,tea"]
    cities = ["cem,Rom" if line == "cem," else line for line in CITIES]
    run_night(write(shop, orders, cities, AUDIENCES_ON_MONDAY), lake, TUESDAY)
    run_night(shop, lake, WEDNESDAY)
    edited = {name: decided for name, decided in AUDIENCES_ON_MONDAY.items() if name != "prospects"}
    run_night(write(shop, orders, cities, edited | {"repeaters": 'rule = "order_count >= 3"'}), lake, THURSDAY)
    return shop, lake


def members(lake: Lake, day: date) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in lake.read(AUDIENCE_MEMBERS, day=day).to_pylist():
        found.setdefault(row["audience"], set()).add(row["customer_id"])
    return found


def moves(lake: Lake, day: date) -> set[tuple[str, str, str, str]]:
    rows = lake.read(AUDIENCE_MOVES, day=day).to_pylist()
    return {(row["customer_id"], row["audience"], row["move"], row["reason"]) for row in rows}


def published(lake: Lake, table: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(lake.local(f"{addresses.CURRENT}/{table}.parquet")).to_pylist()
    return rows


def test_members_are_those_whose_rule_is_true(told: tuple[Path, Lake]) -> None:
    _, lake = told
    assert members(lake, MONDAY) == {
        "repeaters": {"ann"},
        "fresh": {"ann", "bob"},
        "away": {"bob", "dea"},
        "short": {"ann", "bob"},
        "prospects": {"cem", "dea"},
    }


def test_of_whom_the_rule_is_unknown_is_counted_and_is_no_member(told: tuple[Path, Lake]) -> None:
    _, lake = told
    rows = {row["audience"]: row for row in lake.read(AUDIENCES, day=MONDAY).to_pylist()}
    assert rows["away"]["unknown_count"] == 1
    assert rows["fresh"]["unknown_count"] == 2
    assert (rows["away"]["customer_count"], rows["away"]["customer_share"]) == (2, 0.5)
    assert rows["short"]["expires_date"] == TUESDAY


def test_the_first_night_has_no_moves(told: tuple[Path, Lake]) -> None:
    _, lake = told
    assert moves(lake, MONDAY) == set()


def test_each_move_has_the_reason_that_it_would_have_in_a_scheme(told: tuple[Path, Lake]) -> None:
    _, lake = told
    assert moves(lake, TUESDAY) == {
        ("bob", "repeaters", "entered", "own_purchase"),
        ("cem", "away", "entered", "attribute_change"),
    }
    assert not {row["scheme"] for row in lake.read(SEGMENT_MOVES, day=TUESDAY).to_pylist()} & AUDIENCES_ON_MONDAY.keys()


def test_an_expired_audience_is_published_no_more_and_its_members_leave(told: tuple[Path, Lake]) -> None:
    shop, lake = told
    assert moves(lake, WEDNESDAY) == {("ann", "short", "left", "expiry"), ("bob", "short", "left", "expiry")}
    assert "short" not in members(lake, WEDNESDAY)
    assert "short" not in {row["audience"] for row in published(lake, "audiences")}
    said = "short: not published: expired after 2024-03-26, which was its last night"
    assert said in read_status(load_company(shop), lake).audiences
    [entry] = [each for each in read_catalog(load_company(shop), lake).audiences if each.audience == "short"]
    assert entry.state == "expired"


def test_an_edited_rule_and_a_deleted_file_are_the_reason(told: tuple[Path, Lake]) -> None:
    _, lake = told
    assert moves(lake, THURSDAY) == {
        ("ann", "repeaters", "left", "rule_change"),
        ("bob", "repeaters", "left", "rule_change"),
        ("cem", "prospects", "left", "rule_change"),
        ("dea", "prospects", "left", "rule_change"),
        ("ann", "fresh", "left", "ageing"),
    }


def test_members_are_published_with_the_night_since_which_they_are_in_it(told: tuple[Path, Lake]) -> None:
    _, lake = told
    since = {(row["customer_id"], row["audience"]): row["since_date"] for row in published(lake, "audience_members")}
    assert since == {
        ("bob", "fresh"): MONDAY,
        ("bob", "away"): MONDAY,
        ("dea", "away"): MONDAY,
        ("cem", "away"): TUESDAY,
    }


def test_the_database_holds_what_is_published(told: tuple[Path, Lake]) -> None:
    _, lake = told
    with closing(sqlite3.connect(lake.local(addresses.SQLITE))) as connection:
        found = connection.execute("SELECT customer_id, audience, since_date FROM audience_members").fetchall()
        told_days = dict(connection.execute("SELECT day, COUNT(*) FROM audience_moves GROUP BY day").fetchall())
        assert connection.execute("SELECT COUNT(*) FROM audiences").fetchone() == (3,)
    rows = published(lake, "audience_members")
    assert set(found) == {(row["customer_id"], row["audience"], row["since_date"].isoformat()) for row in rows}
    assert told_days == {"2024-03-26": 2, "2024-03-27": 2, "2024-03-28": 5}


def test_history_tells_who_was_in_an_audience_on_a_past_day(told: tuple[Path, Lake]) -> None:
    _, lake = told
    with read_history(lake, day=TUESDAY, known_on=None, scheme="repeaters").members("member") as found:
        assert list(found.customer_ids) == ["ann", "bob"]
    intervals = [row for row in read_history(lake, day=MONDAY, known_on=None, scheme="short").intervals("ann").intervals if row["valid_to"]]
    assert [(row["valid_from"], row["valid_to"]) for row in intervals] == [(MONDAY, WEDNESDAY)]


def test_explain_says_what_would_let_somebody_enter_or_leave(told: tuple[Path, Lake]) -> None:
    shop, lake = told
    explained = explain_customer(load_company(shop), lake, "bob", TUESDAY)
    found = {audience.audience: audience for audience in explained.audiences}
    assert found["repeaters"].is_member
    assert found["repeaters"].values == {"order_count": 2}
    assert nearest_change_words(found["repeaters"]) == "out of it if order_count were 1 instead of 2"
    assert [move.reason for move in found["repeaters"].moves] == ["own_purchase"]
    assert not found["prospects"].is_member


def test_a_plan_counts_who_would_enter_and_leave_as_the_next_night_tells(tmp_path: Path) -> None:
    shop, lake = tmp_path / "shop", Lake(tmp_path / "lake")
    run_night(write(shop, ORDERS, CITIES, {"repeaters": 'rule = "order_count >= 2"', "gone": 'rule = "order_count >= 1"'}), lake, MONDAY)
    assert plan_change(load_company(shop), lake).changes.is_nothing
    write(shop, ORDERS, CITIES, {"repeaters": 'rule = "order_count >= 1"', "new": "rule = \"city = 'Ulm'\""})
    plan = plan_change(load_company(shop), lake)
    assert (plan.changes.decided_otherwise, plan.changes.added, plan.changes.removed) == (("repeaters",), ("new",), ("gone",))
    flows = {
        (each.scheme, "entered" if flow.to_segment else "left", flow.customer_count) for each in plan.schemes for flow in each.moving_flows
    }
    assert flows == {("repeaters", "entered", 1), ("new", "entered", 2), ("gone", "left", 2)}
    assert [(each.scheme, each.customer_count) for each in plan.left_out if each.scheme == "new"] == [("new", 1)]
    run_night(shop, lake, TUESDAY)
    assert {(audience, move) for _, audience, move, _ in moves(lake, TUESDAY)} == {(scheme, move) for scheme, move, _ in flows}


def test_a_rerun_gives_the_same_bytes_and_one_without_audiences_leaves_none(tmp_path: Path) -> None:
    shop, lake = tmp_path / "shop", Lake(tmp_path / "lake")
    tables = [f"tables/{table.name}" for table in AUDIENCE_TABLES]
    run_night(write(shop, ORDERS, CITIES, AUDIENCES_ON_MONDAY), lake, MONDAY)
    first = tree_bytes(lake, *tables)
    assert {name.split("/")[1] for name in first} == {table.name for table in AUDIENCE_TABLES}
    run_night(shop, lake, MONDAY)
    assert tree_bytes(lake, *tables) == first
    run_night(write(shop, ORDERS, CITIES, {}), lake, MONDAY)
    assert not tree_bytes(lake, *tables)
    with closing(sqlite3.connect(lake.local(addresses.SQLITE))) as connection:
        assert connection.execute("SELECT COUNT(*) FROM audience_members").fetchone() == (0,)
    assert not lake.local(f"{addresses.CURRENT}/{AUDIENCE_STRATEGIES.name}.parquet").exists()


def test_who_does_not_agree_or_was_erased_is_in_no_published_audience(tmp_path: Path) -> None:
    shop, lake = write(tmp_path / "shop", ORDERS, CITIES, {"buyers": 'rule = "order_count >= 1"'}), Lake(tmp_path / "lake")
    (shop / "sources" / "consents.sql").write_text("SELECT who AS customer_id, CAST(answer AS BOOLEAN) AS is_consenting FROM consents")
    (shop / "data" / "consents.csv").write_text("who,answer\nann,true\nbob,false\n")
    run_night(shop, lake, MONDAY)
    assert members(lake, MONDAY) == {"buyers": {"ann", "bob"}}
    assert {row["customer_id"] for row in published(lake, "audience_members")} == {"ann"}
    erase_customers(Deployment(load_company(shop), lake, lambda name: name), ["ann"])
    assert members(lake, MONDAY) == {"buyers": {"bob"}}
    assert published(lake, "audience_members") == []
    with closing(sqlite3.connect(lake.local(addresses.SQLITE))) as connection:
        assert connection.execute("SELECT COUNT(*) FROM audience_members").fetchone() == (0,)


ORDERS_SINCE = ["o4,1,bob,2024-03-26 10:00,1,10,tea", "o5,1,cem,2024-03-27 10:00,1,10,tea"]


@pytest.fixture(scope="module")
def until_tuesday(tmp_path_factory: pytest.TempPathFactory) -> dict[date, Path]:
    """Return the folders of a lake as it was after Monday, and after Tuesday."""
    folder, found = tmp_path_factory.mktemp("until"), {}
    for night, count in ((MONDAY, 0), (TUESDAY, 1)):
        shop = write(folder / "shop", [*ORDERS, *ORDERS_SINCE[:count]], CITIES, AUDIENCES_ON_MONDAY)
        run_night(shop, Lake(folder / "lake"), night, until="segment")
        found[night] = Path(shutil.copytree(folder / "lake", folder / str(night), symlinks=True))
    return found


@pytest.mark.parametrize(("erased_after", "is_told_by_intervals"), [(None, True), (MONDAY, True), (TUESDAY, False)])
def test_moves_are_the_same_bytes_where_intervals_tell_them_and_where_they_are_gone(
    tmp_path: Path, until_tuesday: dict[date, Path], erased_after: date | None, is_told_by_intervals: bool
) -> None:
    began = erased_after or TUESDAY
    lake = Lake(shutil.copytree(until_tuesday[began], tmp_path / "lake", symlinks=True))
    if erased_after:
        # What the intervals say of Monday or Tuesday was told of other memberships than those that are left.
        shop = write(tmp_path / "shop", ORDERS, CITIES, AUDIENCES_ON_MONDAY)
        erase_customers(Deployment(load_company(shop), lake, lambda name: name), ["bob"])
    for night in (TUESDAY, WEDNESDAY):
        if night > began:
            shop = write(tmp_path / "shop", [*ORDERS, *ORDERS_SINCE[: (night - MONDAY).days]], CITIES, AUDIENCES_ON_MONDAY)
            run_night(shop, lake, night, until="segment")
    gone = Lake(shutil.copytree(lake.root, tmp_path / "gone", symlinks=True))
    shutil.rmtree(gone.root / "tables" / CUSTOMER_SEGMENT_INTERVALS.name)
    told = []
    for each, is_told in ((lake, is_told_by_intervals), (gone, False)):
        for table in (SEGMENT_MOVES, AUDIENCE_MOVES):
            each.path(table, day=WEDNESDAY).unlink()
        with closing(DuckDBEngine(each.store)) as engine:
            assert register_changed_memberships(each, engine, TUESDAY, WEDNESDAY) is is_told
        with closing(DuckDBEngine(each.store)) as engine:
            write_moves(load_company(shop), each, engine, WEDNESDAY)
        told.append(tree_bytes(each, *(f"tables/{table.name}" for table in (SEGMENT_MOVES, AUDIENCE_MOVES))))
    assert told[0] == told[1]
    assert moves(lake, WEDNESDAY) >= {("cem", "fresh", "entered", "own_purchase"), ("ann", "short", "left", "expiry")}


def test_a_rollback_takes_the_audiences_of_a_night_back(tmp_path: Path) -> None:
    shop, lake = write(tmp_path / "shop", ORDERS, CITIES, {"buyers": 'rule = "order_count >= 1"'}), Lake(tmp_path / "lake")
    run_night(shop, lake, MONDAY)
    first = published(lake, "audience_members")
    run_night(write(shop, [*ORDERS, "o4,1,cem,2024-03-26 10:00,1,10,tea"], CITIES, {"buyers": 'rule = "order_count >= 1"'}), lake, TUESDAY)
    assert len(published(lake, "audience_members")) == 3
    roll_back(load_company(shop), lake, reason="a test", connections=lambda name: name)
    assert published(lake, "audience_members") == first
    with closing(sqlite3.connect(lake.local(addresses.SQLITE))) as connection:
        assert connection.execute("SELECT COUNT(*) FROM audience_members").fetchone() == (2,)
        assert connection.execute("SELECT COUNT(*) FROM audience_moves").fetchone() == (0,)


def test_a_backfill_in_another_order_and_a_restatement_tell_the_same_members(tmp_path: Path) -> None:
    shop = write(tmp_path / "shop", [*ORDERS, "o4,1,bob,2024-03-26 10:00,1,10,tea"], CITIES, AUDIENCES_ON_MONDAY)
    here, there = Lake(tmp_path / "here"), Lake(tmp_path / "there")
    for lake, nights in ((here, (TUESDAY, WEDNESDAY)), (there, (WEDNESDAY, TUESDAY))):
        for night in nights:
            run_night(shop, lake, night, until="segment")
    tables = [f"tables/{table.name}" for table in AUDIENCE_TABLES]
    assert tree_bytes(there, *tables) == tree_bytes(here, *tables)
    for name in ("features", "segment"):
        STEPS[name](night_of(shop, here, TUESDAY, WEDNESDAY))
    restated = here.read(AUDIENCE_MEMBERS, day=TUESDAY, known_on=WEDNESDAY)
    assert restated.to_pylist() == here.read(AUDIENCE_MEMBERS, day=TUESDAY).to_pylist()
    assert moves(here, WEDNESDAY)


def test_an_aggregate_within_a_rule_is_computed_by_the_night_and_planned_before_it(tmp_path: Path) -> None:
    shop, lake = write(tmp_path / "shop", ORDERS, CITIES, {"buyers": 'rule = "order_count >= 1"'}), Lake(tmp_path / "lake")
    run_night(shop, lake, MONDAY)
    write(shop, ORDERS, CITIES, {"tea": "rule = \"COUNT(order_lines WHERE category = 'tea' LAST 5 DAYS) >= 1\""})
    plan = plan_change(load_company(shop), lake)
    assert {(each.scheme, flow.customer_count) for each in plan.schemes for flow in each.moving_flows} == {("buyers", 2), ("tea", 1)}
    run_night(shop, lake, TUESDAY)
    assert members(lake, TUESDAY) == {}
    run_night(
        write(shop, [*ORDERS, "o4,1,bob,2024-03-27 10:00,1,10,tea"], CITIES, {"tea": 'rule = "COUNT(order_lines LAST 5 DAYS) >= 1"'}),
        lake,
        WEDNESDAY,
    )
    assert members(lake, WEDNESDAY) == {"tea": {"bob"}}


def test_who_is_taken_by_a_feature_that_means_something_else_now_moves_by_rule_change(tmp_path: Path) -> None:
    declared = '[recent_orders]\nfrom = "order_lines"\nvalue = "COUNT(DISTINCT order_id)"\nlast_days = {days}\ndescription = "Orders."\n'
    audiences = {"recent": 'rule = "recent_orders >= 1"'}
    shop, lake = write(tmp_path / "shop", ORDERS, CITIES, audiences), Lake(tmp_path / "lake")
    (shop / "features").mkdir()
    for night, days in ((MONDAY, 5), (TUESDAY, 30)):
        (shop / "features" / "orders.toml").write_text(declared.format(days=days))
        run_night(shop, lake, night)
    assert members(lake, MONDAY) == {"recent": {"ann"}}
    assert moves(lake, TUESDAY) == {("bob", "recent", "entered", "rule_change")}
