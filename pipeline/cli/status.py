"""`segments status`: what is live, and what became of the newest night."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, JsonOption, LakeOption
from pipeline.definitions.company import load_company

if TYPE_CHECKING:
    from pipeline.reporting.status.status import Status


def status(company: CompanyOption = COMPANY, lake: LakeOption = LAKE, as_json: JsonOption = False) -> None:  # noqa: FBT002
    """Say what is live and what became of the newest night.

    Ends with 0 where the newest night is live, 6 where a gate holds it back, 4 where bad data stopped it, 7 where it is
    not finished; likewise where the newest night is live, but another run of it came to such an end.
    """
    from pipeline.lake.lake import Lake
    from pipeline.reporting.status.status import status_of

    found = status_of(load_company(company), Lake(lake))
    _print_json(found) if as_json else _print(found)
    raise typer.Exit(found.exit_code)


def _print_json(found: Status) -> None:
    import json

    from pipeline.reporting.status.status import as_json

    typer.echo(json.dumps(as_json(found), indent=2, default=str))


def _print(found: Status) -> None:
    from rich.console import Console

    from pipeline.reporting.status.view import shown

    console = Console(highlight=False)
    for part in shown(found):
        console.print(part)
