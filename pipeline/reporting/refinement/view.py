"""What was learned of segments, in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD
from rich.table import Table as Grid

from pipeline.reporting.output import write_message, write_text
from pipeline.reporting.refinement.entered_members import EnteredMembers
from pipeline.reporting.refinement.refinement import Row, StoredEffectiveness, StoredInsights, StoredProposals
from pipeline.reporting.terminal import Terminal
from pipeline.spelling import printable_line

COUNTS = ("Customers", "Share", "Expected", "Times", "Spend", "Ordered", "Kept", "Gini", "R2 of spend", "R2 of buying")


def print_insights(stored: StoredInsights) -> None:
    """Print what a segment buys more than others who buy as much."""
    title = f"{stored.scheme}.{stored.segment}: what its customers buy more than others who buy as much, as of {stored.night}"
    rows = (
        (
            row["subject_kind"],
            row["subject"],
            f"{row['customer_count']:,}",
            _share(row["share"]),
            _share(row["expected_share"]),
            _times(row),
        )
        for row in stored.standing_out
    )
    Terminal().print(_grid(title, ("Kind", "What", "Customers", "Share", "Expected", "Times"), rows))
    if not stored.standing_out:
        write_text("Nothing stands out.\n")
    write_text(f"{stored.others:,} more do not: the table segment_insights has them.\n" if stored.others else "")


def print_effectiveness(stored: StoredEffectiveness) -> None:
    """Print what schemes add to tenths of customers by spend, and what their segments did."""
    if stored.missing:
        write_text(f"{stored.missing}\n")
        return
    of_night = stored.segments[0]["of_night"]
    schemes = (
        (row["scheme"], f"{row['customer_count']:,}", f"{row['gini']:.3f}", _gain(row, "spend"), _gain(row, "buying"), _verdict(row))
        for row in stored.schemes
    )
    title = f"What schemes of {of_night} tell of the next 90 days beyond last year's spend, as of {stored.night}"
    columns = ("Scheme", "Customers", "Gini", "R2 of spend", "R2 of buying", "")
    Terminal().print(_grid(title, columns, schemes))
    segments = (
        (
            f"{row['scheme']}.{row['segment']}",
            f"{row['customer_count']:,}",
            f"{row['next_90_day_spend']:,.2f}",
            _share(row["repeat_share"]),
            _share(row["retention_share"]),
        )
        for row in stored.segments
    )
    Terminal().print(_grid("What their segments did in those 90 days", ("Segment", "Customers", "Spend", "Ordered", "Kept"), segments))


def print_proposals(stored: StoredProposals) -> None:
    """Print each proposal: the figure behind it, what to change, and the command that shows the effect."""
    write_text(f"Proposals as of {stored.night}; nothing is applied.\n" if stored.proposals else f"No proposals as of {stored.night}.\n")
    for row in stored.proposals:
        lack = "the figure does not suffice yet" if row["needed_count"] is not None else "one period of 90 days does not suffice"
        lead = "" if row["is_sure"] else f" (to be watched: {lack})"
        needed = f"  needed:  {row['needed_count']:,} customers\n" if row["needed_count"] is not None else ""
        name = ".".join(filter(None, (row["scheme"], row["segment"])))
        write_text(f"\n{row['kind'].replace('_', ' ')}, {name}: {row['words']}{lead}\n")
        write_text(f"{needed}  change:  {row['edit']}\n  look:    {row['command']}\n")


def print_entered(found: EnteredMembers) -> None:
    """Print the ids, one on each line, for whatever program comes next; how many they are goes to standard error, out of its way."""
    since = f" who were not on {found.since}" if found.since else ""
    left_out = (
        f"; {found.left_out_count:,} more must not be written to, are the control of a campaign, or departed"
        if found.left_out_count
        else ""
    )
    write_message(f"{found.scheme}.{found.segment} on {found.day}: {len(found.customer_ids):,} customers{since}{left_out}")
    for customer_id in found.customer_ids.to_pylist():
        write_text(f"{printable_line(customer_id)}\n")


def _gain(row: Row, what: str) -> str:
    return f"{row[f'added_r2_{what}']:+.4f} ({row[f'added_r2_{what}_z']:+.1f} s.e.)"


def _verdict(row: Row) -> str:
    return "adds something" if row["adds"] else "tells nothing new"


def _times(row: Row) -> str:
    return f"{row['lift']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _grid(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Grid:
    grid = Grid(title=title, title_justify="left", box=SIMPLE_HEAD)
    for name in columns:
        grid.add_column(name, justify="right" if name in COUNTS else "left")
    for row in rows:
        grid.add_row(*row)
    return grid
