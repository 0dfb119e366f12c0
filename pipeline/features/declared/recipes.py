"""How aggregates become SQL, as a digest: those of an earlier night are carried over only where it is still the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from itertools import product

from sqlglot import exp

from pipeline.definitions.rules.aggregates import Aggregate, AggregateFunction, SequenceCondition
from pipeline.definitions.rules.day_windows import DayWindow, Period
from pipeline.definitions.rules.event_sources import EventSource
from pipeline.features.declared.aggregate_sets import AggregateSet
from pipeline.features.declared.aggregate_sql import aggregates_statement
from pipeline.lake.statements import statement_digest
from pipeline.lake.tables import Kind

_DAYS = 7
# A day on which no period begins, so that each begins on another day.
_NIGHT = date(2000, 9, 13)
# Whether it looks at what came before, and at the first of that alone.
_SIDES = ((False, False), (True, False), (True, True))


def recipe_of(wanted: AggregateSet) -> str:
    """Return a digest of how aggregates of the sources of `wanted` become SQL, whichever it holds."""
    return recipe_of_sources(wanted.source, wanted.other)


@cache
def recipe_of_sources(source: EventSource, other: EventSource | None) -> str:
    """Return the digest of the statement of all examples."""
    return statement_digest(aggregates_statement(AggregateSet(source, example_aggregates(source, other), other), _NIGHT))


def example_aggregates(source: EventSource, other: EventSource | None) -> tuple[Aggregate, ...]:
    """Return an example of each function in every kind of window, of each period, and of every sequence with rows of `other`."""
    argument = exp.column(source.table.key[0], quoted=True)
    fixed = DayWindow(from_day=date.min, to_day=date.min)
    windows = (DayWindow(), DayWindow(_DAYS), DayWindow(_DAYS, _DAYS), fixed, DayWindow(period=Period.QUARTER, is_past=True))
    sides = [None] if other is None else [SequenceCondition(other.name, None, _DAYS, *side) for side in _SIDES]
    functions = [
        Aggregate(source.name, function, argument, None, window, Kind.INTEGER, sequence, latest)
        for function, window, sequence, latest in product(AggregateFunction, windows, sides, (0, 3))
    ]
    # What all functions have in common needs one of them: the rest would be the same SQL many times over.
    count = Aggregate(source.name, AggregateFunction.COUNT, argument, _is_known(argument), DayWindow(), Kind.INTEGER)
    periods = [DayWindow(period=period, is_past=is_past) for period, is_past in product(Period, (False, True))]
    sequences = [] if other is None else _sequences(other, source.table.key[0])
    counts = [*(replace(count, window=window) for window in periods), *(replace(count, sequence=each) for each in sequences)]
    return (*functions, *counts)


def _sequences(other: EventSource, same: str) -> list[SequenceCondition]:
    """Return every kind of condition on what came before or after."""
    where = _is_known(exp.column(other.table.key[0], quoted=True))
    return [
        SequenceCondition(other.name, condition, days, *side, is_negated=is_negated, same=column)
        for side, (condition, days), is_negated, column in product(_SIDES, ((None, None), (where, _DAYS)), (False, True), ("", same))
    ]


def _is_known(column: exp.Column) -> exp.Expression:
    return exp.Not(this=exp.Paren(this=exp.Is(this=column.copy(), expression=exp.null())))
