"""The first of many rules that holds, found by cutting customers in two over and over until few rules are left to compare.

A case of a thousand rules compares everybody with all that come before their own. What a rule needs of a column, such as a spend
between 100 and 200, says on which side of a limit it can hold: cut at limits, over and over, few rules are left to compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from pipeline.definitions.proofs import compared
from pipeline.definitions.schemes.decision_ranges import Axes, Range, ranges_of

FEW_RULES = 16  # compared one after the other as fast as cut in two
_NEVER_BELOW, _NEVER_ABOVE = -1, 1 << 30  # places before and after those of all limits
_ANY = (_NEVER_BELOW, _NEVER_ABOVE)
_MOST_COPIES = 1.5  # a cut that leaves more rules on both sides together, for each before, gains too little


@dataclass(frozen=True, slots=True)
class Choice:
    """A condition and what it chooses.

    `ranges` are the places, among the limits of a column in order, of those from which on, and up to which, the condition can hold: from
    a place to before the next one. Where it is one comparison of the column `alone`, it holds of everybody below the limit at the place
    `below`, or from the one at `above` on.
    """

    condition: exp.Expr
    chosen: exp.Expr
    ranges: Mapping[str, tuple[int, int]]
    alone: str
    below: int
    above: int


@dataclass(frozen=True, slots=True)
class Limits:
    """The columns that conditions compare, and for each the limits in order as they are written."""

    sides: Mapping[str, exp.Expr]
    nodes: Mapping[str, Sequence[exp.Expr]]


@dataclass(frozen=True, slots=True)
class Cut:
    """A column compared with the limit at a place; who is below it, or else who is not, is on the side `held`, who has no value never."""

    name: str
    place: int
    is_below: bool
    held: Tree
    rest: Tree

    @property
    def operator(self) -> type[exp.Binary]:
        """The comparison that holds of those on the side `held`."""
        return exp.LT if self.is_below else exp.GTE


Tree = Cut | Sequence[Choice]


def choices_of(pairs: Sequence[tuple[exp.Expr, exp.Expr]]) -> tuple[Sequence[Choice], Limits]:
    """Return `pairs` of a condition and what it chooses, with what the conditions need of columns."""
    axes: Axes = {}
    needed = [ranges_of(condition, axes) for condition, _ in pairs]
    ordered = {name: sorted(axis.limits) for name, axis in axes.items()}
    places = {name: {value: place for place, value in enumerate(values)} for name, values in ordered.items()}
    choices = [_choice(*pair, ranges, places) for pair, ranges in zip(pairs, needed, strict=True)]
    nodes = {name: [axes[name].limits[value] for value in values] for name, values in ordered.items()}
    return choices, Limits({name: axis.side for name, axis in axes.items()}, nodes)


def _choice(condition: exp.Expr, chosen: exp.Expr, ranges: Mapping[str, Range], places: Mapping[str, Mapping[Any, int]]) -> Choice:
    found = {
        name: (
            _NEVER_BELOW if needed.low is None else places[name][needed.low],
            _NEVER_ABOVE if needed.high is None else places[name][needed.high[0]] - (not needed.high[1]),
        )
        for name, needed in ranges.items()
    }
    return Choice(condition, chosen, found, *_alone(condition, found))


def _alone(condition: exp.Expr, ranges: Mapping[str, tuple[int, int]]) -> tuple[str, int, int]:
    found = compared(condition) if isinstance(condition, exp.LT | exp.LTE | exp.GT | exp.GTE) else None
    if found is None or not ranges:
        return "", _NEVER_BELOW, _NEVER_ABOVE
    [(name, (low, high))] = ranges.items()
    if found[1] in (exp.LT, exp.LTE):
        return name, high if found[1] is exp.LTE else high + 1, _NEVER_ABOVE
    return name, _NEVER_BELOW, low if found[1] is exp.GTE else low + 1


def tree_of(choices: Sequence[Choice], limits: Limits, few: int) -> Tree:
    """Return the tree that cuts until `few` choices are left, or no cut is worth it."""
    found = _best_cut(choices, limits) if len(choices) > few else None
    if found is None:
        return choices
    held, rest = (tree_of(side, limits, few) for side in (found.held, found.rest))
    return Cut(found.name, found.place, found.is_below, held, rest)


def cases_of(tree: Tree, limits: Limits, otherwise: exp.Expr | None) -> exp.Case:
    """Return the expression that gives what the first condition that holds chooses, else `otherwise`, else nothing."""
    case = exp.Case()
    if isinstance(tree, Cut):
        condition = tree.operator(this=limits.sides[tree.name].copy(), expression=limits.nodes[tree.name][tree.place].copy())
        case.when(condition, cases_of(tree.held, limits, otherwise), copy=False)
        return case.else_(cases_of(tree.rest, limits, otherwise), copy=False)
    for choice in tree:
        case.when(choice.condition.copy(), choice.chosen.copy(), copy=False)  # in place: a case would be copied for each rule
    return case if otherwise is None else case.else_(otherwise.copy(), copy=False)


def sorted_for(tree: Tree, limits: Limits, relation: exp.Expression) -> exp.Expression:
    """Return `relation` in the order of the column that a tree cuts first: engines compare a whole batch with each rule that one meets."""
    if not isinstance(tree, Cut):
        return relation
    return exp.select("*").from_(relation).order_by(limits.sides[tree.name].copy()).subquery("in_order")


@dataclass(frozen=True, slots=True)
class _Found:
    """A cut, with the choices that can hold on both sides of it."""

    name: str
    place: int
    is_below: bool
    held: Sequence[Choice]
    rest: Sequence[Choice]

    @property
    def size(self) -> int:
        return max(len(self.held), len(self.rest))


def _best_cut(choices: Sequence[Choice], limits: Limits) -> _Found | None:
    """Return the cut that leaves the fewest rules on its larger side; None where none is worth it."""
    names = dict.fromkeys(name for choice in choices for name in choice.ranges)
    cuts = [cut for name in names for cut in _cuts(choices, name, len(limits.nodes[name]))]
    worth = [cut for cut in cuts if cut.size < len(choices) and len(cut.held) + len(cut.rest) <= _MOST_COPIES * len(choices)]
    return min(worth, key=lambda cut: cut.size, default=None)


def _cuts(choices: Sequence[Choice], name: str, count: int) -> Sequence[_Found]:
    """Return both ways to cut a column at the middle of its rules' limits.

    Who has no value is on neither side of it: no rule that needs one holds for them, wherever they are compared.
    """
    needed = [choice.ranges.get(name, _ANY) for choice in choices]
    places = sorted({place for low, high in needed for place in (low, high + 1) if 0 <= place < count})
    if not places:
        return ()
    at = places[len(places) // 2]
    below = [choice for choice, (low, _) in zip(choices, needed, strict=True) if low < at]
    above = [choice for choice, (_, high) in zip(choices, needed, strict=True) if high >= at]
    sure_below = [choice.below >= at and choice.alone == name for choice in below]
    sure_above = [choice.above <= at and choice.alone == name for choice in above]
    return (
        _Found(name, at, is_below=True, held=_until_sure(below, sure_below), rest=above),
        _Found(name, at, is_below=False, held=_until_sure(above, sure_above), rest=below),
    )


def _until_sure(choices: Sequence[Choice], sure: Sequence[bool]) -> Sequence[Choice]:
    """Return the choices up to the first that is sure: nobody gets past it."""
    return choices[: sure.index(True) + 1] if True in sure else choices
