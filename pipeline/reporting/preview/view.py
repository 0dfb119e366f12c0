"""A preview for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from pipeline.reporting.preview.preview import Preview
from pipeline.reporting.terminal import print_parts
from pipeline.spelling import printable_line

MOST_OVERLAPS = 15


def print_preview(preview: Preview) -> None:
    """Print the preview."""
    print_parts(render(preview))


def render(preview: Preview) -> Iterator[RenderableType]:
    """Yield what to print."""
    count = preview.customer_count
    taken = (f"{count:,} customer{'' if count == 1 else 's'}", "bold cyan")
    yield Text.assemble(taken, f" of {preview.day} ({_percent(preview.customer_share)} of all): {' '.join(preview.rule.split())}")
    yield Text(f"They spent {preview.spend_amount:,.2f} in the window, {_percent(preview.spend_share)} of what all did.")
    if preview.unknown_count:
        said = f"Of {preview.unknown_count:,} customers the rule is unknown, as a value is: they are not among them."
        yield Text(said, style="yellow")
    if preview.overlaps:
        yield _overlap_grid(preview)
    if preview.customer_ids:
        rest = preview.customer_count - len(preview.customer_ids)
        more = f" and {rest:,} more" if rest else ""
        yield Text(f"Customers: {', '.join(map(printable_line, preview.customer_ids))}{more}", style="dim")


def _overlap_grid(preview: Preview) -> Grid:
    grid = Grid(title="Where they are already", title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    grid.add_column("Audience or segment", overflow="fold")
    for name in ("Of them", "Share of them", "Share of it"):
        grid.add_column(name, justify="right", no_wrap=True)
    # Audiences first, then the segments that hold most of them.
    found = sorted(preview.overlaps, key=lambda each: (not each.is_audience, -each.customer_count, each.scheme, each.segment))
    for each in found[:MOST_OVERLAPS]:
        name = each.scheme if each.is_audience else f"{each.scheme}.{each.segment}"
        shares = (_percent(each.customer_count / preview.customer_count), _percent(each.customer_count / each.size))
        grid.add_row(printable_line(f"{each.title}  {name}"), f"{each.customer_count:,}", *shares)
    if len(found) > MOST_OVERLAPS:
        grid.caption = f"and {len(found) - MOST_OVERLAPS:,} more: --json has all of them"
    return grid


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"
