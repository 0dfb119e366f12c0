"""Business days and the instants that bound them. Nothing here reads a clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ONE_DAY = timedelta(days=1)
ONE_SECOND = timedelta(seconds=1)
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open span of UTC instants: `start` is inside, `end` is not."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class DaySpan:
    """Local days, both included."""

    first: date
    last: date


def business_day(interval_end: datetime, zone: ZoneInfo) -> date:
    """Return the last whole local day before `interval_end`, an aware instant."""
    return interval_end.astimezone(zone).date() - ONE_DAY


def first_instant(day: date, zone: ZoneInfo) -> datetime:
    """Return the UTC instant at which `day` begins in `zone`.

    Where local midnight does not exist, the day begins when the clock jumps over it.
    """
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def days_window(first: date, last: date, zone: ZoneInfo) -> Window:
    """Return the UTC window that covers the local days `first` to `last`, both included."""
    return Window(first_instant(first, zone), first_instant(last + ONE_DAY, zone))


def days_between(first: date, last: date) -> Iterator[date]:
    """Yield the days from `first` to `last`, both included."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def backfill_bounds(first: date, last: date, zone: ZoneInfo) -> tuple[str, str]:
    """Return the seconds before local day `first` begins and before `last` ends, as ISO text with the offset of each.

    Airflow plans the runs whose data interval starts between them; with a schedule that runs once a day, that start lies
    within the run's business day. It loses a start at midnight that is asked for to the second where the next day has no
    midnight, hence the second before.
    """
    window = days_window(first, last, zone)
    start, end = (bound - ONE_SECOND for bound in (window.start, window.end))
    return start.astimezone(zone).isoformat(), end.astimezone(zone).isoformat()


def is_once_a_day(schedule: str) -> bool:
    """Return whether a cron `schedule` runs exactly once every day: plain numbers for minute and hour, stars for the rest."""
    minute, hour, *rest = schedule.split()
    return minute.isdigit() and hour.isdigit() and rest == ["*"] * 3
