"""`segments sync`: the CRM, and whatever else people work with, gets what the live publication says."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from pipeline.cli.completion import complete_sink
from pipeline.cli.options import COMPANY, LAKE, CompanyOption, JsonOption, LakeOption
from pipeline.errors import ConfigError
from pipeline.reporting.output import write_json

SinkOption = Annotated[
    str | None,
    typer.Option("--sink", metavar="NAME", autocompletion=complete_sink, help="One sink of the company's sinks/; by default all of them."),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be written, and write nothing.")]
FullOption = Annotated[bool, typer.Option("--full", help="Read everything back from the sink, and try again whom it refused.")]
OverrideOption = Annotated[
    bool, typer.Option("--override-limits", help="Go on though more would be removed or changed than a limit allows.")
]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why limits are overridden; recorded with the sync.")]
RejectedOption = Annotated[bool, typer.Option("--rejected", help="Write whom sinks refused, and why, as CSV; sync nothing.")]


def sync(  # noqa: PLR0913, PLR0917 - a command takes each of its options as an argument
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    sink: SinkOption = None,
    dry_run: DryRunOption = False,  # noqa: FBT002
    full: FullOption = False,  # noqa: FBT002
    override_limits: OverrideOption = False,  # noqa: FBT002
    reason: ReasonOption = "",
    rejected: RejectedOption = False,  # noqa: FBT002
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Bring the company's sinks to what is published, and report what was written, refused and left alone."""
    from pipeline.operations.deployment import Deployment
    from pipeline.operations.sync import rejected_rows, sync_sinks
    from pipeline.reporting.sync_report import render, to_json
    from pipeline.reporting.terminal import print_parts

    if override_limits != bool(reason.strip()):
        raise ConfigError(
            "--override-limits and --reason belong together", where="segments sync", todo='Give both: --override-limits --reason "WHY".'
        )
    deployment = Deployment.of(company, lake)
    if rejected:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("sink", "customer_id", "code", "message", "first_rejected_at", "attempt_count"))
        writer.writerows(rejected_rows(deployment, sink))
        return
    reports = []
    try:
        with _progress() as progress:
            for report in sync_sinks(
                deployment, sink=sink, is_dry_run=dry_run, is_full=full, override_reason=reason.strip(), progress=progress
            ):
                reports.append(report)
                if not as_json:
                    print_parts(render(report))
    finally:
        if as_json:
            write_json(to_json(reports))


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Yield what shows on a terminal how many customers are done; elsewhere nothing is shown."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from pipeline.reporting.terminal import Terminal

    console = Terminal(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks = {}

        def show(name: str, done: int, planned: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(name, total=planned)
            bar.update(tasks[name], completed=done)

        yield show
