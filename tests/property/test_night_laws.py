"""Laws 2, 3 and 9 on whole nights: rerun = run, any order of days, forward only."""

from __future__ import annotations

import random
import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest
from support.nights import run_night, tree_bytes, write_shop

from pipeline.definitions.company import load_company
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, REFINEMENT_TABLES
from pipeline.publication.publish import current_publication

FIRST, LAST = date(2024, 3, 1), date(2024, 3, 4)
NIGHT_TABLES = (
    "customer_features",
    "customer_segments",
    "segment_profiles",
    "segment_strategies",
    "segment_moves",
    "customer_next_actions",
    "customer_predictions",
    "segment_flows",
    "value_concentration",
    "score_grid",
    "sales_days",
    "population_rhythm",
    "population_baselines",
    *(table.name for table in REFINEMENT_TABLES),
)
ROLLUPS = ("customer_days", "customer_day_categories")
READ_AND_DECIDED = ("tables/raw_*", "tables/extractions", "definitions", "models")
NIGHTS = [FIRST + timedelta(offset) for offset in range((LAST - FIRST).days + 1)]


def orders(seed: int = 3) -> list[str]:
    chance = random.Random(seed)
    lines = []
    for number in range(160):
        at = date(2024, 1, 1) + timedelta(chance.randrange(64))
        customer = f"c{chance.randrange(25)}"
        lines.append(f"o{number},1,{customer},{at} {chance.randrange(24):02}:30:00,1,{chance.randrange(1, 900) / 10},{chance.choice('ab')}")
    return lines


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shop(tmp_path_factory.mktemp("shop"), orders(), customers=[f"c{n}" for n in range(30)])


@pytest.fixture(scope="module")
def first_night(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("first") / "lake")
    run_night(shop, lake, FIRST)
    return lake


@pytest.fixture(scope="module")
def two_nights(shop: Path, first_night: Lake, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = copied(first_night, tmp_path_factory.mktemp("two"))
    run_night(shop, lake, NIGHTS[1])
    return lake


@pytest.fixture(scope="module")
def in_order(shop: Path, two_nights: Lake, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = copied(two_nights, tmp_path_factory.mktemp("in-order"))
    for day in NIGHTS[2:]:
        run_night(shop, lake, day)
    return lake


STRANGERS = '[gates]\noff = ["unmatched"]\n'  # all but one buyer are on no list


@pytest.fixture(scope="module")
def first_and_last(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of a shop that lists one customer, and its lake, in which the nights between are missing."""
    folder = tmp_path_factory.mktemp("first-and-last")
    shop = write_shop(folder / "shop", orders(), customers=["c1"], settings=STRANGERS)
    for day in (FIRST, LAST):
        run_night(shop, Lake(folder / "lake"), day)
    return folder


def copied(lake: Lake, folder: Path) -> Lake:
    return Lake(shutil.copytree(lake.root, folder / "lake", symlinks=True))


def test_running_a_night_twice_changes_no_byte(shop: Path, in_order: Lake) -> None:
    before = tree_bytes(in_order, "tables", "publications", "models")
    run_night(shop, in_order, LAST)
    assert tree_bytes(in_order, "tables", "publications", "models") == before


def test_running_an_older_night_again_changes_no_byte_and_never_moves_current(shop: Path, in_order: Lake) -> None:
    before = tree_bytes(in_order, "tables", "publications", "models")
    run_night(shop, in_order, FIRST)
    assert tree_bytes(in_order, "tables", "publications", "models") == before
    published = current_publication(in_order)
    assert published is not None
    assert published.day == LAST


def test_nights_that_come_late_below_the_newest_give_the_same_night_tables(
    shop: Path, first_night: Lake, in_order: Lake, tmp_path: Path
) -> None:
    lake = copied(first_night, tmp_path)
    for place in (3, 1, 2):
        run_night(shop, lake, NIGHTS[place])
    tables = [f"tables/{name}" for name in (*NIGHT_TABLES, "customer_segment_intervals")]
    assert tree_bytes(lake, *tables) == tree_bytes(in_order, *tables)


def test_what_was_read_and_decided_rebuilds_every_night_elsewhere_in_any_order(shop: Path, in_order: Lake, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    for pattern in READ_AND_DECIDED:
        for folder in in_order.root.glob(pattern):
            shutil.copytree(folder, lake.root / folder.relative_to(in_order.root))
    without_source = Path(shutil.copytree(shop, tmp_path / "shop", ignore=shutil.ignore_patterns("data")))
    for place in (2, 0, 3, 1):
        run_night(without_source, lake, NIGHTS[place], until="segment")
    computed = [f"tables/{name}" for name in (*NIGHT_TABLES, "customer_segment_intervals", "order_lines", "customers", *ROLLUPS)]
    assert tree_bytes(lake, *computed) == tree_bytes(in_order, *computed)


def test_a_night_sees_nothing_of_the_days_after_it(in_order: Lake, tmp_path: Path) -> None:
    kept = [line for line in orders() if line.split(",")[3][:10] <= FIRST.isoformat()]
    blind = write_shop(tmp_path / "shop", kept, customers=[f"c{n}" for n in range(30)])
    lake = Lake(tmp_path / "lake")
    run_night(blind, lake, FIRST)
    night = [f"tables/{name}/day={FIRST}" for name in ("customer_features", "customer_segments", "segment_profiles")]
    assert tree_bytes(lake, *night) == tree_bytes(in_order, *night)


def test_shuffled_source_rows_change_no_byte(two_nights: Lake, tmp_path: Path) -> None:
    shuffled = random.Random(1).sample(orders(), 160)
    shop = write_shop(tmp_path / "shop", shuffled, customers=[f"c{n}" for n in reversed(range(30))])
    lake = Lake(tmp_path / "lake")
    for day in NIGHTS[:2]:
        run_night(shop, lake, day)
    assert tree_bytes(lake, "tables", "publications", "models") == tree_bytes(two_nights, "tables", "publications", "models")


def test_a_lake_may_lie_in_a_folder_of_any_name(shop: Path, two_nights: Lake, tmp_path: Path) -> None:
    lake = copied(two_nights, tmp_path / "o'brien & sons, 100% [new] *?")
    run_night(shop, lake, NIGHTS[1])
    assert tree_bytes(lake, "tables", "publications", "models") == tree_bytes(two_nights, "tables", "publications", "models")


def test_an_older_night_learns_nothing_that_only_later_nights_knew(first_and_last: Path, tmp_path: Path) -> None:
    shop, lake = shutil.copytree(first_and_last / "shop", tmp_path / "shop"), copied(Lake(first_and_last / "lake"), tmp_path)
    # A move is told from the stored night before, which is another one once a night between them exists; flows are made of moves.
    tables = [f"tables/{name}" for name in NIGHT_TABLES if name not in ("segment_moves", "segment_flows")]
    before = tree_bytes(lake, *tables)
    with (shop / "data" / "orders.csv").open("a") as file:
        file.write("late,1,c1,2024-03-02 10:00:00,1,5,a\n")
    run_night(shop, lake, date(2024, 3, 2))
    run_night(shop, lake, LAST)
    after = tree_bytes(lake, *tables)
    assert {name: content for name, content in after.items() if "day=2024-03-02" not in name} == before


def test_an_edited_query_is_read_anew_by_the_same_night(shop: Path, first_night: Lake, tmp_path: Path) -> None:
    edited, lake = shutil.copytree(shop, tmp_path / "shop"), copied(first_night, tmp_path)
    spent = sum(row["spend_amount"] for row in lake.read(CUSTOMER_FEATURES, day=FIRST).to_pylist())
    query = edited / "sources" / "order_lines.sql"
    query.write_text(query.read_text().replace("CAST(paid AS DECIMAL(18, 4))", "CAST(2 * CAST(paid AS DECIMAL(18, 4)) AS DECIMAL(18, 4))"))
    run_night(edited, lake, FIRST)
    assert sum(row["spend_amount"] for row in lake.read(CUSTOMER_FEATURES, day=FIRST).to_pylist()) == 2 * spent


def test_an_attribute_added_later_reaches_the_newest_night_and_leaves_an_older_one_as_it_was(first_and_last: Path, tmp_path: Path) -> None:
    shop, lake = shutil.copytree(first_and_last / "shop", tmp_path / "shop"), copied(Lake(first_and_last / "lake"), tmp_path)
    before = tree_bytes(lake, *(f"tables/{name}/day={FIRST}" for name in NIGHT_TABLES))
    (shop / "sources" / "customers.sql").write_text("SELECT id AS customer_id, 'Köln' AS city FROM customers")
    with (shop / "company.toml").open("a") as file:
        file.write('[attributes.city]\nlevel = "geographic"\n')
    for day in (FIRST, LAST):
        run_night(shop, lake, day)
    city = load_company(shop).table(CUSTOMER_FEATURES)
    assert {row["city"] for row in lake.read(city, day=LAST).to_pylist() if row["customer_id"] == "c1"} == {"Köln"}
    assert tree_bytes(lake, *(f"tables/{name}/day={FIRST}" for name in NIGHT_TABLES)) == before
