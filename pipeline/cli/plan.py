"""`segments plan` and `segments apply`: who would move, shown before anything changes; and the change itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, JsonOption, LakeOption, OverrideGateOption, ReasonOption
from pipeline.reporting.output import write_json, write_text

# The exit code of a plan that would change something, as of `terraform plan -detailed-exitcode`.
CHANGES = 2
PlanArgument = Annotated[str, typer.Argument(metavar="PLAN", help="The plan's id, as `segments plan` showed it.")]
ModelOption = Annotated[Path | None, typer.Option("--model", help="A candidate of `segments refit`: a file.")]


def plan(
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    model: ModelOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show who would move if the definitions as they are now, or a cluster model, took the place of the live ones.

    Ends with 0 where nothing would change and 2 where something would, else with the error's own code: a pull request can be judged by it.
    """
    from pipeline.operations.deployment import Deployment
    from pipeline.reporting.plan import plan_change, plan_model
    from pipeline.reporting.plan.json import to_json
    from pipeline.reporting.plan.view import print_plan

    deployment = Deployment.of(company, lake)
    limit = deployment.memory_limit
    segment_plan = (
        plan_model(deployment.company, deployment.lake, model, memory_limit=limit)
        if model
        else plan_change(deployment.company, deployment.lake, memory_limit=limit)
    )
    write_json(to_json(segment_plan)) if as_json else print_plan(segment_plan)
    raise typer.Exit(0 if segment_plan.changes.is_nothing else CHANGES)


def apply(
    plan_id: PlanArgument,
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    override_gate: OverrideGateOption = None,
    reason: ReasonOption = "",
) -> None:
    """Publish the change that a plan showed, and only that."""
    from pipeline.operations.apply import apply_plan
    from pipeline.operations.deployment import Deployment

    applied = apply_plan(Deployment.of(company, lake), plan_id, override_gates=override_gate or (), override_reason=reason)
    write_text(f"Published: {applied.day} by the definitions of plan {applied.plan_id}.\n")
