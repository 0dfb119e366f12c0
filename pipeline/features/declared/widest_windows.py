"""The days in which it is looked whether a source gives a column: those of all aggregates, and no more, so that old days stay unopened."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from pipeline.definitions.rules.aggregates import Aggregate
from pipeline.definitions.rules.day_windows import DayWindow


def widest_windows(windows: Iterable[DayWindow]) -> list[DayWindow]:
    """Return windows within which all days of `windows` lie, on any night: one that moves with it, one of fixed days, or all days."""
    moving: list[int] = []
    fixed: list[date] = []
    for window in windows:
        days = _most_days(window)
        if days is not None:
            moving.append(days)
        elif window.from_day is not None:
            fixed.append(window.from_day)
        else:
            return [DayWindow()]
    # Days that move cannot be told as fixed ones: which of both begin first depends on the night.
    return [*([DayWindow(max(moving))] if moving else []), *([DayWindow(from_day=min(fixed))] if fixed else [])]


def windows_of_others(each: Aggregate) -> list[DayWindow]:
    """Return the days of what may come before or after the rows of one aggregate: what comes after comes no earlier than they."""
    sequence, widest = each.sequence, widest_windows([each.window])
    if sequence is None or not sequence.is_before:
        return widest
    if sequence.is_first or sequence.days is None:
        return [DayWindow()]
    return [_begun_earlier(window, sequence.days) for window in widest]


def _most_days(window: DayWindow) -> int | None:
    """Return how many days there are at most from the first that counts to the night; None where the first is a fixed day or none."""
    if window.period is not None:
        return window.period.longest_days(is_past=window.is_past)
    return None if window.last_days is None else window.before + window.last_days


def _begun_earlier(window: DayWindow, days: int) -> DayWindow:
    if window.last_days is not None:
        return DayWindow(window.last_days + days)
    if window.from_day is not None:
        return DayWindow(from_day=date.fromordinal(max(window.from_day.toordinal() - days, 1)))
    return window
