"""Options that commands share."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.completion import complete_gate
from pipeline.definitions.command_options import DEFAULT_COMPANY, DEFAULT_LAKE

CompanyOption = Annotated[Path, typer.Option("--company", envvar="SEGMENTS_COMPANY", help="The company's folder.")]
LakeOption = Annotated[
    str, typer.Option("--lake", envvar="SEGMENTS_LAKE", metavar="PLACE", help="Where tables are kept: a folder, or s3://BUCKET/PREFIX.")
]
DayOption = Annotated[
    datetime | None,
    typer.Option(
        "--day", formats=["%Y-%m-%d"], help="Business day; by default `last_day` of company.toml, else the last day that is over."
    ),
]
OverrideGateOption = Annotated[
    list[str] | None,
    typer.Option("--override-gate", autocompletion=complete_gate, help="Let the night pass this closed gate; may be given again."),
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why a gate is overridden; recorded with the night.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON, for a machine.")]
COMPANY, LAKE = DEFAULT_COMPANY, str(DEFAULT_LAKE)
