"""`segments backfill`: a range of nights again, on this machine or planned in Airflow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.interrupts import INTERRUPTED
from pipeline.cli.options import COMPANY, LAKE, CompanyOption, JsonOption, LakeOption
from pipeline.errors import ConfigError
from pipeline.reporting.output import write_json

if TYPE_CHECKING:
    from pipeline.operations.backfill import BackfillPlan, BackfillReport
    from pipeline.operations.deployment import Deployment

_DAY = ["%Y-%m-%d"]
FromOption = Annotated[datetime, typer.Option("--from", formats=_DAY, help="First business day.")]
ToOption = Annotated[datetime, typer.Option("--to", formats=_DAY, help="Last business day, included.")]
ParallelOption = Annotated[int, typer.Option("--parallel", min=1, help="Nights computed side by side, each in a process of its own.")]
KnowledgeOption = Annotated[
    bool | None,
    typer.Option("--as-of-now/--as-known", help="Take what arrived since, as a restatement; or each night as it was (the default)."),
]
RereadOption = Annotated[bool, typer.Option("--reread", help="Read these days from the source again first; implies --as-of-now.")]
TablesOption = Annotated[str, typer.Option("--tables", help="Only these computed tables, comma separated; nothing is published then.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be done to each night, and do nothing.")]
AirflowOption = Annotated[bool, typer.Option("--airflow", help="Plan the nights in the Airflow installed beside this command.")]


def backfill(  # noqa: PLR0913, PLR0917
    first: FromOption,
    last: ToOption,
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    parallel: ParallelOption = 1,
    as_of_now: KnowledgeOption = None,
    reread: RereadOption = False,  # noqa: FBT002
    tables: TablesOption = "",
    dry_run: DryRunOption = False,  # noqa: FBT002
    as_json: JsonOption = False,  # noqa: FBT002
    airflow: AirflowOption = False,  # noqa: FBT002
) -> None:
    """Run a range of nights again. The same command goes on where an interrupted one stopped."""
    from pipeline.operations.backfill import BackfillRequest, plan_backfill
    from pipeline.operations.deployment import Deployment

    if reread and as_of_now is False:
        raise ConfigError("--reread learns something new, --as-known must not", where="--as-known", todo="Leave one of them out.")
    names = tuple(name.strip() for name in tables.split(",") if name.strip())
    request = BackfillRequest(first.date(), last.date(), bool(as_of_now), reread, names)
    deployment = Deployment.of(company, lake)
    plan = plan_backfill(deployment.company, deployment.lake, request, now=datetime.now(UTC))
    if airflow:
        from pipeline.cli.airflow import plan_in_airflow

        raise typer.Exit(plan_in_airflow(deployment, plan, parallel=parallel, is_dry=dry_run))
    if dry_run:
        from pipeline.operations.backfill.view import print_plan

        print_plan(plan)
        return
    report = _run_and_watch(deployment, plan, parallel=parallel)
    _print_report(report, deployment, plan, as_json=as_json)
    if report.failures:  # every one is printed; the exit code is that of the first
        failure = report.failures[0].failure
        raise typer.Exit(failure.exit_code if failure else 1)


def _run_and_watch(deployment: Deployment, plan: BackfillPlan, *, parallel: int) -> BackfillReport:
    from pipeline.operations.backfill import run_backfill
    from pipeline.operations.backfill.view import showing_progress

    with showing_progress() as watch:
        try:
            return run_backfill(deployment, plan, parallel=parallel, watch=watch)
        except KeyboardInterrupt:
            watch.print_line(f"interrupted: {watch.done_count:,} of {watch.total:,} steps are done; the same command goes on from there")
            raise typer.Exit(INTERRUPTED) from None


def _print_report(report: BackfillReport, deployment: Deployment, plan: BackfillPlan, *, as_json: bool) -> None:
    from pipeline.operations.backfill.json import to_json
    from pipeline.operations.backfill.view import print_report

    write_json(to_json(report, deployment.lake)) if as_json else print_report(report, deployment.lake, plan)
