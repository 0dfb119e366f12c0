"""What a condition needs of each column: the range of values without which it does not hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from pipeline.definitions.proofs import compared, is_plain
from pipeline.definitions.rules import rule_value


@dataclass(frozen=True, slots=True)
class Axis:
    """A column, as conditions read it, and the limits that they compare it with: for each value how one of them writes it."""

    side: exp.Expr
    limits: dict[Any, exp.Expr] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Range:
    """What a condition needs of a column: a value from `low` to `high`, with whether `high` itself is one; None is no limit."""

    low: Any
    high: tuple[Any, bool] | None


Axes = dict[str, Axis]


def name_of(side: exp.Expr) -> str:
    """Return the text by which conditions that read a column alike are told."""
    return side.name if isinstance(side, exp.Column) else f"({side.sql()})"


def ranges_of(condition: exp.Expr, axes: Axes) -> Mapping[str, Range]:
    """Return the ranges without which `condition` does not hold, by the name of their side; adds their columns and limits to `axes`."""
    if isinstance(condition, exp.Paren):
        return ranges_of(condition.this, axes)
    if isinstance(condition, exp.And):
        return _all_of([ranges_of(part, axes) for part in condition.flatten(unnest=False)])
    if isinstance(condition, exp.Or):
        return _any_of([ranges_of(part, axes) for part in condition.flatten(unnest=False)])
    return _listed(condition, axes) if isinstance(condition, exp.In) else _compared(condition, axes)


def _listed(node: exp.In, axes: Axes) -> Mapping[str, Range]:
    limits: dict[Any, exp.Expr] = {rule_value(choice, {}): choice for choice in node.expressions}
    return _range(axes, node.this, limits, min(limits), (max(limits), True))


def _compared(node: exp.Expr, axes: Axes) -> Mapping[str, Range]:
    found = compared(node)
    if found is None or found[1] is exp.NEQ:
        return {}
    side, operator, value = found
    limits = {value: node.expression if side is node.this else node.this}
    low = value if operator in (exp.EQ, exp.GT, exp.GTE) else None
    high = (value, operator is not exp.LT) if operator in (exp.EQ, exp.LT, exp.LTE) else None
    return _range(axes, side, limits, low, high)


def _range(axes: Axes, side: exp.Expr, limits: Mapping[Any, exp.Expr], low: Any, high: tuple[Any, bool] | None) -> Mapping[str, Range]:  # noqa: ANN401
    if not is_plain(side) or any(isinstance(value, bool) for value in limits):
        return {}
    name = name_of(side)
    axis = axes.setdefault(name, Axis(side))
    for value, node in limits.items():
        axis.limits.setdefault(value, node)
    return {name: Range(low, high)}


def _all_of(parts: Sequence[Mapping[str, Range]]) -> Mapping[str, Range]:
    found: dict[str, Range] = {}
    for name, needed in (item for part in parts for item in part.items()):
        other = found.get(name, needed)
        found[name] = Range(_narrower(max, (other.low, needed.low)), _narrower(min, (other.high, needed.high)))
    return found


def _narrower(choose: Callable[[Sequence[Any]], Any], limits: Iterable[Any]) -> Any:  # noqa: ANN401
    known = [limit for limit in limits if limit is not None]
    return choose(known) if known else None


def _any_of(parts: Sequence[Mapping[str, Range]]) -> Mapping[str, Range]:
    """Return what every one of `parts` needs: from the lowest of their limits to the highest."""
    found: dict[str, Range] = {}
    for name in (name for name in parts[0] if all(name in part for part in parts)):
        low, high = _wider(min, [part[name].low for part in parts]), _wider(max, [part[name].high for part in parts])
        if low is not None or high is not None:
            found[name] = Range(low, high)
    return found


def _wider(choose: Callable[[Sequence[Any]], Any], limits: Sequence[Any]) -> Any:  # noqa: ANN401
    return None if None in limits else choose(limits)
