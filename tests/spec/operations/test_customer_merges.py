"""A guest who turns out to have an account: from that night on there is one customer, everywhere, and erased as one."""

from __future__ import annotations

import json
import shutil
import sqlite3
from datetime import date
from pathlib import Path

import duckdb
import pytest
from support.nights import run_night, write_shop
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.company import load_company
from pipeline.errors import DataError, GateClosed
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_MERGES, RAW_ORDER_LINES, REJECTED_ROWS, SEGMENT_MOVES
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers
from pipeline.publication.gates.results import stored_gates

WEDNESDAY, THURSDAY, FRIDAY = date(2024, 3, 27), date(2024, 3, 28), date(2024, 3, 29)
MERGES_SQL = """
SELECT CAST(old AS VARCHAR) AS customer_id, CAST(new AS VARCHAR) AS merged_into,
  CAST(done AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS merged_at
FROM merges
"""
CONSENTS_SQL = "SELECT CAST(id AS VARCHAR) AS customer_id, says = 'yes' AS is_consenting FROM consents"
ACCOUNTS = [f"a{number:02}" for number in range(12)]
ORDERS = [f"o{place}{day},1,{name},2024-02-{day:02} 10:00,1,10,tea" for place, name in enumerate(ACCOUNTS) for day in (5, 15, 25)]
GUEST = [f"g{day},1,guest,2024-03-{day:02} 10:00,1,100,tea" for day in (1, 5, 9, 12, 20)]


def write(shop: Path, *, merges: list[str] | None = None, customers: list[str] | None = None, consents: list[str] | None = None) -> Path:
    write_shop(shop, [*ORDERS, *GUEST], customers=customers or [*ACCOUNTS, "guest"], settings="[gates]\nquiet_days = 60\n")
    for name, query, head, rows in (
        ("customer_merges", MERGES_SQL, "old,new,done", merges),
        ("consents", CONSENTS_SQL, "id,says", consents),
    ):
        if rows is not None:
            (shop / "sources" / f"{name}.sql").write_text(query)
            (shop / "data" / f"{name.removeprefix('customer_')}.csv").write_text("\n".join([head, *rows]) + "\n")
    return shop


def features(lake: Lake, day: date) -> dict[str, int]:
    rows = lake.read(CUSTOMER_FEATURES, day=day).to_pylist()
    return {row["customer_id"]: row["lifetime_order_count"] for row in rows}


def published(lake: Lake, table: str) -> set[str]:
    file = str(lake.root / "current" / f"{table}.parquet")
    return {name for (name,) in duckdb.execute("SELECT DISTINCT customer_id FROM read_parquet(?)", [file]).fetchall()}


def rows_of(lake: Lake, *customers: str) -> int:
    files = str(lake.root / "tables" / RAW_ORDER_LINES.name / "**" / "*.parquet")
    found = duckdb.execute("SELECT COUNT(*) FROM read_parquet(?) WHERE customer_id IN ?", [files, list(customers)]).fetchone()
    return found[0] if found else 0


@pytest.fixture(scope="module")
def two_nights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a shop and its lake after two nights: the guest is a customer, then somebody else."""
    folder = tmp_path_factory.mktemp("merged")
    shop, lake = write(folder / "shop", merges=["never,a05,2024-01-02 10:00"]), Lake(folder / "lake")
    run_night(shop, lake, WEDNESDAY)
    run_night(write(shop, merges=["never,a05,2024-01-02 10:00", "guest,a00,2024-03-28 15:00"], customers=ACCOUNTS), lake, THURSDAY)
    return folder


@pytest.fixture
def merged(two_nights: Path, tmp_path: Path) -> Lake:
    """Return a copy of the lake, with its shop beside it."""
    for name in ("shop", "lake"):
        shutil.copytree(two_nights / name, tmp_path / name, symlinks=True)
    return Lake(tmp_path / "lake")


def test_all_that_the_guest_did_is_the_accounts_from_that_night_on(merged: Lake) -> None:
    assert features(merged, WEDNESDAY) == dict.fromkeys(ACCOUNTS, 3) | {"guest": 5}
    assert features(merged, THURSDAY) == dict.fromkeys(ACCOUNTS, 3) | {"a00": 8}


def test_what_moved_by_it_says_so_and_nobody_else(merged: Lake) -> None:
    moves = merged.read(SEGMENT_MOVES, day=THURSDAY).to_pylist()
    by_merge = {row["customer_id"] for row in moves if row["reason"] == "identity_merge"}
    assert by_merge == {"a00", "guest"}
    assert {row["reason"] for row in moves if row["customer_id"] == "guest"} == {"identity_merge"}
    assert {row["to_segment"] for row in moves if row["customer_id"] == "guest"} == {None}


def test_the_guest_is_removed_downstream(merged: Lake) -> None:
    for table in ("customer_segments", "customer_features", "customer_predictions"):
        assert published(merged, table) == set(ACCOUNTS)
    with sqlite3.connect(merged.root / "segments.sqlite") as database:
        assert {name for (name,) in database.execute("SELECT customer_id FROM customer_profiles")} == set(ACCOUNTS)


def test_an_id_that_was_merged_is_explained_as_who_is_left(tmp_path: Path, merged: Lake) -> None:
    chain = ["guest,a00,2024-03-28 15:00", "a00,a01,2024-03-29 23:30"]
    run_night(write(tmp_path / "shop", merges=chain, customers=ACCOUNTS[1:]), merged, FRIDAY)
    places = ["--company", str(tmp_path / "shop"), "--lake", str(merged.root)]
    told = CliRunner().invoke(app, ["explain", "guest", *places])
    assert told.exit_code == 0, told.output
    words = "guest was merged into a00 on 2024-03-28, a00 was merged into a01 on 2024-03-29: all that guest did is told as a01's"
    assert words in " ".join(told.output.split())
    explained = json.loads(CliRunner().invoke(app, ["explain", "guest", *places, "--json", "--day", str(THURSDAY)]).output)
    assert explained["customer_id"] == "a00"
    assert explained["merges"] == [{"customer_id": "guest", "merged_into": "a00", "merged_on": str(THURSDAY)}]
    before = json.loads(CliRunner().invoke(app, ["explain", "guest", *places, "--json", "--day", str(WEDNESDAY)]).output)
    assert (before["customer_id"], before["merges"]) == ("guest", [])


@pytest.mark.parametrize("named", ["a00", "guest"])
def test_erasing_either_of_them_erases_both(tmp_path: Path, merged: Lake, named: str) -> None:
    erase_customers(Deployment(load_company(tmp_path / "shop"), merged, lambda name: name), [named])
    assert rows_of(merged, "a00", "guest") == 0
    assert rows_of(merged, *ACCOUNTS[1:]) > 0
    run_night(tmp_path / "shop", merged, FRIDAY, until="features")
    assert features(merged, FRIDAY) == dict.fromkeys(ACCOUNTS[1:], 3)
    assert rows_of(merged, "a00", "guest") == 0


def test_a_merge_into_somebody_erased_is_not_stored(tmp_path: Path, merged: Lake) -> None:
    shop = tmp_path / "shop"
    erase_customers(Deployment(load_company(shop), merged, lambda name: name), ["a05"])
    write(shop, merges=["guest,a05,2024-03-29 15:00"])
    run_night(shop, merged, FRIDAY, until="features")
    assert "a05" not in features(merged, FRIDAY)
    known = merged.snapshot_known(CUSTOMER_MERGES, FRIDAY)
    assert merged.read(CUSTOMER_MERGES, known_on=known).num_rows == 0


def test_who_refused_as_a_guest_is_not_published_as_a_customer(tmp_path: Path, lake: Lake) -> None:
    shop = write(tmp_path / "shop", consents=["guest,no", "a00,yes", "a01,yes"], merges=["guest,a00,2024-03-27 15:00"])
    run_night(shop, lake, WEDNESDAY)
    assert published(lake, "customer_segments") == set(ACCOUNTS[1:])


def test_a_merge_that_closes_a_circle_is_set_aside_and_the_others_hold(tmp_path: Path, lake: Lake) -> None:
    merges = ["guest,a00,2024-03-01 10:00", "a00,a01,2024-03-02 10:00", "a01,guest,2024-03-03 10:00", "a02,a02,2024-03-01 10:00"]
    fine = [f"old{number},a03,2024-01-01 10:00" for number in range(60)]
    run_night(write(tmp_path / "shop", merges=[*merges, *fine]), lake, WEDNESDAY, until="features")
    rejected = [row for row in lake.read(REJECTED_ROWS, day=WEDNESDAY).to_pylist() if row["source_table"] == "raw_customer_merges"]
    assert [row["rule"] for row in rejected] == ["merge_closes_no_circle"] * 2
    told = features(lake, WEDNESDAY)
    assert (told["a01"], told["a02"]) == (11, 3)
    assert not {"guest", "a00"} & set(told)


def test_both_merges_of_a_circle_at_one_instant_are_set_aside(tmp_path: Path, lake: Lake) -> None:
    fine = [f"old{number},a03,2024-01-01 10:00" for number in range(60)]
    shop = write(tmp_path / "shop", merges=["guest,a00,2024-03-01 10:00", "a00,guest,2024-03-01 10:00", *fine])
    run_night(shop, lake, WEDNESDAY, until="features")
    assert features(lake, WEDNESDAY) == dict.fromkeys(ACCOUNTS, 3) | {"guest": 5}


def test_a_list_that_is_mostly_circles_stops_the_night_with_its_counts(tmp_path: Path, lake: Lake) -> None:
    with pytest.raises(GateClosed, match=r"66\.67% of 3 rows of raw_customer_merges .* merge_closes_no_circle 2"):
        run_night(
            write(tmp_path / "shop", merges=["a00,a01,2024-03-01 10:00", "a01,a00,2024-03-01 10:00", "guest,a03,2024-03-01 10:00"]),
            lake,
            WEDNESDAY,
        )


def test_a_list_into_nobody_stops_the_night(tmp_path: Path, lake: Lake) -> None:
    with pytest.raises(DataError, match=r"raw_customer_merges breaks `survivors_are_known`.*2 of 2 rows broke it"):
        run_night(write(tmp_path / "shop", merges=["guest,1.0,2024-03-01 10:00", "a00,2.0,2024-03-01 10:00"]), lake, WEDNESDAY)


@pytest.mark.parametrize(("strangers", "is_open"), [(5, True), (6, False)])
def test_a_list_of_which_most_lead_to_nobody_closes_the_gate(tmp_path: Path, lake: Lake, strangers: int, is_open: bool) -> None:
    run_night(write(tmp_path / "shop"), lake, WEDNESDAY)
    into_nobody = [f"g{number},{number}.0,2024-03-28 10:00" for number in range(strangers)]
    shop = write(tmp_path / "shop", merges=[*into_nobody, *(f"x{number},a{number:02},2024-03-28 10:00" for number in range(5))])
    if is_open:
        run_night(shop, lake, THURSDAY)
    else:
        with pytest.raises(GateClosed, match=r"unmatched \(customer_merges\): 54.55% of 11 ids belong to no customer"):
            run_night(shop, lake, THURSDAY)


def test_customers_who_were_merged_have_not_vanished(tmp_path: Path, lake: Lake) -> None:
    shop = write(tmp_path / "shop", merges=["never,a05,2024-01-02 10:00"])
    run_night(shop, lake, WEDNESDAY)
    into_one = [f"{name},a00,2024-03-28 15:00" for name in (*ACCOUNTS[1:3], "guest")]
    run_night(write(shop, merges=into_one, customers=[ACCOUNTS[0], *ACCOUNTS[3:]]), lake, THURSDAY)
    [vanished] = [each for each in stored_gates(lake, THURSDAY).results if (each.gate, each.subject) == ("vanished", "customers")]
    assert (vanished.state.value, vanished.measured) == ("open", 0)
    assert published(lake, "customer_segments") == {ACCOUNTS[0], *ACCOUNTS[3:]}
