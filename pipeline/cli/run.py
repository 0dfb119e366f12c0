"""`segments run`: one night, step by step, without Airflow."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, DayOption, LakeOption, chosen_day, use
from pipeline.definitions.company import load_company
from pipeline.operations import steps
from pipeline.publication.gates import asked_override

RereadOption = Annotated[bool, typer.Option("--reread", help="Read the source again, even where this night has read it.")]
SinceOption = Annotated[
    datetime | None, typer.Option("--since", formats=["%Y-%m-%d"], help="Read the source again from this local day on; implies --reread.")
]
OverrideOption = Annotated[
    list[str] | None, typer.Option("--override-gate", help="Let the night pass this closed gate; may be given again.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why a gate is overridden; recorded with the night.")]


def run(  # noqa: PLR0913, PLR0917 - a command takes each of its options as an argument
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    day: DayOption = None,
    reread: RereadOption = False,  # noqa: FBT002
    since: SinceOption = None,
    override_gate: OverrideOption = None,
    reason: ReasonOption = "",
) -> None:
    """Run one night: extract, validate, features, segment, audit, publish."""
    night = load_company(company).require_day(chosen_day(company, day), now=datetime.now(UTC))
    asked = asked_override(override_gate or (), reason)
    options: Mapping[str, Mapping[str, Any]] = {
        "extract": {"reread": reread, "since": since.date().isoformat() if since else None},
        **{name: {"override_gates": sorted(asked.gates), "override_reason": asked.reason} for name in ("validate", "audit")},
    }
    use(company, lake)
    for place, name in enumerate(steps.STEPS, 1):
        started = time.monotonic()
        typer.echo(f"[{place}/{len(steps.STEPS)}] {name} {night}", err=True)
        getattr(steps, name)(night.isoformat(), **options.get(name, {}))
        typer.echo(f"      {name} took {time.monotonic() - started:.1f} s", err=True)
    show_summary(company, lake, night)


def summary(company: CompanyOption = COMPANY, lake: LakeOption = LAKE, day: DayOption = None) -> None:
    """Show what a night published: customers, rejected rows, segments."""
    show_summary(company, lake, chosen_day(company, day))


def show_summary(company: Path, lake: Path, night: date) -> None:
    """Print what a night published."""
    from pipeline.definitions.history import company_valid
    from pipeline.lake.lake import Lake
    from pipeline.reporting.summary import print_summary

    stored = Lake(lake)
    print_summary(company_valid(stored, load_company(company), night), stored, night)
