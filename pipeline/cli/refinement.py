"""`segments insights`, `effectiveness`, `proposals`, `members`: what was learned of segments, and whom to write to."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from pipeline.cli.completion import complete_scheme, complete_segment
from pipeline.cli.options import COMPANY, LAKE, CompanyOption, JsonOption, LakeOption
from pipeline.reporting.output import write_json

NightOption = Annotated[datetime | None, typer.Option("--day", formats=["%Y-%m-%d"], help="As told by that night; by default the newest.")]
SchemeOption = Annotated[str, typer.Option("--scheme", autocompletion=complete_scheme, help="One scheme; by default all of them.")]
SegmentNameOption = Annotated[str, typer.Option("--segment", metavar="SCHEME.SEGMENT", help="A segment, such as rfm.champions.")]
OneSchemeOption = Annotated[str, typer.Option("--scheme", autocompletion=complete_scheme, help="A scheme, such as rfm.")]
OneSegmentOption = Annotated[
    str, typer.Option("--segment", autocompletion=complete_segment, help="A segment of the scheme, by id or title.")
]
SinceOption = Annotated[
    datetime | None, typer.Option("--entered-since", formats=["%Y-%m-%d"], help="Only those who were not in it on that night.")
]
OwnOption = Annotated[
    bool, typer.Option("--by-themselves", help="Only those who entered by what they did or left undone, and not because others moved.")
]


def insights(
    segment: SegmentNameOption,
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    day: NightOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show what the customers of a segment buy more than other customers who buy as much."""
    from pipeline.operations.deployment import Deployment
    from pipeline.reporting.refinement.json import to_json
    from pipeline.reporting.refinement.refinement import read_insights
    from pipeline.reporting.refinement.view import print_insights

    stored = read_insights(Deployment.of(company, lake).lake, segment, day.date() if day else None)
    write_json(to_json(stored)) if as_json else print_insights(stored)


def effectiveness(
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    scheme: SchemeOption = "",
    day: NightOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show what each scheme told of the 90 days after an older night that last year's spend did not."""
    from pipeline.operations.deployment import Deployment
    from pipeline.reporting.refinement.json import to_json
    from pipeline.reporting.refinement.refinement import read_effectiveness
    from pipeline.reporting.refinement.view import print_effectiveness

    stored = read_effectiveness(Deployment.of(company, lake).lake, scheme, day.date() if day else None)
    write_json(to_json(stored)) if as_json else print_effectiveness(stored)


def proposals(
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    day: NightOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show what might make segments better: the figure behind each proposal, what to change, and what shows the effect before."""
    from pipeline.operations.deployment import Deployment
    from pipeline.reporting.refinement.json import to_json
    from pipeline.reporting.refinement.refinement import read_proposals
    from pipeline.reporting.refinement.view import print_proposals

    stored = read_proposals(Deployment.of(company, lake).lake, day.date() if day else None)
    write_json(to_json(stored)) if as_json else print_proposals(stored)


def members(  # noqa: PLR0913, PLR0917 - a command takes each of its options as an argument
    scheme: OneSchemeOption,
    segment: OneSegmentOption,
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    entered_since: SinceOption = None,
    by_themselves: OwnOption = False,  # noqa: FBT002
) -> None:
    """Print the ids of a segment's customers on the newest night who may be written to, one on each line, for a list of any program."""
    from pipeline.operations.deployment import Deployment
    from pipeline.reporting.refinement.entered_members import read_entered_members
    from pipeline.reporting.refinement.view import print_entered

    deployment = Deployment.of(company, lake)
    since = entered_since.date() if entered_since else None
    found = read_entered_members(
        deployment.company, deployment.lake, scheme, segment, since, are_own=by_themselves, memory_limit=deployment.memory_limit
    )
    print_entered(found)
