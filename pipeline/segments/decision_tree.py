"""The first of many rules that holds, as a tree of cases: a customer is compared with the few rules that can hold of them.

A case of a thousand rules compares everybody with all that come before their own. What a rule needs of a column, such as a spend
between 100 and 200, says on which side of a limit it can hold: cut at limits, over and over, few rules are left to compare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from pipeline.proofs import compared, is_plain
from pipeline.rules import rule_value

FEW_RULES = 16  # compared one after the other as fast as cut in two
_MOST_COPIES = 1.5  # a cut that leaves more rules on both sides together, for each before, gains too little


@dataclass(frozen=True, slots=True, order=True)
class _Limit:
    """A constant, and how the rule writes it."""

    value: Any
    node: exp.Expr = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Range:
    """What a rule needs of a column, as it is read there: a value from `low` to `high`, both included; None is no limit."""

    side: exp.Expr
    low: _Limit | None
    high: _Limit | None


@dataclass(frozen=True, slots=True)
class _Choice:
    """A condition and what it chooses, with the ranges that it needs by the text of their side, and itself where it is one comparison."""

    condition: exp.Expr
    chosen: exp.Expr
    ranges: Mapping[str, _Range]
    comparison: tuple[str, type[exp.Expr], Any] | None

    @classmethod
    def of(cls, condition: exp.Expr, chosen: exp.Expr) -> _Choice:
        found = compared(condition)
        return cls(condition, chosen, _ranges(condition), found and (found[0].sql(), *found[1:]))


@dataclass(frozen=True, slots=True)
class _Cut:
    """A comparison of one column, and the rules that can hold where it does and where it does not, or nothing is known."""

    condition: exp.Expr
    held: Sequence[_Choice]
    rest: Sequence[_Choice]

    @property
    def size(self) -> int:
        return max(len(self.held), len(self.rest))


def first_of(choices: Sequence[tuple[exp.Expr, exp.Expr]], otherwise: exp.Expr | None) -> exp.Expression:
    """Return the expression that gives what the first condition that holds chooses, else `otherwise`, else nothing.

    `choices` are pairs of a condition and what it chooses.
    """
    return _tree([_Choice.of(condition, chosen) for condition, chosen in choices], otherwise)


def sorted_for(chosen: exp.Expression, relation: exp.Expression) -> exp.Expression:
    """Return `relation` in the order of the column that a tree cuts first: engines compare a whole batch with each rule that one meets."""
    first, *others = chosen.args.get("ifs", [None])
    if others or first is None or not isinstance(first.args["true"], exp.Case):
        return relation
    return exp.select("*").from_(relation).order_by(first.this.this.copy()).subquery("in_order")


def _tree(choices: Sequence[_Choice], otherwise: exp.Expr | None) -> exp.Expression:
    cut = _best_cut(choices) if len(choices) > FEW_RULES else None
    case = exp.Case()
    if cut is not None:
        case.when(cut.condition, _tree(cut.held, otherwise), copy=False)
        return case.else_(_tree(cut.rest, otherwise), copy=False)
    for choice in choices:
        case.when(choice.condition.copy(), choice.chosen.copy(), copy=False)  # in place: a case would be copied for each rule
    return case if otherwise is None else case.else_(otherwise.copy(), copy=False)


def _best_cut(choices: Sequence[_Choice]) -> _Cut | None:
    """Return the cut that leaves the fewest rules on its larger side; None where none is worth it."""
    names = dict.fromkeys(name for choice in choices for name in choice.ranges)
    cuts = [cut for name in names for cut in _cuts(choices, name)]
    worth = [cut for cut in cuts if cut.size < len(choices) and len(cut.held) + len(cut.rest) <= _MOST_COPIES * len(choices)]
    return min(worth, key=lambda cut: cut.size, default=None)


def _cuts(choices: Sequence[_Choice], name: str) -> tuple[_Cut, _Cut]:
    """Return both ways to cut a column at the middle of its rules' limits.

    Who has no value is on neither side of it: no rule that needs one holds for them, wherever they are compared.
    """
    ranges = [choice.ranges[name] for choice in choices if name in choice.ranges]
    limits = sorted({each.value: each for one in ranges for each in (one.low, one.high) if each is not None}.values())
    side, at = ranges[0].side, limits[len(limits) // 2]
    below = [choice for choice in choices if _is_low(choice.ranges.get(name), at)]
    above = [choice for choice in choices if _is_high(choice.ranges.get(name), at)]
    is_below, is_above = (operator(this=side.copy(), expression=at.node.copy()) for operator in (exp.LT, exp.GTE))
    sure_below = [choice.comparison is not None and _holds_below(name, at, *choice.comparison) for choice in below]
    sure_above = [choice.comparison is not None and _holds_from(name, at, *choice.comparison) for choice in above]
    return _Cut(is_below, _until_sure(below, sure_below), above), _Cut(is_above, _until_sure(above, sure_above), below)


def _is_low(needed: _Range | None, at: _Limit) -> bool:
    return needed is None or needed.low is None or needed.low < at


def _is_high(needed: _Range | None, at: _Limit) -> bool:
    return needed is None or needed.high is None or needed.high >= at


def _until_sure(choices: Sequence[_Choice], sure: Sequence[bool]) -> Sequence[_Choice]:
    """Return the choices up to the first that is sure: nobody gets past it."""
    return choices[: sure.index(True) + 1] if True in sure else choices


def _holds_below(name: str, at: _Limit, side: str, operator: type[exp.Expr], limit: Any) -> bool:  # noqa: ANN401
    """Return whether a comparison holds of everybody whose value of `name` is below `at`."""
    return side == name and operator in (exp.LT, exp.LTE) and bool(limit >= at.value)


def _holds_from(name: str, at: _Limit, side: str, operator: type[exp.Expr], limit: Any) -> bool:  # noqa: ANN401
    """Return whether a comparison holds of everybody whose value of `name` is `at` or more."""
    return side == name and ((operator is exp.GTE and bool(limit <= at.value)) or (operator is exp.GT and bool(limit < at.value)))


def _ranges(condition: exp.Expr) -> Mapping[str, _Range]:
    """Return the ranges without which `condition` does not hold, by the text of their side."""
    if isinstance(condition, exp.Paren):
        return _ranges(condition.this)
    if isinstance(condition, exp.And):
        return _all_of([_ranges(part) for part in condition.flatten(unnest=False)])
    if isinstance(condition, exp.Or):
        return _any_of([_ranges(part) for part in condition.flatten(unnest=False)])
    found = _listed(condition) if isinstance(condition, exp.In) else _compared(condition)
    return {found.side.sql(): found} if found and is_plain(found.side) else {}


def _listed(node: exp.In) -> _Range | None:
    limits = [_Limit(rule_value(choice, {}), choice) for choice in node.expressions]
    return None if any(isinstance(limit.value, bool) for limit in limits) else _Range(node.this, min(limits), max(limits))


def _compared(node: exp.Expr) -> _Range | None:
    found = compared(node)
    if found is None or isinstance(found[2], bool):
        return None
    side, operator, value = found
    limit = _Limit(value, node.expression if side is node.this else node.this)
    low = limit if operator in (exp.EQ, exp.GT, exp.GTE) else None
    high = limit if operator in (exp.EQ, exp.LT, exp.LTE) else None
    return _Range(side, low, high) if low or high else None


def _all_of(parts: Sequence[Mapping[str, _Range]]) -> Mapping[str, _Range]:
    found: dict[str, _Range] = {}
    for name, needed in (item for part in parts for item in part.items()):
        other = found.get(name, needed)
        found[name] = _Range(needed.side, _narrower(max, other.low, needed.low), _narrower(min, other.high, needed.high))
    return found


def _narrower(choose: Callable[[Sequence[_Limit]], _Limit], *limits: _Limit | None) -> _Limit | None:
    known = [limit for limit in limits if limit is not None]
    return choose(known) if known else None


def _any_of(parts: Sequence[Mapping[str, _Range]]) -> Mapping[str, _Range]:
    """Return what every one of `parts` needs: from the lowest of their limits to the highest."""
    found: dict[str, _Range] = {}
    for name in (name for name in parts[0] if all(name in part for part in parts)):
        low = _wider(min, [part[name].low for part in parts])
        high = _wider(max, [part[name].high for part in parts])
        if low or high:
            found[name] = _Range(parts[0][name].side, low, high)
    return found


def _wider(choose: Callable[[Sequence[_Limit]], _Limit], limits: Sequence[_Limit | None]) -> _Limit | None:
    known = [limit for limit in limits if limit is not None]
    return choose(known) if len(known) == len(limits) else None
