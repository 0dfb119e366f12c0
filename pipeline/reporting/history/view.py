"""The history of segments in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table as Grid

from pipeline.reporting.history.history import CustomerIntervals, SegmentMembers, SegmentSizes
from pipeline.reporting.output import write_message, write_text
from pipeline.reporting.terminal import Terminal
from pipeline.spelling import printable_line


def print_members(members: SegmentMembers) -> None:
    """Print the ids, one on each line, for whatever program comes next; the title goes to standard error, out of its way.

    Characters that a terminal would obey are replaced; JSON has every id as it is.
    """
    night = members.night
    title = f"{members.scheme}/{members.segment} on {night.requested_day}: {members.customer_count:,} customers, {night.source_words}"
    write_message(title)
    for customer_id in members.customer_ids:
        write_text(f"{printable_line(customer_id)}\n")


def print_sizes(sizes: SegmentSizes) -> None:
    """Print how many customers each segment had."""
    _print(render_sizes(sizes))


def print_intervals(intervals: CustomerIntervals) -> None:
    """Print the intervals of one customer."""
    _print(render_intervals(intervals))


def render_sizes(sizes: SegmentSizes) -> Grid:
    """Return a row per segment."""
    rows = ((size.scheme, size.segment, size.title, f"{size.customer_count:,}") for size in sizes.sizes)
    return _grid(f"{sizes.night.requested_day}: {sizes.night.source_words}", ("Scheme", "Segment", "Title", "Customers"), rows)


def render_intervals(intervals: CustomerIntervals) -> Grid:
    """Return a row per interval."""
    rows = (["-" if value is None else str(value) for value in row.values()] for row in intervals.intervals)
    return _grid(f"Customer {intervals.customer_id}", ("Scheme", "Segment", "From", "Until", "Known from"), rows)


def _print(grid: Grid) -> None:
    Terminal().print(grid)


def _grid(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Grid:
    grid = Grid(title=title, title_justify="left", box=SIMPLE_HEAD)
    for name in columns:
        grid.add_column(name, justify="right" if name == "Customers" else "left")
    for row in rows:
        grid.add_row(*map(printable_line, row))
    return grid
