"""Which time zones fit what a file says: names that programs use for zones, and offsets, which alone name none. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

# Of zones with one clock the one that most people live in: suggested first.
_POPULOUS = (
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/Phoenix",
    "America/Anchorage",
    "Pacific/Honolulu",
    "America/Toronto",
    "America/Vancouver",
    "America/Mexico_City",
    "America/Sao_Paulo",
    "America/Argentina/Buenos_Aires",
    "America/Bogota",
    "America/Lima",
    "America/Santiago",
    "Europe/London",
    "Europe/Berlin",
    "Europe/Paris",
    "Europe/Madrid",
    "Europe/Rome",
    "Europe/Amsterdam",
    "Europe/Istanbul",
    "Europe/Athens",
    "Europe/Kyiv",
    "Europe/Moscow",
    "Africa/Cairo",
    "Africa/Johannesburg",
    "Africa/Lagos",
    "Asia/Dubai",
    "Asia/Karachi",
    "Asia/Kolkata",
    "Asia/Dhaka",
    "Asia/Bangkok",
    "Asia/Jakarta",
    "Asia/Shanghai",
    "Asia/Singapore",
    "Asia/Manila",
    "Asia/Tokyo",
    "Asia/Seoul",
    "Australia/Perth",
    "Australia/Brisbane",
    "Australia/Adelaide",
    "Australia/Sydney",
    "Australia/Melbourne",
    "Pacific/Auckland",
    "UTC",
)
# How point-of-sale programs written in Rails, Square among them, call zones.
_NAMES = {
    "Eastern Time (US & Canada)": "America/New_York",
    "Central Time (US & Canada)": "America/Chicago",
    "Mountain Time (US & Canada)": "America/Denver",
    "Pacific Time (US & Canada)": "America/Los_Angeles",
    "Eastern Time": "America/New_York",
    "Central Time": "America/Chicago",
    "Mountain Time": "America/Denver",
    "Pacific Time": "America/Los_Angeles",
    "Arizona": "America/Phoenix",
    "Alaska": "America/Anchorage",
    "Hawaii": "Pacific/Honolulu",
    "Indiana (East)": "America/Indiana/Indianapolis",
    "Atlantic Time (Canada)": "America/Halifax",
    "Newfoundland": "America/St_Johns",
    "Saskatchewan": "America/Regina",
    "Puerto Rico": "America/Puerto_Rico",
    "London": "Europe/London",
    "Edinburgh": "Europe/London",
    "Dublin": "Europe/Dublin",
    "Paris": "Europe/Paris",
    "Madrid": "Europe/Madrid",
    "Berlin": "Europe/Berlin",
    "Tokyo": "Asia/Tokyo",
    "Sydney": "Australia/Sydney",
    "Melbourne": "Australia/Melbourne",
    "Brisbane": "Australia/Brisbane",
    "Adelaide": "Australia/Adelaide",
    "Perth": "Australia/Perth",
    "Hobart": "Australia/Hobart",
    "Darwin": "Australia/Darwin",
}
MOST_SUGGESTED = 3


def zone_of_name(name: str) -> str:
    """Return the IANA name of a zone that a program calls `name`; empty where it is none that is known."""
    return name if name in available_timezones() else _NAMES.get(name, "")


def is_utc(plain: str) -> bool:
    """Return whether the plain name of a column says that its times are those of UTC."""
    return re.search(r"\b(utc|gmt|zulu)\b", plain) is not None


def fitting_zones(seen: Sequence[tuple[datetime, int]]) -> list[str]:
    """Return zones whose clocks had these offsets, in minutes, at these instants; the most populous first, a few of them."""
    # The first of each offset and month says all that more of them would.
    samples = list({(moment.year, moment.month, offset): (moment, offset) for moment, offset in seen}.values())
    if not samples or all(offset == 0 for _, offset in samples):
        return []
    return [name for name in _POPULOUS if all(_has_offset(name, *sample) for sample in samples)][:MOST_SUGGESTED]


def _has_offset(name: str, moment: datetime, minutes: int) -> bool:
    return moment.astimezone(ZoneInfo(name)).utcoffset() == timedelta(minutes=minutes)
