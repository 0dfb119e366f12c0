"""The gate that sees another customer's id on known order lines, night after night until somebody says who is who."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest
from support.nights import night_of, run_night, write_shop

from pipeline.errors import GateClosed
from pipeline.lake.lake import Lake
from pipeline.operations.steps import extract
from pipeline.publication.gates.results import stored_gates

WEDNESDAY, THURSDAY, FRIDAY = date(2024, 3, 27), date(2024, 3, 28), date(2024, 3, 29)
CUSTOMERS = [f"c{number:02}" for number in range(40)]
# The gate that is looked at is this one: when all ids are others, so are all customers.
SETTINGS = '[gates]\noff = ["vanished"]\n'
MERGES_SQL = """
SELECT CAST(old AS VARCHAR) AS customer_id, CAST(new AS VARCHAR) AS merged_into,
  CAST('2024-03-28 12:00' AS TIMESTAMP) AT TIME ZONE 'UTC' AS merged_at
FROM merges
"""


def write(shop: Path, renamed: dict[str, str], *, until: date) -> Path:
    """Write forty customers with an order each on three days, under the ids that `renamed` gives them."""
    ids = [renamed.get(name, name) for name in CUSTOMERS]
    days = [day for day in (26, 27, 28, 29) if day <= until.day]
    orders = [f"o{day}{name},1,{renamed.get(name, name)},2024-03-{day} 10:00,1,10,tea" for day in days for name in CUSTOMERS]
    return write_shop(shop, orders, customers=sorted({*ids, *(["account"] if "account" in renamed.values() else [])}), settings=SETTINGS)


def measured(lake: Lake, day: date) -> tuple[str, float | None]:
    [found] = [result for result in stored_gates(lake, day).results if result.gate == "renamed"]
    return found.state.value, found.measured


def rename(count: int) -> dict[str, str]:
    return {name: f"new-{name}" for name in CUSTOMERS[:count]}


@pytest.fixture(scope="module")
def wednesday(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wednesday")
    run_night(write(folder / "shop", {}, until=WEDNESDAY), Lake(folder / "lake"), WEDNESDAY)
    return folder / "lake"


@pytest.fixture
def lake(wednesday: Path, tmp_path: Path) -> Lake:
    """Return a lake in which Wednesday is live."""
    return Lake(shutil.copytree(wednesday, tmp_path / "lake", symlinks=True))


def test_ids_that_take_over_known_lines_hold_the_night_back_until_somebody_says_who_is_who(tmp_path: Path, lake: Lake) -> None:
    shop = tmp_path / "shop"
    write(shop, rename(40), until=THURSDAY)
    words = "80 of 80 order lines went to 40 ids never seen before, from 40 customers, of whom the source lists 40 no more"
    with pytest.raises(GateClosed, match=rf"renamed \(order_lines\): {words}"):
        run_night(shop, lake, THURSDAY)
    # The night after it reads nothing new of these days, and is held back all the same.
    write(shop, rename(40), until=FRIDAY)
    with pytest.raises(GateClosed, match=r"renamed \(order_lines\): 80 of 80"):
        run_night(shop, lake, FRIDAY)
    (shop / "sources" / "customer_merges.sql").write_text(MERGES_SQL)
    (shop / "data" / "merges.csv").write_text("\n".join(["old,new", *(f"{old},{new}" for old, new in rename(40).items())]) + "\n")
    extract(night_of(shop, lake, FRIDAY), reread=True)
    run_night(shop, lake, FRIDAY)
    assert measured(lake, FRIDAY) == ("open", 0)


def test_a_few_corrected_lines_are_counted_and_pass(tmp_path: Path, lake: Lake) -> None:
    shop = tmp_path / "shop"
    assert measured(lake, WEDNESDAY) == ("not measured", None)
    run_night(write(shop, {"c00": "brand-new"}, until=THURSDAY), lake, THURSDAY, until="audit")
    assert measured(lake, THURSDAY) == ("open", 2 / 80)


def test_lines_that_go_to_known_customers_are_named_apart(tmp_path: Path, lake: Lake) -> None:
    shop = tmp_path / "shop"
    run_night(write(shop, {"c00": "c01", "c02": "c01"}, until=THURSDAY), lake, THURSDAY, until="audit")
    [found] = [result for result in stored_gates(lake, THURSDAY).results if result.gate == "renamed"]
    assert found.measured == 0
    assert "4 more went to customers who were known" in found.words


def test_a_night_without_changed_days_reads_no_lines(tmp_path: Path, lake: Lake) -> None:
    shop = tmp_path / "shop"
    run_night(write(shop, {}, until=THURSDAY), lake, THURSDAY, until="audit")
    assert measured(lake, THURSDAY) == ("not measured", None)
