"""`segments status`: what is live, and what became of the newest night."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, JsonOption, LakeOption
from pipeline.reporting.output import write_json, write_text

PrometheusOption = Annotated[bool, typer.Option("--prometheus", help="Write gauges in the text format of Prometheus.")]
UpToDateOption = Annotated[
    bool,
    typer.Option("--up-to-date", help="End with 7 too where the last day that is over is not live, even if its night was never begun."),
]


def status(
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    as_json: JsonOption = False,  # noqa: FBT002
    as_prometheus: PrometheusOption = False,  # noqa: FBT002
    is_due_asked: UpToDateOption = False,  # noqa: FBT002
) -> None:
    """Say what is live and what became of the newest night.

    Ends with 0 where the newest night is live, 6 where a gate holds it back, 4 where bad data stopped it, 7 where it is
    not finished; likewise where the newest night is live, but another run of it came to such an end.
    """
    from pipeline.errors import ConfigError
    from pipeline.operations.deployment import Deployment
    from pipeline.reporting.metrics.prometheus import to_prometheus
    from pipeline.reporting.metrics.status_samples import status_samples
    from pipeline.reporting.status.json import to_json
    from pipeline.reporting.status.status import read_status
    from pipeline.reporting.status.view import print_status

    if as_json and as_prometheus:
        raise ConfigError("both --json and --prometheus are asked for", where="--prometheus", todo="Leave one of them out.")
    deployment = Deployment.of(company, lake)
    due = deployment.day_or_last(None, now=datetime.now(UTC)) if is_due_asked else None
    lake_status = read_status(deployment.company, deployment.lake, due=due)
    if as_json:
        write_json(to_json(lake_status))
    elif as_prometheus:
        write_text(to_prometheus(status_samples(deployment.company, deployment.lake, lake_status)))
    else:
        print_status(lake_status)
    raise typer.Exit(lake_status.exit_code)
