"""A lake that may only be read answers questions: a colleague's, a mounted backup."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest
from support.nights import run_night, write_shop
from support.users import as_nobody
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.lake.lake import Lake

DAY = date(2024, 3, 5)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("read_only")
    orders = [f"A{n},1,{n},2024-03-0{n} 10:00:00,1,10.00,x" for n in (1, 2, 3)]
    write_shop(folder / "shop", orders, customers=["1", "2", "3"], settings='[gates]\noff = ["freshness"]\n')
    run_night(folder / "shop", Lake(folder / "lake"), DAY)
    for path in [folder / "lake", *(folder / "lake").rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o555 if path.is_dir() else 0o444)
    return folder


COMMANDS = ("explain 1", "plan", "history --scheme rfm", "history --customer 1", "history --scheme rfm --segment lost", "status", "catalog")


@pytest.mark.parametrize("command", [*COMMANDS, "summary"])
def test_who_may_only_read_a_lake_gets_answers(place: Path, command: str) -> None:
    before = sorted(os.listdir(place / "lake"))  # noqa: PTH208
    options = ["--company", str(place / "shop"), "--lake", str(place / "lake")]
    day = ["--day", str(DAY)] if command == "summary" else []
    with as_nobody(place):
        shown = CliRunner().invoke(app, [*command.split(), *day, *options])
    assert shown.exit_code == 0, (shown.output, shown.exception)
    assert sorted(os.listdir(place / "lake")) == before  # noqa: PTH208
