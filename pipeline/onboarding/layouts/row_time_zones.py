"""Rows that each name their time zone: which column does, and the instants of their clock times. Pure."""

from __future__ import annotations

from pipeline.onboarding.layouts.layout import TableReading, quoted_text
from pipeline.onboarding.table_sample import TableSample
from pipeline.onboarding.time_zones import zone_of_name


def zone_column(sample: TableSample) -> str:
    """Return the column of which every value names a time zone; empty where there is none."""
    return next((each.name for each in sample.columns() if each.counts and all(map(zone_of_name, each.counts))), "")


def in_zone_of_row(reading: TableReading, moment: str, column: str) -> str:
    """Return the SQL of an instant whose clock time is in the zone that `column` names; in the company's where it names none that is known.

    `moment` is the SQL of that instant as if all were in the company's zone; it is returned as it is where it has another zone, or offsets.
    """
    local = moment.removesuffix(f" AT TIME ZONE '{reading.zone}'")
    zones = {name: zone for name in sorted(reading.column(column).counts) if (zone := zone_of_name(name))}
    if local == moment or not zones:
        return moment
    cases = " ".join(f"WHEN {quoted_text(name)} THEN '{zone}'" for name, zone in zones.items())
    return f"{local} AT TIME ZONE CASE {reading.text(column)} {cases} ELSE '{reading.zone}' END"
