"""Rule text, such as `r_score >= 4 AND NOT is_prospect`, as a checked syntax tree for any engine.

Nothing of the text is passed through: it is read lexeme by lexeme, parsed, typed against the declared names,
and built anew with explicit casts, so that every engine gives the same answer. What is not allowed is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlglot import exp

from pipeline.definitions.rules.cluster_ids import TODO, is_cluster_id, nearest_cluster_id
from pipeline.definitions.rules.text import RuleText, parse_text
from pipeline.definitions.rules.types import (
    COMPARABLE,
    NUMERIC,
    TypedNode,
    bracketed_node,
    cast_to_one_type,
    is_iso_date,
    operator_chain,
    typed_arithmetic,
    typed_column,
    typed_number,
)
from pipeline.definitions.rules.vocabulary import RuleContext, Vocabulary
from pipeline.errors import ConfigError
from pipeline.lake.tables import Kind
from pipeline.spelling import did_you_mean

MAX_LITERAL_DIGITS = 15  # Every such number is one correctly rounded division away from its DOUBLE.


def parse_rule(text: str, vocabulary: Vocabulary, *, where: str) -> exp.Expression:
    """Parse the condition that `text` states in the words of `vocabulary`, built anew, in DuckDB's dialect.

    Raises ConfigError naming `where` and the column, with the text and a caret, for anything that is not a condition.
    """
    rule = RuleContext(RuleText(text, where, vocabulary.parameters), vocabulary)
    return _check_condition(rule, parse_text(rule.text), "a rule must be")


def parse_score(text: str, vocabulary: Vocabulary, *, where: str) -> exp.Expression:
    """Parse the number that `text` stands for, as a DOUBLE; raises ConfigError as parse_rule does."""
    rule = RuleContext(RuleText(text, where, vocabulary.parameters), vocabulary)
    tree = parse_text(rule.text)
    checked = _check_node(rule, tree)
    if checked.kind not in NUMERIC:
        raise rule.error_at(tree, f"a score must be a number, but this is: {checked.kind.words}", "Calculate with features and numbers.")
    return exp.cast(bracketed_node(checked.node), "double")


def _check_node(rule: RuleContext, node: exp.Expr) -> TypedNode:
    """Build `node` anew with its type; raises ConfigError for every kind of node, and every argument, that is not listed below."""
    check = _CHECKS.get(type(node))
    # What is not listed is refused, whether it is a kind of node or an argument of one: a new version of the parser adds nothing to the
    # language.
    arguments = {name for name, value in node.args.items() if value not in (None, False, [])}
    if check is None or not arguments <= _ARGUMENTS.get(type(node), {"this", "expression"}):
        raise rule.error_at(node, "this is not part of the rule language")
    return check(rule, node)


def _check_condition(rule: RuleContext, node: exp.Expr, what: str) -> exp.Expression:
    checked = _check_node(rule, node)
    if checked.kind is not Kind.FLAG:
        raise rule.error_at(node, f"{what} true or false, but this is: {checked.kind.words}", "Compare it with something.")
    return checked.node


def _check_column(rule: RuleContext, node: exp.Expr) -> TypedNode:
    kind, shorthands = rule.vocabulary.names.get(node.name), rule.vocabulary.shorthands
    if kind is None and node.name in shorthands:
        return TypedNode(bracketed_node(shorthands[node.name].copy()), Kind.FLAG)
    if kind is None:
        suggestion = did_you_mean(node.name, (*rule.vocabulary.names, *shorthands))
        todo = "Use a feature, a declared attribute, or the segment of another scheme, such as rfm.segment."
        raise rule.error_at(node, f"unknown name `{node.name}`{suggestion}", todo)
    return typed_column(node.name, kind)


def _check_literal(rule: RuleContext, node: exp.Expr) -> TypedNode:
    if node.is_string:
        return TypedNode(exp.Literal.string(node.name), Kind.TEXT)
    number = typed_number(node.name)
    if number.digits > MAX_LITERAL_DIGITS:
        raise rule.error_at(node, f"this number has more than {MAX_LITERAL_DIGITS} digits", "Write a shorter number.")
    return number


def _check_negative(rule: RuleContext, node: exp.Expr) -> TypedNode:
    if not isinstance(node.this, exp.Literal) or node.this.is_string:
        raise rule.error_at(node, "a minus sign stands before a number or between two values", "Write `0 - x` for `-x`.")
    number = _check_node(rule, node.this)
    return TypedNode(exp.Neg(this=number.node), number.kind, number.digits, number.decimals)


def _refuse_null(rule: RuleContext, node: exp.Expr) -> TypedNode:
    # `x = NULL` is true of nobody, and so never what was meant.
    raise rule.error_at(node, "nothing equals NULL", "Write `x IS NULL` or `x IS NOT NULL`.")


def _check_date(rule: RuleContext, node: exp.Expr) -> TypedNode:
    if not is_iso_date(node.name):
        raise rule.error_at(node, "this is no date", "Write it as DATE '2026-01-31'.")
    return TypedNode(exp.cast(exp.Literal.string(node.name), "date"), Kind.DATE)


def _check_connector(rule: RuleContext, node: exp.Expr) -> TypedNode:
    parts = [_check_condition(rule, part, "AND and OR take") for part in node.flatten(unnest=False)]
    return TypedNode(operator_chain(type(node), *parts), Kind.FLAG)


def _check_between(rule: RuleContext, node: exp.Expr) -> TypedNode:
    # Two comparisons, so that each bound is brought to one type with the value by itself.
    low = _comparison_node(rule, exp.GTE, node.this, node.args["low"])
    high = _comparison_node(rule, exp.LTE, node.this, node.args["high"])
    return TypedNode(operator_chain(exp.And, low, high), Kind.FLAG)


def _check_in(rule: RuleContext, node: exp.Expr) -> TypedNode:
    is_list = all(isinstance(choice, (exp.Literal, exp.Neg, exp.Cast, exp.Boolean)) for choice in node.expressions)
    if not node.expressions or not is_list:
        raise rule.error_at(node, "IN takes a list of numbers, texts or dates", "Write `x IN ('a', 'b')`.")
    value, *choices = _nodes_of_one_type(rule, node, _check_compared_nodes(rule, [node.this, *node.expressions]))
    return TypedNode(exp.In(this=bracketed_node(value), expressions=choices), Kind.FLAG)


def _check_is(rule: RuleContext, node: exp.Expr) -> TypedNode:
    """Build `x IS NULL`, or `x IS y`: true or false even of what is unknown, and so made of parts that every engine and proof knows."""
    sides = (node.this, node.expression)
    given = [side for side in sides if not isinstance(side, exp.Null)]
    if len(given) == 1:
        return TypedNode(_is_unknown(rule, given[0]), Kind.FLAG)
    may_be_unknown = [side for side in sides if side.find(exp.Column)]
    are_known = (exp.Not(this=bracketed_node(_is_unknown(rule, side))) for side in may_be_unknown)
    is_same = operator_chain(exp.And, _comparison_node(rule, exp.EQ, *sides), *are_known)
    if len(may_be_unknown) == len(sides):
        is_same = operator_chain(exp.Or, is_same, operator_chain(exp.And, *(_is_unknown(rule, side) for side in sides)))
    return TypedNode(is_same, Kind.FLAG)


def _is_unknown(rule: RuleContext, node: exp.Expr) -> exp.Expression:
    return exp.Is(this=bracketed_node(_check_node(rule, node).node), expression=exp.null())


def _comparison_node(rule: RuleContext, operator: type[exp.Expr], left: exp.Expr, right: exp.Expr) -> exp.Expression:
    sides = _check_compared_nodes(rule, [left, right])
    nodes = _nodes_of_one_type(rule, left, sides)
    if sides[0].kind is Kind.FLAG and operator not in (exp.EQ, exp.NEQ):
        raise rule.error_at(left, "true and false have no order", "Use = or <>.")
    return operator_chain(operator, *nodes)


def _check_compared_nodes(rule: RuleContext, nodes: Sequence[exp.Expr]) -> list[TypedNode]:
    """Check what is compared; a segment's title becomes its id, since people may write either."""
    columns, vocabulary = [node.name for node in nodes if isinstance(node, exp.Column)], rule.vocabulary
    if vocabulary.clusters.intersection(columns):
        return [_check_cluster_id(rule, node) for node in nodes]
    ids = next((vocabulary.segments[name] for name in columns if name in vocabulary.segments), None)
    return [_check_node(rule, node) if ids is None else _check_segment_name(rule, node, ids) for node in nodes]


def _check_cluster_id(rule: RuleContext, node: exp.Expr) -> TypedNode:
    # Which clusters there are is known only once a model is fitted, so an id is checked by its form.
    if isinstance(node, exp.Literal) and node.is_string and not is_cluster_id(node.name):
        raise rule.error_at(node, f"no such cluster: `{node.name}`{nearest_cluster_id(node.name)}", TODO)
    return _check_node(rule, node)


def _check_segment_name(rule: RuleContext, node: exp.Expr, ids: Mapping[str, str]) -> TypedNode:
    if not isinstance(node, exp.Literal):
        return _check_node(rule, node)
    if node.name not in ids:
        todo = f"Write one of {', '.join(dict.fromkeys(ids.values()))}."
        raise rule.error_at(node, f"no such segment: `{node.name}`{did_you_mean(node.name, ids)}", todo)
    return TypedNode(exp.Literal.string(ids[node.name]), Kind.TEXT)


def _nodes_of_one_type(rule: RuleContext, place: exp.Expr, items: Sequence[TypedNode]) -> list[exp.Expression]:
    kinds = {item.kind for item in items}
    if not kinds <= COMPARABLE or (len(kinds) > 1 and not kinds <= NUMERIC):
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
        raise _overflow_error(rule, place) from None


def _check_arithmetic(rule: RuleContext, node: exp.Expr) -> TypedNode:
    left, right = _check_node(rule, node.this), _check_node(rule, node.expression)
    if not {left.kind, right.kind} <= NUMERIC:
        raise rule.error_at(node, "only numbers can be added, subtracted and multiplied", "Dates and text can be compared.")
    try:
        return typed_arithmetic(type(node), left, right)
    except OverflowError:
        raise _overflow_error(rule, node) from None


def _overflow_error(rule: RuleContext, node: exp.Expr) -> ConfigError:
    return rule.error_at(node, "the result may need more than 38 digits", "Use fewer or shorter factors.")


_CHECKS: Mapping[type[exp.Expr], Callable[[RuleContext, exp.Expr], TypedNode]] = {
    exp.Paren: lambda rule, node: _check_node(rule, node.this),
    exp.Column: _check_column,
    exp.Literal: _check_literal,
    exp.Neg: _check_negative,
    exp.Boolean: lambda _rule, node: TypedNode(exp.Boolean(this=bool(node.this)), Kind.FLAG),
    exp.Null: _refuse_null,
    exp.Cast: _check_date,
    exp.And: _check_connector,
    exp.Or: _check_connector,
    exp.Not: lambda rule, node: TypedNode(exp.Not(this=bracketed_node(_check_condition(rule, node.this, "NOT takes"))), Kind.FLAG),
    exp.Is: _check_is,
    exp.NullSafeEQ: _check_is,
    exp.NullSafeNEQ: lambda rule, node: TypedNode(exp.Not(this=bracketed_node(_check_is(rule, node).node)), Kind.FLAG),
    exp.In: _check_in,
    exp.Between: _check_between,
    **dict.fromkeys(
        (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE),
        lambda rule, node: TypedNode(_comparison_node(rule, type(node), node.this, node.expression), Kind.FLAG),
    ),
    **dict.fromkeys((exp.Add, exp.Sub, exp.Mul), _check_arithmetic),
}
# The parser's nodes can hold more than the language allows, such as a cast's format or a subquery after IN: only these arguments pass.
_ARGUMENTS: Mapping[type[exp.Expr], set[str]] = {
    exp.Literal: {"this", "is_string"},
    exp.Cast: {"this", "to"},
    exp.In: {"this", "expressions"},
    exp.Between: {"this", "low", "high"},
}
