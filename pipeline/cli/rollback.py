"""`segments rollback`: readers see the publication before the live one again."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, LakeOption
from pipeline.reporting.output import write_text

ToOption = Annotated[str | None, typer.Option("--to", metavar="ID", help="Publication to go to; by default the one before the live one.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for those who come later.")]


def rollback(company: CompanyOption = COMPANY, lake: LakeOption = LAKE, to: ToOption = None, reason: ReasonOption = "") -> None:
    """Take back what was published last: files and database show the publication before it."""
    from pipeline.operations.deployment import Deployment
    from pipeline.operations.rollback import roll_back

    done = roll_back(Deployment.of(company, lake), to=to, reason=reason)
    write_text(f"{done.to_id} is live again; {done.from_id} was taken back. The next night moves forward from here.\n")
