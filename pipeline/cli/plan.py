"""`segments plan` and `segments apply`: who would move, before anything changes, and making it so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, JsonOption, LakeOption, use
from pipeline.cli.run import OverrideOption, ReasonOption
from pipeline.definitions.company import load_company
from pipeline.errors import PipelineError
from pipeline.publication.gates import asked_override

CHANGES, FAILED = 2, 1
PlanArgument = Annotated[str, typer.Argument(metavar="PLAN", help="The plan's id, as `segments plan` showed it.")]
ModelOption = Annotated[Path | None, typer.Option("--model", help="A candidate of `segments refit`: a file.")]


def plan(
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    model: ModelOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show who would move if the definitions as they are now, or a cluster model, took the place of the live ones.

    Ends with 0 where nothing would change, 2 where something would, 1 on an error: a pull request can be judged by it.
    """
    from pipeline.lake.lake import Lake
    from pipeline.reporting.plan.model_plan import plan_of_model
    from pipeline.reporting.plan.plan import plan_of

    try:
        found = plan_of_model(load_company(company), Lake(lake), model) if model else plan_of(load_company(company), Lake(lake))
    except PipelineError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        raise typer.Exit(FAILED) from None
    if as_json:
        from pipeline.reporting.plan.view import plan_as_json

        typer.echo(json.dumps(plan_as_json(found), indent=2, ensure_ascii=False))
    else:
        from pipeline.reporting.plan.view import print_plan

        print_plan(found)
    raise typer.Exit(0 if found.changes.is_nothing else CHANGES)


def apply(
    plan_id: PlanArgument,
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    override_gate: OverrideOption = None,
    reason: ReasonOption = "",
) -> None:
    """Publish the change that a plan showed, and only that."""
    from pipeline.lake.lake import Lake
    from pipeline.operations.apply import apply_plan

    asked = asked_override(override_gate or (), reason)
    use(company, lake)
    applied = apply_plan(load_company(company), Lake(lake), plan_id, asked=asked)
    typer.echo(f"Published: {applied.day} by the definitions of plan {applied.plan_id}.")
