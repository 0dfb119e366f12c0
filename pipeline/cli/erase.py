"""`segments erase`: customers who asked to be forgotten."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, JsonOption, LakeOption
from pipeline.errors import ConfigError
from pipeline.reporting.output import write_json

IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="CUSTOMER_ID", help="Ids; other users of the machine see them in its list of processes.")
]
FileOption = Annotated[str, typer.Option("--file", metavar="FILE", help="A file with one id on each line; - for standard input.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Complete what was interrupted, and nothing else.")]
ExpireOption = Annotated[
    int | None,
    typer.Option(
        "--versions-expire",
        metavar="DAYS",
        min=1,
        envvar="SEGMENTS_VERSIONS_EXPIRE",
        help="After how many days the bucket's own rule removes old versions; needed where the lake's bucket keeps them.",
    ),
]


def erase(  # noqa: PLR0913, PLR0917
    customer_ids: IdsArgument = None,
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    file: FileOption = "",
    resume: ResumeOption = False,  # noqa: FBT002
    versions_expire: ExpireOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Remove customers from everything that is stored, for good, and print a receipt of counts."""
    from pipeline.operations.deployment import Deployment
    from pipeline.operations.erasure.erase import erase_customers, finish_erasures
    from pipeline.operations.erasure.json import to_json
    from pipeline.operations.erasure.view import print_receipts

    ids = [*(customer_ids or ()), *_lines(file)]
    if resume and ids:
        raise ConfigError("--resume takes no customers", where="segments erase", todo="Complete first, then erase them.")
    deployment = replace(Deployment.of(company, lake), versions_expire_days=versions_expire)
    receipts = finish_erasures(deployment) if resume else [erase_customers(deployment, ids)]
    write_json(to_json(receipts)) if as_json else print_receipts(receipts)


def _lines(file: str) -> list[str]:
    if not file:
        return []
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8-sig")
    except (OSError, UnicodeError):
        raise ConfigError("the ids cannot be read", where=file, todo="Name a text file with one id on each line, as UTF-8.") from None
    return text.split("\n")  # no other line end: an id may hold one
