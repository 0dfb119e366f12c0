"""`segments explain`: why a customer is in their segments, and what would take them elsewhere."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, JsonOption, LakeOption
from pipeline.definitions.company import load_company

if TYPE_CHECKING:
    from pipeline.reporting.explain.customer import Explained

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
    from pipeline.lake.lake import Lake
    from pipeline.reporting.explain.customer import explained

    found = explained(load_company(company), Lake(lake), customer_id, day.date() if day else None)
    _print_json(found) if as_json else _print(found)


def _print_json(found: Explained) -> None:
    import json

    from pipeline.reporting.explain.view import as_json

    typer.echo(json.dumps(as_json(found), indent=1, ensure_ascii=False))


def _print(found: Explained) -> None:
    from rich.console import Console

    from pipeline.reporting.explain.view import shown

    console = Console(highlight=False, markup=False, emoji=False)
    for part in shown(found):
        console.print(part)
