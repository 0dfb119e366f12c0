"""Law 12: erased is erased. The id is gone from every byte of the lake, and no later night brings it back."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import shutil
import stat
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.killing import Killer, copied
from support.nights import night_of, run_night, tree_bytes, write_shop
from support.published_nights import no_connections, published_files, published_segments, target_rows
from support.traces import traces
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.company import load_company
from pipeline.errors import ConfigError, DataError, LockTimeout
from pipeline.ingestion.erased import ErasedIds, Ledger, Receipt
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, EXTRACTIONS, RAW_CUSTOMERS
from pipeline.operations import steps
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure import file_rewriting, table_files
from pipeline.operations.erasure.erase import erase_customers, finish_erasures, holding_off_erasures
from pipeline.operations.erasure.step import erase as erase_listed_step
from pipeline.publication.current import current_publication, publication_ids

CANARY = "7f3a51"
ZOE, ADA = f"Zoë's {CANARY}", "ada"
FIRST, SECOND, THIRD, FOURTH = (date(2024, 3, day) for day in (1, 2, 3, 4))
NIGHT_TABLES = ("customer_features", "customer_segments", "segment_profiles", "population_rhythm", "population_baselines")
CUSTOMERS_SQL = """
SELECT CAST(id AS VARCHAR) AS customer_id, CAST(id AS VARCHAR) || '@example.org' AS email, length(CAST(id AS VARCHAR)) AS id_length
FROM customers
"""
SETTINGS = """
[gates]
rejected_share_limit = 0.9
[attributes.email]
level = "demographic"
pii = true
[attributes.id_length]
level = "demographic"
kind = "integer"
"""
REFERRED = """
[attributes.referring_customer_id]
level = "demographic"
pii = true
"""
CUSTOMERS = [ADA, "bob", "cleo", "dan", ZOE]


def orders(*customers: str) -> list[str]:
    """Return orders over all nights: plain ones, some too old to be kept, and one whose id has white space around it."""
    lines = []
    for place, customer in enumerate(customers):
        for day in range(1, 5):
            at = f"2024-03-0{day}" if place % 2 else f"2024-02-2{day + 5}"
            lines.append(f"o{place}-{day},1,{customer},{at} 12:00:00,1,{10 + place}.50,tea")
            lines.append(f"r{place}-{day},1,{customer},2023-03-0{day} 12:00:00,1,5,tea")
        lines.append(f"w{place},1,  {customer} ,2024-03-02 13:00:00,1,7,tea")
    return lines


def a_shop(folder: Path, *customers: str) -> Path:
    shop = write_shop(folder, orders(*customers), customers=list(customers), settings=SETTINGS)
    (shop / "sources" / "customers.sql").write_text(CUSTOMERS_SQL)
    return shop


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_shop(tmp_path_factory.mktemp("shop"), *CUSTOMERS)


@pytest.fixture(scope="module")
def three_nights(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return a lake of three published nights, the first of them restated as the last one knows it; nobody is erased."""
    lake = Lake(tmp_path_factory.mktemp("three") / "lake")
    for day in (FIRST, SECOND, THIRD):
        run_night(shop, lake, day)
    for step in (steps.features, steps.segment):
        step(night_of(shop, lake, FIRST, THIRD))
    (lake.root / "staging" / "dead").mkdir()
    (lake.root / "staging" / "dead" / "rows.parquet").write_text(ZOE)
    return lake


@pytest.fixture
def nights(three_nights: Lake, tmp_path: Path) -> Lake:
    return Lake(Path(shutil.copytree(three_nights.root, tmp_path / "nights", symlinks=True)))


def erased(shop: Path, lake: Lake, *ids: str) -> Receipt:
    return erase_customers(Deployment(load_company(shop), lake, no_connections), ids)


def test_the_id_is_gone_from_every_byte_of_the_lake(shop: Path, nights: Lake) -> None:
    places = traces(nights, CANARY)
    assert {"publications", "segments.sqlite", "staging", "restated/customer_segments", "tables/rejected_rows"} < places
    erased(shop, nights, ZOE)
    assert traces(nights, CANARY) == set()


def test_rows_of_others_stay_as_they_are_and_readers_keep_a_whole_publication(shop: Path, nights: Lake) -> None:
    def others() -> dict[str, list[dict[str, Any]]]:
        files = [path for path in nights.root.rglob("*.parquet") if path.parent.parent.name == "restated" or "tables" in path.parts]
        rows = {str(path.relative_to(nights.root)): pq.read_table(path, partitioning=None).to_pylist() for path in files}
        return {name: [row for row in found if CANARY not in repr(row)] for name, found in rows.items()}

    before, segments, target = others(), published_segments(nights), target_rows(nights.root / "segments.sqlite")
    erased(shop, nights, ZOE)
    assert others() == before
    assert published_segments(nights) == {customer: segment for customer, segment in segments.items() if CANARY not in customer}
    assert all(is_whole(nights, name) for name in publication_ids(nights))
    kept = target_rows(nights.root / "segments.sqlite")
    for name in ("customer_segments", "customer_segment_history"):
        assert kept[name] == [row for row in target[name] if CANARY not in repr(row)]
    current = current_publication(nights)
    assert current is not None
    assert (str(THIRD), current.publication_id) in [row[:2] for row in kept["publications"]]


def test_files_that_are_whole_are_not_called_unreadable_for_another_fault(
    shop: Path, nights: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever is told that a raw file cannot be read removes it, and the source may not have its rows any more."""

    def failing(*_: object, **__: object) -> None:
        raise DataError("a statement failed", todo="Look for the cause.")

    with monkeypatch.context() as patched:
        patched.setattr(file_rewriting, "open_engine", failing)
        with pytest.raises(DataError, match=r"^a statement failed"):
            erased(shop, nights, ZOE)
    assert len(finish_erasures(Deployment(load_company(shop), nights, no_connections))) == 1
    assert traces(nights, CANARY) == set()


def test_an_erasure_by_workers_leaves_the_bytes_of_one_without(
    shop: Path, nights: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Lake(Path(shutil.copytree(nights.root, tmp_path / "other", symlinks=True)))
    for lake in (nights, other):  # of two files that cannot be read one is of event days
        for file in (
            "tables/customer_days/month=2023-03/known=2024-03-01/part-0.parquet",
            "tables/customer_segments/day=2024-03-02/part-0.parquet",
        ):
            assert (lake.root / file).is_file()
            (lake.root / file).write_bytes(b"nothing")
    with pytest.raises(DataError) as alone:
        erased(shop, nights, ZOE)
    monkeypatch.setattr(table_files, "BYTES_WORTH_WORKERS", 0)
    with pytest.raises(DataError) as by_workers:
        erase_customers(Deployment(load_company(shop), other, no_connections, worker_count=2), [ZOE])
    assert by_workers.value.what == alone.value.what == "files that may hold erased customers cannot be read: 2"
    assert by_workers.value.where == alone.value.where.replace(str(nights.root), str(other.root))
    assert tree_bytes(other, "tables", "publications") == tree_bytes(nights, "tables", "publications")


def is_whole(lake: Lake, name: str) -> bool:
    folder = lake.root / "publications" / name
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    previous = manifest["previous"]
    digests = {table: hashlib.sha256((folder / f"{table}.parquet").read_bytes()).hexdigest() for table in manifest["tables"]}
    is_led_back = previous is None or not lake.root.joinpath("publications").exists() or manifest["publication_id"] != previous
    return (
        name == manifest["publication_id"]
        and is_led_back
        and all(table["sha256"] == digests[key] for key, table in manifest["tables"].items())
    )


def test_the_way_back_leads_to_a_publication_without_the_customer(shop: Path, nights: Lake) -> None:
    before = current_publication(nights)
    erased(shop, nights, ZOE)
    after = current_publication(nights)
    assert before
    assert after
    assert after.publication_id != before.publication_id
    assert set(publication_ids(nights)) == {after.publication_id, after.previous}


def test_no_later_night_and_no_backfill_brings_an_erased_customer_back(shop: Path, nights: Lake, caplog: pytest.LogCaptureFixture) -> None:
    erased(shop, nights, ZOE)
    with caplog.at_level(logging.INFO):
        run_night(shop, nights, FOURTH)
        steps.extract(night_of(shop, nights, SECOND), reread=True, since=FIRST)
        run_night(shop, nights, SECOND)
    assert traces(nights, CANARY) == set()
    assert "rows of erased customers were dropped" in caplog.text
    assert CANARY not in caplog.text


def test_what_the_source_still_has_of_them_makes_no_new_version_and_no_late_day(shop: Path, nights: Lake) -> None:
    erased(shop, nights, ZOE)
    raw = ("tables/raw_customers", "tables/raw_order_lines", "tables/late_days")
    before = tree_bytes(nights, *raw)
    steps.extract(night_of(shop, nights, THIRD), reread=True)
    assert tree_bytes(nights, *raw) == before


def test_nights_run_again_after_an_erasure_are_those_of_a_source_without_the_customer(shop: Path, nights: Lake, tmp_path: Path) -> None:
    erased(shop, nights, ZOE)
    without = Lake(tmp_path / "without")
    for day in (SECOND, THIRD):
        run_night(a_shop(tmp_path / "shop", *CUSTOMERS[:-1]), without, day, until="segment")
    for day in (THIRD, SECOND):
        run_night(shop, nights, day)
    tables = [f"tables/{name}/day={day}" for name in NIGHT_TABLES for day in (SECOND, THIRD)]
    assert tree_bytes(nights, *tables) == tree_bytes(without, *tables)
    once = tree_bytes(nights, "tables", "publications", "models")
    run_night(shop, nights, SECOND)
    assert tree_bytes(nights, "tables", "publications", "models") == once


def test_who_was_referred_by_an_erased_customer_stays_and_names_nobody(tmp_path: Path) -> None:
    settings = SETTINGS.replace("0.9", "1.0") + REFERRED
    shop, lake = write_shop(tmp_path / "shop", orders(ADA, ZOE), customers=[], settings=settings), Lake(tmp_path / "lake")
    (shop / "sources" / "customers.sql").write_text(CUSTOMERS_SQL.replace("FROM", ", referrer AS referring_customer_id FROM"))
    (shop / "data" / "customers.csv").write_text(f"id,referrer\n{ADA},{ZOE}\n{ZOE},{ADA}\nbob, {ZOE} \nbob,{ZOE}\n")
    run_night(shop, lake, FIRST)
    assert {"tables/raw_customers", "tables/customers", "tables/rejected_rows"} <= traces(lake, CANARY)
    erased(shop, lake, ZOE)
    assert traces(lake, CANARY) == set()
    assert {ADA} <= set(lake.read(CUSTOMER_FEATURES, day=FIRST)["customer_id"].to_pylist())
    once = tree_bytes(lake, "tables/raw_customers")
    for day in (FIRST, SECOND):
        run_night(shop, lake, day)
    assert traces(lake, CANARY) == set()
    assert tree_bytes(lake, "tables/raw_customers") == once, "what the source still says is nothing new"
    people = lake.read(RAW_CUSTOMERS, known_on=FIRST).select(["customer_id"]).to_pylist()
    assert [row["customer_id"] for row in people] == [ADA, "bob", "bob"]


def test_an_id_with_a_space_of_its_own_is_another_one_than_that_without(tmp_path: Path) -> None:
    odd = ["\u00a0ada", "ada", "\u3000bob", "bob"]
    shop, lake = a_shop(tmp_path / "shop", *odd), Lake(tmp_path / "lake")
    run_night(shop, lake, FIRST)
    erased(shop, lake, odd[0], f" {odd[2]}\t")
    run_night(shop, lake, SECOND)
    for day in (FIRST, SECOND):
        assert {each.strip(" ") for each in lake.read(CUSTOMER_FEATURES, day=day)["customer_id"].to_pylist()} == {"ada", "bob"}


def test_erasing_twice_is_erasing_once(shop: Path, nights: Lake) -> None:
    first = erased(shop, nights, ZOE)
    before = tree_bytes(nights, "tables", "restated", "publications")
    second = erased(shop, nights, f" {ZOE} ")
    assert tree_bytes(nights, "tables", "restated", "publications") == before
    assert (first.erased_before_count, second.erased_before_count) == (0, 1)
    assert (second.removed, second.row_count) == ({}, 0)
    assert second.customers == first.customers


def test_the_receipt_counts_what_went_and_names_nobody(shop: Path, nights: Lake) -> None:
    company = load_company(shop)
    rows = {day: nights.read(company.table(CUSTOMER_FEATURES), day=day).num_rows for day in (FIRST, SECOND, THIRD)}
    receipt = erased(shop, nights, ZOE, ADA, "nobody")
    gone = dict.fromkeys((FIRST, SECOND, THIRD), 2)  # their ids with white space around them are rejected rows
    assert {day: nights.read(company.table(CUSTOMER_FEATURES), day=day).num_rows + gone[day] for day in rows} == rows
    assert receipt.removed["tables/customer_features"] == {"files": 3, "rows": 6}
    assert receipt.removed["restated/customer_features"] == {"files": 1, "rows": 2}
    assert receipt.removed["tables/raw_customers"] == {"files": 1, "rows": 2}
    assert receipt.removed["tables/rejected_rows"]["rows"] == 10
    assert receipt.row_count == sum(counts["rows"] for counts in receipt.removed.values())
    assert receipt.known == str(THIRD)
    assert len(receipt.customers) == 3
    ledger = tree_bytes(nights, "erasures")
    # As words: a keyed hash in hexadecimal digits may well hold `ada`.
    assert not any(re.search(rf"\b{name}\b".encode(), content) for content in ledger.values() for name in (CANARY, ADA, "nobody"))
    assert stat.S_IMODE((nights.root / "erasures" / "key").stat().st_mode) == 0o600


@settings(deadline=None)
@given(st.binary(min_size=32, max_size=32), st.lists(st.text(max_size=20)), st.lists(st.text(max_size=20)))
def test_ids_are_known_by_their_hmac_alone(key: bytes, erased_ids: list[str], others: list[str]) -> None:
    hashes = [hmac.digest(key, each.encode().strip(), "sha256").hex() for each in erased_ids]
    known = ErasedIds(key, hashes)
    assert [known.hash_of(each) for each in erased_ids] == hashes
    stripped = {each.encode().strip() for each in erased_ids}
    found = known.among(pa.array([*erased_ids, *others, None], pa.string())).to_pylist()
    assert set(found) == {each for each in (*erased_ids, *others) if each.encode().strip() in stripped}


# Interrupted


def erase_zoe(shop: Path, root: Path) -> None:
    erased(shop, Lake(root), ZOE)


def finish(shop: Path, root: Path) -> None:
    """Do what the next night does first, and what the operator does who saw no request written down."""
    lake = Lake(root)
    if len(Ledger(lake).complete_requests()) < 2 and not finish_erasures(Deployment(load_company(shop), lake, no_connections)):
        erase_zoe(shop, root)


def contents(root: Path) -> dict[str, object]:
    private = ("locks", "staging", "states", "pending")
    files = [path for path in root.rglob("*") if path.is_file() and path.relative_to(root).parts[0] not in private]
    found: dict[str, object] = {str(path.relative_to(root)): path.read_bytes() for path in files}
    return found | {"segments.sqlite": target_rows(root / "segments.sqlite"), "current": str((root / "current").readlink())}


def test_an_erasure_killed_anywhere_is_completed_to_the_same_bytes(shop: Path, nights: Lake, killing: Killer) -> None:
    erased(shop, nights, "somebody else")  # from then on the lake's key is the same in every copy
    undisturbed = copied(nights.root, "undisturbed")
    erase_zoe(shop, undisturbed)
    old, new = published_files(nights), published_files(Lake(undisturbed))
    lakes = killing.killed_at_some(partial(erase_zoe, shop), nights.root, most=8)
    for lake in lakes:
        assert published_files(Lake(lake)) in (old, new), lake.name
        assert all(is_whole(Lake(lake), name) for name in publication_ids(Lake(lake))), lake.name
    for lake in lakes:
        finish(shop, lake)
        assert contents(lake) == contents(undisturbed), lake.name
        assert traces(Lake(lake), CANARY) == set(), lake.name


def test_the_next_night_completes_an_interrupted_erasure_before_it_reads(
    shop: Path, nights: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    Ledger(nights).record_request([ZOE])
    with caplog.at_level(logging.INFO):
        run_night(shop, nights, FOURTH, until="extract")
    assert "an erasure was interrupted and is finished first" in caplog.text
    assert traces(nights, CANARY) == set()
    assert Ledger(nights).pending_requests() == []


def test_a_file_that_cannot_be_read_keeps_the_erasure_pending_and_is_named(shop: Path, nights: Lake) -> None:
    damaged = nights.root / "tables" / "customer_features" / f"day={SECOND}" / "part-0.parquet"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    with pytest.raises(DataError) as stopped:
        erased(shop, nights, ZOE)
    assert str(damaged) in str(stopped.value)
    damaged.unlink()
    assert traces(nights, CANARY) == set()
    assert [receipt.erasure for receipt in finish_erasures(Deployment(load_company(shop), nights, no_connections))] == ["000001"]


def test_an_erasure_waits_for_the_steps_under_way_and_is_not_forgotten_meanwhile(shop: Path, nights: Lake) -> None:
    company = load_company(shop)
    with holding_off_erasures(nights), pytest.raises(LockTimeout):
        erase_customers(Deployment(company, nights, no_connections), [ZOE], wait_seconds=0)
    assert Ledger(nights).pending_requests() == ["000001"]
    assert finish_erasures(Deployment(company, nights, no_connections))[0].row_count > 0
    assert traces(nights, CANARY) == set()


def test_without_its_key_the_ledger_lets_no_night_read(shop: Path, nights: Lake) -> None:
    erased(shop, nights, ZOE)
    (nights.root / "erasures" / "key").unlink()
    with pytest.raises(DataError, match="nobody knows whom to leave out"):
        run_night(shop, nights, FOURTH)
    assert FOURTH not in nights.nights(EXTRACTIONS)


# Operators


@pytest.mark.parametrize("way", ["arguments", "file", "standard input"])
def test_the_command_takes_ids_from_arguments_a_file_or_standard_input(shop: Path, nights: Lake, tmp_path: Path, way: str) -> None:
    file = tmp_path / "ids.txt"
    file.write_text(f"\ufeff{ZOE}\n\n{ADA}\r\n", "utf-8")
    given_ids = {"arguments": [ZOE, ADA], "file": ["--file", str(file)], "standard input": ["--file", "-"]}[way]
    run = CliRunner().invoke(app, ["erase", "--company", str(shop), "--lake", str(nights.root), *given_ids], input=f"{ZOE}\n{ADA}\n")
    assert run.exit_code == 0, run.output
    assert "2 customers, 0 of them erased before" in run.output
    assert CANARY not in run.output
    assert traces(nights, CANARY) == set()


def test_an_id_in_a_file_ends_with_its_line_and_nowhere_before(shop: Path, nights: Lake, tmp_path: Path) -> None:
    file = tmp_path / "ids.txt"
    file.write_text(f"{ADA}\u2028bob\x85cleo\n", "utf-8")
    run = CliRunner().invoke(app, ["erase", "--company", str(shop), "--lake", str(nights.root), "--file", str(file)])
    assert "1 customers, 0 of them erased before" in run.output
    assert {ADA, "bob", "cleo"} <= set(nights.read(CUSTOMER_FEATURES, day=THIRD)["customer_id"].to_pylist())


def test_nobody_to_erase_is_said_and_writes_nothing(shop: Path, nights: Lake) -> None:
    with pytest.raises(ConfigError, match="no customer is named"):
        erased(shop, nights, "", "  ")
    assert not (nights.root / "erasures").exists()


def test_the_companys_own_list_is_applied_as_far_as_it_is_new(shop: Path, nights: Lake, tmp_path: Path) -> None:
    listing = Path(shutil.copytree(shop, tmp_path / "listing"))
    (listing / "data" / "forget.csv").write_text(f"who,asked\n{ADA},2024-03-01\n{ZOE},2024-03-02\n")
    (listing / "sources" / "erasures.sql").write_text("SELECT who AS customer_id, asked AS requested_at FROM forget")
    erased(shop, nights, ADA)
    for _ in range(2):
        erase_listed_step(night_of(listing, nights, THIRD))
    assert traces(nights, CANARY) == set()
    assert [len(Ledger(nights).read_receipt(number).customers) for number in Ledger(nights).complete_requests()] == [1, 1]


def test_a_company_without_a_list_is_told_what_to_write(shop: Path, nights: Lake) -> None:
    with pytest.raises(ConfigError, match=r"sources/erasures.sql is missing"):
        erase_listed_step(night_of(shop, nights, THIRD))
