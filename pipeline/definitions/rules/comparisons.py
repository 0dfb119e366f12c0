"""Comparisons within rules: both sides are brought to one type, whatever an engine would choose by itself.

Titles of segments become ids, dates that move with the night become numbers of days, and lists are asked for their values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlglot import exp

from pipeline.definitions.rules.arithmetic import overflow_error
from pipeline.definitions.rules.calls import call_of
from pipeline.definitions.rules.cluster_ids import TODO, is_cluster_id, nearest_cluster_id
from pipeline.definitions.rules.dates import TODAY, day_count, is_today, plain_date, shifted_date
from pipeline.definitions.rules.list_tests import QUANTIFIERS, other_value_test, values_test
from pipeline.definitions.rules.parsed_calls import Check, constant_text, function_name, is_call, list_column, require_lower
from pipeline.definitions.rules.types import TypedNode, bracketed_node, cast_to_one_type, common_kind, operator_chain, typed_column
from pipeline.definitions.rules.values import rule_value
from pipeline.definitions.rules.vocabulary import RuleContext
from pipeline.lake.tables import Kind
from pipeline.spelling import did_you_mean

MIRRORED: Mapping[type[exp.Expr], type[exp.Expr]] = {exp.LT: exp.GT, exp.LTE: exp.GTE, exp.GT: exp.LT, exp.GTE: exp.LTE}
"""What an operator is once its sides have changed places; the others stay as they are."""


def check_is(rule: RuleContext, node: exp.Expr, check: Check) -> TypedNode:
    """Build `x IS NULL`, or `x IS y`: true or false even of what is unknown, and so made of parts that every engine and proof knows."""
    sides = (node.this, node.expression)
    given = [side for side in sides if not isinstance(side, exp.Null)]
    if len(given) == 1:
        return TypedNode(_is_unknown(rule, given[0], check), Kind.FLAG)
    may_be_unknown = [side for side in sides if side.find(exp.Column, exp.Anonymous)]
    are_known = (exp.Not(this=bracketed_node(_is_unknown(rule, side, check))) for side in may_be_unknown)
    is_same = operator_chain(exp.And, comparison_node(rule, exp.EQ, *sides, check), *are_known)
    if len(may_be_unknown) == len(sides):
        is_same = operator_chain(exp.Or, is_same, operator_chain(exp.And, *(_is_unknown(rule, side, check) for side in sides)))
    return TypedNode(is_same, Kind.FLAG)


def _is_unknown(rule: RuleContext, node: exp.Expr, check: Check) -> exp.Expression:
    separators = rule.vocabulary.separators
    if is_call(node, *QUANTIFIERS):  # a list is known or not, whichever of its values are asked for
        value = list_column(rule, node)[0]
    elif isinstance(node, exp.Column) and node.name in separators:
        value = typed_column(node.name, Kind.TEXT).node
    else:
        value = plain_date(check(rule, node)).node
    return exp.Is(this=bracketed_node(value), expression=exp.null())


def comparison_node(rule: RuleContext, operator: type[exp.Expr], left: exp.Expr, right: exp.Expr, check: Check) -> exp.Expression:
    """Build a comparison of two sides anew; raises ConfigError where they cannot be compared."""
    if is_call(left, *QUANTIFIERS) or is_call(right, *QUANTIFIERS):
        return _list_comparison(rule, operator, left, right)
    # A text with capitals would never be met by LOWER(...), and the rule would look right all the same.
    for side, other in ((left, right), (right, left)):
        if is_call(side, "LOWER") and isinstance(other, exp.Literal) and operator in (exp.EQ, exp.NEQ):
            require_lower(rule, other)
    sides = check_compared_nodes(rule, [left, right], check)
    require_within_calendar(rule, right, sides[0], sides[1])
    require_within_calendar(rule, left, sides[1], sides[0])
    if all(side.kind is Kind.DATE for side in sides) and any(side.days or is_today(side.node) for side in sides):
        return _day_comparison(rule, operator, left, *sides)
    nodes = nodes_of_one_type(rule, left, sides)
    if sides[0].kind is Kind.FLAG and operator not in (exp.EQ, exp.NEQ):
        raise rule.error_at(left, "true and false have no order", "Use = or <>.")
    return operator_chain(operator, *nodes)


def require_within_calendar(rule: RuleContext, place: exp.Expr, asked: TypedNode, constant: TypedNode) -> None:
    """Raise ConfigError where an event is asked for an hour, weekday, day or month that no clock and no calendar has.

    Of customers a proof finds rules that nobody meets; what is asked of events no proof sees, and a count of 0 would look right.
    """
    call, number = call_of(asked.node), constant.node
    if TODAY in rule.vocabulary.names or call is None or call.low is None or call.high is None or number.find(exp.Column):
        return
    value: Any = rule_value(number, {}) if constant.kind is Kind.INTEGER else call.low
    if not call.low <= value <= call.high:
        name = call.text.partition("(")[0]
        article = "an" if name[0] in "AEIOH" else "a"
        what = f"{article} {name.lower()} is {call.low} to {call.high}, so that this compares with none"
        raise rule.error_at(place, what, f"Write {name} with a number from {call.low} to {call.high}.")


def _day_comparison(rule: RuleContext, operator: type[exp.Expr], place: exp.Expr, left: TypedNode, right: TypedNode) -> exp.Expression:
    """Compare dates of which one is today's, or has days added to it, as a number of days with a constant.

    `a + 7 <= b` is `b - a >= 7`. Where one side is a constant, the days move there.
    """
    is_constant = [side.node.find(exp.Column) is None for side in (left, right)]
    days, bare = left.days - right.days, [TypedNode(side.node, Kind.DATE) for side in (left, right)]
    if is_constant[0] is not is_constant[1]:
        try:
            moved = shifted_date(left, -right.days) if is_constant[0] else shifted_date(right, -left.days)
        except (OverflowError, ValueError):
            raise rule.error_at(place, "this day lies outside the calendar", "Compare with a nearer day.") from None
        sides = (moved, bare[1]) if is_constant[0] else (bare[0], moved)
        return operator_chain(operator, *(side.node for side in sides))
    counted = day_count(bare[1], bare[0]) if not is_today(left.node) else day_count(bare[0], bare[1])
    if is_today(left.node):  # TODAY + j <op> d + i is TODAY - d <op> i - j
        return operator_chain(operator, counted.node, _whole_number(-days))
    return operator_chain(MIRRORED.get(operator, operator), counted.node, _whole_number(days))


def _whole_number(value: int) -> exp.Expression:
    number = exp.Literal.number(abs(value))
    return exp.Neg(this=number) if value < 0 else number


def _list_comparison(rule: RuleContext, operator: type[exp.Expr], left: exp.Expr, right: exp.Expr) -> exp.Expression:
    asked, other = (left, right) if is_call(left, *QUANTIFIERS) else (right, left)
    if operator not in (exp.EQ, exp.NEQ):
        raise rule.error_at(asked, "values of a list have no order", "Use = or <>, IN, or CONTAINS.")
    column, separator = list_column(rule, asked)
    choice = constant_text(rule, other, "a value of a list", separator)
    if is_call(asked.expressions[0], "LOWER"):
        require_lower(rule, other)
    name = function_name(asked)
    test = values_test(name, column, separator, [choice]) if operator is exp.EQ else other_value_test(name, column, separator, choice)
    return test.node


def nodes_of_one_type(rule: RuleContext, place: exp.Expr, items: Sequence[TypedNode]) -> list[exp.Expression]:
    """Return the nodes of what is compared, brought to one type; raises ConfigError at `place` where there is none."""
    items = [plain_date(item) for item in items]
    if common_kind(items) is None:
        left = items[0].kind
        right = next((item.kind for item in items if item.kind is not left), left)
        todo = (
            "Compare numbers with numbers, text with 'text', dates with DATE '2026-01-31'. An attribute is text unless company.toml says "
            'otherwise: kind = "integer", "money", "date" or "flag" under [attributes.<name>].'
        )
        raise rule.error_at(place, f"cannot compare: {left.words} with {right.words}", todo)
    try:
        return cast_to_one_type(items)
    except OverflowError:
        raise overflow_error(rule, place) from None


def check_compared_nodes(rule: RuleContext, nodes: Sequence[exp.Expr], check: Check) -> list[TypedNode]:
    """Check what is compared; a segment's title becomes its id, since people may write either."""
    columns, vocabulary = [node.name for node in nodes if isinstance(node, exp.Column)], rule.vocabulary
    if vocabulary.clusters.intersection(columns):
        return [_check_cluster_id(rule, node, check) for node in nodes]
    ids = next((vocabulary.segments[name] for name in columns if name in vocabulary.segments), None)
    return [check(rule, node) if ids is None else _check_segment_name(rule, node, ids, check) for node in nodes]


def _check_cluster_id(rule: RuleContext, node: exp.Expr, check: Check) -> TypedNode:
    # Which clusters there are is known only once a model is fitted, so an id is checked by its form.
    if isinstance(node, exp.Literal) and node.is_string and not is_cluster_id(node.name):
        raise rule.error_at(node, f"no such cluster: `{node.name}`{nearest_cluster_id(node.name)}", TODO)
    return check(rule, node)


def _check_segment_name(rule: RuleContext, node: exp.Expr, ids: Mapping[str, str], check: Check) -> TypedNode:
    if not isinstance(node, exp.Literal):
        return check(rule, node)
    if node.name not in ids:
        todo = f"Write one of {', '.join(dict.fromkeys(ids.values()))}."
        raise rule.error_at(node, f"no such segment: `{node.name}`{did_you_mean(node.name, ids)}", todo)
    return TypedNode(exp.Literal.string(ids[node.name]), Kind.TEXT)
