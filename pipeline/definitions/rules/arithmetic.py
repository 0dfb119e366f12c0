"""Calculations within rules: with numbers, of one type for all engines, and with days added to dates."""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from pipeline.definitions.rules.calls import Call, Row, call_node
from pipeline.definitions.rules.dates import day_count, shifted_date
from pipeline.definitions.rules.parsed_calls import Check
from pipeline.definitions.rules.types import NUMERIC, TypedNode, bracketed_node, typed_arithmetic, typed_quotient
from pipeline.definitions.rules.values import rule_value
from pipeline.definitions.rules.vocabulary import RuleContext
from pipeline.definitions.rules.words import column_names, rule_words
from pipeline.definitions.settings import MOST_DAYS
from pipeline.errors import ConfigError
from pipeline.lake.tables import Kind


def check_arithmetic(rule: RuleContext, node: exp.Expr, check: Check) -> TypedNode:
    """Build a sum, a difference or a product anew; raises ConfigError where its sides cannot be calculated with."""
    left, right = check(rule, node.this), check(rule, node.expression)
    if Kind.DATE in (left.kind, right.kind):
        return _check_date_arithmetic(rule, node, left, right)
    if not {left.kind, right.kind} <= NUMERIC:
        todo = "Text can be compared; to a date add a number of days."
        raise rule.error_at(node, "only numbers can be added, subtracted, multiplied and divided", todo)
    try:
        return typed_arithmetic(type(node), left, right)
    except OverflowError:
        raise overflow_error(rule, node) from None


def _check_date_arithmetic(rule: RuleContext, node: exp.Expr, left: TypedNode, right: TypedNode) -> TypedNode:
    """Build a date some days later or earlier, or the days between two dates."""
    if isinstance(node, exp.Sub) and left.kind is right.kind:
        return day_count(left, right)
    day, days = (left, right) if left.kind is Kind.DATE else (right, left)
    value: Any = None if days.node.find(exp.Column) else rule_value(days.node, {})
    is_shift = isinstance(node, exp.Add) or (isinstance(node, exp.Sub) and day is left)
    if not is_shift or days.kind is not Kind.INTEGER or value is None:
        todo = "Write date + 7, date - 7 or date - date; take the days that a column has from the difference: TODAY - date > days."
        raise rule.error_at(node, "to a date only a whole number of days, written out, is added", todo)
    if abs(value) > MOST_DAYS:
        raise rule.error_at(node, f"more than {MOST_DAYS:,} days", "Write fewer days.")
    try:
        return shifted_date(day, value if isinstance(node, exp.Add) else -value)
    except (OverflowError, ValueError):
        raise rule.error_at(node, "this day lies outside the calendar", "Write a nearer day.") from None


def check_quotient(rule: RuleContext, node: exp.Expr, check: Check) -> TypedNode:
    """Build a division anew, a DOUBLE; raises ConfigError where its sides are no numbers."""
    left, right = check(rule, node.this), check(rule, node.expression)
    if not {left.kind, right.kind} <= NUMERIC:
        raise rule.error_at(node, "only numbers can be divided", "Compare dates and texts.")
    try:
        quotient = typed_quotient(left, right)
    except OverflowError:
        raise overflow_error(rule, node) from None
    names = column_names(quotient.node)
    # Exact numbers as SQL has them: whole before each becomes a double.
    scale = 1 if Kind.NUMBER in (left.kind, right.kind) else 10 ** max(left.decimals, right.decimals)

    def value_of(row: Row) -> Any:  # noqa: ANN401 - a number, or unknown
        above: Any = rule_value(left.node, row)
        below: Any = rule_value(right.node, row)
        return None if above is None or not below else float(above * scale) / float(below * scale)

    text = f"{rule_words(bracketed_node(left.node))} / {rule_words(bracketed_node(right.node))}"
    return TypedNode(call_node(Call(text, Kind.NUMBER, value_of, names, None), quotient.node), Kind.NUMBER)


def overflow_error(rule: RuleContext, node: exp.Expr) -> ConfigError:
    """Make the error for numbers of more digits than every engine has."""
    return rule.error_at(node, "the result may need more than 38 digits", "Use fewer or shorter factors.")
