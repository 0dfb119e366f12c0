"""`segments report`: the morning page of a night, made again from stored tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, DayOption, LakeOption
from pipeline.reporting.output import write_text

LanguageOption = Annotated[str, typer.Option("--language", help="Language of the page, such as tr; by default the company's.")]
OutputOption = Annotated[
    Path | None, typer.Option("--output", help="Write the page to this file, to send it to somebody: it needs no other.")
]
OpenOption = Annotated[bool, typer.Option("--open", help="Open the page in the browser.")]


def report(  # noqa: PLR0913, PLR0917
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    day: DayOption = None,
    language: LanguageOption = "",
    output: OutputOption = None,
    is_opened: OpenOption = False,  # noqa: FBT002
) -> None:
    """Make the morning page of a night again, and print where it is."""
    from pipeline.operations.deployment import Deployment
    from pipeline.reporting.pages.morning import page_file

    deployment = Deployment.of(company, lake)
    night = deployment.day_or_newest(day.date() if day else None)
    file = page_file(deployment.company, deployment.lake, night, language=language, output=output)
    write_text(f"{file}\n")
    if is_opened:
        typer.launch(file.as_uri())
