"""Rule text, such as `r_score >= 4 AND NOT is_prospect`, as a checked syntax tree for any engine.

Nothing of the text is passed through: it is read lexeme by lexeme, parsed, typed against the declared names,
and built anew with explicit casts, so that every engine gives the same answer. What is not allowed is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from pipeline.definitions.rules.aggregate_calls import SYNTAX, AggregateCall, split_calls, without_calls
from pipeline.definitions.rules.aggregates import Aggregate, DayWindow, Function
from pipeline.definitions.rules.calls import Call, Row, call_node
from pipeline.definitions.rules.cluster_ids import TODO, is_cluster_id, nearest_cluster_id
from pipeline.definitions.rules.dates import MOST_DAYS, day_count, is_today, plain_date, shifted_date
from pipeline.definitions.rules.event_sources import EventSource
from pipeline.definitions.rules.functions import (
    FUNCTIONS,
    check_call,
    constant_text,
    function_name,
    is_call,
    list_column,
    require_lower,
)
from pipeline.definitions.rules.joined_columns import ListColumn
from pipeline.definitions.rules.list_tests import QUANTIFIERS, other_value_test, values_test
from pipeline.definitions.rules.phrases import LIST_MARK
from pipeline.definitions.rules.text import RuleText, parse_tokens, read_tokens
from pipeline.definitions.rules.types import (
    NUMERIC,
    TypedNode,
    bracketed_node,
    cast_to_one_type,
    common_kind,
    is_iso_date,
    operator_chain,
    typed_arithmetic,
    typed_column,
    typed_number,
    typed_quotient,
)
from pipeline.definitions.rules.values import rule_value
from pipeline.definitions.rules.vocabulary import RuleContext, Vocabulary
from pipeline.definitions.rules.words import column_names, rule_words
from pipeline.errors import ConfigError
from pipeline.lake.tables import Kind
from pipeline.spelling import did_you_mean

_MIRRORED: Mapping[type[exp.Expr], type[exp.Expr]] = {exp.LT: exp.GT, exp.LTE: exp.GTE, exp.GT: exp.LT, exp.GTE: exp.LTE}
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
    return _check_node(rule, tree), list(rule.aggregates.values())


def aggregates_of(text: str, vocabulary: Vocabulary, *, where: str) -> list[Aggregate]:
    """Return the aggregates within a rule, without reading the rest of it; raises ConfigError for one that is wrong."""
    rule = RuleText(text, where, vocabulary.parameters)
    calls = split_calls(rule, read_tokens(rule), vocabulary.sources, None)
    return [_aggregate(rule, vocabulary, call, None) for call in calls]


@dataclass(frozen=True, slots=True)
class OwnRows:
    """The rows that a declared feature is about: of `source`, within `window`, for which `where` holds."""

    source: EventSource
    where: exp.Expression | None
    window: DayWindow


def _parse(text: RuleText, vocabulary: Vocabulary, own: OwnRows | None = None) -> tuple[RuleContext, exp.Expr]:
    tokens = read_tokens(text)
    calls = split_calls(text, tokens, vocabulary.sources, own.source if own else None)
    aggregates = [_aggregate(text, vocabulary, call, own) for call in calls]
    tokens = without_calls(tokens, calls, [each.name for each in aggregates])
    return RuleContext(text, vocabulary, {each.name: each for each in aggregates}), parse_tokens(text, tokens)


def _aggregate(text: RuleText, vocabulary: Vocabulary, call: AggregateCall, own: OwnRows | None) -> Aggregate:
    """Check what a call adds up, in the words of its source."""
    hint = f"Name a column of {call.source.name}: {', '.join(call.source.names)}."
    rule = RuleContext(text, Vocabulary(call.source.names, vocabulary.parameters, language=vocabulary.language, hint=hint))
    argument = _check_node(rule, parse_tokens(text, list(call.argument))) if call.argument else None
    kind, value = _kind_of_aggregate(rule, call, argument), None if argument is None else argument.node
    if call.window is None and own is not None:
        return Aggregate(call.source.name, call.function, value, own.where, own.window, kind)
    where = _check_condition(rule, parse_tokens(text, list(call.where)), "WHERE takes what is") if call.where else None
    return Aggregate(call.source.name, call.function, value, where, call.window or DayWindow(), kind)


def _kind_of_aggregate(rule: RuleContext, call: AggregateCall, argument: TypedNode | None) -> Kind:
    if argument is None:
        if call.function is Function.COUNT:
            return Kind.INTEGER
        raise rule.text.error_at(call.first.start, f"{call.function.value} takes a column", SYNTAX)
    if call.function.is_count:
        return Kind.INTEGER
    if call.function in (Function.SUM, Function.AVG):
        # Doubles add up to another number in another order; every night must give the same.
        if argument.kind not in (Kind.INTEGER, Kind.MONEY):
            what = f"{call.function.value} takes exact numbers, but this is: {argument.kind.words}"
            todo = 'Declare the column as "money" or "integer".' if argument.kind is Kind.NUMBER else SYNTAX
            raise rule.text.error_at(call.argument[0].start, what, todo)
        return Kind.NUMBER if call.function is Function.AVG else argument.kind
    return argument.kind


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
        return typed_column(node.name, rule.aggregates[node.name].kind)
    kind, shorthands = rule.vocabulary.names.get(node.name), rule.vocabulary.shorthands
    if node.name.startswith(LIST_MARK):
        raise rule.error_at(node, "a list stands after IN alone", "Write city IN LIST coast.")
    if node.name in rule.vocabulary.separators:
        todo = f"Write ANY({node.name}) = 'vip', or ALL or NONE."
        raise rule.error_at(node, f"`{node.name}` holds a list of values, so that it is no single text", todo)
    if kind is None and node.name in shorthands:
        return TypedNode(bracketed_node(shorthands[node.name].copy()), Kind.FLAG)
    if kind is None:
        suggestion = did_you_mean(node.name, (*rule.vocabulary.names, *shorthands))
        raise rule.error_at(node, f"unknown name `{node.name}`{suggestion}", rule.vocabulary.hint)
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
    if len(node.expressions) == 1 and node.expressions[0].name.startswith(LIST_MARK):
        return _check_in_list(rule, node, node.expressions[0])
    if is_call(node.this, *QUANTIFIERS) and node.expressions:
        column, separator = list_column(rule, node.this)
        texts = [constant_text(rule, choice, "a value of a list", separator) for choice in node.expressions]
        return values_test(function_name(node.this), column, separator, list(dict.fromkeys(texts)))
    is_list = all(isinstance(choice, (exp.Literal, exp.Neg, exp.Cast, exp.Boolean)) for choice in node.expressions)
    if not node.expressions or not is_list:
        raise rule.error_at(node, "IN takes a list of numbers, texts or dates", "Write `x IN ('a', 'b')`.")
    value, *choices = _nodes_of_one_type(rule, node, _check_compared_nodes(rule, [node.this, *node.expressions]))
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


def _check_is(rule: RuleContext, node: exp.Expr) -> TypedNode:
    """Build `x IS NULL`, or `x IS y`: true or false even of what is unknown, and so made of parts that every engine and proof knows."""
    sides = (node.this, node.expression)
    given = [side for side in sides if not isinstance(side, exp.Null)]
    if len(given) == 1:
        return TypedNode(_is_unknown(rule, given[0]), Kind.FLAG)
    may_be_unknown = [side for side in sides if side.find(exp.Column, exp.Anonymous)]
    are_known = (exp.Not(this=bracketed_node(_is_unknown(rule, side))) for side in may_be_unknown)
    is_same = operator_chain(exp.And, _comparison_node(rule, exp.EQ, *sides), *are_known)
    if len(may_be_unknown) == len(sides):
        is_same = operator_chain(exp.Or, is_same, operator_chain(exp.And, *(_is_unknown(rule, side) for side in sides)))
    return TypedNode(is_same, Kind.FLAG)


def _is_unknown(rule: RuleContext, node: exp.Expr) -> exp.Expression:
    separators = rule.vocabulary.separators
    if is_call(node, *QUANTIFIERS):  # a list is known or not, whichever of its values are asked for
        value = list_column(rule, node)[0]
    elif isinstance(node, exp.Column) and node.name in separators:
        value = typed_column(node.name, Kind.TEXT).node
    else:
        value = plain_date(_check_node(rule, node)).node
    return exp.Is(this=bracketed_node(value), expression=exp.null())


def _comparison_node(rule: RuleContext, operator: type[exp.Expr], left: exp.Expr, right: exp.Expr) -> exp.Expression:
    if is_call(left, *QUANTIFIERS) or is_call(right, *QUANTIFIERS):
        return _list_comparison(rule, operator, left, right)
    for side, other in ((left, right), (right, left)):
        if is_call(side, "LOWER") and isinstance(other, exp.Literal) and operator in (exp.EQ, exp.NEQ):
            require_lower(rule, other)
    sides = _check_compared_nodes(rule, [left, right])
    if all(side.kind is Kind.DATE for side in sides) and any(side.days or is_today(side.node) for side in sides):
        return _day_comparison(rule, operator, left, *sides)
    nodes = _nodes_of_one_type(rule, left, sides)
    if sides[0].kind is Kind.FLAG and operator not in (exp.EQ, exp.NEQ):
        raise rule.error_at(left, "true and false have no order", "Use = or <>.")
    return operator_chain(operator, *nodes)


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
    return operator_chain(_MIRRORED.get(operator, operator), counted.node, _whole_number(days))


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
        raise _overflow_error(rule, place) from None


def _check_arithmetic(rule: RuleContext, node: exp.Expr) -> TypedNode:
    left, right = _check_node(rule, node.this), _check_node(rule, node.expression)
    if Kind.DATE in (left.kind, right.kind):
        return _check_date_arithmetic(rule, node, left, right)
    if not {left.kind, right.kind} <= NUMERIC:
        todo = "Text can be compared; to a date add a number of days."
        raise rule.error_at(node, "only numbers can be added, subtracted, multiplied and divided", todo)
    try:
        return typed_arithmetic(type(node), left, right)
    except OverflowError:
        raise _overflow_error(rule, node) from None


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


def _check_quotient(rule: RuleContext, node: exp.Expr) -> TypedNode:
    left, right = _check_node(rule, node.this), _check_node(rule, node.expression)
    if not {left.kind, right.kind} <= NUMERIC:
        raise rule.error_at(node, "only numbers can be divided", "Compare dates and texts.")
    try:
        quotient = typed_quotient(left, right)
    except OverflowError:
        raise _overflow_error(rule, node) from None
    names = column_names(quotient.node)
    # Exact numbers as SQL has them: whole before each becomes a double.
    scale = 1 if Kind.NUMBER in (left.kind, right.kind) else 10 ** max(left.decimals, right.decimals)

    def value_of(row: Row) -> Any:  # noqa: ANN401 - a number, or unknown
        above: Any = rule_value(left.node, row)
        below: Any = rule_value(right.node, row)
        return None if above is None or not below else float(above * scale) / float(below * scale)

    text = f"{rule_words(bracketed_node(left.node))} / {rule_words(bracketed_node(right.node))}"
    return TypedNode(call_node(Call(text, Kind.NUMBER, value_of, names, None), quotient.node), Kind.NUMBER)


def _check_function(rule: RuleContext, node: exp.Expr) -> TypedNode:
    name = function_name(node)
    if name not in FUNCTIONS:
        todo = "The reference page of rules lists all functions."
        raise rule.error_at(node, f"there is no function `{name}`{did_you_mean(name, FUNCTIONS)}", todo)
    return check_call(rule, node, _check_node)


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
    exp.Div: _check_quotient,
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
