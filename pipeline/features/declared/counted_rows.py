"""The rows that aggregates are made of, as SQL: those of the source that may count, and what came before or after each.

Whether something follows a row is found in one pass: rows and what may follow are put in order together, and each row looks ahead to the
nearest later one. So a customer with a thousand rows costs a thousand, and not a million pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import cast

from sqlglot import exp

from pipeline.definitions.rules.aggregates import Aggregate, SequenceCondition
from pipeline.definitions.rules.day_windows import DayWindow
from pipeline.definitions.rules.event_sources import EventSource
from pipeline.features.declared.aggregate_sets import CUSTOMER_ID, AggregateSet, is_ordered
from pipeline.lake.expressions import date_literal, union_all
from pipeline.lake.statements import statement
from pipeline.lake.tables import EVENT_DAY, Table

ROWS_AMONG = "rows_among"
_INSTANT, _DAY, _IS_ROW = "happened_at", "happened_on", "is_row"


def rows_are_as_stored(wanted: AggregateSet) -> bool:
    """Whether the rows can be read from the table of the source as they are."""
    return wanted.source.made_of is None and not wanted.sequences and not any(each.latest for each in wanted.aggregates)


def may_count(wanted: AggregateSet, day: date) -> list[exp.Expr]:
    """Return the conditions under which a row may count at all on the night of `day`."""
    first = wanted.first_day(day)
    since = None if first is None else exp.column(wanted.source.day, quoted=True) >= date_literal(first)
    return [condition for condition in (wanted.source.is_counted, since, _any_condition(wanted, day)) if condition is not None]


def _any_condition(wanted: AggregateSet, day: date) -> exp.Expr | None:
    """Return the condition that a row may count for any of the aggregates; None where others are looked at too, or all of them count.

    Of aggregates that are carried to the next night, rows outside of their windows tell when they change.
    """
    if wanted.is_carried:
        return None
    parts = [[part for part in (each.where, in_window(each.window, wanted.source, day)) if part is not None] for each in wanted.aggregates]
    conditions = [exp.and_(*each) if each else None for each in parts]
    alike = {each.sql("duckdb"): each for each in conditions if each is not None}
    return exp.or_(*(exp.paren(each) for each in alike.values())) if None not in conditions else None


def in_window(window: DayWindow, source: EventSource, day: date) -> exp.Expr | None:
    """Return the condition that a row lies within `window`; None where every row does."""
    column = exp.column(source.day, quoted=True)
    first, final = window.first_day(day), window.final_day(day)
    parts: list[exp.Expr] = [] if first is None else [column >= date_literal(first)]
    if final < day:  # no row counts for a later day than the night's
        parts.append(column <= date_literal(final))
    return exp.and_(*parts) if parts else None


def counted_rows(wanted: AggregateSet, day: date, among: Table | None) -> exp.Select:
    """Return the rows that may count, with the columns that anything looks at; of the customers `among` a table of ids, if one is given.

    Each condition on what came before or after is a flag, named by `sequence_flag`, and whether a row is among the latest another.
    """
    ordered = any(is_ordered(each) for each in wanted.aggregates)
    looked_at = frozenset().union(*(each.columns for each in wanted.aggregates), wanted.source.order if ordered else ())
    columns = sorted({CUSTOMER_ID, wanted.source.day, *looked_at})
    rows = _source_rows(wanted.source, among).where(*may_count(wanted, day), copy=False)
    selected = _rows_with_flags(wanted, columns, rows, among) if wanted.sequences else rows.select(*_quoted(columns), copy=False)
    ranks = [exp.alias_(_is_latest(each, wanted.source, day), flag.name, quoted=True) for each, flag in _latest_flags(wanted)]
    return exp.select("*", *ranks).from_(selected.subquery("ranked", copy=False), copy=False) if ranks else selected


def latest_flag(wanted: AggregateSet, each: Aggregate) -> exp.Column:
    """Return the column that says whether a row is among the latest ones that an aggregate counts."""
    return next(flag for other, flag in _latest_flags(wanted) if _ranked_by(other) == _ranked_by(each))


def _latest_flags(wanted: AggregateSet) -> list[tuple[Aggregate, exp.Column]]:
    """Return an aggregate for each way to rank rows, with the name of its flag."""
    alike = {_ranked_by(each): each for each in wanted.aggregates if each.latest}
    return [(each, exp.column(f"is_latest_{number}", quoted=True)) for number, each in enumerate(alike.values())]


def _ranked_by(each: Aggregate) -> tuple[int, str, str]:
    return each.latest, "" if each.where is None else each.where.sql("duckdb"), each.window.words


def _is_latest(each: Aggregate, source: EventSource, day: date) -> exp.Expr:
    """Return whether a row is among the newest of its customer for which the condition holds, in the days of the aggregate."""
    conditions = [part.copy() for part in (each.where, in_window(each.window, source, day)) if part is not None]
    counts = exp.and_(*conditions) if conditions else exp.true()
    # First those that count, then by time, as FIRST and LAST have it.
    first = exp.case().when(counts, exp.Literal.number(0)).else_(exp.Literal.number(1))
    order = [first, *(exp.Ordered(this=exp.column(name, quoted=True), desc=True, nulls_first=False) for name in source.order)]
    rank = exp.Window(this=exp.RowNumber(), partition_by=_quoted([CUSTOMER_ID]), order=exp.Order(expressions=order))
    is_latest = exp.and_(counts.copy(), exp.LTE(this=rank, expression=exp.Literal.number(each.latest)))
    return exp.case().when(is_latest, exp.true()).else_(exp.false())


def sequence_flag(wanted: AggregateSet, sequence: SequenceCondition) -> exp.Column:
    """Return the column that says whether `sequence` holds for a row."""
    return exp.column(f"holds_{_number(wanted, sequence)}", quoted=True)


def _source_rows(source: EventSource, among: Table | None) -> exp.Select:
    """Return the select from the rows of a source, without its columns."""
    ids = [] if among is None else [exp.column(CUSTOMER_ID).isin(query=exp.select(CUSTOMER_ID).from_(among.name))]
    if source.made_of is None:
        return exp.Select().from_(source.table.name).where(*ids, copy=False)
    # Whose rows are wanted is asked of the stored ones: of whole orders everybody's would have to be made first.
    made = cast("exp.Select", statement(source.name).copy()).where(*ids, copy=False)
    return exp.Select().from_(made.subquery(source.name), copy=False)


def _rows_with_flags(wanted: AggregateSet, columns: Sequence[str], rows: exp.Select, among: Table | None) -> exp.Select:
    other = wanted.other
    assert other is not None  # noqa: S101 - who asks what came before or after names its source
    kinds = {column.name: column.kind.sql for column in wanted.source.table.stored_columns}
    found = [f"found_{number}" for number, _ in enumerate(wanted.sequences)]
    as_rows = [*_quoted(columns), *_place(wanted.source, is_row=True), *(exp.alias_(exp.false(), name) for name in found)]
    of_both = {CUSTOMER_ID, *(each.same for each in wanted.sequences)}
    as_others = [
        exp.column(name, quoted=True) if name in of_both else exp.alias_(exp.cast(exp.null(), kinds[name]), name, quoted=True)
        for name in columns
    ]
    sought = (exp.alias_(_is_sought(each), name) for each, name in zip(wanted.sequences, found, strict=True))
    as_others += [*_place(other, is_row=False), *sought]
    others = _source_rows(other, among).where(*([other.is_counted] if other.is_counted else []), copy=False)
    together = union_all([rows.select(*as_rows, copy=False), others.select(*as_others, copy=False)])
    nearest = [exp.alias_(_nearest_day(each, name), f"day_{name}") for each, name in zip(wanted.sequences, found, strict=True)]
    looked = exp.select(*_quoted([*columns, _DAY, _IS_ROW]), *nearest).from_(together.subquery("together", copy=False), copy=False)
    flags = [
        exp.alias_(_flag(each, f"day_{name}"), sequence_flag(wanted, each).name, quoted=True)
        for each, name in zip(wanted.sequences, found, strict=True)
    ]
    return exp.select(*_quoted(columns), *flags).from_(looked.subquery("looked", copy=False), copy=False).where(exp.column(_IS_ROW).eq(1))


def _place(source: EventSource, *, is_row: bool) -> list[exp.Expr]:
    """Return when a row happened, and whether it is one that counts or one that is looked for."""
    return [
        exp.alias_(exp.column(source.table.instant, quoted=True), _INSTANT),
        exp.alias_(exp.column(EVENT_DAY.name, quoted=True), _DAY),
        exp.alias_(exp.Literal.number(int(is_row)), _IS_ROW),
    ]


def _is_sought(sequence: SequenceCondition) -> exp.Expression:
    conditions: list[exp.Expr] = [] if sequence.where is None else [sequence.where.copy()]
    conditions += [_is_known(sequence.same)] if sequence.same else []
    # A row of which the condition cannot tell is none that is looked for.
    return exp.case().when(exp.and_(*conditions), exp.true()).else_(exp.false()) if conditions else exp.true()


def _nearest_day(sequence: SequenceCondition, found: str) -> exp.Expression:
    """Return the day of the nearest row that was looked for, strictly after or before each row; or of the first of all before it."""
    day = exp.case().when(exp.column(found), exp.column(_DAY))
    value = exp.Max(this=day) if sequence.is_before and not sequence.is_first else exp.Min(this=day)
    # What happened at the very instant of a row comes neither before nor after it: it is put on the side that is not looked at.
    order = [exp.column(_INSTANT), exp.Ordered(this=exp.column(_IS_ROW), desc=sequence.is_before, nulls_first=False)]
    start, end = ("UNBOUNDED", "CURRENT ROW") if sequence.is_before else ("CURRENT ROW", "UNBOUNDED")
    sides = {"start_side": "PRECEDING"} if sequence.is_before else {"end_side": "FOLLOWING"}
    return exp.Window(
        this=value,
        partition_by=_quoted([CUSTOMER_ID, sequence.same] if sequence.same else [CUSTOMER_ID]),
        order=exp.Order(expressions=order),
        spec=exp.WindowSpec(kind="ROWS", start=start, end=end, **sides),
    )


def _flag(sequence: SequenceCondition, nearest: str) -> exp.Expr:
    later, earlier = (_DAY, nearest) if sequence.is_before else (nearest, _DAY)
    is_there: exp.Expr = exp.not_(exp.column(nearest).is_(exp.null()))
    if sequence.days is not None:
        apart = exp.DateDiff(this=exp.column(later), expression=exp.column(earlier), unit=exp.var("DAY"))
        is_there = exp.and_(is_there, exp.LTE(this=apart, expression=exp.Literal.number(sequence.days)))
    holds = exp.not_(exp.paren(is_there)) if sequence.is_negated else is_there
    # Of a row without the value nobody knows what happened with the same one.
    return exp.and_(_is_known(sequence.same), exp.paren(holds)) if sequence.same else holds


def _is_known(column: str) -> exp.Expr:
    return exp.not_(exp.column(column, quoted=True).is_(exp.null()))


def _number(wanted: AggregateSet, sequence: SequenceCondition) -> int:
    return [each.identity for each in wanted.sequences].index(sequence.identity)


def _quoted(names: Sequence[str]) -> list[exp.Expr]:
    return [exp.column(name, quoted=True) for name in names]
