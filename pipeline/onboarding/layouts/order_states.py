"""What the state of an order says: which rows count, which are called off or not paid, and what was given back. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pipeline.onboarding.column_names import (
    answer_of,
    answers,
    is_delivery_name,
    is_paid_name,
    is_sale_kind,
    is_total,
    state_of,
    usual_states,
)
from pipeline.onboarding.date_formats import date_format
from pipeline.onboarding.layouts.layout import TableReading, quoted_text
from pipeline.onboarding.number_styles import number_style
from pipeline.onboarding.questions import Choice
from pipeline.onboarding.roles import plain_name
from pipeline.onboarding.table_sample import ColumnSample

_MOST_STATES = 20
_LONGEST_STATE = 40
_OF_PIECES = re.compile(r"\b(quantity|qty|count|number|pieces|items?|units|menge|anzahl|stuck\w*|adet|quantite|cantidad|quantita|aantal)\b")
COUNTS, LEFT_OUT, _GIVEN_BACK, _NEGATIVE = "counts", "left-out", "given-back", "negative"
_CHOICES = (
    Choice(COUNTS, "these rows are sales"),
    Choice(LEFT_OUT, "they are kept and count nowhere"),
    Choice(_GIVEN_BACK, "they are sales that were given back in full"),
)
_OF_A_KIND = (
    Choice(_NEGATIVE, "each is itself money that was given back, and is taken off"),
    Choice(_GIVEN_BACK, "each is a sale that was given back: nothing is left of it"),
)
_SAID = {
    COUNTS: "count",
    LEFT_OUT: "are kept and count nowhere",
    _GIVEN_BACK: "are sales of which nothing is left, as they were given back",
    _NEGATIVE: "are taken off",
}
_EFFECTS = {"called_off": LEFT_OUT, "unpaid": LEFT_OUT, "given_back": _GIVEN_BACK, "given_back_in_part": COUNTS, "counts": COUNTS}


@dataclass(frozen=True, slots=True)
class OrderStates:
    """Conditions in SQL; empty where no row meets them.

    Rows that are `cancelled` count nowhere, of those `given_back` nothing is left, and those that are `negative` are taken off. `flags` are
    the columns that are named after a state.
    """

    cancelled: str = ""
    given_back: str = ""
    negative: str = ""
    flags: tuple[str, ...] = ()


def state_columns(reading: TableReading, named: Iterable[str], taken: Container[str]) -> list[str]:
    """Return the columns that say in which state orders are: those `named` so, and those whose values are words for states."""
    by_name = [name for name in named if len(reading.column(name).counts) <= _MOST_STATES]
    by_value = [each.name for each in reading.sample.columns() if each.name not in taken and _has_states(each)]
    return list(dict.fromkeys([*by_name, *by_value]))


def _has_states(column: ColumnSample) -> bool:
    values = [value for value in column.counts if not is_total(value)]
    if not 1 < len(values) <= _MOST_STATES or max(map(len, values)) > _LONGEST_STATE or number_style(values) or date_format(values):
        return False
    kinds = [state_of(plain_name(value)) for value in values]
    return 2 * sum(map(bool, kinds)) >= len(kinds) and not {*kinds} <= {"counts", ""}


def read_states(reading: TableReading, columns: Sequence[str], amount: str, taken: Container[str]) -> OrderStates:
    """Return which rows count, by these columns and by those not `taken` that are named after a state, such as `Cancelled`.

    What is not known of a value is asked. `amount` is the column of what was paid.
    """
    flags = [column for column in reading.sample.columns() if column.name not in taken and _flag_effects(column)]
    conditions = _read_flags(reading, flags)
    for column in columns:
        by_effect: dict[str, list[str]] = defaultdict(list)
        signs = _signs(reading, column, amount)
        for value in reading.column(column).values:
            if not is_total(value):
                by_effect[_effect(reading, column, value, signs.get(value, 1))].append(value)
        say_states(reading, column, by_effect)
        for effect, values in by_effect.items():
            conditions[effect].append(f"COALESCE({reading.text(column)} IN ({', '.join(map(quoted_text, values))}), FALSE)")
        for effect, values in _later_states(reading, column, signs).items():
            conditions[effect].append(f"COALESCE(lower({reading.text(column)}) IN ({', '.join(map(quoted_text, values))}), FALSE)")
    cancelled, given_back, negative = (" OR ".join(conditions.get(effect, ())) for effect in (LEFT_OUT, _GIVEN_BACK, _NEGATIVE))
    return OrderStates(cancelled, given_back, negative, tuple(column.name for column in flags))


def _later_states(reading: TableReading, column: str, signs: Mapping[str, int]) -> dict[str, list[str]]:
    """Return by its effect what a later export may have in this column of states, and this one has not."""
    seen = reading.column(column).counts
    if min(signs.values(), default=1) < 0 or any(is_sale_kind(plain_name(value)) for value in seen):
        return {}  # rows of several kinds: what another one means is not in its words alone
    usual = usual_states(seen)
    if is_delivery_name(plain_name(column)):
        usual.pop("unpaid", None)
    found: dict[str, list[str]] = {}
    for kind, values in usual.items():
        if values and _EFFECTS[kind] != COUNTS:
            found.setdefault(_EFFECTS[kind], []).extend(values)
    return found


def _flag_effects(column: ColumnSample) -> dict[str, str]:
    """Return what `yes`, `no` or a date mean in a column that is named after a state: `Cancelled`, `Paid`, `Cancelled at`."""
    plain, values = plain_name(column.name), column.counts
    effect = _EFFECTS.get(state_of(plain), "")
    is_count = number_style(values) is not None and (plain.endswith("s") or _OF_PIECES.search(plain) is not None)
    if is_count or (effect in {COUNTS, ""} and not is_paid_name(plain)):
        return {}
    if values and all(answer_of(value) for value in values):
        return {"no": LEFT_OUT} if is_paid_name(plain) else {"yes": effect}
    if not date_format(values):
        return {}
    return {"blank": LEFT_OUT} if is_paid_name(plain) else {"date": effect} if effect in {LEFT_OUT, _GIVEN_BACK} else {}


def _read_flags(reading: TableReading, flags: Iterable[ColumnSample]) -> dict[str, list[str]]:
    """Return the conditions of each effect by columns named after a state, and say how many rows meet them."""
    found: dict[str, list[str]] = defaultdict(list)
    for column in flags:
        for meaning, usual in _flag_effects(column).items():
            text = reading.text(column.name)
            if meaning in {"yes", "no"}:
                condition = f"COALESCE(lower({text}) IN ({', '.join(map(quoted_text, answers(meaning)))}), FALSE)"
                rows = sum(count for value, count in column.counts.items() if answer_of(value) == meaning)
            else:
                condition = f"{text} IS {'NOT ' if meaning == 'date' else ''}NULL"
                rows = column.given_count if meaning == "date" else column.row_count - column.given_count
            others = [each.value for each in _CHOICES if each.value != usual]
            effect = reading.option(reading.value_key("status", column.name), usual, others)
            found[effect].append(condition)
            given = {"date": "has a date", "blank": "is empty"}.get(meaning, f"is `{meaning}`")
            reading.assume(f"{reading.table}: rows of which `{column.name}` {given} ({rows:,}) {_SAID[effect]}.")
    return found


def _effect(reading: TableReading, column: str, value: str, sign: int) -> str:
    plain = plain_name(value)
    kind = state_of(plain)
    key = reading.value_key("status", value)
    count = reading.column(column).counts[value]
    rows = f"{reading.table}: {count:,} row{' has' if count == 1 else 's have'} the `{column}` `{value}`."
    is_kind = any(is_sale_kind(plain_name(each)) for each in reading.column(column).counts)
    if sign < 0 and kind in {"called_off", "given_back", "given_back_in_part"}:
        return COUNTS  # such a row takes off by itself what another one added
    if kind == "given_back" and is_kind:
        return reading.choose(key, f"{rows} Is each money that was given back, or a sale that was?", _OF_A_KIND) or _NEGATIVE
    if kind == "unpaid" and is_delivery_name(plain_name(column)):
        kind = "counts"
    if not kind:
        # What most rows are are sales; of a rarer state nothing speaks for an answer.
        is_usual = 2 * count > reading.sample.rows.num_rows
        return reading.choose(key, f"{rows} Do they count?", _CHOICES, is_likeliest_known=is_usual) or COUNTS
    return reading.option(key, _EFFECTS[kind], [each.value for each in _CHOICES if each.value != _EFFECTS[kind]])


def _signs(reading: TableReading, column: str, amount: str) -> Mapping[str, int]:
    """Return for each value -1 where no amount of its rows is above zero, and one is below; else 1."""
    if not amount:
        return {}
    style = reading.style(amount)
    seen: dict[str, list[Decimal]] = defaultdict(list)
    for value, cell in reading.sample.records((column, amount)):
        if value and cell:
            seen[value].append(style.number(cell))
    return {value: -1 if max(numbers) <= 0 and min(numbers) < 0 else 1 for value, numbers in seen.items()}


def say_states(reading: TableReading, column: str, by_effect: Mapping[str, Sequence[str]]) -> None:
    """Say how many rows have each state of a column, and what becomes of them; `by_effect` has the states."""
    counts = reading.column(column).counts
    parts = [
        f"{', '.join(f'{value} ({counts[value]:,})' for value in by_effect[effect])} {words}"
        for effect, words in _SAID.items()
        if by_effect.get(effect)
    ]
    blank = reading.sample.rows.num_rows - reading.column(column).given_count
    if parts:
        reading.assume(f"{reading.table}: by `{column}`, rows that are {'; '.join(parts)}{'; those without one count' if blank else ''}.")
