"""Bring a lake that an older version of the program wrote to the format of this one.

The lake says its format in company.json, which is written after the last step of each migration. So a lake is of one format or of the next,
wherever an upgrade was killed, and the same command goes on from there.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipeline import __version__
from pipeline.definitions.lake_claim import LakeClaim, newer_format_error, read_claim, write_claim
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_SEGMENT_INTERVALS
from pipeline.operations.migrations import MIGRATIONS, Migration
from pipeline.operations.quiet_lake import quiet_lake

log = logging.getLogger("pipeline.operations.upgrade")


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an upgrade of a lake comes to; `claim` is what the lake says of itself, None where no night was run in it."""

    claim: LakeClaim | None
    migrations: Sequence[Migration]


def plan_upgrade(lake: Lake, migrations: Sequence[Migration] = MIGRATIONS) -> Upgrade:
    """Return what an upgrade of the lake comes to, and do nothing; raises ConfigError where a newer version wrote the lake."""
    claim = read_claim(lake)
    if claim and claim.format > migrations[-1].after:
        raise newer_format_error(lake, claim)
    return Upgrade(claim, [each for each in migrations if claim and each.before >= claim.format])


def upgrade_lake(lake: Lake, migrations: Sequence[Migration] = MIGRATIONS, *, progress: Callable[[str], None] = log.info) -> None:
    """Do what `plan_upgrade` says, and report each step to `progress` as it begins.

    Raises LockTimeout where a night runs, DataError where the lake is older than the first release, ConfigError as `plan_upgrade` does.
    """
    with quiet_lake(lake):
        # What an interrupted run had committed is put in its place first, so that migrations see whole tables.
        lake.store.finish_transaction(CUSTOMER_SEGMENT_INTERVALS.name)
        for migration in plan_upgrade(lake, migrations).migrations:
            for step in migration.steps:
                progress(f"{migration.before} to {migration.after}: {step.description}")
                step.run(lake)
            lake.store.flush()  # what the steps wrote outlives a power cut before the lake says that it is there
            if claim := read_claim(lake):
                write_claim(lake, replace(claim, format=migration.after, program=__version__))
            progress(f"{migration.before} to {migration.after}: done, the lake is of format {migration.after}")
