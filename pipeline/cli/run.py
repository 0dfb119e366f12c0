"""`segments run`: one night, step by step, without Airflow."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, DayOption, LakeOption, OverrideGateOption, ReasonOption
from pipeline.reporting.output import write_message

RereadOption = Annotated[bool, typer.Option("--reread", help="Read the source again, even where this night has read it.")]
SinceOption = Annotated[
    datetime | None, typer.Option("--since", formats=["%Y-%m-%d"], help="Read the source again from this local day on; implies --reread.")
]

AllOption = Annotated[bool, typer.Option("--all", help="Show every scheme with its segments.")]


def run(  # noqa: PLR0913, PLR0917 - a command takes each of its options as an argument
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    day: DayOption = None,
    reread: RereadOption = False,  # noqa: FBT002
    since: SinceOption = None,
    override_gate: OverrideGateOption = None,
    reason: ReasonOption = "",
) -> None:
    """Run one night: extract, validate, features, segment, audit, publish."""
    from pipeline.operations.deployment import Deployment
    from pipeline.operations.night import Night
    from pipeline.operations.step_runs import recording_step
    from pipeline.operations.steps import prepare_steps
    from pipeline.reporting.summary import print_summary

    deployment = Deployment.of(company, lake)
    now = datetime.now(UTC)
    chosen = deployment.day_or_last(day.date() if day else None, now=now)
    night = Night.of(deployment, deployment.company.require_day(chosen, now=now))
    read_from = since.date() if since else None
    # All of them before the first one runs: a misspelt gate is refused now, not after the audit of an hour's work.
    steps = prepare_steps(night, reread=reread, since=read_from, override_gates=override_gate or (), override_reason=reason)
    for place, (name, run_step) in enumerate(steps.items(), 1):
        started = time.monotonic()
        write_message(f"[{place}/{len(steps)}] {name} {night.day}", step=name, day=night.day.isoformat())
        with recording_step(night, name):
            run_step()
        seconds = time.monotonic() - started
        write_message(f"      {name} took {seconds:.1f} s", step=name, day=night.day.isoformat(), seconds=round(seconds, 3))
    print_summary(deployment.company, deployment.lake, night.day)


def summary(
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    day: DayOption = None,
    is_whole: AllOption = False,  # noqa: FBT002
) -> None:
    """Show a night on one screen: customers, what changed since the last night, what to do today, what went wrong; or every scheme."""
    from pipeline.operations.deployment import Deployment
    from pipeline.reporting.summary import print_summary, print_whole_summary

    deployment = Deployment.of(company, lake)
    show = print_whole_summary if is_whole else print_summary
    show(deployment.company, deployment.lake, deployment.day_or_newest(day.date() if day else None))
