"""`segments backfill`: a range of nights again, on this machine or planned in Airflow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, LakeOption, use
from pipeline.definitions.company import load_company
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.definitions.company import Company
    from pipeline.lake.lake import Lake
    from pipeline.operations.backfill import Asked, Plan, Report

INTERRUPTED = 130
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
JsonOption = Annotated[bool, typer.Option("--json", help="Write what changed as JSON.")]
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
    json: JsonOption = False,  # noqa: FBT002
    airflow: AirflowOption = False,  # noqa: FBT002
) -> None:
    """Run a range of nights again. The same command goes on where an interrupted one stopped."""
    from pipeline.lake.lake import Lake
    from pipeline.operations.backfill import Asked

    if reread and as_of_now is False:
        raise ConfigError("--reread learns something new, --as-known must not", where="--as-known", todo="Leave one of them out.")
    names = tuple(name.strip() for name in tables.split(",") if name.strip())
    asked = Asked(first.date(), last.date(), bool(as_of_now), reread, names)
    use(company, lake)
    _carry_out(load_company(company), Lake(lake), asked, parallel=parallel, is_dry=dry_run, is_json=json, is_airflow=airflow)


def _carry_out(company: Company, lake: Lake, asked: Asked, *, parallel: int, is_dry: bool, is_json: bool, is_airflow: bool) -> None:  # noqa: PLR0913
    from pipeline.operations.backfill import planned

    plan = planned(company, lake, asked, now=datetime.now(UTC))
    if is_airflow:
        from pipeline.cli.airflow import plan_in_airflow

        raise typer.Exit(plan_in_airflow(company, plan, parallel=parallel, is_dry=is_dry))
    if is_dry:
        from pipeline.operations.backfill.view import print_plan

        print_plan(plan)
        return
    report = _watched(company, lake, plan, parallel=parallel)
    _tell(report, lake, plan, is_json=is_json)
    if report.failures:
        failure = report.failures[0].failure
        raise typer.Exit(failure.exit_code if failure else 1)


def _watched(company: Company, lake: Lake, plan: Plan, *, parallel: int) -> Report:
    from pipeline.operations.backfill import run_backfill
    from pipeline.operations.backfill.view import watching

    with watching() as watch:
        try:
            return run_backfill(company, lake, plan, parallel=parallel, watch=watch)
        except KeyboardInterrupt:
            watch.says(f"interrupted: {watch.done_count:,} of {watch.total:,} steps are done; the same command goes on from there")
            raise typer.Exit(INTERRUPTED) from None


def _tell(report: Report, lake: Lake, plan: Plan, *, is_json: bool) -> None:
    from pipeline.operations.backfill.view import as_json, print_report

    if is_json:
        typer.echo(as_json(report, lake))
    else:
        print_report(report, lake, plan)
