"""What brings a lake from one format to the next, in order.

A migration is a list of steps. Each makes its change whole or not at all, and may be done again: a migration that was killed begins anew.
Meanwhile nights wait, and readers see what was live before. `docs/operate/upgrades.md` says which changes need a migration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pipeline.lake.lake import Lake
from pipeline.lake.tables import ALL_TABLES, Partition


@dataclass(frozen=True, slots=True)
class MigrationStep:
    """One change of a lake, and what it does in words."""

    description: str
    run: Callable[[Lake], None]


@dataclass(frozen=True, slots=True)
class Migration:
    """Brings a lake of the format `before` to the format `after`; `reason` says why these are two."""

    before: int
    after: int
    reason: str
    steps: tuple[MigrationStep, ...]


def require_event_days_by_month(lake: Lake) -> None:
    """Raise DataError where event days lie in a file each, as they did before there were releases."""
    for table in ALL_TABLES:
        if table.partition is Partition.EVENT_DAY:
            lake.event_days(table)


MIGRATIONS: Final = (
    Migration(
        before=1,
        after=2,
        reason="0.1.0 must not write to the lake any more: it would remove files that a catalogue of Iceberg tables needs, and after a "
        "withdrawal give numbers to readers of a CRM's tables that they have seen",
        steps=(MigrationStep("check that event days lie in files by month; no file is changed", require_event_days_by_month),),
    ),
)
