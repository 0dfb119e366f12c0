"""`segments status`: what is live, and what became of the newest night."""

from __future__ import annotations

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, JsonOption, LakeOption
from pipeline.reporting.output import write_json


def status(company: CompanyOption = COMPANY, lake: LakeOption = LAKE, as_json: JsonOption = False) -> None:  # noqa: FBT002
    """Say what is live and what became of the newest night.

    Ends with 0 where the newest night is live, 6 where a gate holds it back, 4 where bad data stopped it, 7 where it is
    not finished; likewise where the newest night is live, but another run of it came to such an end.
    """
    from pipeline.operations.deployment import Deployment
    from pipeline.reporting.status.json import to_json
    from pipeline.reporting.status.status import read_status
    from pipeline.reporting.status.view import print_status

    deployment = Deployment.of(company, lake)
    lake_status = read_status(deployment.company, deployment.lake)
    write_json(to_json(lake_status)) if as_json else print_status(lake_status)
    raise typer.Exit(lake_status.exit_code)
