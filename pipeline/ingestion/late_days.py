"""Late days: days before those that a night reads, of which the source has changed its lines since they were read.

Each night one query sums up the source's lines per day, in the night's own snapshot: their number, what was paid for them, and
a hash of all that each says. They are compared with the lake's. That reads no rows and changes no version: it names the days
that are worth reading again, be it for an order that was cancelled after its day was read.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

import pyarrow as pa

from pipeline.calendar import ONE_DAY, DaySpan, days_between
from pipeline.definitions.company import Company
from pipeline.ingestion.day_totals import NO_LINES, DayTotal, known_totals
from pipeline.ingestion.infinite_amounts import LARGEST_AMOUNT
from pipeline.lake.lake import Lake
from pipeline.lake.tables import LATE_DAYS

log = logging.getLogger("pipeline.ingestion.extract")


@dataclass(frozen=True, slots=True)
class LateDay:
    """One day on which source and lake differ; `known_on` is None where the stored partition cannot be read."""

    day: date
    source: DayTotal
    known: DayTotal | None


def days_to_check(company: Company, first_read: date | None) -> DaySpan | None:
    """Return the days before `first_read` whose sums a night compares; None where there are none."""
    if first_read is None:
        return None
    count = min(company.late_check_days, (first_read - company.first_day).days)
    return DaySpan(first_read - timedelta(days=count), first_read - ONE_DAY) if count > 0 else None


def find_late_days(lake: Lake, span: DaySpan, found: Mapping[date, DayTotal]) -> list[LateDay]:
    """Return the days of `span`, in order, of which the source says something else than the lake knows."""
    known = known_totals(lake, span)
    compared = (LateDay(day, found.get(day, NO_LINES), known.get(day, NO_LINES)) for day in days_between(span.first, span.last))
    # By the digests, which cover number and amounts; a sum that holds a NaN equals nothing.
    return [each for each in compared if each.known is None or each.source.digest != each.known.digest]


def report_late_days(late: Sequence[LateDay]) -> None:
    """Log how many lines differ, on which days, and the command that reads them again."""
    if not late:
        return
    first, last = late[0].day, late[-1].day
    log.warning(
        "%s of %s before the lookback, %s to %s: segments backfill --reread --from %s --to %s",
        _difference_words(late),
        _count_words(len(late), "day"),
        first,
        last,
        first,
        last,
    )


def late_days_table(late: Sequence[LateDay]) -> pa.Table:
    """Return the rows of LATE_DAYS; an amount too large to store is left empty."""
    rows = [
        {
            "event_day": each.day,
            "source_row_count": each.source.row_count,
            "known_row_count": each.known.row_count if each.known else None,
            "source_net_amount": _storable_amount(each.source.net_amount),
            "known_net_amount": _storable_amount(each.known.net_amount) if each.known else None,
        }
        for each in late
    ]
    return pa.Table.from_pylist(rows, schema=LATE_DAYS.schema)


def _difference_words(late: Sequence[LateDay]) -> str:
    counts: Counter[str] = Counter()
    for each in late:
        known = each.known or NO_LINES
        more = each.source.row_count - known.row_count
        kind = "late line" if more > 0 else "vanished line" if more else "changed amount"
        if more or each.source.net_amount != known.net_amount:
            counts[kind] += abs(more) or 1
    words = [_count_words(counts[kind], kind) for kind in ("late line", "vanished line", "changed amount") if counts[kind]]
    return " and ".join([*words, *(["changed lines"] if any(map(_is_only_said_otherwise, late)) else [])])


def _is_only_said_otherwise(each: LateDay) -> bool:
    """Return whether lines say something else, such as that they were cancelled, though their number and sum are as known."""
    return each.known is not None and replace(each.source, digest=each.known.digest) == each.known


def _count_words(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _storable_amount(amount: Decimal) -> Decimal | None:
    return amount if amount.is_finite() and abs(amount) <= LARGEST_AMOUNT else None
