"""What `segments init` prints: what the files are, what was assumed, first rows, sums, and the command to go on with."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pyarrow.compute as pc
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from pipeline.onboarding.company_draft import CompanyDraft
from pipeline.onboarding.company_preview import QueryRows, sample_rows
from pipeline.onboarding.new_company import NewCompany
from pipeline.reporting.programs import program_path
from pipeline.reporting.terminal import Terminal, print_parts
from pipeline.spelling import printable_line

ROWS_SHOWN, WIDEST = 5, 24
COLUMNS_FIRST = ("customer_id", "ordered_at", "quantity", "net_amount", "category")


def print_company(made: NewCompany) -> None:
    """Print what was made."""
    print_parts(render(made, Terminal().width))


def render(made: NewCompany, width: int) -> Iterator[RenderableType]:
    """Yield what to print, so that its tables fit `width` characters."""
    draft = made.draft
    for table in draft.tables:
        yield Text.assemble((f"{table.title}: ", "bold"), f"{', '.join(table.file_names)} is now the table {table.name}")
    yield Text.assemble(("\nAssumed", "bold"), f" (also in {made.folder / 'README.md'})")
    for sentence in draft.assumptions:
        yield Text(f"- {sentence}")
    for name, read in made.read.items():
        yield Text(f"\n{name.replace('_', ' ').capitalize()}: {_count(read.rows.num_rows, 'row')}, the first of them", style="bold")
        yield from _rows_grid(read, draft, width)
    yield from map(Text, _counts(made))
    yield Text("\nNow run it:", style="bold")
    folder = shlex.quote(str(made.folder))
    yield Text(
        f"{program_path('segments')} run --company {folder} --lake {shlex.quote(str(made.folder / 'lake'))}",
        style="bold cyan",
        no_wrap=True,
        overflow="ignore",
    )


def _rows_grid(read: QueryRows, draft: CompanyDraft, width: int) -> Iterator[RenderableType]:
    """Yield the first rows with as many columns as have room, what to compare with a report first, and the names of the others."""
    rows = sample_rows(read, ROWS_SHOWN)
    given = [name for name in read.given_columns if any(row[name] is not None for row in rows)]
    first = [name for name in COLUMNS_FIRST if name in given]
    cells = {name: [_cell(row[name], draft) for row in rows] for name in given}
    shown: list[str] = []
    left = width - 1
    for name in (*first, *(name for name in given if name not in first)):
        left -= min(max(map(cell_len, (name, *cells[name]))), WIDEST) + len("  ")
        if left >= 0 or name in first:
            shown.append(name)
    grid = Grid(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in shown:
        # A number or a time that is cut in two is hard to read; names and ids go on below.
        is_number, is_text = (any(isinstance(row[name], kind) for row in rows) for kind in (Decimal | int, str))
        grid.add_column(
            name,
            overflow="fold",
            justify="right" if is_number else "left",
            no_wrap=not is_text,
            max_width=WIDEST if is_text else None,
        )
    for row in zip(*(cells[name] for name in shown), strict=True):
        grid.add_row(*row)
    yield grid
    if hidden := [name for name in given if name not in shown]:
        yield Text(f"  not shown, for want of room: {', '.join(hidden)}")


def _cell(value: object, draft: CompanyDraft) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value.astimezone(ZoneInfo(draft.zone)):%Y-%m-%d %H:%M}"
    if isinstance(value, Decimal):
        return _amount(value)
    return printable_line(str(value))


def _amount(value: Decimal) -> str:
    """Return an amount with two digits, or with as many as it needs."""
    exact = value.normalize()
    digits = max(2, -int(exact.as_tuple().exponent)) if exact.is_finite() else 2
    return f"{value:,.{digits}f}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _counts(made: NewCompany) -> Sequence[str]:
    draft = made.draft
    lines: list[str] = []
    lines.append(_count(made.read["customers"].rows.num_rows, "customer"))
    if "order_lines" in made.read:
        read = made.read["order_lines"].rows
        orders = len(pc.unique(read["order_id"]))
        days = f", {draft.first_day} to {draft.last_day}" if draft.last_day else ""
        lines.append(
            f"{_count(read.num_rows, 'order line')} of {_count(orders, 'order')}{days}: net {_amount(made.net_amount)} {draft.currency}"
        )
    if "consents" in made.read:
        refused = pc.sum(pc.invert(made.read["consents"].rows["is_consenting"])).as_py() or 0
        lines.append(f"{_count(refused, 'customer')} without consent, not published; without sources/consents.sql all are")
    lines += [f"  left out: {_count(each.line_count, 'line')} {each.reason}, {_amount(each.amount)}" for each in made.left_out]
    lines += [f"  would be rejected: {_count(each.row_count, 'row')} of {each.table}, by {each.rule}" for each in made.broken]
    if not made.broken:
        lines.append("  no row would be rejected")
    if made.later_rows:
        lines.append(f"  {_count(made.later_rows, 'row')} of today or later: a night reads them once their day is over")
    return lines
