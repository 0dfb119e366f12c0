"""The aggregates of a company, source by source, and the tables that carry them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.rules.aggregates import Aggregate, AggregateFunction, DayWindow
from pipeline.definitions.rules.event_sources import EventSource
from pipeline.lake.tables import CUSTOMERS, Column, Kind, Partition, Table

CUSTOMER_ID = "customer_id"
_CUSTOMER_COLUMN = next(column for column in CUSTOMERS.columns if column.name == CUSTOMER_ID)
_ADDED_UP = frozenset({AggregateFunction.COUNT, AggregateFunction.COUNT_DISTINCT, AggregateFunction.SUM})


@dataclass(frozen=True)
class AggregateSet:
    """Aggregates of one source."""

    source: EventSource
    aggregates: tuple[Aggregate, ...]

    @cached_property
    def windows(self) -> tuple[DayWindow, ...]:
        """The windows that move with the night, in order."""
        moving = {each.window for each in self.aggregates if each.window.last_days is not None or each.window.before}
        return tuple(sorted(moving, key=lambda window: (window.last_days or 0, window.before)))

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """What is known of a customer: the aggregates, and for each moving window the day of its oldest row and of the next to enter."""
        values = (Column(each.name, each.kind, each.words) for each in sorted(self.aggregates, key=lambda each: each.name))
        days = (Column(name, Kind.DATE, "") for window in self.windows for name in (oldest_day(window), *next_days(window)))
        return (*values, *days)

    @cached_property
    def table(self) -> Table:
        """The table of these aggregates, a row for each customer with a row in the source."""
        return aggregates_table(self.source, self.columns)

    def of_window(self, window: DayWindow) -> AggregateSet:
        """Return the part that is about `window`."""
        return AggregateSet(self.source, tuple(each for each in self.aggregates if each.window == window))

    def first_day(self, day: date) -> date | None:
        """Return the first day whose rows any of them counts on the night of `day`; None where there is none."""
        days = [each.window.first_day(day) for each in self.aggregates]
        return None if None in days else min(each for each in days if each is not None)

    def without_rows(self, column: Column) -> exp.Expression:
        """Return what `column` says of a customer without rows: 0 of counts and sums, nothing of all else."""
        is_added_up = column.name in self._added_up
        return exp.cast(exp.Literal.number(0), column.kind.sql) if is_added_up else exp.null()

    @cached_property
    def _added_up(self) -> frozenset[str]:
        return frozenset(each.name for each in self.aggregates if each.function in _ADDED_UP)


def aggregates_by_source(company: Company) -> tuple[AggregateSet, ...]:
    """Return the aggregates of the company's features by source, in order, with what tells whether the source gives each column."""
    sets = []
    for name, source in sorted(company.event_sources.items()):
        wanted = {each for feature in company.features for each in feature.aggregates if each.source == name}
        if wanted:
            wanted |= {row_count(source, wanted), *(known_count(source, column, wanted) for column in columns_needed(source, wanted))}
            sets.append(AggregateSet(source, tuple(sorted(wanted, key=lambda each: each.name))))
    return tuple(sets)


def columns_needed(source: EventSource, aggregates: Iterable[Aggregate]) -> list[str]:
    """Return the columns that `aggregates` look at and that a source may leave out, in order."""
    return sorted(frozenset().union(*(each.columns for each in aggregates)) & source.optional)


def row_count(source: EventSource, aggregates: Iterable[Aggregate]) -> Aggregate:
    """Return the count of all rows within the widest window of `aggregates`."""
    return Aggregate(source.name, AggregateFunction.COUNT, None, None, _widest_window(aggregates), Kind.INTEGER)


def known_count(source: EventSource, column: str, aggregates: Iterable[Aggregate]) -> Aggregate:
    """Return the count of the rows that give an optional `column` within the widest window of `aggregates`."""
    argument = exp.column(column, quoted=True)
    return Aggregate(source.name, AggregateFunction.COUNT, argument, None, _widest_window(aggregates), Kind.INTEGER)


def _widest_window(aggregates: Iterable[Aggregate]) -> DayWindow:
    windows = [each.window for each in aggregates]
    if any(window.last_days is None for window in windows):
        return DayWindow()
    return DayWindow(max(window.before + (window.last_days or 0) for window in windows))


def aggregates_table(source: EventSource, columns: Iterable[Column], part: str = "") -> Table:
    """Return the table that carries aggregates of `source` from night to night, or holds a `part` of what one night makes of them."""
    name = f"{source.name}_aggregates"
    description = f"What declared features add up of {source.name}."
    return Table(f"{name}_{part}" if part else name, description, (_CUSTOMER_COLUMN, *columns), (CUSTOMER_ID,), Partition.SNAPSHOT)


def oldest_day(window: DayWindow) -> str:
    """Name the column of the oldest day with a row in `window`: once it leaves, the customer's figures change."""
    return f"oldest_day_of_{window.words.replace(' ', '_')}"


def next_days(window: DayWindow) -> tuple[str, ...]:
    """Name the column of the first day with a row after a window that ends before the night: once it enters, figures change."""
    return (f"next_day_of_{window.words.replace(' ', '_')}",) if window.before else ()
