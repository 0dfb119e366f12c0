"""Compared days: days before those that a night reads, of which it asks the source for sums instead.

The newest of them are compared every night. So that an order which is cancelled after a year is found too, and a night costs no more
in an old shop than in a young one, as many older ones are compared in turn: each night goes on where the one before stopped, and
begins again once it has reached the newest. What was found to differ is compared again each night until it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from pipeline.calendar import ONE_DAY, DaySpan
from pipeline.definitions.company import Company
from pipeline.ingestion.versions import stored_facts
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import EXTRACTIONS, LATE_DAYS, Table

COMPARED_UNTIL_KEY = "older_days_compared_until"


@dataclass(frozen=True, slots=True)
class ComparedDays:
    """Days that a night compares: the newest, the older ones whose turn it is, and those that the night before found to differ.

    No day is among two of them.
    """

    newest: DaySpan
    older: DaySpan | None = None
    differing: Sequence[DaySpan] = ()

    @property
    def groups(self) -> list[Sequence[DaySpan]]:
        """The same days, in groups that the source is asked for one by one where that is cheaper."""
        return [group for group in ([self.newest], [self.older] if self.older else [], self.differing) if group]

    @property
    def spans(self) -> list[DaySpan]:
        """All spans, in order."""
        return sorted((span for group in self.groups for span in group), key=lambda span: span.first)


def days_to_compare(company: Company, lake: Lake, source: str, first_read: date | None, last_night: date | None) -> ComparedDays | None:
    """Return the days of `source` before `first_read` that a night compares after that of `last_night`; None where there are none."""
    if first_read is None:
        return None
    table = company.source_tables[source]
    own = company.events[source].late_check_days if source in company.events else None
    # From the company's first day on: what is older is not read either.
    count = min(company.late_check_days if own is None else own, (first_read - company.first_day).days)
    if count <= 0:
        return None
    newest = DaySpan(first_read - timedelta(days=count), first_read - ONE_DAY)
    opening = compared_until(lake, last_night).get(table.name, company.first_day - ONE_DAY) + ONE_DAY
    older = _older_days(company, lake, table, DaySpan(opening, newest.first - ONE_DAY), count)
    late = lake.read(LATE_DAYS, day=last_night).to_pylist() if last_night and lake.has(LATE_DAYS, day=last_night) else []
    differing = [row["event_day"] for row in late if row["source_table"] == table.name]
    others = (day for day in differing if company.first_day <= day < newest.first and not (older and older.first <= day <= older.last))
    return ComparedDays(newest, older, list(runs_of_days(others)))


def compared_until(lake: Lake, night: date | None) -> dict[str, date]:
    """Return, by table, the last of the older days that had been compared in turn by the end of `night`."""
    if night is None or not lake.has(EXTRACTIONS, day=night):
        return {}
    until = stored_facts(lake, addresses.partition(EXTRACTIONS, day=night)).get(COMPARED_UNTIL_KEY, {})
    return {table: date.fromisoformat(day) for table, day in until.items()}


def runs_of_days(days: Iterable[date], longest_gap: timedelta = ONE_DAY) -> Iterator[DaySpan]:
    """Yield spans of `days`, which are in order, that lie no more than `longest_gap` apart."""
    run: DaySpan | None = None
    for day in days:
        if run and day - run.last <= longest_gap:
            run = DaySpan(run.first, day)
            continue
        if run:
            yield run
        run = DaySpan(day, day)
    if run:
        yield run


def _older_days(company: Company, lake: Lake, table: Table, left: DaySpan, count: int) -> DaySpan | None:
    """Return the next `count` of the days `left`, whose turn has not come; of none left, those from the company's first day on."""
    if left.last < company.first_day:
        return None
    first = left.first if company.first_day <= left.first <= left.last else company.first_day
    # Before the first day with rows there is hardly anything to compare: that takes no turn.
    opening = min((version.day for version in lake.event_days(table).versions if version.day >= first), default=first)
    return DaySpan(first, min(opening + timedelta(days=count - 1), left.last))
