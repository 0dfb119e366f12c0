"""Every instant belongs to exactly one business day, in every zone, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.calendar import business_day, days_between, days_window

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Tokyo",
    "Pacific/Auckland",
    "America/Havana",
]
zones = st.sampled_from(ZONES).map(ZoneInfo)
instants = st.datetimes(datetime(2015, 1, 1), datetime(2030, 1, 1)).map(lambda naive: naive.replace(tzinfo=UTC))  # noqa: DTZ001


@settings(max_examples=300, deadline=None, derandomize=True)
@given(instants, zones)
def test_an_instant_lies_in_the_window_of_its_local_day_and_of_no_neighbour(at: datetime, zone: ZoneInfo) -> None:
    day = at.astimezone(zone).date()
    around = [each for each in days_between(day - timedelta(2), day + timedelta(2)) if holds(each, at, zone)]
    assert around == [day]


@pytest.mark.parametrize("zone", ZONES)
def test_the_days_of_a_year_follow_each_other_without_gap_or_overlap(zone: str) -> None:
    windows = [days_window(day, day, ZoneInfo(zone)) for day in days_between(date(2024, 1, 1), date(2025, 12, 31))]
    assert all(before.end == after.start for before, after in pairwise(windows))
    hours = {(window.end - window.start) / timedelta(hours=1) for window in windows}
    assert hours <= {23.0, 24.0, 25.0}


def test_the_business_day_is_the_last_whole_local_day() -> None:
    zone = ZoneInfo("Asia/Tokyo")
    assert business_day(datetime(2024, 3, 1, 4, tzinfo=zone), zone) == date(2024, 2, 29)
    assert business_day(datetime(2024, 2, 29, 19, tzinfo=UTC), zone) == date(2024, 2, 29)


def holds(day: date, at: datetime, zone: ZoneInfo) -> bool:
    window = days_window(day, day, zone)
    return window.start <= at < window.end
