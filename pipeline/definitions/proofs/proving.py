"""Which rules can never decide anything, found by trying every case that the rules can tell apart.

The cases are the cells of an array with one axis for each column that is compared with constants, one for all scores together,
and one for each comparison of features with each other, which may be true, false or unknown of anybody. Rules go through it in
their order, and each takes the cells where it holds and that none before it took:

    loyal     r_score >= 4               takes the cells with a score of 4 or 5
    champion  r_score = 5                finds all of its cells taken: refused, `loyal` comes first wherever it holds
    rest      otherwise                  takes what is left; refused where nothing is, and required where something is

Truth has three values as in SQL (false, unknown, true as 0, 1, 2), so that AND is a minimum, OR a maximum and NOT `2 - x`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from math import prod
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sqlglot import exp

from pipeline.definitions.proofs.domains import SCORE_AXIS, Atom, Cell, Domains, atom_of, axis_cases, column_comparison, is_open_axis
from pipeline.definitions.rules import Value, call_of, rule_value
from pipeline.errors import ConfigError

# More cells than this would cost seconds and memory at every start; then each rule is tried alone.
MOST_CELLS = 200_000
# Up to here it is cheaper to ask the rule about each case than to keep the cases of an axis in order.
FEW_CASES = 8
Truths = npt.NDArray[np.int8]
_FALSE, _UNKNOWN, _TRUE = 0, 1, 2
_TRUTHS = (_FALSE, _UNKNOWN, _TRUE)

Method = Literal["enumeration", "intervals", "features"]


@dataclass(frozen=True, slots=True)
class SegmentRule:
    """A segment's id, its condition, or None for everybody left over, and the place that messages name."""

    segment: str
    condition: exp.Expr | None
    place: str


@dataclass(frozen=True, slots=True)
class Proof:
    """How a scheme was proven: by all combinations of scores, by intervals, or, for `undecided` segments, by nothing but customers."""

    method: Method
    undecided: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _CaseGrid:
    """The axes of some conditions, and the cases along each; `orders` caches the values of a column along its axis.

    `aliases` are columns of which rules ask only whether they are known, which the values of a call tell: `born` by `MONTH(born)`.
    """

    cases: Mapping[str, Sequence[Cell]]
    aliases: Mapping[str, str] = field(default_factory=dict)
    orders: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def cell_count(self) -> int:
        return prod(len(along) for along in self.cases.values())


def require_possible(condition: exp.Expr, domains: Domains, *, where: str) -> None:
    """Raise ConfigError where nobody can meet `condition`, the rule that says whom a scheme is for."""
    grid = _case_grid([condition], domains)
    if grid.cell_count <= MOST_CELLS and not (_condition_truths(condition, grid) == _TRUE).any():
        raise ConfigError("`applies_to` never holds, so the scheme is for nobody", where=where, todo="Mend the rule, or delete it.")


def require_proven(rules: Sequence[SegmentRule], domains: Domains, *, where: str, is_ordered: bool, among: exp.Expr | None = None) -> Proof:
    """Prove that everybody gets one segment, and that every segment can get somebody; return how it was proven.

    Everybody is whoever meets the condition `among`, where there is one. Where `is_ordered`, the first rule that holds decides, so that
    an earlier one can hide a later one. Raises ConfigError naming the segment that nobody can be in, the rules that hide it, or a
    customer who would be left over.
    """
    for rule in rules[:-1]:
        if rule.condition is None:
            todo = "Move it to the end."
            raise ConfigError(f"`otherwise` of `{rule.segment}` hides the segments after it", where=rule.place, todo=todo)
    conditions = [rule.condition for rule in rules if rule.condition is not None]
    # It holds the cases along each axis, and not yet the cells: their number is the product, which may be far too large.
    grid = _case_grid([*conditions, *([] if among is None else [among])], domains)
    if not is_ordered:
        return _prove_each_alone(rules, domains, where, _proof_method(grid), among)
    if grid.cell_count > MOST_CELLS:
        return _prove_each_alone(rules, domains, where, "features", among)
    taken = np.zeros([len(along) for along in grid.cases.values()], dtype=bool)
    if among is not None:  # the cells of all others are as good as taken: no rule has to, and none can, take them
        taken |= _condition_truths(among, grid) != _TRUE
    outside = taken.copy()
    for index, condition in enumerate(conditions):
        holds = _condition_truths(condition, grid) == _TRUE
        if not (holds & ~taken).any():
            raise _dead_segment_error(rules, index, _hiding_rules(conditions[:index], holds & ~outside, grid))
        taken |= holds
    _require_remainder(rules, taken, grid, where, "" if among is None else " of those whom the scheme applies to")
    met: list[exp.Expr] = [] if among is None else [among]
    undecided = []
    for rule in rules:
        if rule.condition is not None:
            met.append(rule.condition)
            undecided += [rule.segment] if _is_undecided(rule.condition) or _are_entangled(met) else []
    return Proof(_proof_method(grid), tuple(undecided))


def _prove_each_alone(rules: Sequence[SegmentRule], domains: Domains, where: str, method: Method, among: exp.Expr | None) -> Proof:
    """Prove of each rule alone that it can hold: where the best score decides, or where there are too many cases for all together."""
    if rules[-1].condition is not None:
        todo = "End with a segment that has `otherwise = true`."
        raise ConfigError("it cannot be proven that nobody is left over", where=where, todo=todo)
    undecided = []
    for index, rule in enumerate(rules[:-1]):
        condition = rule.condition or exp.true()
        condition = condition if among is None else exp.and_(among, condition)
        grid = _case_grid([condition], domains)
        if grid.cell_count > MOST_CELLS or _is_undecided(condition) or _are_entangled([condition]):
            undecided.append(rule.segment)
        elif not (_condition_truths(condition, grid) == _TRUE).any():
            raise _dead_segment_error(rules, index, set())
    return Proof(method, tuple(undecided))


def _is_undecided(condition: exp.Expr) -> bool:
    """Whether only customers can show that the condition may hold: `a > b AND a < b` is true in some cell, and of nobody."""
    return any(is_open_axis(atom.axis) for atom in _condition_atoms(condition))


def _are_entangled(conditions: Sequence[exp.Expr]) -> bool:
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


def _case_grid(conditions: Sequence[exp.Expr], domains: Domains) -> _CaseGrid:
    by_axis = _atoms_by_axis(conditions)
    aliases = _aliases(by_axis)
    cases: dict[str, Sequence[Cell]] = {
        axis: [{}] * len(_TRUTHS) if is_open_axis(axis) else axis_cases(axis, [atom.node for atom in atoms], domains)
        for axis, atoms in by_axis.items()
        if axis not in aliases
    }
    return _CaseGrid(cases, aliases)


def _condition_atoms(condition: exp.Expr) -> list[Atom]:
    if isinstance(condition, exp.Connector):
        return [atom for part in condition.flatten(unnest=False) for atom in _condition_atoms(part)]
    if isinstance(condition, exp.Not | exp.Paren) and call_of(condition) is None:
        return _condition_atoms(condition.this)
    return [atom_of(condition)]


def _condition_truths(condition: exp.Expr, grid: _CaseGrid) -> Truths:
    """Say of each cell whether `condition` holds: 2, or 1 for unknown, or 0. Axes that it does not look at have the length 1."""
    if isinstance(condition, exp.Connector):
        parts = (_condition_truths(part, grid) for part in condition.flatten(unnest=False))
        return reduce(np.minimum if isinstance(condition, exp.And) else np.maximum, parts)
    if isinstance(condition, exp.Paren) and call_of(condition) is None:
        return _condition_truths(condition.this, grid)
    if isinstance(condition, exp.Not):
        return np.asarray(_TRUE - _condition_truths(condition.this, grid), dtype=np.int8)
    atom = atom_of(condition)
    alias = grid.aliases.get(atom.axis)
    along = _atom_truths(atom, grid) if alias is None else _known_truths(grid.cases[alias], alias)
    shape = [len(along) if axis == (alias or atom.axis) else 1 for axis in grid.cases]
    return (np.asarray(_TRUE - along, dtype=np.int8) if atom.is_negated else along).reshape(shape)


def _atom_truths(atom: Atom, grid: _CaseGrid) -> Truths:
    """Tell the truth of an atom for each case of its axis."""
    along = grid.cases[atom.axis]
    if is_open_axis(atom.axis):
        return np.array(_TRUTHS, dtype=np.int8)
    comparison = column_comparison(atom.node) if len(along) > FEW_CASES and atom.axis != SCORE_AXIS else None
    if comparison is not None:
        return _ordered_truths(*comparison, atom.axis, grid)
    values = (rule_value(atom.node, cell) for cell in along)
    return np.array([_UNKNOWN if value is None else _TRUE if value else _FALSE for value in values], dtype=np.int8)


def _known_truths(along: Sequence[Cell], axis: str) -> Truths:
    """Tell of each case of a call whether it, and so the column that it needs, is unknown."""
    return np.array([_TRUE if cell[axis] is None else _FALSE for cell in along], dtype=np.int8)


def _ordered_truths(side: exp.Expr, operator: type[exp.Expr], constant: Value, axis: str, grid: _CaseGrid) -> Truths:
    """Tell the same as `_atom_truths` by the constant's place among the cases, which are in order with no value at the end.

    A scheme of a thousand rules compares one column a thousand times: two binary searches each, instead of all its cases.
    """
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


def _hiding_rules(earlier: Sequence[exp.Expr], holds: npt.NDArray[np.bool_], grid: _CaseGrid) -> set[int]:
    """Find which of the `earlier` rules take cells where the dead rule holds, going by their order, as a night does."""
    left, hiding = holds.copy(), set()
    for index, condition in enumerate(earlier):
        takes = left & (_condition_truths(condition, grid) == _TRUE)
        if takes.any():
            hiding.add(index)
            left &= ~takes
    return hiding


def _dead_segment_error(rules: Sequence[SegmentRule], index: int, hiding: set[int]) -> ConfigError:
    names = ", ".join(f"`{rules[earlier].segment}`" for earlier in sorted(hiding))
    reason = f"{names} comes first wherever its rule holds" if names else "its rule never holds"
    todo = "Narrow the earlier rule, move this segment up, or delete it." if names else "Mend the rule, or delete the segment."
    return ConfigError(f"nobody can ever be in `{rules[index].segment}`: {reason}", where=rules[index].place, todo=todo)


def _require_remainder(rules: Sequence[SegmentRule], taken: npt.NDArray[np.bool_], grid: _CaseGrid, where: str, of_whom: str) -> None:
    has_otherwise = rules[-1].condition is None
    if has_otherwise and taken.all():
        text = f"nobody can ever be in `{rules[-1].segment}`: the rules leave nobody over{of_whom}"
        raise ConfigError(text, where=rules[-1].place, todo="Delete the segment.")
    if not has_otherwise and not taken.all():
        # One cell is example enough: the first that is not taken.
        left = np.unravel_index(int(np.argmin(taken)), taken.shape)
        todo = "End with a segment that has `otherwise = true`."
        what = f"the rules may leave customers without a segment{of_whom}, such as one with {_cell_words(left, grid)}"
        raise ConfigError(what, where=where, todo=todo)


def _cell_words(cell: Sequence[Any], grid: _CaseGrid) -> str:
    facts: list[str] = []
    for (axis, along), place in zip(grid.cases.items(), cell, strict=True):
        if is_open_axis(axis):
            facts.append(f"{axis[1:-1]} being {('false', 'unknown', 'true')[place]}")
        facts += [f"{name} = {_printable_value(value)}" for name, value in along[place].items()]
    return ", ".join(facts)


def _printable_value(value: Value) -> str:
    if isinstance(value, str):
        return f"'{value}'" if value.isprintable() else "another text"
    if isinstance(value, Fraction | float):
        return f"{float(value):g}"
    return "nothing" if value is None else str(value)


def _proof_method(grid: _CaseGrid) -> Method:
    if any(is_open_axis(axis) for axis in grid.cases):
        return "features"
    return "enumeration" if set(grid.cases) <= {SCORE_AXIS} else "intervals"
