"""The cases of some conditions as the cells of an array, and in which of the cells a condition holds.

Truth has three values as in SQL (false, unknown, true as 0, 1, 2), so that AND is a minimum, OR a maximum and NOT `2 - x`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlglot import exp

from pipeline.definitions.proofs.comparisons import column_comparison
from pipeline.definitions.proofs.domains import SCORE_AXIS, Atom, Cell, Domains, atom_of, axis_cases, is_open_axis
from pipeline.definitions.rules import Value, call_of, rule_value

# Up to here it is cheaper to ask the rule about each case than to keep the cases of an axis in order.
FEW_CASES = 8
Truths = npt.NDArray[np.int8]
FALSE, UNKNOWN, TRUE = 0, 1, 2
TRUTHS = (FALSE, UNKNOWN, TRUE)


@dataclass(frozen=True, slots=True)
class CaseGrid:
    """The axes of some conditions, and the cases along each; `orders` caches the values of a column along its axis.

    `aliases` are columns of which rules ask only whether they are known, which the values of a call tell: `born` by `MONTH(born)`.
    """

    cases: Mapping[str, Sequence[Cell]]
    aliases: Mapping[str, str] = field(default_factory=dict)
    orders: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def cell_count(self) -> int:
        return prod(len(along) for along in self.cases.values())


def case_grid(conditions: Sequence[exp.Expr], domains: Domains) -> CaseGrid:
    """List the cases along each axis that `conditions` look at."""
    by_axis = _atoms_by_axis(conditions)
    aliases = _aliases(by_axis)
    cases: dict[str, Sequence[Cell]] = {
        axis: [{}] * len(TRUTHS) if is_open_axis(axis) else axis_cases(axis, [atom.node for atom in atoms], domains)
        for axis, atoms in by_axis.items()
        if axis not in aliases
    }
    return CaseGrid(cases, aliases)


def condition_truths(condition: exp.Expr, grid: CaseGrid) -> Truths:
    """Say of each cell whether `condition` holds: 2, or 1 for unknown, or 0. Axes that it does not look at have the length 1."""
    if isinstance(condition, exp.Connector):
        parts = (condition_truths(part, grid) for part in condition.flatten(unnest=False))
        return reduce(np.minimum if isinstance(condition, exp.And) else np.maximum, parts)
    if isinstance(condition, exp.Paren) and call_of(condition) is None:
        return condition_truths(condition.this, grid)
    if isinstance(condition, exp.Not):
        return np.asarray(TRUE - condition_truths(condition.this, grid), dtype=np.int8)
    atom = atom_of(condition)
    alias = grid.aliases.get(atom.axis)
    if alias is None:
        along = _atom_truths(atom, grid)
    else:
        # Each case of a call tells whether the call, and so the column that it needs, is unknown.
        along = np.array([TRUE if cell[alias] is None else FALSE for cell in grid.cases[alias]], dtype=np.int8)
    shape = [len(along) if axis == (alias or atom.axis) else 1 for axis in grid.cases]
    return (np.asarray(TRUE - along, dtype=np.int8) if atom.is_negated else along).reshape(shape)


def _atom_truths(atom: Atom, grid: CaseGrid) -> Truths:
    """Tell the truth of an atom for each case of its axis."""
    along = grid.cases[atom.axis]
    if is_open_axis(atom.axis):
        return np.array(TRUTHS, dtype=np.int8)
    comparison = column_comparison(atom.node) if len(along) > FEW_CASES and atom.axis != SCORE_AXIS else None
    if comparison is not None:
        return _ordered_truths(*comparison, atom.axis, grid)
    values = (rule_value(atom.node, cell) for cell in along)
    return np.array([UNKNOWN if value is None else TRUE if value else FALSE for value in values], dtype=np.int8)


def _ordered_truths(side: exp.Expr, operator: type[exp.Expr], constant: Value, axis: str, grid: CaseGrid) -> Truths:
    """Tell the same as `_atom_truths` by the constant's place among the cases, which are in order with no value at the end.

    A scheme of a thousand rules compares one column a thousand times: two binary searches each, instead of all its cases.
    """
    name = f"{axis} {side.sql()}"
    if name not in grid.orders:
        grid.orders[name] = [value for value in (rule_value(side, cell) for cell in grid.cases[axis]) if value is not None]
    known = grid.orders[name]
    truths = np.full(len(grid.cases[axis]), UNKNOWN, dtype=np.int8)
    low, high = bisect_left(known, constant), bisect_right(known, constant)
    is_below, is_equal = operator in (exp.LT, exp.LTE, exp.NEQ), operator in (exp.EQ, exp.LTE, exp.GTE)
    is_above = operator in (exp.GT, exp.GTE, exp.NEQ)
    truths[:low], truths[low:high], truths[high : len(known)] = TRUE * is_below, TRUE * is_equal, TRUE * is_above
    return truths


def _condition_atoms(condition: exp.Expr) -> list[Atom]:
    if isinstance(condition, exp.Connector):
        return [atom for part in condition.flatten(unnest=False) for atom in _condition_atoms(part)]
    if isinstance(condition, exp.Not | exp.Paren) and call_of(condition) is None:
        return _condition_atoms(condition.this)
    return [atom_of(condition)]


def _atoms_by_axis(conditions: Iterable[exp.Expr]) -> dict[str, list[Atom]]:
    by_axis: dict[str, list[Atom]] = {}
    for condition in conditions:
        for atom in _condition_atoms(condition):
            by_axis.setdefault(atom.axis, []).append(atom)
    return by_axis


def _aliases(by_axis: Mapping[str, Sequence[Atom]]) -> dict[str, str]:
    """Find for each column of which rules ask only whether it is known the call that is known exactly when it is."""
    by_column = {column: axis for axis, atoms in by_axis.items() if atoms[0].call for column in atoms[0].call.column_it_needs}
    return {
        axis: by_column[axis] for axis, atoms in by_axis.items() if axis in by_column and all(isinstance(a.node, exp.Is) for a in atoms)
    }


def is_undecided(condition: exp.Expr) -> bool:
    """Whether only customers can show that the condition may hold: `a > b AND a < b` is true in some cell, and of nobody."""
    return any(is_open_axis(atom.axis) for atom in _condition_atoms(condition))


def are_entangled(conditions: Sequence[exp.Expr]) -> bool:
    """Whether a value of one call may rule out one of another, or of its column: the month of a date and the date itself, say.

    Tried as if each could be anything, such cases prove that a rule never holds, or that nobody is left over, but not the opposite.
    """
    by_axis = _atoms_by_axis(conditions)
    aliases = _aliases(by_axis)
    atoms = [each[0] for axis, each in by_axis.items() if not is_open_axis(axis) and axis not in aliases]
    calls = [atom for atom in atoms if atom.call is not None]
    return any(
        not (atom.call.is_independent_of(other.call) if atom.call and other.call else not atom.bases & other.bases)
        for atom in calls
        for other in atoms
        if other.axis != atom.axis
    )
