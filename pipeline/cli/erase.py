"""`segments erase`: customers who asked to be forgotten."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, LakeOption
from pipeline.definitions.company import load_company
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.ingestion.erased.ledger import Receipt

IdsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="CUSTOMER_ID", help="Ids; other users of the machine see them in its list of processes.")
]
FileOption = Annotated[str, typer.Option("--file", metavar="FILE", help="A file with one id on each line; - for standard input.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Complete what was interrupted, and nothing else.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print receipts as JSON.")]


def erase(  # noqa: PLR0913, PLR0917
    customer_ids: IdsArgument = None,
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    file: FileOption = "",
    resume: ResumeOption = False,  # noqa: FBT002
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Remove customers from everything that is stored, for good, and print a receipt of counts."""
    from pipeline.definitions.connections import from_environment
    from pipeline.lake.lake import Lake
    from pipeline.operations.erasure.erase import erase as erase_customers
    from pipeline.operations.erasure.erase import finish_erasures

    ids = [*(customer_ids or ()), *_lines(file)]
    if resume and ids:
        raise ConfigError("--resume takes no customers", where="segments erase", todo="Complete first, then erase them.")
    if resume:
        receipts = finish_erasures(load_company(company), Lake(lake), connections=from_environment)
    else:
        receipts = [erase_customers(load_company(company), Lake(lake), ids, connections=from_environment)]
    _show(receipts, as_json=as_json)


def _lines(file: str) -> list[str]:
    if not file:
        return []
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8-sig")
    except (OSError, UnicodeError):
        raise ConfigError("the ids cannot be read", where=file, todo="Name a text file with one id on each line, as UTF-8.") from None
    return text.split("\n")  # no other line end: an id may hold one


def _show(receipts: Sequence[Receipt], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([asdict(receipt) for receipt in receipts], indent=2))
        return
    for receipt in receipts:
        _show_receipt(receipt)
    if not receipts:
        typer.echo("Nothing was interrupted.")


def _show_receipt(receipt: Receipt) -> None:
    from rich.console import Console
    from rich.table import Table as Grid

    grid = Grid("Removed from", title=f"Erasure {receipt.erasure}", title_justify="left", box=None, pad_edge=False)
    grid.add_column("Files", justify="right")
    grid.add_column("Rows", justify="right")
    for place, counts in receipt.removed.items():
        grid.add_row(place, f"{counts['files']:,}" if "files" in counts else "", f"{counts['rows']:,}")
    console = Console(highlight=False)
    console.print(grid)
    count, before = len(receipt.customers), receipt.erased_before_count
    console.print(f"{count:,} customers, {before:,} of them erased before. They stay out of every later night.", soft_wrap=True)
