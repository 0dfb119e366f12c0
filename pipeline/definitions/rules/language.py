"""Rule text, such as `r_score >= 4 AND NOT is_prospect`, as a checked syntax tree for any engine.

Nothing of the text is passed through: it is read lexeme by lexeme, parsed, typed against the declared names,
and built anew with explicit casts, so that every engine gives the same answer. What is not allowed is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp

from pipeline.definitions.rules.aggregate_calls import split_calls, without_calls
from pipeline.definitions.rules.aggregate_checks import OwnRows, check_aggregate
from pipeline.definitions.rules.aggregates import Aggregate
from pipeline.definitions.rules.arithmetic import check_arithmetic, check_quotient
from pipeline.definitions.rules.comparisons import (
    check_compared_nodes,
    check_is,
    comparison_node,
    nodes_of_one_type,
    require_within_calendar,
)
from pipeline.definitions.rules.dates import is_today
from pipeline.definitions.rules.functions import FUNCTIONS, check_call
from pipeline.definitions.rules.joined_columns import ListColumn
from pipeline.definitions.rules.list_tests import QUANTIFIERS, values_test
from pipeline.definitions.rules.parsed_calls import constant_text, function_name, is_call, list_column
from pipeline.definitions.rules.phrases import AUDIENCE_MARK, LIST_MARK
from pipeline.definitions.rules.text import RuleText, parse_tokens, read_tokens
from pipeline.definitions.rules.types import NUMERIC, TypedNode, bracketed_node, is_iso_date, operator_chain, typed_column, typed_number
from pipeline.definitions.rules.vocabulary import RuleContext, Vocabulary
from pipeline.lake.tables import Kind
from pipeline.spelling import did_you_mean

MAX_LITERAL_DIGITS = 15  # Every such number is one correctly rounded division away from its DOUBLE.


def parse_rule(text: str, vocabulary: Vocabulary, *, where: str) -> exp.Expression:
    """Parse the condition that `text` states in the words of `vocabulary`, built anew, in DuckDB's dialect.

    Raises ConfigError naming `where` and the column, with the text and a caret, for anything that is not a condition.
    """
    rule, tree = _parse(RuleText(text, where, vocabulary.parameters), vocabulary)
    return _check_condition(rule, tree, "a rule must be")


def parse_score(text: str, vocabulary: Vocabulary, *, where: str) -> exp.Expression:
    """Parse the number that `text` stands for, as a DOUBLE; raises ConfigError as parse_rule does."""
    rule, tree = _parse(RuleText(text, where, vocabulary.parameters), vocabulary)
    checked = _check_node(rule, tree)
    if checked.kind not in NUMERIC:
        raise rule.error_at(tree, f"a score must be a number, but this is: {checked.kind.words}", "Calculate with features and numbers.")
    return exp.cast(bracketed_node(checked.node), "double")


def parse_value(text: str, vocabulary: Vocabulary, *, where: str, own: OwnRows | None = None) -> tuple[TypedNode, list[Aggregate]]:
    """Parse any value, of one customer, and return it with the aggregates in it, by whose names it is made.

    `own` are the rows that aggregates of a declared feature are about. Raises ConfigError as parse_rule does.
    """
    rule, tree = _parse(RuleText(text, where, vocabulary.parameters), vocabulary, own)
    aggregates = list(rule.aggregates.values())
    # A list is a value of its own, and takes part in no calculation.
    is_list = isinstance(tree, exp.Column) and tree.name in rule.listed
    return typed_column(tree.name, Kind.TEXT) if is_list else _check_node(rule, tree), aggregates


def aggregates_of(text: str, vocabulary: Vocabulary, *, where: str) -> list[Aggregate]:
    """Return the aggregates within a rule, without reading the rest of it; raises ConfigError for one that is wrong."""
    rule = RuleText(text, where, vocabulary.parameters)
    calls = split_calls(rule, read_tokens(rule), vocabulary.sources, None)
    return [check_aggregate(rule, vocabulary, call, _check_node) for call in calls]


def _parse(text: RuleText, vocabulary: Vocabulary, own: OwnRows | None = None) -> tuple[RuleContext, exp.Expr]:
    tokens = read_tokens(text)
    calls = split_calls(text, tokens, vocabulary.sources, own.source if own else None)
    aggregates = [check_aggregate(text, vocabulary, call, _check_node, own) for call in calls]
    tokens = without_calls(tokens, calls, [each.name for each in aggregates])
    return RuleContext(text, vocabulary, {each.name: each for each in aggregates}), parse_tokens(text, tokens)


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
    if node.name in rule.aggregates:
        if node.name in rule.listed:
            raise rule.error_at(node, "LIST gives several values, so that it is no single text", "Write ANY(LIST(...)) = 'Wine'.")
        return typed_column(node.name, rule.aggregates[node.name].kind)
    if node.name.startswith(AUDIENCE_MARK):
        return _audience(rule, node)
    kind, shorthands = rule.vocabulary.names.get(node.name), rule.vocabulary.shorthands
    if node.name.startswith(LIST_MARK):
        raise rule.error_at(node, "a list stands after IN alone", "Write city IN LIST coast.")
    if node.name in rule.vocabulary.separators:
        todo = f"Write ANY({node.name}) = 'vip', or ALL or NONE."
        raise rule.error_at(node, f"`{node.name}` holds a list of values, so that it is no single text", todo)
    if kind is None and node.name in shorthands:
        return TypedNode(bracketed_node(shorthands[node.name].copy()), Kind.FLAG)
    if kind is None and is_today(node):
        raise rule.error_at(node, "an event knows no TODAY", "Write the days behind the condition: LAST 30 DAYS, or THIS MONTH.")
    if node.name in rule.vocabulary.instants:
        what = f"`{node.name}` is an instant, which is compared with nothing"
        raise rule.error_at(node, what, f"Look at its hour or its day: HOUR({node.name}) >= 18, WEEKDAY({node.name}) = 5.")
    if kind is None:
        suggestion = did_you_mean(node.name, (*rule.vocabulary.names, *rule.vocabulary.instants, *shorthands))
        raise rule.error_at(node, f"unknown name `{node.name}`{suggestion}", rule.vocabulary.hint)
    return typed_column(node.name, kind)


def _audience(rule: RuleContext, node: exp.Expr) -> TypedNode:
    """Build the test whether a customer is in an audience: false, and not unknown, where its rule is unknown."""
    name, audiences = node.name.removeprefix(AUDIENCE_MARK), rule.vocabulary.audiences
    if audiences is None:
        what = "only the rule of an audience looks at others"
        raise rule.error_at(node, what, "Name the segment of a scheme, such as rfm.segment, or write the rule out.")
    if name not in audiences:
        what = f"there is no audience `{name}`{did_you_mean(name, audiences)}"
        raise rule.error_at(node, what, f"Write it into audiences/{name}.toml, or name another one.")
    condition = audiences[name]
    if condition is None:
        what = f"the audience `{name}` is not known yet, where this rule is read"
        raise rule.error_at(node, what, "Write its rule out here.")
    is_unknown = exp.Is(this=bracketed_node(condition.copy()), expression=exp.null())
    # What the other rule cannot tell for want of a column, this one cannot tell either.
    is_unknown.meta[AUDIENCE_MARK] = True
    is_known = exp.Not(this=exp.Paren(this=is_unknown))
    return TypedNode(operator_chain(exp.And, is_known, condition.copy()), Kind.FLAG)


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
    low = comparison_node(rule, exp.GTE, node.this, node.args["low"], _check_node)
    high = comparison_node(rule, exp.LTE, node.this, node.args["high"], _check_node)
    return TypedNode(operator_chain(exp.And, low, high), Kind.FLAG)


def _check_in(rule: RuleContext, node: exp.Expr) -> TypedNode:
    if len(node.expressions) == 1 and node.expressions[0].name.startswith(LIST_MARK):
        return _check_in_list(rule, node, node.expressions[0])
    if is_call(node.this, *QUANTIFIERS) and node.expressions:
        column, separator = list_column(rule, node.this)
        texts = [constant_text(rule, choice, "a value of a list", separator) for choice in node.expressions]
        return values_test(function_name(node.this), column, separator, list(dict.fromkeys(texts)))
    is_list = all(isinstance(choice, (exp.Literal, exp.Neg, exp.Cast, exp.Boolean)) for choice in node.expressions)
    if not node.expressions or not is_list:
        raise rule.error_at(node, "IN takes a list of numbers, texts or dates", "Write `x IN ('a', 'b')`.")
    items = check_compared_nodes(rule, [node.this, *node.expressions], _check_node)
    for place, item in zip(node.expressions, items[1:], strict=True):
        require_within_calendar(rule, place, items[0], item)
    value, *choices = nodes_of_one_type(rule, node, items)
    return TypedNode(exp.In(this=bracketed_node(value), expressions=choices), Kind.FLAG)


def _check_in_list(rule: RuleContext, node: exp.Expr, choice: exp.Expr) -> TypedNode:
    """Build the test whether a text is in a file of the company's `lists/`: a column that whoever decides joins to the features."""
    name, lists = choice.name.removeprefix(LIST_MARK), rule.vocabulary.lists
    if name not in lists:
        raise rule.error_at(
            choice, f"there is no list `{name}`{did_you_mean(name, lists)}", f"Write its values into lists/{name}.csv, a line each."
        )
    if not isinstance(node.this, exp.Column) or is_call(node.this):
        raise rule.error_at(node.this, "IN LIST takes an attribute or a feature", "Write city IN LIST coast.")
    value = _check_node(rule, node.this)
    if value.kind is not Kind.TEXT:
        what = f"a list holds texts, but this is: {value.kind.words}"
        raise rule.error_at(node.this, what, "Compare a text, or customer_id, with a list.")
    return typed_column(ListColumn(node.this.name, name, lists[name]).column, Kind.FLAG)


def _check_function(rule: RuleContext, node: exp.Expr) -> TypedNode:
    name = function_name(node)
    if name not in FUNCTIONS:
        todo = "The reference page of rules lists all functions."
        raise rule.error_at(node, f"there is no function `{name}`{did_you_mean(name, FUNCTIONS)}", todo)
    return check_call(rule, node, _check_node)


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
    **dict.fromkeys((exp.Is, exp.NullSafeEQ), lambda rule, node: check_is(rule, node, _check_node)),
    exp.NullSafeNEQ: lambda rule, node: TypedNode(exp.Not(this=bracketed_node(check_is(rule, node, _check_node).node)), Kind.FLAG),
    exp.In: _check_in,
    exp.Between: _check_between,
    **dict.fromkeys(
        (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE),
        lambda rule, node: TypedNode(comparison_node(rule, type(node), node.this, node.expression, _check_node), Kind.FLAG),
    ),
    **dict.fromkeys((exp.Add, exp.Sub, exp.Mul), lambda rule, node: check_arithmetic(rule, node, _check_node)),
    exp.Div: lambda rule, node: check_quotient(rule, node, _check_node),
    exp.Anonymous: _check_function,
}
# The parser's nodes can hold more than the language allows, such as a cast's format or a subquery after IN: only these arguments pass.
_ARGUMENTS: Mapping[type[exp.Expr], set[str]] = {
    exp.Literal: {"this", "is_string"},
    exp.Cast: {"this", "to"},
    exp.In: {"this", "expressions"},
    exp.Between: {"this", "low", "high"},
    exp.Div: {"this", "expression", "typed", "safe"},
    exp.Anonymous: {"this", "expressions"},
}
