"""What a person reads in the terminal of a night's source: nothing that concerns most rows is hidden on a page."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest
from support.nights import NO_GATES, night_of, run_night, write_shop

from pipeline.errors import GateClosed
from pipeline.lake.lake import Lake
from pipeline.reporting.source_notices import source_notices
from pipeline.reporting.status.status import NightState, read_status

FIRST, NIGHT = date(2024, 1, 20), date(2024, 1, 21)
GOOD = ["A,1,1,2024-01-02 10:00,1,5,x", "B,1,2,2024-01-20 10:00,1,5,x"]


@pytest.fixture(scope="module")
def first_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a lake after its first night, whose source is good."""
    folder = tmp_path_factory.mktemp("first")
    run_night(write_shop(folder / "shop", GOOD, customers=["1", "2"], settings=NO_GATES), Lake(folder / "lake"), FIRST)
    return folder / "lake"


def notices(first_night: Path, tmp_path: Path, orders: list[str]) -> list[str]:
    """Return what is said of a second night, whose source has `orders`."""
    lake = Lake(shutil.copytree(first_night, tmp_path / "lake", symlinks=True))
    shop = write_shop(tmp_path / "shop", orders, customers=["1", "2"], settings=NO_GATES)
    run_night(shop, lake, NIGHT)
    return source_notices(night_of(shop, lake, NIGHT).deployment.company, lake, NIGHT)


def test_an_ordinary_night_has_nothing_to_tell(first_night: Path, tmp_path: Path) -> None:
    assert notices(first_night, tmp_path, [*GOOD, "C,1,1,2024-01-21 10:00,1,5,x"]) == []


def test_misdated_rows_and_days_that_changed_are_told_with_what_to_do(first_night: Path, tmp_path: Path) -> None:
    changed = ["A,1,2,2024-01-02 10:00,1,5,x", GOOD[1], "C,1,1,1970-01-01 10:00,1,5,x"]
    words = "raw_order_lines: 1 row before the first day, 2024-01-01 (1970-01-01), never read"
    assert notices(first_night, tmp_path, changed) == [
        f"{words}: correct the dates in the source, or `first_day` in company.toml",
        (
            "1 day changed in the source after having been read: segments backfill --reread --from 2024-01-02 --to 2024-01-02"
            f" --company {tmp_path / 'shop'} --lake {tmp_path / 'lake'}"
        ),
    ]


@pytest.mark.parametrize(("strangers", "is_told"), [(6, True), (5, False)])
def test_a_warning_about_more_than_half_of_the_rows_is_told(first_night: Path, tmp_path: Path, strangers: int, *, is_told: bool) -> None:
    orders = [f"C{n},1,{'guest' if n < strangers else 1},2024-01-21 10:00,1,5,x" for n in range(10)]
    expected = ["raw_order_lines: 6 of 10 rows break `customer_is_known`, a warning"]
    assert notices(first_night, tmp_path, [*GOOD, *orders]) == (expected if is_told else [])


def test_a_column_that_is_always_empty_is_told_and_one_that_the_query_lacks_is_not(first_night: Path, tmp_path: Path) -> None:
    orders = [*GOOD, *(f"C{n},1,1,2024-01-21 10:00,1,5," for n in range(9))]
    assert notices(first_night, tmp_path, orders) == ["raw_order_lines: 9 of 9 rows break `category_is_given`, a warning"]


def test_a_night_that_was_not_read_for_lost_lines_is_held_back_in_the_status_until_it_is_read(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    run_night(write_shop(tmp_path / "shop", GOOD, customers=["1", "2"]), lake, FIRST)
    shop = write_shop(tmp_path / "shop", ["C,1,1,2024-01-21 10:00,1,5,x"], customers=["1", "2"])
    with pytest.raises(GateClosed):
        run_night(shop, lake, NIGHT)
    company = night_of(shop, lake, NIGHT).deployment.company
    newest = read_status(company, lake).newest
    assert newest is not None
    assert (newest.outcome, [gate.gate for gate in newest.gates]) == (NightState.GATE_CLOSED, ["vanished"])
    run_night(write_shop(tmp_path / "shop", GOOD, customers=["1", "2"]), lake, NIGHT, until="extract")
    newest = read_status(company, lake).newest
    assert newest is not None
    assert newest.outcome is NightState.NOT_FINISHED
