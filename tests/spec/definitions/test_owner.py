"""A lake knows its company: another one is refused before it reads or shows anything."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.nights import SHOP, night_of, run_night, write_shop

from pipeline import __version__
from pipeline.cli import app
from pipeline.definitions.lake_claim import FORMAT
from pipeline.errors import ConfigError, DataError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES
from pipeline.operations.deployment import Deployment
from pipeline.operations.steps import STEPS

DAY, NEXT = date(2024, 3, 5), date(2024, 3, 6)
ORDERS = [f"A{n},1,{n},2024-03-0{n} 10:00:00,1,10.00,x" for n in (1, 2, 3)]
ANOTHER = {"name": ("Shop", "Store"), "currency": ("EUR", "USD"), "time_zone": ("Europe/Berlin", "Asia/Tokyo")}


@pytest.fixture(scope="module")
def first_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a shop and the lake that its first night left."""
    folder = tmp_path_factory.mktemp("first_night")
    shop = write_shop(folder / "shop", ORDERS, customers=["1", "2", "3"], settings="[gates]\nquiet_days = 366\n")
    run_night(shop, Lake(folder / "lake"), DAY)
    return folder


@pytest.fixture
def shop(first_night: Path, tmp_path: Path) -> Path:
    return shutil.copytree(first_night / "shop", tmp_path / "shop")


@pytest.fixture
def lake(first_night: Path, tmp_path: Path) -> Lake:
    return Lake(shutil.copytree(first_night / "lake", tmp_path / "lake", symlinks=True))


def edit_settings(shop: Path, old: str, new: str) -> None:
    file = shop / "company.toml"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


@pytest.mark.parametrize("setting", ANOTHER)
def test_the_lake_of_another_company_is_refused_and_left_as_it_is(shop: Path, lake: Lake, setting: str) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in lake.root.rglob("*") if path.is_file())
    edit_settings(shop, *ANOTHER[setting])
    with pytest.raises(ConfigError) as refused:
        run_night(shop, lake, NEXT)
    old, new = ANOTHER[setting]
    assert refused.value.what == f"the lake is another company's: {setting} `{old}`, not `{new}`"
    assert refused.value.exit_code == 3
    assert "--company" in refused.value.todo
    assert sorted((path, path.stat().st_mtime_ns) for path in lake.root.rglob("*") if path.is_file()) == before


@pytest.mark.parametrize(
    "command", ["run --day 2024-03-06", "plan", "explain 1", "status", "catalog", "backfill --from 2024-03-05 --to 2024-03-05", "summary"]
)
def test_every_command_refuses_the_lake_of_another_company(shop: Path, lake: Lake, command: str) -> None:
    edit_settings(shop, '"Shop"', '"Store"')
    with pytest.raises(ConfigError, match="the lake is another company's: name `Shop`, not `Store`"):
        app([*command.split(), "--company", str(shop), "--lake", str(lake.root)], standalone_mode=False)


def test_a_task_refuses_it_too(shop: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    edit_settings(shop, '"Shop"', '"Store"')
    monkeypatch.setenv("SEGMENTS_COMPANY", str(shop))
    monkeypatch.setenv("SEGMENTS_LAKE", str(lake.root))
    with pytest.raises(ConfigError, match="another company's"):
        Deployment.from_environment()


def test_a_deployment_that_was_opened_before_the_other_company_ran_is_refused_by_the_night(lake: Lake, tmp_path: Path) -> None:
    store = write_shop(tmp_path / "store", ORDERS, customers=["1"])
    edit_settings(store, '"Shop"', '"Store"')
    (lake.root / "company.json").rename(tmp_path / "aside")
    night = night_of(store, lake, NEXT)
    (tmp_path / "aside").rename(lake.root / "company.json")
    with pytest.raises(ConfigError, match="another company's"):
        STEPS["extract"](night)


def test_a_renamed_company_goes_on_by_the_remedy_that_is_printed(shop: Path, lake: Lake) -> None:
    edit_settings(shop, '"Shop"', '"Der \\"Laden\\""')
    with pytest.raises(ConfigError) as refused:
        Deployment.of(shop, lake.root)
    setting = refused.value.todo.split("`")[1]
    edit_settings(shop, "first_day", f"{setting}\nfirst_day")
    run_night(shop, lake, NEXT)
    # The old name is another company's from now on, and the former one need not be listed any more.
    edit_settings(shop, setting, "")
    Deployment.of(shop, lake.root)
    edit_settings(shop, '"Der \\"Laden\\""', '"Shop"')
    with pytest.raises(ConfigError, match="another company's"):
        Deployment.of(shop, lake.root)


def test_a_former_name_excuses_no_other_currency(shop: Path, lake: Lake) -> None:
    edit_settings(shop, SHOP, SHOP.replace("Shop", "Store").replace("EUR", "USD") + 'former_names = ["Shop"]\n')
    with pytest.raises(ConfigError) as refused:
        Deployment.of(shop, lake.root)
    assert refused.value.what == "the lake is another company's: currency `EUR`, not `USD`"


def test_until_a_night_is_read_the_lake_is_nobodys(shop: Path, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "new")
    orders = shop / "data" / "orders.csv"
    whole = orders.read_text()
    orders.write_text(whole + "A4,1,77,2024-03-04 10:00:00,no,10.00,x\n")
    with pytest.raises(DataError):
        run_night(shop, lake, DAY)
    assert (lake.root / "company.json").exists()
    orders.write_text(whole)
    edit_settings(shop, "EUR", "USD")
    run_night(shop, lake, DAY)
    assert lake.read(CUSTOMER_FEATURES, day=DAY).num_rows == 3


def test_a_damaged_note_says_what_to_do(shop: Path, lake: Lake) -> None:
    (lake.root / "company.json").write_text('{"name": "Shop"}')
    with pytest.raises(DataError) as refused:
        Deployment.of(shop, lake.root)
    assert refused.value.where == str(lake.root / "company.json")
    (lake.root / "company.json").unlink()
    run_night(shop, lake, NEXT)
    Deployment.of(shop, lake.root)


def claimed(lake: Lake) -> dict[str, Any]:
    claim: dict[str, Any] = json.loads((lake.root / "company.json").read_text())
    return claim


@pytest.mark.parametrize(
    ("change", "age", "remedy"),
    [
        (1, "a newer", f"Install customer-segments {__version__}, or a newer one"),
        (-1, "an older", "Back the lake up, then run: segments upgrade"),
    ],
)
def test_a_lake_of_another_format_is_refused_and_nothing_is_written(shop: Path, lake: Lake, change: int, age: str, remedy: str) -> None:
    said = json.dumps(claimed(lake) | {"format": FORMAT + change})
    (lake.root / "company.json").write_text(said)
    with pytest.raises(ConfigError, match=f"written by {age} version of this program, .*: its format is {FORMAT + change}") as refused:
        Deployment.of(shop, lake.root)
    assert remedy in refused.value.todo
    assert (lake.root / "company.json").read_text() == said


@pytest.mark.parametrize("command", ["history", "status", "plan", "run --day 2024-03-06"])
def test_every_command_refuses_a_lake_that_was_claimed_before_formats_had_numbers(shop: Path, lake: Lake, command: str) -> None:
    claim = claimed(lake)
    assert (claim.pop("format"), claim.pop("program")) == (FORMAT, __version__)
    (lake.root / "company.json").write_text(json.dumps(claim))
    company = [] if command == "history" else ["--company", str(shop)]
    with pytest.raises(ConfigError, match="written by an older version of this program: its format is 1"):
        app([*command.split(), *company, "--lake", str(lake.root)], standalone_mode=False)
    assert claimed(lake) == claim


def test_a_format_that_is_no_number_is_damage(shop: Path, lake: Lake) -> None:
    (lake.root / "company.json").write_text(json.dumps(claimed(lake) | {"format": "new"}))
    with pytest.raises(DataError, match="is damaged"):
        Deployment.of(shop, lake.root)
