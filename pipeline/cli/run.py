"""`segments run`: one night, step by step, without Airflow."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from pipeline import steps
from pipeline.cli.options import COMPANY, LAKE, CompanyOption, DayOption, LakeOption, chosen_day, use
from pipeline.company import load_company

RereadOption = Annotated[bool, typer.Option("--reread", help="Read the source again, even where this night has read it.")]


def run(company: CompanyOption = COMPANY, lake: LakeOption = LAKE, day: DayOption = None, reread: RereadOption = False) -> None:  # noqa: FBT002
    """Run one night: extract, validate, features, segment, audit, publish."""
    night = load_company(company).require_day(chosen_day(company, day), now=datetime.now(UTC))
    use(company, lake)
    for place, name in enumerate(steps.STEPS, 1):
        started = time.monotonic()
        typer.echo(f"[{place}/{len(steps.STEPS)}] {name} {night}", err=True)
        getattr(steps, name)(night.isoformat(), **({"reread": reread} if name == "extract" else {}))
        typer.echo(f"      {name} took {time.monotonic() - started:.1f} s", err=True)
    show_summary(company, lake, night)


def summary(company: CompanyOption = COMPANY, lake: LakeOption = LAKE, day: DayOption = None) -> None:
    """Show what a night published: customers, rejected rows, segments."""
    show_summary(company, lake, chosen_day(company, day))


def show_summary(company: Path, lake: Path, night: date) -> None:
    """Print what a night published."""
    from pipeline.lake import Lake
    from pipeline.report.summary import print_summary

    print_summary(load_company(company), Lake(lake), night)
