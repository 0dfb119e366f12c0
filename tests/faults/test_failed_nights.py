"""A night that fails says why, ends with the exit code of its cause, and leaves what is live alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from support.nights import night_environment, run_night, tree_bytes, write_shop

from pipeline.cli import run_command_line
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES

pytestmark = pytest.mark.usefixtures("own_logging")

NIGHTS = (date(2024, 3, 1), date(2024, 3, 2))
ORDERS = [f"o{n},1,c{n % 7},2024-02-{n % 28 + 1:02} 10:00:00,1,{n}.25,a" for n in range(40)] + ["p1,1,c1,2024-03-02 09:00:00,1,5,a"]
CUSTOMERS = [f"c{n}" for n in range(7)]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write_shop(tmp_path / "shop", ORDERS, customers=CUSTOMERS)


@pytest.fixture(scope="module")
def first_night(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("first")
    lake = Lake(folder / "lake")
    run_night(write_shop(folder / "shop", ORDERS, customers=CUSTOMERS), lake, NIGHTS[0])
    return lake


@pytest.fixture
def published(first_night: Lake, tmp_path: Path) -> Lake:
    """Return a lake in which the first night of the shop is live, to be changed."""
    return Lake(shutil.copytree(first_night.root, tmp_path / "lake", symlinks=True))


def segments(monkeypatch: pytest.MonkeyPatch, company: Path, lake: Lake, *words: str) -> int:
    """Run the command line and return its exit code."""
    monkeypatch.setattr("sys.argv", ["segments", *words])
    with night_environment(company, lake), pytest.raises(SystemExit) as ended:
        run_command_line()
    return int(ended.value.code or 0)


def with_renamed_column(shop: Path) -> None:
    file = shop / "data" / "orders.csv"
    file.write_text(file.read_text().replace("customer,", "custmer,", 1))


def with_renamed_output(shop: Path) -> None:
    file = shop / "sources" / "order_lines.sql"
    file.write_text(file.read_text().replace("AS net_amount", "AS net_amont"))


def with_broken_rows(shop: Path) -> None:
    with (shop / "data" / "orders.csv").open("a") as file:
        file.write("p2,1,c1\n")


def with_many_nameless_customers(shop: Path) -> None:
    with (shop / "data" / "orders.csv").open("a") as file:
        file.writelines(f"q{n},1,,2024-03-02 11:00:00,1,5,a\n" for n in range(30))


def with_a_misspelt_setting(shop: Path) -> None:
    with (shop / "company.toml").open("a") as file:
        file.write("lookback_dais = 3\n")


def without_customers(shop: Path) -> None:
    (shop / "data" / "customers.csv").write_text("id\n")


@pytest.mark.parametrize(
    ("breaks", "exit_code", "words"),
    [
        (with_renamed_column, 5, "order_lines.sql"),
        (with_renamed_output, 5, "order_lines lacks net_amount (did you mean `net_amont`?)"),
        (with_broken_rows, 4, "orders.csv"),
        (with_many_nameless_customers, 6, "customer_id_is_given"),
        (with_a_misspelt_setting, 3, "did you mean `lookback_days`?"),
        (without_customers, 4, "raw_customers"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_broken_source_stops_the_night_and_leaves_the_last_good_one_live(
    shop: Path,
    published: Lake,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    breaks: Callable[[Path], None],
    exit_code: int,
    words: str,
) -> None:
    before = tree_bytes(published, "publications", "current")
    breaks(shop)
    assert segments(monkeypatch, shop, published, "run", "--day", NIGHTS[1].isoformat()) == exit_code
    said = capsys.readouterr().err
    assert words in said
    assert "next:" in said or "where:" in said
    assert "Traceback" not in said
    assert tree_bytes(published, "publications", "current") == before
    assert not list((published.root / "tables").glob(f"customer_*/day={NIGHTS[1]}"))


def test_once_mended_the_same_night_runs(shop: Path, published: Lake, first_night: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = (shop / "sources" / "order_lines.sql").read_text()
    with_renamed_output(shop)
    assert segments(monkeypatch, shop, published, "run", "--day", NIGHTS[1].isoformat()) == 5
    (shop / "sources" / "order_lines.sql").write_text(sound)
    run_night(shop, published, NIGHTS[1])
    undisturbed = Lake(shutil.copytree(first_night.root, published.root.parent / "undisturbed", symlinks=True))
    run_night(shop, undisturbed, NIGHTS[1])
    assert tree_bytes(published, "tables", "publications", "models") == tree_bytes(undisturbed, "tables", "publications", "models")


def test_a_night_that_validation_stopped_reads_its_source_anew(shop: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = (shop / "data" / "orders.csv").read_text()
    with_many_nameless_customers(shop)
    assert segments(monkeypatch, shop, lake, "run", "--day", NIGHTS[1].isoformat()) == 6
    (shop / "data" / "orders.csv").write_text(sound)
    run_night(shop, lake, NIGHTS[1])
    undisturbed = Lake(lake.root.parent / "undisturbed")
    run_night(shop, undisturbed, NIGHTS[1])
    assert tree_bytes(lake, "tables", "publications", "models") == tree_bytes(undisturbed, "tables", "publications", "models")


def test_a_stopped_first_load_is_made_good_by_the_next_night(shop: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = (shop / "data" / "orders.csv").read_text()
    with_many_nameless_customers(shop)
    assert segments(monkeypatch, shop, lake, "run", "--day", "2024-03-02") == 6
    (shop / "data" / "orders.csv").write_text(sound)
    run_night(shop, lake, date(2024, 3, 20))
    assert lake.read(CUSTOMER_FEATURES, day=date(2024, 3, 20)).num_rows == 7


@pytest.mark.parametrize("day", ["2023-12-31", "2999-01-01"])
def test_a_day_before_the_first_or_after_yesterday_is_refused(shop: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch, day: str) -> None:
    assert segments(monkeypatch, shop, lake, "run", "--day", day) == 3
    assert not lake.root.exists()


def test_an_amount_that_cannot_be_added_up_is_told_without_the_amount(
    shop: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with (shop / "data" / "orders.csv").open("a") as file:
        file.writelines(f"h{n},1,c1,2024-03-02 11:00:00,1,999999999999,a\n" for n in range(120))
    assert segments(monkeypatch, shop, lake, "run", "--day", "2024-03-02") == 4
    said = capsys.readouterr().err
    assert "adds up to more than" in said
    assert "999999" not in said
    assert "1199" not in said


def test_a_lake_that_cannot_be_written_is_said_so(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    assert segments(monkeypatch, shop, Lake(tmp_path / "file" / "lake"), "run", "--day", "2024-03-02") == 7


def test_a_day_that_is_no_day_is_refused_before_anything_runs(shop: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    assert segments(monkeypatch, shop, lake, "run", "--day", "2024-02-30") == 2
    assert not lake.root.exists()
