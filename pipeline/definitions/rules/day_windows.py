"""The days whose rows an aggregate is made of: so many up to the night, a period of the calendar, fixed ones, or all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import Enum

_QUARTER_MONTHS = 3


class Period(Enum):
    """A period of the calendar; the value is the word in which people write it."""

    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"

    def first_day(self, day: date) -> date:
        """Return the first day of the period that `day` lies in; weeks begin on Monday."""
        match self:
            case Period.WEEK:
                return day - timedelta(day.weekday())
            case Period.MONTH:
                return day.replace(day=1)
            case Period.QUARTER:
                return date(day.year, (day.month - 1) // _QUARTER_MONTHS * _QUARTER_MONTHS + 1, 1)
            case Period.YEAR:
                return date(day.year, 1, 1)

    def longest_days(self, *, is_past: bool) -> int:
        """Return the most days from the first day of the period, or of the one before it, to a day in the period, both included."""
        this, with_last = _LONGEST_DAYS[self]
        return with_last if is_past else this


# July and August, the third and fourth quarter, and a leap year are the longest that follow each other.
_LONGEST_DAYS = {Period.WEEK: (7, 14), Period.MONTH: (31, 62), Period.QUARTER: (92, 184), Period.YEAR: (366, 731)}


@dataclass(frozen=True, slots=True)
class DayWindow:
    """The days whose rows count on a night: all up to the night by default, less what the fields say.

    The last so many, `before` days ago; those `from_day` and `to_day`, both included; or the `period` that the night lies in, and the one
    before it where it is `is_past`.
    """

    last_days: int | None = None
    before: int = 0
    from_day: date | None = None
    to_day: date | None = None
    period: Period | None = None
    is_past: bool = False

    @property
    def is_moving(self) -> bool:
        """Whether another night may count other days."""
        return self.last_days is not None or bool(self.before) or self.period is not None

    @property
    def may_end_earlier(self) -> bool:
        """Whether the last day that counts may lie before the night, and move with it: then rows enter by time alone."""
        return bool(self.before) or self.is_past

    def first_day(self, day: date) -> date | None:
        """Return the first day that counts on the night of `day`; None where there is none."""
        if self.period is not None:
            begins = self.period.first_day(day)
            return self.period.first_day(begins - timedelta(1)) if self.is_past else begins
        return self.from_day if self.last_days is None else day - timedelta(days=self.before + self.last_days - 1)

    def final_day(self, day: date) -> date:
        """Return the last day that counts on the night of `day`."""
        final = min(day - timedelta(days=self.before), self.to_day or date.max)
        return min(final, self.period.first_day(day) - timedelta(1)) if self.period is not None and self.is_past else final

    def decided_after(self, days: int) -> DayWindow | None:
        """Return the part of the window that lies `days` or more before the night; None where no night has any."""
        if self.period is not None and days >= self.period.longest_days(is_past=self.is_past):
            return None
        if days <= self.before:
            return self
        left = None if self.last_days is None else self.last_days - (days - self.before)
        if left is not None and left < 1:
            return None
        return DayWindow(left, days, self.from_day, self.to_day, self.period, self.is_past)

    @property
    def words(self) -> str:
        """The window as people read it; empty for all days."""
        parts = [
            "" if self.period is None else f"{'last' if self.is_past else 'this'} {self.period.value}",
            "" if self.last_days is None else f"last {self.last_days} days",
            f"before {self.before} days ago" if self.before else "",
            f"from {self.from_day}" if self.from_day else "",
            f"to {self.to_day}" if self.to_day else "",
        ]
        return " ".join(part for part in parts if part)

    @property
    def clause(self) -> str:
        """The window as a rule says it: beside a period no days before the night, which follow from what must not follow a row."""
        return (self if self.period is None else replace(self, before=0)).words.upper()
