"""`segments check`: what is wrong with a company's folder, before a night finds out."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.options import COMPANY, CompanyOption, JsonOption
from pipeline.reporting.output import write_json, write_text

WithoutSourceOption = Annotated[bool, typer.Option("--without-source", help="Do not ask the source, where it is out of reach.")]


def check(
    company: CompanyOption = COMPANY,
    without_source: WithoutSourceOption = False,  # noqa: FBT002
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """List all that is wrong with a company's folder: settings, queries, rules, cards, lists, checks, sinks, campaigns; no row is read.

    Ends with the highest code of all problems: 3 where a definition is wrong, 4 or 5 where the source is, 7 where it is out of reach.
    """
    from pipeline.operations.check import check_company
    from pipeline.operations.check.json import to_json
    from pipeline.operations.check.view import check_lines

    found = check_company(company, with_source=not without_source)
    write_json(to_json(found)) if as_json else write_text("".join(f"{line}\n" for line in check_lines(found)))
    raise typer.Exit(found.exit_code)
