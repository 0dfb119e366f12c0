"""What the tables of the CRM are written from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from pipeline.calendar import days_window
from pipeline.definitions.company import Company
from pipeline.lake.lake import Lake
from pipeline.publication.crm.seen_tables import SeenTables

KEPT = timedelta(days=31)
"""For how long changes are told, and the ids of erased customers shown."""


@dataclass(frozen=True, slots=True)
class CrmInputs:
    """The tables of a publication in `folder`, what readers `seen` before, and whether a person takes them back to it."""

    company: Company
    lake: Lake
    day: date
    folder: Path
    seen: SeenTables
    memory_limit: str
    is_rollback: bool = False

    @property
    def known_on(self) -> date:
        """The night whose consents and contacts count: on the way back too, what was said last is respected."""
        return max(self.day, self.seen.day or self.day)

    @property
    def changed_at(self) -> datetime:
        """When what is new is told to be so."""
        return self.seen.next_instant(days_window(self.day, self.day, self.company.zone).end)
