"""Receipts of erasures for the terminal: counts, never an id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table as Grid

from pipeline.ingestion.erased import Receipt
from pipeline.reporting.terminal import Terminal


def print_receipts(receipts: Sequence[Receipt]) -> None:
    """Print receipts one after the other, or that there was nothing to complete."""
    console = Terminal()
    for receipt in receipts:
        for part in render(receipt):
            console.print(part, soft_wrap=isinstance(part, str))
    if not receipts:
        console.print("Nothing was interrupted.")


def render(receipt: Receipt) -> Iterator[RenderableType]:
    """Yield what to print of one receipt."""
    grid = Grid("Removed from", title=f"Erasure {receipt.erasure}", title_justify="left", box=None, pad_edge=False)
    grid.add_column("Files", justify="right")
    grid.add_column("Rows", justify="right")
    for place, counts in receipt.removed.items():
        grid.add_row(place, f"{counts['files']:,}" if "files" in counts else "", f"{counts['rows']:,}")
    yield grid
    count, before = len(receipt.customers), receipt.erased_before_count
    yield f"{count:,} customers, {before:,} of them erased before. They stay out of every later night."
    if days := receipt.versions_expire_days:
        yield f"The bucket keeps old versions of objects; by its own rule these are gone {days:,} days after they were replaced."
