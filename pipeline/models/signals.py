"""The rollups and parameters that `sql/customer_signals.sql` asks for: the night's own, and those of half a year before it."""

from __future__ import annotations

from datetime import date, timedelta

from pipeline.lake.lake import Lake, Version
from pipeline.lake.tables import CUSTOMER_DAYS

QUARTER_DAYS, HALF_YEAR_DAYS = 90, 180


def signal_parameters(day: date, window_days: int) -> dict[str, date | int]:
    """Return the parameters of the statement for night `day`."""
    return {
        "day": day,
        "window_days": window_days,
        "quarter_first_day": day - timedelta(days=QUARTER_DAYS - 1),
        "half_year_first_day": day - timedelta(days=HALF_YEAR_DAYS - 1),
    }


def recent_days(lake: Lake, day: date, known_on: date) -> list[Version]:
    """Return the versions of customer_days of the half year up to `day`, as night `known_on` knows them."""
    first = day - timedelta(days=HALF_YEAR_DAYS - 1)
    # An order is stored under its own day or, once refunded, a later one: none of the half year lies before its first day.
    return [version for version in lake.versions_known(CUSTOMER_DAYS, through=day, known_on=known_on) if version.day >= first]
