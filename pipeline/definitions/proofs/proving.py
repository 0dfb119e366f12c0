"""Which rules can never decide anything, tried on every case that they can tell apart.

Cases are the cells of an array with an axis for each column that is compared with constants, one for all scores together, and
one for each comparison of features with each other, which is taken to be true, false or unknown of anybody.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from math import prod
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sqlglot import exp

from pipeline.definitions.proofs.domains import SCORE_AXIS, Atom, Cell, Domains, atom_of, cases, compared, is_open
from pipeline.definitions.rules import Value, rule_value
from pipeline.errors import ConfigError

MOST_CELLS = 200_000
FEW_CASES = 8
Truths = npt.NDArray[np.int8]
_FALSE, _UNKNOWN, _TRUE = 0, 1, 2
_TRUTHS = (_FALSE, _UNKNOWN, _TRUE)

Method = Literal["enumeration", "intervals", "features"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A segment's id, the condition it takes, or None for everybody left over, and the place that messages name."""

    segment: str
    condition: exp.Expr | None
    place: str


@dataclass(frozen=True, slots=True)
class Proof:
    """How a scheme was proven: by all combinations of scores, by intervals, or, for `undecided` segments, by nothing but customers."""

    method: Method
    undecided: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Grid:
    """The axes of some conditions, and the cases along each; `orders` keeps what was read of a column along its axis."""

    cases: Mapping[str, Sequence[Cell]]
    orders: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return prod(len(along) for along in self.cases.values())


def require_proven(rules: Sequence[Rule], domains: Domains, *, where: str, is_ordered: bool) -> Proof:
    """Return how it is proven that everybody gets one segment, and that every one of them can get somebody; raise ConfigError else.

    Where `is_ordered`, the first rule that holds decides, so that an earlier one can hide a later one.
    """
    for rule in rules[:-1]:
        if rule.condition is None:
            todo = "Move it to the end."
            raise ConfigError(f"`otherwise` of `{rule.segment}` hides the segments after it", where=rule.place, todo=todo)
    conditions = [rule.condition for rule in rules if rule.condition is not None]
    grid = _grid(conditions, domains)
    if not is_ordered:
        return _proven_one_by_one(rules, domains, where, _method(grid))
    if grid.size > MOST_CELLS:
        return _proven_one_by_one(rules, domains, where, "features")
    taken = np.zeros([len(along) for along in grid.cases.values()], dtype=bool)
    for index, condition in enumerate(conditions):
        holds = _truths(condition, grid) == _TRUE
        if not (holds & ~taken).any():
            raise _never(rules, index, _hiding(conditions[:index], np.broadcast_to(holds, taken.shape), grid))
        taken |= holds
    _require_remainder(rules, taken, grid, where)
    return Proof(_method(grid), tuple(rule.segment for rule in rules if rule.condition is not None and _is_undecided(rule.condition)))


def _proven_one_by_one(rules: Sequence[Rule], domains: Domains, where: str, method: Method) -> Proof:
    """Prove of each rule alone that it can hold: where the best score decides, or where there are too many cases for all together."""
    if rules[-1].condition is not None:
        todo = "End with a segment that has `otherwise = true`."
        raise ConfigError("it cannot be proven that nobody is left over", where=where, todo=todo)
    undecided = []
    for index, rule in enumerate(rules[:-1]):
        condition = rule.condition or exp.true()
        grid = _grid([condition], domains)
        if grid.size > MOST_CELLS or _is_undecided(condition):
            undecided.append(rule.segment)
        elif not (_truths(condition, grid) == _TRUE).any():
            raise _never(rules, index, set())
    return Proof(method, tuple(undecided))


def _is_undecided(condition: exp.Expr) -> bool:
    return any(is_open(atom.axis) for atom in _atoms(condition))


def _grid(conditions: Sequence[exp.Expr], domains: Domains) -> _Grid:
    by_axis: dict[str, list[exp.Expr]] = {}
    for condition in conditions:
        for atom in _atoms(condition):
            by_axis.setdefault(atom.axis, []).append(atom.node)
    return _Grid({axis: [{}] * len(_TRUTHS) if is_open(axis) else cases(axis, nodes, domains) for axis, nodes in by_axis.items()})


def _atoms(condition: exp.Expr) -> list[Atom]:
    if isinstance(condition, exp.Connector):
        return [atom for part in condition.flatten(unnest=False) for atom in _atoms(part)]
    if isinstance(condition, exp.Not | exp.Paren):
        return _atoms(condition.this)
    return [atom_of(condition)]


def _truths(condition: exp.Expr, grid: _Grid) -> Truths:
    """Return 2 where `condition` holds, 1 where it is unknown and 0 where it does not, with the grid's number of dimensions."""
    if isinstance(condition, exp.Connector):
        parts = (_truths(part, grid) for part in condition.flatten(unnest=False))
        return reduce(np.minimum if isinstance(condition, exp.And) else np.maximum, parts)
    if isinstance(condition, exp.Paren):
        return _truths(condition.this, grid)
    if isinstance(condition, exp.Not):
        return np.asarray(_TRUE - _truths(condition.this, grid), dtype=np.int8)
    atom = atom_of(condition)
    along = _along(atom, grid)
    shape = [len(along) if axis == atom.axis else 1 for axis in grid.cases]
    return (np.asarray(_TRUE - along, dtype=np.int8) if atom.is_negated else along).reshape(shape)


def _along(atom: Atom, grid: _Grid) -> Truths:
    """Return the truth of an atom for each case of its axis."""
    along = grid.cases[atom.axis]
    if is_open(atom.axis):
        return np.array(_TRUTHS, dtype=np.int8)
    comparison = compared(atom.node) if len(along) > FEW_CASES and atom.axis != SCORE_AXIS else None
    if comparison is not None:
        return _along_order(*comparison, atom.axis, grid)
    values = (rule_value(atom.node, cell) for cell in along)
    return np.array([_UNKNOWN if value is None else _TRUE if value else _FALSE for value in values], dtype=np.int8)


def _along_order(side: exp.Expr, operator: type[exp.Expr], constant: Value, axis: str, grid: _Grid) -> Truths:
    """Return the same by the place of the constant among the cases, which are in order with nothing at the end: rules can be many."""
    name = f"{axis} {side.sql()}"
    if name not in grid.orders:
        grid.orders[name] = [value for value in (rule_value(side, cell) for cell in grid.cases[axis]) if value is not None]
    known = grid.orders[name]
    truths = np.full(len(grid.cases[axis]), _UNKNOWN, dtype=np.int8)
    low, high = bisect_left(known, constant), bisect_right(known, constant)
    is_below, is_equal = operator in (exp.LT, exp.LTE, exp.NEQ), operator in (exp.EQ, exp.LTE, exp.GTE)
    is_above = operator in (exp.GT, exp.GTE, exp.NEQ)
    truths[:low], truths[low:high], truths[high : len(known)] = _TRUE * is_below, _TRUE * is_equal, _TRUE * is_above
    return truths


def _hiding(earlier: Sequence[exp.Expr], holds: npt.NDArray[np.bool_], grid: _Grid) -> set[int]:
    """Return which of the `earlier` rules take a cell that they leave to nobody else."""
    left, hiding = holds.copy(), set()
    for index, condition in enumerate(earlier):
        takes = left & (_truths(condition, grid) == _TRUE)
        if takes.any():
            hiding.add(index)
            left &= ~takes
    return hiding


def _never(rules: Sequence[Rule], index: int, hiding: set[int]) -> ConfigError:
    names = ", ".join(f"`{rules[earlier].segment}`" for earlier in sorted(hiding))
    reason = f"{names} comes first wherever its rule holds" if names else "its rule never holds"
    todo = "Narrow the earlier rule, move this segment up, or delete it." if names else "Mend the rule, or delete the segment."
    return ConfigError(f"nobody can ever be in `{rules[index].segment}`: {reason}", where=rules[index].place, todo=todo)


def _require_remainder(rules: Sequence[Rule], taken: npt.NDArray[np.bool_], grid: _Grid, where: str) -> None:
    has_otherwise = rules[-1].condition is None
    if has_otherwise and taken.all():
        text = f"nobody can ever be in `{rules[-1].segment}`: the rules leave nobody over"
        raise ConfigError(text, where=rules[-1].place, todo="Delete the segment.")
    if not has_otherwise and not taken.all():
        left = np.unravel_index(int(np.argmin(taken)), taken.shape)
        todo = "End with a segment that has `otherwise = true`."
        raise ConfigError(f"the rules may leave customers without a segment, such as one with {_words(left, grid)}", where=where, todo=todo)


def _words(cell: Sequence[Any], grid: _Grid) -> str:
    facts: list[str] = []
    for (axis, along), place in zip(grid.cases.items(), cell, strict=True):
        if is_open(axis):
            facts.append(f"{axis[1:-1]} being {('false', 'unknown', 'true')[place]}")
        facts += [f"{name} = {_shown(value)}" for name, value in along[place].items()]
    return ", ".join(facts)


def _shown(value: Value) -> str:
    if isinstance(value, str):
        return f"'{value}'" if value.isprintable() else "another text"
    if isinstance(value, Fraction | float):
        return f"{float(value):g}"
    return "nothing" if value is None else str(value)


def _method(grid: _Grid) -> Method:
    if any(is_open(axis) for axis in grid.cases):
        return "features"
    return "enumeration" if set(grid.cases) <= {SCORE_AXIS} else "intervals"
