"""What a sync did, for people and for machines: counts, never a customer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from rich.console import RenderableType
from rich.table import Table as Grid

from pipeline.activation.sync import SyncReport

MOST_LISTS = 40


def to_json(reports: Sequence[SyncReport]) -> str:
    """Return the reports as JSON."""
    return json.dumps({"sinks": [asdict(report) for report in reports]}, indent=2, sort_keys=True)


def summary_of_sync(report: SyncReport) -> str:
    """Return the report in one line."""
    plan = report.plan
    planned = f"{plan.added_count:,} to add, {plan.changed_count:,} to change, {plan.removed_count:,} to remove"
    if report.is_dry_run or report.is_stopped:
        return f"{report.sink}: {planned}; nothing was written"
    done = f"{report.written_count:,} written, {report.unchanged_count:,} there already, {report.refused_count:,} refused"
    return f"{report.sink}: {planned}; {done}"


def render(report: SyncReport) -> Iterator[RenderableType]:
    """Yield what to print of one report."""
    plan = report.plan
    yield summary_of_sync(report)
    notes = (
        (
            plan.healed_count,
            "were changed in the sink by others, and are healed" if not report.is_dry_run else "were changed in the sink by others",
        ),
        (plan.waiting_count, "were refused before and have not changed since: they wait"),
        (plan.opted_out_count, "said no in the sink: they are on none of our lists there"),
        (plan.opted_out_elsewhere_count, "said no in another sink, which counts here as well"),
    )
    yield from (f"  {count:,} {words}" for count, words in notes if count)
    for code, count in report.refused.items():
        yield f"  {count:,} refused with {code or 'no code'}; see: segments sync --sink {report.sink} --rejected"
    if report.override_reason:
        yield f"  limits were overridden: {report.override_reason}"
    if plan.lists:
        grid = Grid("List", box=None, pad_edge=False)
        grid.add_column("Enter", justify="right")
        grid.add_column("Leave", justify="right")
        for each in plan.lists[:MOST_LISTS]:
            grid.add_row(each.list_name, f"{each.entered_count:,}", f"{each.left_count:,}")
        yield grid
        if len(plan.lists) > MOST_LISTS:
            yield f"  and {len(plan.lists) - MOST_LISTS} lists more: segments sync --json"
