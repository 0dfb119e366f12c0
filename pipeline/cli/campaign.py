"""`segments campaign`: plan a campaign with a control group, start it, and see what it achieved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.completion import complete_campaign
from pipeline.cli.options import COMPANY, LAKE, CompanyOption, JsonOption, LakeOption
from pipeline.reporting.output import write_json

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The campaign's file, such as my_shop/campaigns/win_back.toml.")]
IdArgument = Annotated[
    str | None,
    typer.Argument(metavar="ID", autocompletion=complete_campaign, help="One campaign; by default all that the newest night tells of."),
]

campaign = typer.Typer(no_args_is_help=True, help="Plan, start and measure campaigns with a control group.")


@campaign.command()
def plan(
    file: FileArgument,
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show whom a campaign would reach, its arms, and the smallest effect that it could show; write nothing."""
    from pipeline.operations.campaigns import plan_campaign_of_file
    from pipeline.operations.deployment import Deployment
    from pipeline.reporting.campaigns.json import plan_to_json
    from pipeline.reporting.campaigns.plan_view import print_plan

    planned = plan_campaign_of_file(Deployment.of(company, lake), file)
    write_json(plan_to_json(planned)) if as_json else print_plan(planned, started_by=(file, company, lake))


@campaign.command()
def start(
    file: FileArgument,
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Assign the customers of a campaign to its arms, once and for all; a second time is refused."""
    from pipeline.operations.campaigns import start_campaign_of_file
    from pipeline.operations.deployment import Deployment
    from pipeline.reporting.campaigns.json import plan_to_json
    from pipeline.reporting.campaigns.plan_view import print_plan

    planned = start_campaign_of_file(Deployment.of(company, lake), file)
    write_json(plan_to_json(planned)) if as_json else print_plan(planned, started_by=None)


@campaign.command()
def results(
    campaign_id: IdArgument = None,
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show what campaigns achieved, as the newest night has it.

    With an ID it ends with 0 where the results are final, 2 where they are not due yet, and 6 where they are withheld: the arms are not as
    large as planned, or there was no control drawn at random.
    """
    from pipeline.operations.deployment import Deployment
    from pipeline.reporting.campaigns import campaign_report, campaign_reports
    from pipeline.reporting.campaigns.json import reports_to_json
    from pipeline.reporting.campaigns.view import print_reports

    deployment = Deployment.of(company, lake)
    if campaign_id is None:
        reports, code = campaign_reports(deployment.company, deployment.lake), 0
    else:
        reports = [campaign_report(deployment.company, deployment.lake, campaign_id)]
        code = reports[0].exit_code
    write_json(reports_to_json(reports)) if as_json else print_reports(reports, currency=deployment.company.currency)
    raise typer.Exit(code)
