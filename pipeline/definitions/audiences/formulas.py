"""Rules as formulas over conditions: each condition is evaluated once, in SQL, in however many rules it stands.

`recency_days <= 30 AND NOT (is_prospect OR city = 'Bonn')` is a formula over three conditions. What they say of many customers comes as a
column of true, false and unknown; AND, OR and NOT of such columns are those of SQL, worked out 64 customers at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

Formula: TypeAlias = "str | tuple[str | Formula, ...]"
"""The name of a condition, or an operation and what it is of: of AND and OR any number of formulas, of NOT one."""
_AND, _OR, _NOT = "and", "or", "not"
_CONNECTIVES = {_AND: pc.and_kleene, _OR: pc.or_kleene}


@dataclass(frozen=True, slots=True)
class RuleFormulas:
    """A formula of each rule, and the conditions in them by the names by which they stand there."""

    formulas: Sequence[Formula]
    conditions: Mapping[str, exp.Expression]


def rule_formulas(rules: Sequence[exp.Expression]) -> RuleFormulas:
    """Return the rules as formulas, in the same order."""
    names: dict[str, str] = {}
    conditions: dict[str, exp.Expression] = {}

    def formula(node: exp.Expression) -> Formula:
        if isinstance(node, exp.Paren):
            return formula(node.this)
        if isinstance(node, exp.And | exp.Or):
            # A chain is one operation, however long: nothing here may call itself for each of a thousand conditions.
            return _AND if isinstance(node, exp.And) else _OR, *map(formula, _chained(node))
        if isinstance(node, exp.Not):
            return _NOT, formula(node.this)
        # By what it says, as every rule has a tree of its own.
        name = names.setdefault(node.sql("duckdb", comments=False), f"condition_{len(names)}")
        conditions.setdefault(name, node)
        return name

    return RuleFormulas([formula(rule) for rule in rules], conditions)


def _chained(connector: exp.And | exp.Or) -> Iterator[exp.Expression]:
    """Yield what a chain of AND, or of OR, joins, in order, whatever brackets group it."""
    waiting: list[exp.Expression] = [connector]
    while waiting:
        node = waiting.pop()
        inner = node.unnest()
        if type(inner) is type(connector):
            waiting += [inner.expression, inner.this]
        else:
            yield node


def formula_flags(formula: Formula, conditions: Mapping[str, pa.Array], worked_out: dict[Formula, pa.Array]) -> pa.Array:
    """Return what a formula says, true, false or unknown, where its conditions say what `conditions` holds of each customer.

    `worked_out` keeps what rules have in common.
    """
    if isinstance(formula, str):
        return conditions[formula]
    if formula not in worked_out:
        operation, *operands = formula
        flags = [formula_flags(each, conditions, worked_out) for each in operands]
        worked_out[formula] = pc.invert(*flags) if operation == _NOT else reduce(_CONNECTIVES[str(operation)], flags)
    return worked_out[formula]
