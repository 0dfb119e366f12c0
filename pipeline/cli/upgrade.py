"""`segments upgrade`: bring a lake that an older version wrote to the format of this one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline import __version__
from pipeline.cli.options import LAKE, LakeOption
from pipeline.reporting.output import write_text

if TYPE_CHECKING:
    from pipeline.operations.upgrade import Upgrade

DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]


def upgrade(lake: LakeOption = LAKE, dry_run: DryRunOption = False) -> None:  # noqa: FBT002
    """Bring a lake that an older version of this program wrote to the format that this one reads.

    Where it was interrupted, the same command goes on. Back the lake up first: there is no way back.
    """
    from pipeline.operations.deployment import open_lake
    from pipeline.operations.upgrade import plan_upgrade, upgrade_lake

    opened = open_lake(lake)
    planned = plan_upgrade(opened)
    write_text("".join(f"{line}\n" for line in _plan_lines(planned, lake)))
    if not planned.migrations:
        return
    if dry_run:
        write_text("Nothing was done. Do it without --dry-run.\n")
        return
    upgrade_lake(opened, progress=lambda line: write_text(f"{line}\n"))


def _plan_lines(planned: Upgrade, lake: str) -> list[str]:
    if planned.claim is None:
        return [f"{lake}: no night was run there, so there is nothing to upgrade."]
    program = f", written by {planned.claim.program}" if planned.claim.program else ""
    if not planned.migrations:
        return [f"{lake} is of format {planned.claim.format}{program}, which {__version__} reads: there is nothing to upgrade."]
    migrations = [
        line
        for each in planned.migrations
        for line in (f"  {each.before} to {each.after}: {each.reason}", *(f"    - {step.description}" for step in each.steps))
    ]
    return [f"{lake} is of format {planned.claim.format}{program}; {__version__} reads format {planned.migrations[-1].after}.", *migrations]
