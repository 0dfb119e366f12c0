"""What could be otherwise about one customer: for each feature that rules name, the values at and just beyond what it is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from itertools import combinations
from math import ceil, floor, isfinite
from typing import Any

from sqlglot import exp

from pipeline.definitions.proofs import CELLS
from pipeline.definitions.rules import Value, rule_value
from pipeline.definitions.schemes import Scheme
from pipeline.definitions.schemes.sql import limit_of
from pipeline.lake.tables import CUSTOMER_FEATURES, MONTHLY_FEATURES, Kind
from pipeline.reporting.explain.cluster_centres import Row
from pipeline.reporting.explain.decide import Case, Ranks

ANOTHER = chr(0x10FFFF)
"""Stands for any text that no rule names and no other customer has."""
SCORE_STEPS = 5
_SCORES: Mapping[str, tuple[str, ...]] = {"r_score": ("r_score",), "f_score": ("f_score", "fm_score"), "m_score": ("m_score", "fm_score")}
# They tell what all customers do, or what is past: nothing that one customer could do would change them alone.
_HELD = MONTHLY_FEATURES | {"customer_id", "is_prospect", "last_gap_days"}
_FEATURES = frozenset(CUSTOMER_FEATURES.column_names)
_ONLY_GROWING = frozenset(("calendar_year", "tenure_days", "gap_count", "lifetime_order_count", "lifetime_order_day_count"))
_MAY_BE_NEGATIVE = frozenset(("spend_amount", "lifetime_spend_amount", "average_order_amount"))
_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_STEPS = {Kind.INTEGER: 1, Kind.MONEY: 100, Kind.NUMBER: 100}
_SHOWN_DECIMALS = 4
_YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Change:
    """One feature that would be otherwise, with what `follows` from it; `size` is relative to what it is and would be."""

    feature: str
    before: Value
    after: Value
    size: float
    follows: Row = field(default_factory=dict)

    def applied(self, row: Row) -> Row:
        """Return `row` after the change."""
        return {**row, self.feature: self.after, **self.follows}


def changes_of(case: Case, row: Row, kinds: Mapping[str, Kind]) -> list[Change]:
    """Return the changes of one feature that may lead to another segment, the smallest first.

    `kinds` holds what `row` does. Scores change as scores can: what is known of frequency and spend follows from both.
    """
    trees = [tree for name in case.scheme.references for tree in case.by_name[name].trees] + [*case.scheme.trees]
    names = list(dict.fromkeys(column.name for tree in trees for column in tree.find_all(exp.Column, bfs=False)))
    comparisons = list(_comparisons(case, trees))
    changes = [*_score_changes(names, row), *(change for scheme, ranks in case.ranked for change in _value_changes(scheme, ranks, row))]
    for name in names:
        if name in row and not _is_held(name, row):
            values = dict.fromkeys(_values(name, kinds[name], comparisons, case.completed(row)))
            changes += [Change(name, row[name], value, _size(row[name], value)) for value in values if _is_new(name, row[name], value)]
    return sorted(changes, key=lambda change: change.size)


def changes_across(name: str, kind: Kind, root: Fraction, row: Row) -> Iterator[Change]:
    """Yield the changes of a number to the values at and just beside `root`, as far as one customer could make them."""
    if not _is_held(name, row):
        values = _numbers_at(root, name, kind)
        yield from (Change(name, row[name], value, _size(row[name], value)) for value in values if _is_new(name, row[name], value))


def _is_held(name: str, row: Row) -> bool:
    """Return whether a feature cannot change alone: who never ordered has none that could, and one that is empty follows from others."""
    if name not in _FEATURES:
        return False
    is_of_orders = name != "calendar_year"
    return name in _HELD or name.endswith("_score") or (is_of_orders and row["is_prospect"] is True) or row[name] is None


def _is_new(name: str, before: Any, after: Any) -> bool:  # noqa: ANN401  # values of any kind
    return bool(after > before if name in _ONLY_GROWING else after != before)


def _score_changes(names: Sequence[str], row: Row) -> Iterator[Change]:
    """Yield the other scores that one of recency, frequency and spend could have, the better ones first."""
    for feature, telling in _SCORES.items():
        if row.get(feature) is not None and any(name in names for name in telling):
            others = [name for name in _SCORES if name != feature]
            cells = [cell for cell in CELLS if cell[feature] != row[feature] and all(cell[name] == row[name] for name in others)]
            for cell in reversed(cells):
                follows = {} if feature == "r_score" else {"fm_score": cell["fm_score"]}
                before: Any = row[feature]
                after: Any = cell[feature]
                yield Change(feature, before, after, abs(after - before) / SCORE_STEPS, follows)


def _value_changes(scheme: Scheme, ranks: Ranks, row: Row) -> Iterator[Change]:
    """Yield the other values of the attribute that decides: the most frequent first, of tiers the next in rank."""
    name = scheme.attribute
    if _is_held(name, row):
        return
    own = ranks.standing(row[name])
    values = [value for _, value in ranks.order]
    if scheme.kind == "value_tiers" and own is not None:
        places = {value: abs(place - own.place) for place, value in enumerate(values, 1)}
        values.sort(key=places.__getitem__)
    yield from (Change(name, row[name], value, 1) for value in [*values, ANOTHER] if value != row[name])


def _comparisons(case: Case, trees: Iterable[exp.Expr]) -> Iterator[exp.Expr]:
    """Yield everything that is compared, as two sides; where the highest score decides, also scores with each other."""
    for tree in trees:
        yield from tree.find_all(*_COMPARISONS)
        for node in tree.find_all(exp.In):
            yield from (exp.EQ(this=node.this, expression=choice) for choice in node.expressions)
    scores = [s.score for s in case.scheme.segments if s.score is not None]
    yield from (exp.GT(this=left, expression=right) for left, right in combinations([*scores, limit_of(case.scheme.floor)], 2))


def _values(name: str, kind: Kind, comparisons: Iterable[exp.Expr], row: Row) -> Iterator[Value]:
    if kind is Kind.FLAG:
        yield not row[name]
        return
    for node in comparisons:
        if any(column.name == name for column in node.find_all(exp.Column)):
            yield from _beside(node, name, kind, row) if kind in _STEPS else _opposite(node, name, row)
    if kind is Kind.TEXT:
        yield ANOTHER


def _opposite(node: exp.Expr, name: str, row: Row) -> Iterator[Value]:
    """Yield the text, or the days around the date, that a column is compared with."""
    for side, other in ((node.this, node.expression), (node.expression, node.this)):
        if any(column.name == name for column in side.find_all(exp.Column)):
            value = rule_value(other, row)
            if isinstance(value, date):
                yield from (date.fromordinal(value.toordinal() + days) for days in (-1, 0, 1) if date.min < value < date.max)
            elif isinstance(value, str):
                yield value


def _beside(node: exp.Expr, name: str, kind: Kind, row: Row) -> Iterator[Value]:
    """Yield the numbers at and beside the one that makes both sides equal, no finer than people would write them."""
    root = _root(node, name, row)
    if root is not None:
        yield from _numbers_at(root, name, kind)


def _numbers_at(root: Fraction, name: str, kind: Kind) -> Iterator[Value]:
    steps = _STEPS[kind]
    scaled = root * steps
    numbers = [Fraction(number, steps) for number in (ceil(scaled) - 1, floor(scaled), ceil(scaled), floor(scaled) + 1)]
    if kind is not Kind.INTEGER and round(root, _SHOWN_DECIMALS) == root:
        numbers.append(root)
    yield from (_as_kind(kind, number) for number in numbers if _is_possible(name, number))


def _root(node: exp.Expr, name: str, row: Row) -> Fraction | None:
    """Return the value of `name` at which both sides are equal, as far as they differ in proportion to it."""
    at_nought, at_one = (_difference(node, {**row, name: value}) for value in (0, 1))
    if at_nought is None or at_one is None or at_nought == at_one:
        return None
    return at_nought / (at_nought - at_one)


def _difference(node: exp.Expr, row: Row) -> Fraction | None:
    sides: list[Any] = [rule_value(side, row) for side in (node.this, node.expression)]
    if not all(isinstance(side, int | float | Fraction) and isfinite(side) for side in sides):
        return None
    return Fraction(sides[0]) - Fraction(sides[1])


def _is_possible(name: str, number: Fraction) -> bool:
    if name not in _FEATURES:
        return True
    return (number >= 0 or name in _MAY_BE_NEGATIVE) and (number <= 1 or not name.endswith("_share"))


def _as_kind(kind: Kind, number: Fraction) -> Value:
    return int(number) if kind is Kind.INTEGER else float(number) if kind is Kind.NUMBER else number


def _size(before: Any, after: Any) -> float:  # noqa: ANN401  # a value of any kind
    """Return how large a change is: of numbers relative to the larger one, of days to a year, else 1."""
    if isinstance(before, date) and isinstance(after, date):
        return abs((after - before) / _YEAR)
    if isinstance(before, bool | str | None) or not isfinite(before):
        return 1.0
    return abs(float(after) - float(before)) / max(abs(float(before)), abs(float(after)))
