"""Rule text, such as `r_score >= 4 AND NOT is_prospect`, as a checked syntax tree for any engine.

Nothing of the text is passed through: it is read lexeme by lexeme, parsed, typed against the declared names,
and built anew with explicit casts, so that every engine gives the same answer. What is not allowed is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from pipeline.definitions.rules.cluster_ids import TODO, is_cluster_id, nearest_cluster_id
from pipeline.definitions.rules.parameters import Parameter
from pipeline.definitions.rules.text import LANGUAGE, RuleText, parsed, position
from pipeline.definitions.rules.types import (
    COMPARABLE,
    NUMERIC,
    Typed,
    alike,
    calculated,
    is_date,
    operation,
    typed_column,
    typed_number,
    wrapped,
)
from pipeline.errors import ConfigError
from pipeline.lake.tables import Kind
from pipeline.spelling import did_you_mean

MAX_LITERAL_DIGITS = 15  # Every such number is one correctly rounded division away from its DOUBLE.


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What rules may name: columns by kind, parameters, and the segments of other schemes.

    `segments` holds for a column such as `rfm.segment` what may be compared with it, and the id that each stands for; `clusters` has
    the columns that are compared with ids of clusters.
    """

    names: Mapping[str, Kind]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    segments: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    clusters: frozenset[str] = frozenset()


def parse_rule(text: str, vocabulary: Vocabulary, *, where: str) -> exp.Expression:
    """Return the condition that `text` states in the words of `vocabulary`, built anew, in DuckDB's dialect.

    Raises ConfigError naming `where` and the column, with the text and a caret, for anything that is not a condition.
    """
    rule = _rule(text, vocabulary, where)
    return _true_or_false(rule, parsed(rule.text), "a rule must be")


def parse_score(text: str, vocabulary: Vocabulary, *, where: str) -> exp.Expression:
    """Return the number that `text` stands for, as a DOUBLE; raises ConfigError as parse_rule does."""
    rule = _rule(text, vocabulary, where)
    tree = parsed(rule.text)
    checked = _checked(rule, tree)
    if checked.kind not in NUMERIC:
        raise rule.refusal(tree, f"a score must be a number, but this is: {checked.kind.words}", "Calculate with features and numbers.")
    return exp.cast(wrapped(checked.node), "double")


def _rule(text: str, vocabulary: Vocabulary, where: str) -> _Rule:
    return _Rule(RuleText(text, where, vocabulary.parameters), vocabulary)


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a check needs to know besides the node at hand."""

    text: RuleText
    vocabulary: Vocabulary

    def refusal(self, node: exp.Expr, what: str, todo: str = LANGUAGE) -> ConfigError:
        return self.text.refusal(what, position(node), todo)


def _checked(rule: _Rule, node: exp.Expr) -> Typed:
    check = _CHECKS.get(type(node))
    given = {name for name, value in node.args.items() if value not in (None, False, [])}
    if check is None or not given <= _ARGUMENTS.get(type(node), {"this", "expression"}):
        raise rule.refusal(node, "this is not part of the rule language")
    return check(rule, node)


def _true_or_false(rule: _Rule, node: exp.Expr, what: str) -> exp.Expression:
    checked = _checked(rule, node)
    if checked.kind is not Kind.FLAG:
        raise rule.refusal(node, f"{what} true or false, but this is: {checked.kind.words}", "Compare it with something.")
    return checked.node


def _inside(rule: _Rule, node: exp.Expr) -> Typed:
    return _checked(rule, node.this)


def _column(rule: _Rule, node: exp.Expr) -> Typed:
    kind = rule.vocabulary.names.get(node.name)
    if kind is None:
        suggestion = did_you_mean(node.name, rule.vocabulary.names)
        todo = "Use a feature, a declared attribute, or the segment of another scheme, such as rfm.segment."
        raise rule.refusal(node, f"unknown name `{node.name}`{suggestion}", todo)
    return typed_column(node.name, kind)


def _literal(rule: _Rule, node: exp.Expr) -> Typed:
    if node.is_string:
        return Typed(exp.Literal.string(node.name), Kind.TEXT)
    number = typed_number(node.name)
    if number.digits > MAX_LITERAL_DIGITS:
        raise rule.refusal(node, f"this number has more than {MAX_LITERAL_DIGITS} digits", "Write a shorter number.")
    return number


def _negative(rule: _Rule, node: exp.Expr) -> Typed:
    if not isinstance(node.this, exp.Literal) or node.this.is_string:
        raise rule.refusal(node, "a minus sign stands before a number or between two values", "Write `0 - x` for `-x`.")
    number = _checked(rule, node.this)
    return Typed(exp.Neg(this=number.node), number.kind, number.digits, number.decimals)


def _boolean(_rule: _Rule, node: exp.Expr) -> Typed:
    return Typed(exp.Boolean(this=bool(node.this)), Kind.FLAG)


def _null(rule: _Rule, node: exp.Expr) -> Typed:
    raise rule.refusal(node, "nothing equals NULL", "Write `x IS NULL` or `x IS NOT NULL`.")


def _date(rule: _Rule, node: exp.Expr) -> Typed:
    if not is_date(node.name):
        raise rule.refusal(node, "this is no date", "Write it as DATE '2026-01-31'.")
    return Typed(exp.cast(exp.Literal.string(node.name), "date"), Kind.DATE)


def _connected(rule: _Rule, node: exp.Expr) -> Typed:
    parts = [_true_or_false(rule, part, "AND and OR take") for part in node.flatten(unnest=False)]
    return Typed(operation(type(node), *parts), Kind.FLAG)


def _not(rule: _Rule, node: exp.Expr) -> Typed:
    return Typed(exp.Not(this=wrapped(_true_or_false(rule, node.this, "NOT takes"))), Kind.FLAG)


def _comparison(rule: _Rule, node: exp.Expr) -> Typed:
    return Typed(_compared(rule, type(node), node.this, node.expression), Kind.FLAG)


def _between(rule: _Rule, node: exp.Expr) -> Typed:
    low = _compared(rule, exp.GTE, node.this, node.args["low"])
    high = _compared(rule, exp.LTE, node.this, node.args["high"])
    return Typed(operation(exp.And, low, high), Kind.FLAG)


def _in(rule: _Rule, node: exp.Expr) -> Typed:
    is_list = all(isinstance(choice, (exp.Literal, exp.Neg, exp.Cast, exp.Boolean)) for choice in node.expressions)
    if not node.expressions or not is_list:
        raise rule.refusal(node, "IN takes a list of numbers, texts or dates", "Write `x IN ('a', 'b')`.")
    value, *choices = _alike(rule, node, _items(rule, [node.this, *node.expressions]))
    return Typed(exp.In(this=wrapped(value), expressions=choices), Kind.FLAG)


def _is_null(rule: _Rule, node: exp.Expr) -> Typed:
    if not isinstance(node.expression, exp.Null):
        raise rule.refusal(node, "IS takes NULL or NOT NULL", "Write `x = TRUE` for `x IS TRUE`.")
    return Typed(exp.Is(this=wrapped(_checked(rule, node.this).node), expression=exp.null()), Kind.FLAG)


def _compared(rule: _Rule, operator: type[exp.Expr], left: exp.Expr, right: exp.Expr) -> exp.Expression:
    sides = _items(rule, [left, right])
    nodes = _alike(rule, left, sides)
    if sides[0].kind is Kind.FLAG and operator not in (exp.EQ, exp.NEQ):
        raise rule.refusal(left, "true and false have no order", "Use = or <>.")
    return operation(operator, *nodes)


def _items(rule: _Rule, nodes: Sequence[exp.Expr]) -> list[Typed]:
    """Return what is compared, with the ids of segments for what a person may write for them."""
    columns, known = [node.name for node in nodes if isinstance(node, exp.Column)], rule.vocabulary
    if known.clusters.intersection(columns):
        return [_cluster(rule, node) for node in nodes]
    named = next((known.segments[name] for name in columns if name in known.segments), None)
    return [_checked(rule, node) if named is None else _segment(rule, node, named) for node in nodes]


def _cluster(rule: _Rule, node: exp.Expr) -> Typed:
    if isinstance(node, exp.Literal) and node.is_string and not is_cluster_id(node.name):
        raise rule.refusal(node, f"no such cluster: `{node.name}`{nearest_cluster_id(node.name)}", TODO)
    return _checked(rule, node)


def _segment(rule: _Rule, node: exp.Expr, named: Mapping[str, str]) -> Typed:
    if not isinstance(node, exp.Literal):
        return _checked(rule, node)
    if node.name not in named:
        known = f"Write one of {', '.join(dict.fromkeys(named.values()))}."
        raise rule.refusal(node, f"no such segment: `{node.name}`{did_you_mean(node.name, named)}", known)
    return Typed(exp.Literal.string(named[node.name]), Kind.TEXT)


def _alike(rule: _Rule, at: exp.Expr, items: Sequence[Typed]) -> list[exp.Expression]:
    kinds = {item.kind for item in items}
    if not kinds <= COMPARABLE or (len(kinds) > 1 and not kinds <= NUMERIC):
        todo = "Compare numbers with numbers, text with 'text', dates with DATE '2026-01-31'."
        raise rule.refusal(at, _incomparable(items), todo)
    try:
        return alike(items)
    except OverflowError:
        raise _too_long(rule, at) from None


def _incomparable(items: Sequence[Typed]) -> str:
    left = items[0].kind
    right = next((item.kind for item in items if item.kind is not left), left)
    return f"cannot compare: {left.words} with {right.words}"


def _arithmetic(rule: _Rule, node: exp.Expr) -> Typed:
    left, right = _checked(rule, node.this), _checked(rule, node.expression)
    if not {left.kind, right.kind} <= NUMERIC:
        raise rule.refusal(node, "only numbers can be added, subtracted and multiplied", "Dates and text can be compared.")
    try:
        return calculated(type(node), left, right)
    except OverflowError:
        raise _too_long(rule, node) from None


def _too_long(rule: _Rule, node: exp.Expr) -> ConfigError:
    return rule.refusal(node, "the result may need more than 38 digits", "Use fewer or shorter factors.")


_CHECKS: Mapping[type[exp.Expr], Callable[[_Rule, exp.Expr], Typed]] = {
    exp.Paren: _inside,
    exp.Column: _column,
    exp.Literal: _literal,
    exp.Neg: _negative,
    exp.Boolean: _boolean,
    exp.Null: _null,
    exp.Cast: _date,
    exp.And: _connected,
    exp.Or: _connected,
    exp.Not: _not,
    exp.Is: _is_null,
    exp.In: _in,
    exp.Between: _between,
    **dict.fromkeys((exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE), _comparison),
    **dict.fromkeys((exp.Add, exp.Sub, exp.Mul), _arithmetic),
}
_ARGUMENTS: Mapping[type[exp.Expr], set[str]] = {
    exp.Literal: {"this", "is_string"},
    exp.Cast: {"this", "to"},
    exp.In: {"this", "expressions"},
    exp.Between: {"this", "low", "high"},
}
