"""`segments withdraw`: start over from a day."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, LakeOption
from pipeline.reporting.output import write_text

if TYPE_CHECKING:
    from pipeline.operations.withdrawal import Withdrawal

SinceOption = Annotated[datetime, typer.Option("--since", formats=["%Y-%m-%d"], help="First business day that is withdrawn.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for those who come later.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Do it; without, it is only said what would be done.")]


def withdraw(
    since: SinceOption,
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    reason: ReasonOption = "",
    yes: YesOption = False,  # noqa: FBT002
) -> None:
    """Start over from a day: withdraw what was published since, remove what was computed since, keep what was read."""
    from pipeline.operations.deployment import Deployment
    from pipeline.operations.withdrawal import plan_withdrawal
    from pipeline.operations.withdrawal import withdraw as withdraw_nights

    deployment, day = Deployment.of(company, lake), since.date()
    write_text("".join(f"{line}\n" for line in _plan_lines(plan_withdrawal(deployment, day))))
    if not yes:
        write_text("Nothing was done. Do it with --yes.\n")
        return
    done = withdraw_nights(deployment, day, reason=reason)
    again = f"Nothing is live: run a night, such as segments run --day {done.night_before or 'YYYY-MM-DD'}."
    write_text(f"All since {day} is withdrawn. {'The next night moves forward from there.' if done.publications.chosen_id else again}\n")


def _plan_lines(planned: Withdrawal) -> list[str]:
    found, count = planned.publications, len(planned.nights)
    nights = f"{count:,} {'night' if count == 1 else 'nights'}, {planned.nights[0]} to {planned.nights[-1]}" if count else "no night"
    files = ", ".join(f"{len(each):,} of {kind}" for kind, each in planned.computed.items() if each)
    return [
        f"Withdraw all since {planned.since}:",
        f"  live now:        {found.live_id or 'nothing'}",
        f"  live afterwards: {found.chosen_id or 'nothing'}, in files and database",
        f"  goes, published: {', '.join(found.withdrawn_ids) or 'nothing'}",
        f"  goes, computed:  {nights}; files: {files or 'none'}",
        "  stays:           what was read, erasures, campaigns that began, what sinks acknowledged",
    ]
