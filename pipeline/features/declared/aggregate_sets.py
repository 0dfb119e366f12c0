"""The aggregates of a company, source by source, and the tables that carry them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property

from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.rules.aggregates import Aggregate, AggregateFunction, SequenceCondition
from pipeline.definitions.rules.day_windows import DayWindow
from pipeline.definitions.rules.event_sources import EventSource
from pipeline.features.declared.widest_windows import widest_windows, windows_of_others
from pipeline.lake.tables import CUSTOMERS, EVENT_DAY, Column, Kind, Partition, Table

CUSTOMER_ID = "customer_id"
_CUSTOMER_COLUMN = next(column for column in CUSTOMERS.columns if column.name == CUSTOMER_ID)
_ADDED_UP = frozenset({AggregateFunction.COUNT, AggregateFunction.COUNT_DISTINCT, AggregateFunction.SUM})


@dataclass(frozen=True)
class AggregateSet:
    """Aggregates of one source; `other` is the source of what must come before or after its rows, where they ask for that.

    Where it `is_carried`, it has what tells the next night whose aggregates change. Else it is worked out for one night alone, and
    has no rows of customers without anything that counts.
    """

    source: EventSource
    aggregates: tuple[Aggregate, ...]
    other: EventSource | None = None
    is_carried: bool = True

    @cached_property
    def windows(self) -> tuple[DayWindow, ...]:
        """The windows that move with the night and are carried to the next, in order."""
        if not self.is_carried:
            return ()
        moving = {each.window for each in self.aggregates if each.window.is_moving}
        return tuple(sorted(moving, key=lambda window: (window.last_days or 0, window.before, window.words)))

    @cached_property
    def sequences(self) -> tuple[SequenceCondition, ...]:
        """What must come before or after rows, each once, in order."""
        found = {each.sequence.identity: each.sequence for each in self.aggregates if each.sequence is not None}
        return tuple(found[identity] for identity in sorted(found))

    @property
    def stored(self) -> tuple[Table, ...]:
        """The tables of the lake that it reads."""
        tables = (self.source.stored, *((self.other.stored,) if self.other else ()))
        return tuple({table.name: table for table in tables}.values())

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """What is known of a customer: the aggregates, and for each moving window the day of its oldest row and of the next to enter."""
        values = (Column(each.name, each.kind, each.words) for each in sorted(self.aggregates, key=lambda each: each.name))
        days = (Column(name, Kind.DATE, "") for window in self.windows for name in (oldest_day(window), *next_days(window)))
        return (*values, *days)

    @cached_property
    def table(self) -> Table:
        """The table of these aggregates, a row for each customer with a row in the source."""
        return self.table_of(self.columns)

    def table_of(self, columns: Iterable[Column], part: str = "") -> Table:
        """Return the table that carries `columns` from night to night, or holds a `part` of what one night makes of them."""
        beside = f"_beside_{self.other.name}" if self.other else ""
        beside += "_latest" if any(each.latest for each in self.aggregates) else ""
        name = f"{self.source.name}{beside}_aggregates"
        description = f"What declared features add up of {self.source.name}."
        return Table(f"{name}_{part}" if part else name, description, (_CUSTOMER_COLUMN, *columns), (CUSTOMER_ID,), Partition.SNAPSHOT)

    def only(self, aggregates: Iterable[Aggregate]) -> AggregateSet:
        """Return the part with these `aggregates`."""
        return replace(self, aggregates=tuple(aggregates))

    def of_window(self, window: DayWindow) -> AggregateSet:
        """Return the part that is about `window`."""
        return self.only(each for each in self.aggregates if each.window == window)

    def columns_of(self, table: Table) -> frozenset[str]:
        """Return the columns of the stored `table` that the aggregates are made of, and whose rows they are."""
        found = {CUSTOMER_ID}
        if table in (self.source.made_of, self.other.made_of if self.other else None):
            return frozenset(table.column_names)
        if table == self.source.table:
            found.update(*(columns_read(each, self.source) for each in self.aggregates))
        if self.other is not None and table == self.other.table:
            sequences = [each.sequence for each in self.aggregates if each.sequence is not None]
            found.update(*(columns_read_of_others(each, self.other) for each in sequences))
        return frozenset(found)

    def first_day(self, day: date) -> date | None:
        """Return the first day whose rows any of them counts on the night of `day`; None where there is none."""
        return _earliest(each.window.first_day(day) for each in self.aggregates)

    def first_day_of(self, table: Table, day: date) -> date | None:
        """Return the first event day of the stored `table` that is looked at on the night of `day`; None where there is none."""
        days = [self.first_day(day)] if table.name == self.source.stored.name else []
        if self.other is not None and table.name == self.other.stored.name:
            days += [self._first_day_of_others(each, day) for each in self.aggregates if each.sequence is not None]
        return _earliest(days)

    @staticmethod
    def _first_day_of_others(each: Aggregate, day: date) -> date | None:
        """Return the first day of what may come before or after the rows of one aggregate: what comes after comes no earlier than they."""
        first, sequence = each.window.first_day(day), each.sequence
        if first is None or sequence is None or not sequence.is_before:
            return first
        return None if sequence.is_first or sequence.days is None else first - timedelta(sequence.days)

    def without_rows(self, column: Column) -> exp.Expression:
        """Return what `column` says of a customer without rows: 0 of counts and sums, no values of lists, nothing of all else."""
        if column.name in self._listed:
            return exp.Literal.string("")
        is_added_up = column.name in self._added_up
        return exp.cast(exp.Literal.number(0), column.kind.sql) if is_added_up else exp.null()

    @cached_property
    def _listed(self) -> frozenset[str]:
        return frozenset(each.name for each in self.aggregates if each.function is AggregateFunction.LIST)

    @cached_property
    def _added_up(self) -> frozenset[str]:
        return frozenset(each.name for each in self.aggregates if each.function in _ADDED_UP)


def aggregates_by_source(company: Company, *, is_carried: bool = True) -> tuple[AggregateSet, ...]:
    """Return the aggregates of the company's features by source, in order.

    Where they are carried to the next night, with what tells whether the source gives each column. Those that ask what else happened
    are apart, by the source of that.
    """
    sources = company.event_sources
    grouped: dict[tuple[str, str, bool], set[Aggregate]] = {}
    for each in (each for feature in company.features for each in feature.aggregates):
        # Rows are put in order for those of the latest rows alone: nobody else's rows are to pay for that.
        grouped.setdefault((each.source, "".join(each.other_sources), each.latest > 0), set()).add(each)
        if each.sequence is not None and is_carried:
            other = sources[each.sequence.source]
            optional = sorted(each.sequence.columns & other.optional)
            counts = {_count_within(window, other, column) for window in windows_of_others(each) for column in optional}
            grouped.setdefault((other.name, "", False), set()).update(counts)
    sets = []
    for (name, other_name, _), wanted in sorted(grouped.items()):
        if wanted:
            source = sources[name]
            if is_carried:
                needed = columns_needed(source, wanted)
                wanted |= {each for column in ("", *needed) for each in counts_within_windows(source, wanted, column)}
            aggregates = tuple(sorted(wanted, key=lambda each: each.name))
            sets.append(AggregateSet(source, aggregates, sources[other_name] if other_name else None, is_carried))
    return tuple(sets)


def first_days(company: Company, day: date) -> dict[str, date]:
    """Return the first event day that the night of `day` looks at, by stored table; the first day of all where none is."""
    found: dict[str, date] = {}
    for wanted in aggregates_by_source(company):
        for table in wanted.stored:
            first = wanted.first_day_of(table, day) or date.min
            found[table.name] = min(first, found.get(table.name, date.max))
    return found


def columns_needed(source: EventSource, aggregates: Iterable[Aggregate]) -> list[str]:
    """Return the columns that `aggregates` look at and that a source may leave out, in order."""
    return sorted(frozenset().union(*(each.columns for each in aggregates)) & source.optional)


def is_ordered(each: Aggregate) -> bool:
    """Whether an aggregate depends on the order of rows in time."""
    return each.latest > 0 or each.function in (AggregateFunction.FIRST, AggregateFunction.LAST)


def columns_read(each: Aggregate, source: EventSource) -> frozenset[str]:
    """Return all columns of its own `source` that decide an aggregate, with those that say when a row happened and whether it counts."""
    in_time = (*(source.order if is_ordered(each) else ()), *(_place_in_time(source) if each.sequence else ()))
    return each.columns | {source.day, *in_time} | _columns_that_count(source)


def columns_read_of_others(sequence: SequenceCondition, other: EventSource) -> frozenset[str]:
    """Return all columns that decide it of the source `other` of what must come before or after."""
    return sequence.columns | {*_place_in_time(other)} | _columns_that_count(other)


def _place_in_time(source: EventSource) -> tuple[str, str]:
    return (source.table.instant, EVENT_DAY.name)


def _columns_that_count(source: EventSource) -> frozenset[str]:
    condition = source.is_counted
    return frozenset() if condition is None else frozenset(column.name for column in condition.find_all(exp.Column))


def counts_within_windows(source: EventSource, aggregates: Iterable[Aggregate], column: str = "") -> list[Aggregate]:
    """Return the counts of all rows, or of those that give an optional `column`, within the `widest_windows` of `aggregates`."""
    return [_count_within(window, source, column) for window in widest_windows(each.window for each in aggregates)]


def _count_within(window: DayWindow, source: EventSource, column: str = "") -> Aggregate:
    argument = exp.column(column, quoted=True) if column else None
    return Aggregate(source.name, AggregateFunction.COUNT, argument, None, window, Kind.INTEGER)


def _earliest(days: Iterable[date | None]) -> date | None:
    """Return the first of `days`, of none the last of all; None where one of them is."""
    found = list(days)
    return None if None in found else min((each for each in found if each is not None), default=date.max)


def oldest_day(window: DayWindow) -> str:
    """Name the column of the oldest day with a row in `window`: once it leaves, the customer's figures change."""
    return f"oldest_day_of_{window.words.replace(' ', '_')}"


def next_days(window: DayWindow) -> tuple[str, ...]:
    """Name the column of the first day with a row after a window that ends before the night: once it enters, figures change."""
    return (f"next_day_of_{window.words.replace(' ', '_')}",) if window.may_end_earlier else ()
