"""Late days: days before those that a night reads, of which the source has changed its lines since they were read.

Each night one query sums up the source's lines per day, in the night's own snapshot: their number, what was paid for them, and
a hash of all that each says. They are compared with the lake's. That reads no rows and changes no version: it names the days
that are worth reading again, be it for an order that was cancelled after its day was read.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from pipeline.calendar import ONE_DAY, days_between, days_window
from pipeline.definitions.company import Company
from pipeline.ingestion.sources import Snapshot, SourceQuery
from pipeline.ingestion.sources.daily_totals import daily_totals
from pipeline.ingestion.versions import NET_AMOUNT, ROWS_DIGEST, rows_digest
from pipeline.lake.lake import Lake, known_versions
from pipeline.lake.tables import LATE_DAYS, MONEY_DECIMALS, RAW_ORDER_LINES

log = logging.getLogger("pipeline.ingestion.extract")
_LARGEST_AMOUNT = Decimal(10) ** (18 - MONEY_DECIMALS)  # what DECIMAL(18,4), the type of money, can no longer hold


@dataclass(frozen=True, slots=True)
class DaySpan:
    """Local days, both included."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class DayTotal:
    """Lines of one day, the exact sum of what was paid for them, and a digest of all that they say."""

    row_count: int
    net_amount: Decimal
    digest: str


NO_LINES = DayTotal(0, Decimal(0), rows_digest(RAW_ORDER_LINES, 0, "0"))


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


def source_totals(  # noqa: PLR0913
    snapshot: Snapshot, query: SourceQuery, given: Collection[str], span: DaySpan, zone: ZoneInfo, *, by_customer: bool
) -> dict[date, DayTotal]:
    """Return the totals of order lines for each day of `span` that has any, computed by the source itself.

    `given` are the columns that the query gives. Where erased customers are dropped from the snapshot, sums must be
    `by_customer`, or theirs could not be told apart.
    """
    of_span = replace(query, window=days_window(span.first, span.last, zone))
    wanted = daily_totals(of_span, RAW_ORDER_LINES, given, zone.key, by_customer=by_customer)
    rows: defaultdict[date, list[Mapping[str, Any]]] = defaultdict(list)
    with closing(snapshot.rows(wanted)) as batches:
        for row in (row for batch in batches for row in batch.to_pylist()):
            rows[row["event_day"]].append(row)
    return {day: _total_of(each) for day, each in rows.items()}


def _total_of(rows: Sequence[Mapping[str, Any]]) -> DayTotal:
    count = sum(row["row_count"] for row in rows)
    row_sum = sum(int(row["row_sum"]) for row in rows)
    return DayTotal(count, sum((Decimal(row["net_amount"]) for row in rows), Decimal(0)), rows_digest(RAW_ORDER_LINES, count, str(row_sum)))


def find_late_days(lake: Lake, span: DaySpan, found: Mapping[date, DayTotal]) -> list[LateDay]:
    """Return the days of `span`, in order, of which the source says something else than the lake knows."""
    known = _known_totals(lake, span)
    compared = (LateDay(day, found.get(day, NO_LINES), known.get(day, NO_LINES)) for day in days_between(span.first, span.last))
    return [each for each in compared if each.source != each.known]


def report_late_days(late: list[LateDay]) -> None:
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


def late_days_table(late: list[LateDay]) -> pa.Table:
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


def _known_totals(lake: Lake, span: DaySpan) -> dict[date, DayTotal | None]:
    """Return what the manifests say of the newest version of each day, whichever night learned it.

    None for a day of which a version may lie in a damaged file.
    """
    stored = lake.event_days(RAW_ORDER_LINES)
    newest = {version.day: version for version in known_versions(stored.versions, through=span.last, known_on=date.max)}
    totals: dict[date, DayTotal | None] = {day: _stored_total(stored.versions[version].facts) for day, version in newest.items()}
    return totals | {day: None for day in days_between(span.first, span.last) if stored.may_hold_any(day)}


def _stored_total(facts: Mapping[str, object]) -> DayTotal | None:
    if NET_AMOUNT not in facts:
        return None
    return DayTotal(int(str(facts["row_count"])), Decimal(str(facts[NET_AMOUNT])), str(facts[ROWS_DIGEST]))


def _difference_words(late: list[LateDay]) -> str:
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
    return amount if amount.is_finite() and abs(amount) < _LARGEST_AMOUNT else None
