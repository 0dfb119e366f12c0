"""The bounds of a backfill hold the runs of the days asked for and of no other, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.calendar import backfill_bounds, days_between, is_once_a_day

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Africa/Cairo",
    "Pacific/Apia",
    "America/Havana",
]
zones = st.sampled_from(ZONES).map(ZoneInfo)
days = st.dates(date(2015, 1, 1), date(2030, 1, 1))
times = st.times().map(lambda at: at.replace(second=0, microsecond=0))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(days, st.integers(0, 40), times, zones)
def test_a_cron_time_of_a_day_lies_within_the_bounds_if_and_only_if_the_day_was_asked_for(
    first: date, length: int, at: time, zone: ZoneInfo
) -> None:
    last = first + timedelta(length)
    start, end = (datetime.fromisoformat(bound) for bound in backfill_bounds(first, last, zone))
    around = days_between(first - timedelta(2), last + timedelta(2))
    found = [day for day in around if exists(day, at, zone) and start <= datetime.combine(day, at, tzinfo=zone) <= end]
    assert found == [day for day in days_between(first, last) if exists(day, at, zone)]


def exists(day: date, at: time, zone: ZoneInfo) -> bool:
    local = datetime.combine(day, at, tzinfo=zone)
    return local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None)


def test_bounds_carry_the_offset_of_their_own_day() -> None:
    bounds = backfill_bounds(date(2026, 3, 28), date(2026, 3, 29), ZoneInfo("Europe/Berlin"))
    assert bounds == ("2026-03-27T23:59:59+01:00", "2026-03-29T23:59:59+02:00")


@pytest.mark.parametrize(
    ("schedule", "is_so"),
    [
        ("0 4 * * *", True),
        ("30 23 * * *", True),
        ("0 4 * * 1-5", False),
        ("0 4,16 * * *", False),
        ("*/5 4 * * *", False),
        ("0 4 1 * *", False),
    ],
)
def test_a_schedule_runs_once_a_day_or_not(schedule: str, is_so: bool) -> None:
    assert is_once_a_day(schedule) is is_so
