"""Which rules can never decide anything, found by trying every case that the rules can tell apart.

The cases are the cells of an array with one axis for each column that is compared with constants, one for all scores together,
and one for each comparison of features with each other, which may be true, false or unknown of anybody. Rules go through it in
their order, and each takes the cells where it holds and that none before it took:

    loyal     r_score >= 4               takes the cells with a score of 4 or 5
    champion  r_score = 5                finds all of its cells taken: refused, `loyal` comes first wherever it holds
    rest      otherwise                  takes what is left; refused where nothing is, and required where something is
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sqlglot import exp

from pipeline.definitions.proofs.case_grid import TRUE, CaseGrid, are_entangled, case_grid, condition_truths, is_undecided
from pipeline.definitions.proofs.domains import SCORE_AXIS, Domains, is_open_axis
from pipeline.definitions.rules import Value
from pipeline.errors import ConfigError

# More cells than this would cost seconds and memory at every start; then each rule is tried alone.
MOST_CELLS = 200_000

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


def require_possible(
    condition: exp.Expr, domains: Domains, *, where: str, what: str = "`applies_to` never holds, so the scheme is for nobody"
) -> None:
    """Raise ConfigError, which says `what`, where nobody can meet `condition`: by default the rule that says whom a scheme is for."""
    grid = case_grid([condition], domains)
    if grid.cell_count <= MOST_CELLS and not (condition_truths(condition, grid) == TRUE).any():
        raise ConfigError(what, where=where, todo="Mend the rule, or delete it.")


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
    grid = case_grid([*conditions, *([] if among is None else [among])], domains)
    if not is_ordered:
        return _prove_each_alone(rules, domains, where, _proof_method(grid), among)
    if grid.cell_count > MOST_CELLS:
        return _prove_each_alone(rules, domains, where, "features", among)
    taken = np.zeros([len(along) for along in grid.cases.values()], dtype=bool)
    if among is not None:  # the cells of all others are as good as taken: no rule has to, and none can, take them
        taken |= condition_truths(among, grid) != TRUE
    outside = taken.copy()
    for index, condition in enumerate(conditions):
        holds = condition_truths(condition, grid) == TRUE
        if not (holds & ~taken).any():
            raise _dead_segment_error(rules, index, _hiding_rules(conditions[:index], holds & ~outside, grid))
        taken |= holds
    _require_remainder(rules, taken, grid, where, "" if among is None else " of those whom the scheme applies to")
    met: list[exp.Expr] = [] if among is None else [among]
    undecided = []
    for rule in rules:
        if rule.condition is not None:
            met.append(rule.condition)
            undecided += [rule.segment] if is_undecided(rule.condition) or are_entangled(met) else []
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
        grid = case_grid([condition], domains)
        if grid.cell_count > MOST_CELLS or is_undecided(condition) or are_entangled([condition]):
            undecided.append(rule.segment)
        elif not (condition_truths(condition, grid) == TRUE).any():
            raise _dead_segment_error(rules, index, set())
    return Proof(method, tuple(undecided))


def _hiding_rules(earlier: Sequence[exp.Expr], holds: npt.NDArray[np.bool_], grid: CaseGrid) -> set[int]:
    """Find which of the `earlier` rules take cells where the dead rule holds, going by their order, as a night does."""
    left, hiding = holds.copy(), set()
    for index, condition in enumerate(earlier):
        takes = left & (condition_truths(condition, grid) == TRUE)
        if takes.any():
            hiding.add(index)
            left &= ~takes
    return hiding


def _dead_segment_error(rules: Sequence[SegmentRule], index: int, hiding: set[int]) -> ConfigError:
    names = ", ".join(f"`{rules[earlier].segment}`" for earlier in sorted(hiding))
    reason = f"{names} comes first wherever its rule holds" if names else "its rule never holds"
    todo = "Narrow the earlier rule, move this segment up, or delete it." if names else "Mend the rule, or delete the segment."
    return ConfigError(f"nobody can ever be in `{rules[index].segment}`: {reason}", where=rules[index].place, todo=todo)


def _require_remainder(rules: Sequence[SegmentRule], taken: npt.NDArray[np.bool_], grid: CaseGrid, where: str, of_whom: str) -> None:
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


def _cell_words(cell: Sequence[Any], grid: CaseGrid) -> str:
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


def _proof_method(grid: CaseGrid) -> Method:
    if any(is_open_axis(axis) for axis in grid.cases):
        return "features"
    return "enumeration" if set(grid.cases) <= {SCORE_AXIS} else "intervals"
