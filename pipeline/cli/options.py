"""Options that commands share, and what they resolve to."""

from __future__ import annotations

import os
from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

from pipeline.definitions.company import load_company
from pipeline.errors import ConfigError

CompanyOption = Annotated[Path, typer.Option("--company", envvar="SEGMENTS_COMPANY", help="The company's folder.")]
LakeOption = Annotated[Path, typer.Option("--lake", envvar="SEGMENTS_LAKE", help="Where tables are kept.")]
DayOption = Annotated[
    datetime | None,
    typer.Option("--day", formats=["%Y-%m-%d"], help="Business day; by default `last_day` of company.toml."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON, for a machine.")]
COMPANY, LAKE = Path("examples/adventureworks"), Path("lake")


def chosen_day(company: Path, day: datetime | None) -> date:
    """Return the day asked for, else the company's `last_day`; raises ConfigError where there is neither."""
    if day is not None:
        return day.date()
    last_day = load_company(company).last_day
    if last_day is None:
        raise ConfigError("no day given", where=str(company), todo="Add --day YYYY-MM-DD, or `last_day` to company.toml.")
    return last_day


def use(company: Path, lake: Path) -> None:
    """Name company and lake to the steps that this process calls."""
    os.environ["SEGMENTS_COMPANY"], os.environ["SEGMENTS_LAKE"] = str(company), str(lake)
