"""What is known of a company's events: how many, and of which days. From the footers of their files; no row is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pipeline.definitions.company import Company
from pipeline.lake.lake import Lake, known_versions


@dataclass(frozen=True, slots=True)
class KnownEvents:
    """The clean rows of one event as known now; the days are those of the first and the last of them, None where there are none."""

    name: str
    row_count: int
    first_day: date | None
    last_day: date | None

    @property
    def words(self) -> str:
        """What is known, as people read it."""
        rows = f"{self.name}: {self.row_count:,} row{'' if self.row_count == 1 else 's'}"
        return f"{rows} from {self.first_day} to {self.last_day}" if self.row_count else rows


def known_events(company: Company, lake: Lake) -> list[KnownEvents]:
    """Return what is known of each event that a night has read."""
    found = []
    for event in company.events.values():
        stored = lake.event_days(event.table).versions
        counts = {version.day: stored[version].row_count for version in known_versions(stored, through=date.max, known_on=date.max)}
        days = [day for day, count in counts.items() if count]
        if counts:
            found.append(KnownEvents(event.name, sum(counts.values()), min(days, default=None), max(days, default=None)))
    return found
