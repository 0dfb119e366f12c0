"""`segments explain`: why a customer is in their segments, and what would take them elsewhere."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, JsonOption, LakeOption
from pipeline.reporting.output import write_json

CustomerArgument = Annotated[str, typer.Argument(metavar="CUSTOMER_ID", help="The company's own id of the customer.")]
NightOption = Annotated[datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="A stored night; by default the live one.")]


def explain(
    customer_id: CustomerArgument,
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    day: NightOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Say of one customer, scheme by scheme, which rule decided on which values, what would lead elsewhere, and the moves so far."""
    from pipeline.operations.deployment import Deployment
    from pipeline.reporting.explain import explain_customer
    from pipeline.reporting.explain.json import to_json
    from pipeline.reporting.explain.view import print_explanation

    deployment = Deployment.of(company, lake)
    limit = deployment.memory_limit
    explanation = explain_customer(deployment.company, deployment.lake, customer_id, day.date() if day else None, memory_limit=limit)
    write_json(to_json(explanation)) if as_json else print_explanation(explanation)
