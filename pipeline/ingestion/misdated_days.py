"""Misdated days: days of rows that no night reads, since they lie before the company's first day or far after the night.

A night reads its own days. A row of 1970, of the year 24 or of 2042 is on none of them, so it is neither stored nor rejected:
all that tells of it is this count. Rows shortly after the night are ordinary: the source goes on while it is read, and an old
night may be run again. They belong to nights to come as long as no gap of more than LONGEST_GAP lies between them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import pyarrow as pa

from pipeline.ingestion.day_totals import DayTotal
from pipeline.lake.tables import MISDATED_DAYS

log = logging.getLogger("pipeline.ingestion.extract")
LONGEST_GAP = timedelta(days=92)


@dataclass(frozen=True, slots=True)
class MisdatedDay:
    """Rows of one source table on one day that no night reads."""

    source_table: str
    day: date
    row_count: int


def misdated_days(table: str, totals: Mapping[date, DayTotal], *, opening: date, night: date, longest_gap: timedelta) -> list[MisdatedDay]:
    """Return the days among `totals`, in order, before `opening` or after a gap of more than `longest_gap` after `night`."""
    after = sorted(day for day in totals if day > night)
    reached = night
    for day in after:
        if day - reached > longest_gap:
            break
        reached = day
    days = [day for day in sorted(totals) if day < opening or day > reached]
    return [MisdatedDay(table, day, totals[day].row_count) for day in days]


def misdated_days_table(found: Iterable[MisdatedDay]) -> pa.Table:
    """Return the rows of MISDATED_DAYS, in their order."""
    rows = [{"source_table": each.source_table, "event_day": each.day, "row_count": each.row_count} for each in found]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: (row["source_table"], row["event_day"])), schema=MISDATED_DAYS.schema)


def misdated_words(found: Iterable[MisdatedDay], *, opening: date) -> list[str]:
    """Return a sentence for each table with rows that no night reads: how many, and of which days."""
    by_table: dict[str, list[MisdatedDay]] = {}
    for each in found:
        by_table.setdefault(each.source_table, []).append(each)
    return [
        f"{table}: {' and '.join(_span_words(days, opening))}, never read: correct the dates in the source, or `first_day` in company.toml"
        for table, days in sorted(by_table.items())
    ]


def report_misdated_days(found: Iterable[MisdatedDay], *, opening: date) -> None:
    """Log what lies outside of the company's days."""
    for words in misdated_words(found, opening=opening):
        log.warning("%s", words)


def _span_words(days: Iterable[MisdatedDay], opening: date) -> list[str]:
    listed = list(days)
    groups = {
        f"before the first day, {opening}": [each for each in listed if each.day < opening],
        "long after the night": [each for each in listed if each.day >= opening],
    }
    words = []
    for where, found in groups.items():
        if found:
            count, first, last = sum(each.row_count for each in found), min(each.day for each in found), max(each.day for each in found)
            span = f"{first}" if first == last else f"{first} to {last}"
            words.append(f"{count:,} row{'' if count == 1 else 's'} {where} ({span})")
    return words
