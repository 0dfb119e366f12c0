"""`segments preview`: whom a rule takes, before it is written into any file."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.completion import complete_rule
from pipeline.cli.options import COMPANY, LAKE, CompanyOption, JsonOption, LakeOption
from pipeline.errors import ConfigError
from pipeline.reporting.output import write_json

RuleArgument = Annotated[
    str, typer.Argument(metavar="RULE", autocompletion=complete_rule, help="A rule, as a definition has it: `spend_amount >= 100`.")
]


def preview(
    rule: RuleArgument,
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Count whom a rule takes on the live night: customers, revenue, some ids, and the segments and audiences they are in.

    With --json, a rule that is wrong is told of on standard output too, with line and column.
    """
    from pipeline.operations.deployment import Deployment
    from pipeline.reporting.preview import preview_rule
    from pipeline.reporting.preview.json import error_to_json, to_json
    from pipeline.reporting.preview.view import print_preview

    deployment = Deployment.of(company, lake)
    try:
        found = preview_rule(deployment.company, deployment.lake, rule, memory_limit=deployment.memory_limit)
    except ConfigError as error:
        if as_json:
            write_json(error_to_json(error))
        raise
    write_json(to_json(found)) if as_json else print_preview(found)
