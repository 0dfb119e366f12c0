"""`segments history`: who was in which segment on a day, as known then or later."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.completion import complete_scheme, complete_segment
from pipeline.cli.options import LAKE, JsonOption, LakeOption
from pipeline.reporting.output import write_json

SchemeOption = Annotated[
    str,
    typer.Option("--scheme", autocompletion=complete_scheme, help="A scheme, such as rfm; without a segment: how many customers each has."),
]
SegmentOption = Annotated[
    str,
    typer.Option("--segment", autocompletion=complete_segment, help="A segment of the scheme, by id or title: prints its customers' ids."),
]
OnOption = Annotated[datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="The day asked about; by default the last night's.")]
KnownOption = Annotated[
    datetime | None,
    typer.Option("--known", formats=["%Y-%m-%d"], help="As known on that day; by default as known now, restatements included."),
]
CustomerOption = Annotated[str, typer.Option("--customer", metavar="ID", help="All intervals of one customer instead.")]
OwnerOption = Annotated[
    Path | None,
    typer.Option("--company", envvar="SEGMENTS_COMPANY", help="The company's folder: refuses another's lake. Without it any lake is read."),
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=0, help="Print so many ids at most.")]


def history(  # noqa: PLR0913, PLR0917
    company: OwnerOption = None,
    lake: LakeOption = LAKE,
    scheme: SchemeOption = "",
    segment: SegmentOption = "",
    day: OnOption = None,
    known: KnownOption = None,
    customer: CustomerOption = "",
    limit: LimitOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show who was in a segment on a day, as known on a later day; or one customer's intervals."""
    from pipeline.operations.deployment import Deployment, memory_limit_of_environment, open_readable_lake
    from pipeline.reporting.history.history import read_history
    from pipeline.reporting.history.json import to_json
    from pipeline.reporting.history.view import print_intervals, print_members, print_sizes

    day_on, known_on = (each.date() if each else None for each in (day, known))
    opened = Deployment.of(company, lake).lake if company else open_readable_lake(lake)
    past = read_history(opened, day=day_on, known_on=known_on, scheme=scheme, memory_limit=memory_limit_of_environment())
    if customer:
        intervals = past.intervals(customer)
        write_json(to_json(intervals)) if as_json else print_intervals(intervals)
    elif segment:
        with past.members(segment, limit=limit) as members:
            write_json(to_json(members)) if as_json else print_members(members)
    else:
        sizes = past.sizes()
        write_json(to_json(sizes)) if as_json else print_sizes(sizes)
