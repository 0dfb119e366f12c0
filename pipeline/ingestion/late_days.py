"""Late days: days before those that a night reads, of which the source has changed its order lines or events since they were read.

Each night the source sums up its rows per day, in the night's own snapshot: their number, what was paid for them, and a hash of all
that each says. They are compared with the lake's. That reads no rows and changes no version: it names the days that are worth
reading again, be it for an order that was cancelled after its day was read.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby

import pyarrow as pa

from pipeline.calendar import DaySpan, days_between
from pipeline.ingestion.compared_days import runs_of_days
from pipeline.ingestion.day_totals import DayTotal, has_amounts, known_totals, no_rows
from pipeline.ingestion.infinite_amounts import LARGEST_AMOUNT
from pipeline.lake.lake import Lake
from pipeline.lake.tables import LATE_DAYS, RAW_ORDER_LINES, Table

log = logging.getLogger("pipeline.ingestion.extract")
NEAR = timedelta(days=30)  # a backfill of so few nights in between costs less than another command


@dataclass(frozen=True, slots=True)
class LateDay:
    """One day on which source and lake differ in a raw table; `known` is None where the stored partition cannot be read."""

    table: Table
    day: date
    source: DayTotal
    known: DayTotal | None


def find_late_days(lake: Lake, table: Table, spans: Sequence[DaySpan], found: Mapping[date, DayTotal]) -> list[LateDay]:
    """Return the days of `spans`, in order, of which the source says something else of the rows of `table` than the lake knows."""
    known, nothing = known_totals(lake, table, spans), no_rows(table)
    days = (day for span in spans for day in days_between(span.first, span.last))
    compared = (LateDay(table, day, found.get(day, nothing), known.get(day, nothing)) for day in days)
    # By the digests, which cover number and amounts; a sum that holds a NaN equals nothing.
    return [each for each in compared if each.known is None or each.source.digest != each.known.digest]


def report_late_days(late: Sequence[LateDay], options: str) -> None:
    """Log how many rows of each table differ, on which days, and the command that reads them again; days that lie far apart one by one."""
    for table, days in groupby(late, key=lambda each: each.table):
        of_table = list(days)
        source = "" if table.name == RAW_ORDER_LINES.name else f"{table.name}: "
        for span in late_spans(each.day for each in of_table):
            within = [each for each in of_table if span.first <= each.day <= span.last]
            words, count = _difference_words(within), _count_words(len(within), "day")
            command = reread_command(span, options)
            log.warning("%s%s of %s before the lookback, %s to %s: %s", source, words, count, span.first, span.last, command)


def late_spans(days: Iterable[date]) -> list[DaySpan]:
    """Return the spans of late `days`, which are in order, that are worth reading again together."""
    return list(runs_of_days(days, NEAR))


def reread_command(span: DaySpan, options: str) -> str:
    """Return the command that reads the days of `span` again, with the `options` that say of which company and lake."""
    return f"segments backfill --reread --from {span.first} --to {span.last}{options}"


def late_days_table(late: Sequence[LateDay]) -> pa.Table:
    """Return the rows of LATE_DAYS; an amount too large to store is left empty."""
    rows = [
        {
            "source_table": each.table.name,
            "event_day": each.day,
            "source_row_count": each.source.row_count,
            "known_row_count": each.known.row_count if each.known else None,
            "source_net_amount": _storable_amount(each, each.source),
            "known_net_amount": _storable_amount(each, each.known),
        }
        for each in sorted(late, key=lambda each: (each.table.name, each.day))
    ]
    return pa.Table.from_pylist(rows, schema=LATE_DAYS.schema)


def _difference_words(late: Sequence[LateDay]) -> str:
    counts: Counter[str] = Counter()
    noun = "line" if late[0].table.name == RAW_ORDER_LINES.name else "row"
    for each in late:
        known = each.known or no_rows(each.table)
        more = each.source.row_count - known.row_count
        kind = f"late {noun}" if more > 0 else f"vanished {noun}" if more else "changed amount"
        if more or each.source.net_amount != known.net_amount:
            counts[kind] += abs(more) or 1
    words = [_count_words(counts[kind], kind) for kind in (f"late {noun}", f"vanished {noun}", "changed amount") if counts[kind]]
    return " and ".join([*words, *([f"changed {noun}s"] if any(map(_differs_in_text_alone, late)) else [])])


def _differs_in_text_alone(each: LateDay) -> bool:
    """Return whether lines say something else, such as that they were cancelled, though their number and sum are as known."""
    return each.known is not None and replace(each.source, digest=each.known.digest) == each.known


def _count_words(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _storable_amount(late: LateDay, total: DayTotal | None) -> Decimal | None:
    if total is None or not has_amounts(late.table):
        return None
    amount = total.net_amount
    return amount if amount.is_finite() and abs(amount) <= LARGEST_AMOUNT else None
