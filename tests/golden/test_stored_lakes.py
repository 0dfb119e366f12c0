"""The lake that each released version wrote, upgraded, goes on as one that this version wrote from its first night."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.published_nights import target_rows
from support.stored_lakes import DECLARED_TABLES, ERASED, LAST_NIGHT, VERSIONS, add_day, places, unpack, write_stored_nights
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import open_engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import ALL_TABLES, CUSTOMER_FEATURES, Column, Kind, Table

NEXT = LAST_NIGHT + timedelta(days=1)
DUE = date(2024, 4, 5)  # of the campaign
# Files also say which declaration wrote them since 0.2.0, so that a publication of the same rows has another id.
PUBLICATION_ID = re.compile(r"(\d{4}-\d\d-\d\d)-[0-9a-f]{12}")
# The day on which a sync was run, and which of that day it was: a stored lake was synced on the day of its release.
SYNC = re.compile(r"\d{4}-\d\d-\d\d-\d{3}")


@dataclass(frozen=True)
class Shop:
    """A folder with the company and its lake."""

    folder: Path

    @property
    def lake(self) -> Lake:
        return Lake(self.folder / "lake")

    def segments(self, *arguments: str) -> str:
        done = CliRunner().invoke(app, arguments, env=places(self.folder))
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return PUBLICATION_ID.sub(r"\1", done.stdout.replace(str(self.folder), "FOLDER"))


@pytest.fixture(scope="module")
def present(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return a shop all of whose nights this version ran."""
    shop = Shop(tmp_path_factory.mktemp("present"))
    write_stored_nights(shop.folder, shop.segments)
    return shop


@pytest.fixture(scope="module", params=VERSIONS)
def upgraded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return the shop of a released version, with its lake as the upgrade left it."""
    shop = Shop(tmp_path_factory.mktemp("upgraded"))
    unpack(request.param, shop.folder)
    shop.segments("upgrade")
    return shop


@pytest.fixture(scope="module")
def gone_on(present: Shop, upgraded: Shop, tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Shop]:
    """Return copies of both after the night that follows, an older night that is run again, and the night on which a campaign is due."""
    shops = []
    for name, shop in (("present", present), ("upgraded", upgraded)):
        copy = Shop(tmp_path_factory.mktemp("gone_on") / name)
        shutil.copytree(shop.folder, copy.folder, symlinks=True)
        for day in (NEXT, DUE):
            add_day(copy.folder / "shop", day)
            copy.segments("run", "--day", str(day))
        copy.segments("run", "--day", "2024-03-30")
        shops.append(copy)
    return shops[0], shops[1]


def rows_of(lake: Lake, *prefixes: str) -> dict[str, Any]:
    """Return the rows of every Parquet file below the prefixes; what a manifest says of them is another matter."""
    found = [address for prefix in prefixes for address in lake.list_addresses(prefix, suffix=".parquet")]
    return {address: pq.ParquetFile(lake.local(address)).read().to_pylist() for address in found}


def live_rows(lake: Lake) -> dict[str, Any]:
    return {Path(address).name: rows for address, rows in rows_of(lake, f"{lake.store.read_pointer(addresses.CURRENT)}").items()}


def database_rows(lake: Lake) -> str:
    return PUBLICATION_ID.sub(r"\1", json.dumps(target_rows(lake.local(addresses.SQLITE)), default=str))


def texts_of(lake: Lake, *prefixes: str) -> Mapping[str, str]:
    return {address: lake.read_text(address) for prefix in prefixes for address in lake.list_addresses(prefix) if "." in address}


def synced_lists(lake: Lake) -> dict[tuple[str, int, str], str]:
    """Return the files of a sink by list, the number of the sync among those of the list, and what the file holds."""
    texts = texts_of(lake, "sync/letters/files/")
    syncs = {Path(address).parent.name: set[str]() for address in texts}
    for address in texts:
        syncs[Path(address).parent.name].update(SYNC.findall(address))
    found = {}
    for address, text in texts.items():
        name, file = Path(address).parent.name, Path(address).name
        number = sum(sync < file for sync in syncs[name] if SYNC.match(file))
        found[name, number, SYNC.sub("", file)] = text
    assert len(found) == len(texts)
    return found


def test_a_stored_lake_has_the_rows_that_this_version_computes(present: Shop, upgraded: Shop) -> None:
    assert rows_of(upgraded.lake, addresses.TABLES) == rows_of(present.lake, addresses.TABLES)
    assert live_rows(upgraded.lake) == live_rows(present.lake)
    kept = (addresses.MODELS, addresses.REFITS, addresses.DEFINITIONS, addresses.LISTS)
    assert texts_of(upgraded.lake, *kept) == texts_of(present.lake, *kept)
    assert database_rows(upgraded.lake) == database_rows(present.lake)


def test_nights_after_an_upgrade_and_older_ones_run_again_have_the_same_rows(gone_on: tuple[Shop, Shop]) -> None:
    present, upgraded = gone_on
    assert rows_of(upgraded.lake, addresses.TABLES, addresses.RESTATED) == rows_of(present.lake, addresses.TABLES, addresses.RESTATED)
    assert live_rows(upgraded.lake) == live_rows(present.lake)
    assert any(row["campaign_id"] == "spring" for row in live_rows(upgraded.lake)["campaign_results.parquet"])
    told = {name for name, rows in live_rows(upgraded.lake).items() if ERASED in json.dumps(rows, default=str)}
    assert told == {"crm_profiles.parquet", "crm_changes.parquet"}  # whose readers have to erase the customer, too
    assert database_rows(upgraded.lake) == database_rows(present.lake)


@pytest.mark.parametrize(
    "command",
    [
        "plan",
        "explain c005",
        "history --scheme rfm --on 2024-03-30",
        "history --customer c005 --json",
        "campaign results spring",
        "sync --dry-run",
    ],
)
def test_commands_answer_the_same_about_both(gone_on: tuple[Shop, Shop], command: str) -> None:
    said = {shop.segments(*command.split()) for shop in gone_on}
    assert len(said) == 1, said


def test_sinks_and_a_rollback_go_on_from_what_the_release_left(gone_on: tuple[Shop, Shop], tmp_path: Path) -> None:
    copies = [Shop(shutil.copytree(shop.folder, tmp_path / name, symlinks=True)) for name, shop in zip("ab", gone_on, strict=True)]
    for shop in copies:
        shop.segments("sync", "--override-limits", "--reason", "nights were left out")
        shop.segments("rollback", "--reason", "a trial")
    one, other = copies
    assert synced_lists(one.lake) == synced_lists(other.lake)
    assert max(number for _, number, _ in synced_lists(one.lake)) > 1
    assert live_rows(one.lake) == live_rows(other.lake)
    assert {row["day"] for row in live_rows(one.lake)["segment_profiles.parquet"]} == {NEXT}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_table_of_a_release_has_its_columns_still_or_another_schema_version(version: str, tmp_path: Path) -> None:
    unpack(version, tmp_path)
    declared: dict[str, dict[str, str]] = json.loads((tmp_path / DECLARED_TABLES).read_text("utf-8"))
    now = {table.name: table for table in ALL_TABLES}
    for name, columns in declared.items():
        table = now[name]
        if table.schema_version == 1:
            kinds = {column.name: column.kind.name for column in table.columns}
            assert {each: kinds.get(each) for each in columns} == columns, f"{name}: raise its schema_version, and write a migration"
            new = kinds.keys() - columns.keys()
            assert new <= set(table.later_columns), f"{name}: name {sorted(new)} in its later_columns: files of {version} lack them"


def test_what_a_table_gets_later_is_unknown_of_a_stored_night(upgraded: Shop) -> None:
    table = CUSTOMER_FEATURES.with_columns([Column("shelf_count", Kind.INTEGER, "Declared after the release.")])
    later = Table(table.name, table.description, table.columns, table.key, table.partition, later_columns=("shelf_count",))
    engine = open_engine(upgraded.lake, memory_limit="500MB")
    try:
        from sqlglot import parse_one

        engine.register(later, [addresses.partition(CUSTOMER_FEATURES, day=LAST_NIGHT)])
        rows = engine.run(parse_one("SELECT customer_id, shelf_count FROM customer_features", dialect="duckdb"), {}).read_all()
    finally:
        engine.close()
    assert rows.num_rows > 50
    assert rows["shelf_count"].null_count == rows.num_rows
