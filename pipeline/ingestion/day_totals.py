"""What is known of a day's rows without reading them: how many they are, what was paid for them, a digest of all that they say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.calendar import DaySpan, days_between
from pipeline.ingestion.sources import Snapshot, SourceQuery
from pipeline.ingestion.sources.daily_totals import CountedDays, TotalsQuery
from pipeline.ingestion.versions import NET_AMOUNT, ROWS_DIGEST, rows_digest
from pipeline.lake.lake import Lake, known_versions
from pipeline.lake.tables import Kind, Table


@dataclass(frozen=True, slots=True)
class DayTotal:
    """Rows of one day, the exact sum of what was paid for them, and a digest of all that they say."""

    row_count: int
    net_amount: Decimal
    digest: str


def no_rows(table: Table) -> DayTotal:
    """Return the total of a day without rows of `table`."""
    return DayTotal(0, Decimal(0), rows_digest(table, 0, "0"))


@dataclass(frozen=True, slots=True)
class SourceRows:
    """The rows of one query in a snapshot: `given` are the columns that it gives of `table`.

    Where erased customers are dropped from the snapshot, totals must be `by_customer`, or theirs could not be told apart.
    """

    snapshot: Snapshot
    query: SourceQuery
    table: Table
    given: Collection[str]
    by_customer: bool

    def totals(self, days: CountedDays, zone: ZoneInfo) -> dict[date, DayTotal]:
        """Return the total of each of `days` that has any rows, computed by the source itself; digests are those of compared days."""
        totals = TotalsQuery(self.query, self.table, self.given, zone, self.by_customer)
        wanted = totals.of(days, is_one_pass=not self.snapshot.reads_spans(self.query))
        rows: defaultdict[date, list[Mapping[str, Any]]] = defaultdict(list)
        for query in wanted:
            with closing(self.snapshot.rows(query)) as batches:
                for row in (row for batch in batches for row in batch.to_pylist()):
                    rows[row["event_day"]].append(row)
        return {day: _total_of(self.table, each) for day, each in rows.items()}


def known_totals(lake: Lake, table: Table, spans: Sequence[DaySpan]) -> dict[date, DayTotal | None]:
    """Return what manifests say of the rows of each day of `spans` in its newest version, whichever night learned it.

    None for a day of which a version may lie in a damaged file.
    """
    stored = lake.event_days(table)
    newest = {version.day: version for version in known_versions(stored.versions, through=date.max, known_on=date.max)}
    days = {day for span in spans for day in days_between(span.first, span.last)}
    totals = {day: _stored_total(table, stored.versions[newest[day]].facts) for day in days & newest.keys()}
    return totals | {day: None for day in days if stored.may_hold_any(day)}


def has_amounts(table: Table) -> bool:
    """Return whether the rows of `table` say what was paid, as order lines do."""
    return table.kind_of(NET_AMOUNT) is Kind.MONEY


def known_row_counts(lake: Lake, table: Table, span: DaySpan, *, before: date) -> dict[date, int]:
    """Return how many rows of `table` the nights before that of `before` knew of each day of `span`."""
    stored = lake.event_days(table).versions
    earlier = [version for version in stored if version.known_on < before]
    known = known_versions(earlier, through=span.last, known_on=date.max)
    return {version.day: stored[version].row_count for version in known if version.day >= span.first}


def _total_of(table: Table, rows: Sequence[Mapping[str, Any]]) -> DayTotal:
    count, row_sum = sum(row["row_count"] for row in rows), sum(int(row["row_sum"]) for row in rows)
    return DayTotal(count, sum((Decimal(row["net_amount"]) for row in rows), Decimal(0)), rows_digest(table, count, str(row_sum)))


def _stored_total(table: Table, facts: Mapping[str, object]) -> DayTotal | None:
    if ROWS_DIGEST not in facts:
        return None
    amount = Decimal(str(facts.get(NET_AMOUNT, 0))) if has_amounts(table) else Decimal(0)
    return DayTotal(int(str(facts["row_count"])), amount, str(facts[ROWS_DIGEST]))
