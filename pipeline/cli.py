"""The operator's words: `segments run`, `segments summary`."""

from __future__ import annotations

import logging
import os
import sys
import time
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from pipeline import steps
from pipeline.company import load_company
from pipeline.errors import ConfigError, PipelineError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)

CompanyOption = Annotated[Path, typer.Option("--company", envvar="SEGMENTS_COMPANY", help="The company's folder.")]
LakeOption = Annotated[Path, typer.Option("--lake", envvar="SEGMENTS_LAKE", help="Where tables are kept.")]
DayOption = Annotated[
    datetime | None,
    typer.Option("--day", formats=["%Y-%m-%d"], help="Business day; by default `last_day` of company.toml."),
]
RereadOption = Annotated[bool, typer.Option("--reread", help="Read the source again, even where this night has read it.")]
COMPANY, LAKE = Path("examples/adventureworks"), Path("lake")


@app.callback()
def segments() -> None:
    """Say every morning which customers are which."""


@app.command()
def run(company: CompanyOption = COMPANY, lake: LakeOption = LAKE, day: DayOption = None, reread: RereadOption = False) -> None:  # noqa: FBT002
    """Run one night: extract, validate, features, segment, audit, publish."""
    night = load_company(company).require_day(_chosen_day(company, day), now=datetime.now(UTC))
    os.environ["SEGMENTS_COMPANY"], os.environ["SEGMENTS_LAKE"] = str(company), str(lake)
    for place, name in enumerate(steps.STEPS, 1):
        started = time.monotonic()
        typer.echo(f"[{place}/{len(steps.STEPS)}] {name} {night}", err=True)
        getattr(steps, name)(night.isoformat(), **({"reread": reread} if name == "extract" else {}))
        typer.echo(f"      {name} took {time.monotonic() - started:.1f} s", err=True)
    _show(company, lake, night)


@app.command()
def summary(company: CompanyOption = COMPANY, lake: LakeOption = LAKE, day: DayOption = None) -> None:
    """Show what a night published: customers, rejected rows, segments."""
    _show(company, lake, _chosen_day(company, day))


@app.command()
def tables() -> None:
    """Print the table catalogue in Markdown."""
    from pipeline.report.catalogue import readme_tables

    typer.echo(readme_tables(), nl=False)


def main() -> None:
    """Run the command line; every error is one message and an exit code of its own."""
    logging.basicConfig(level=logging.WARNING, format="      %(message)s", stream=sys.stderr)
    logging.getLogger("pipeline").setLevel(logging.INFO)
    try:
        app()
    except PipelineError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        raise SystemExit(error.exit_code) from None


def _show(company: Path, lake: Path, night: date) -> None:
    from pipeline.lake import Lake
    from pipeline.report.summary import print_summary

    print_summary(load_company(company), Lake(lake), night)


def _chosen_day(company: Path, day: datetime | None) -> date:
    if day is not None:
        return day.date()
    last_day = load_company(company).last_day
    if last_day is None:
        raise ConfigError("no day given", where=str(company), todo="Add --day YYYY-MM-DD, or `last_day` to company.toml.")
    return last_day
