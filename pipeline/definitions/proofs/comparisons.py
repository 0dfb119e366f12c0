"""How comparisons of one column with constants are read: which side is the column's, and what it is compared with."""

from __future__ import annotations

from fractions import Fraction

from sqlglot import exp

from pipeline.definitions.rules import MIRRORED, Value, call_of, rule_value

ORDERED = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)


def column_comparison(node: exp.Expr) -> tuple[exp.Expr, type[exp.Expr], Value] | None:
    """Split a comparison into the column's side, operator and constant, the column first; None for anything else."""
    if not isinstance(node, ORDERED):
        return None
    sides = (node.this, node.expression)
    has_column = [_has_column(side) for side in sides]
    if has_column == [True, False]:
        return sides[0], type(node), rule_value(sides[1], {})
    if has_column == [False, True]:
        return sides[1], MIRRORED.get(type(node), type(node)), rule_value(sides[0], {})
    return None


def compared_constants(node: exp.Expr) -> list[Value] | None:
    """List the constants that one column is compared with, numbers exact; None where the column is calculated with."""
    if isinstance(node, exp.In):
        sides, constants = [node.this], node.expressions
    elif isinstance(node, ORDERED):
        sides = [side for side in (node.this, node.expression) if side.find(exp.Column)]
        constants = [side for side in (node.this, node.expression) if not side.find(exp.Column)]
    else:
        return []
    if not all(_is_plain_column(side) for side in sides):
        return None
    values = [rule_value(constant, {}) for constant in constants]
    return [Fraction(value) if isinstance(value, int) and not isinstance(value, bool) else value for value in values if value is not None]


def _has_column(node: exp.Expr) -> bool:
    """Whether there is a column in `node`; nearly always it is one piece within casts and brackets, and no search is needed."""
    if call_of(node) is not None:
        return True
    while isinstance(node, exp.Cast | exp.Paren):
        node = node.this
    return isinstance(node, exp.Column) or (not isinstance(node, exp.Literal) and node.find(exp.Column) is not None)


def _is_plain_column(node: exp.Expr) -> bool:
    """Whether `node` is a column or a call, whatever type it is read as."""
    if call_of(node) is not None:
        return True
    while isinstance(node, exp.Cast | exp.Paren):
        node = node.this
    return isinstance(node, exp.Column)
