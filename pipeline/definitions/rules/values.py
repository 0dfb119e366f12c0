"""What a checked rule says of one customer, worked out here instead of by an engine; None stands for unknown."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from fractions import Fraction
from typing import Any

from sqlglot import exp

from pipeline.definitions.rules.calls import own_call

Value = bool | int | float | Fraction | str | date | None


def rule_value(rule: exp.Expr, row: Mapping[str, Value]) -> Value:
    """Work out the value of `rule`, as parse_rule returns it, for a customer with the features `row`.

    Exact numbers are int or Fraction.
    """
    if isinstance(rule, exp.Connector):
        return _connector_value(rule, row)
    leaf = _LEAVES.get(type(rule))
    if leaf is not None:
        return leaf(rule, row)
    if isinstance(rule, exp.In):
        return _any_of(_unless_unknown(operator.eq, rule_value(rule.this, row), rule_value(choice, row)) for choice in rule.expressions)
    return _unless_unknown(_OPERATORS[type(rule)], rule_value(rule.this, row), rule_value(rule.expression, row))


def _connector_value(rule: exp.Connector, row: Mapping[str, Value]) -> Value:
    parts = [rule_value(part, row) for part in rule.flatten(unnest=False)]
    if isinstance(rule, exp.Or):
        return _any_of(parts)
    # NOT (NOT a OR NOT b): unknown and false are then told apart in one place.
    opposite = _any_of(_negated_value(part) for part in parts)
    return _negated_value(opposite)


def _any_of(parts: Iterable[Value]) -> Value:
    values = set(parts)
    # 1 equals True in Python, but checked rules put nothing but true, false and unknown here.
    return True if True in values else None if None in values else False


def _negated_value(value: Value) -> Value:
    return None if value is None else not value


def _unless_unknown(operation: Callable[[Any, Any], Value], left: Value, right: Value) -> Value:
    return None if left is None or right is None else operation(left, right)


def _literal_value(rule: exp.Expr, _row: Mapping[str, Value]) -> Value:
    if rule.is_string:
        return rule.name
    # Never a float: 0.1 is a tenth here, as it is for the decimals of SQL.
    return Fraction(rule.name) if "." in rule.name else int(rule.name)


def _negative_number(rule: exp.Expr, row: Mapping[str, Value]) -> Value:
    return _unless_unknown(operator.sub, 0, rule_value(rule.this, row))


def _cast_value(rule: exp.Expr, row: Mapping[str, Value]) -> Value:
    value: Any = rule_value(rule.this, row)
    kind = rule.args["to"].this
    if value is None or kind is exp.DType.DECIMAL:
        return None if value is None else Fraction(value)
    if kind is exp.DType.DATE:
        return date.fromisoformat(value)
    return float(value)


def _bracketed_value(rule: exp.Expr, row: Mapping[str, Value]) -> Value:
    call = own_call(rule)
    if call is None:
        return rule_value(rule.this, row)
    # A proof tries values of the call itself, whatever they come from.
    value: Value = row[call.text] if call.text in row else call.value_of(row)
    return value


_LEAVES: Mapping[type[exp.Expr], Callable[[Any, Mapping[str, Value]], Value]] = {
    exp.Column: lambda rule, row: row[rule.name],
    exp.Literal: _literal_value,
    exp.Boolean: lambda rule, _row: bool(rule.this),
    exp.Paren: _bracketed_value,
    exp.Not: lambda rule, row: _negated_value(rule_value(rule.this, row)),
    exp.Is: lambda rule, row: rule_value(rule.this, row) is None,
    exp.Neg: _negative_number,
    exp.Cast: _cast_value,
}
_OPERATORS: Mapping[type[exp.Expr], Callable[[Any, Any], Value]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
    exp.Add: operator.add,
    exp.Sub: operator.sub,
    exp.Mul: operator.mul,
}
