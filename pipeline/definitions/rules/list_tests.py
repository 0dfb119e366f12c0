"""Attributes that hold several values, such as tags: whether any, all or none of them are something.

Such an attribute is one text, its values each once and in order, between them the separator that the company declares; an empty text has
none. To look for whole values, separators are put around each of them: `a,b` becomes `,a,,b,`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlglot import exp

from pipeline.definitions.rules.calls import Call, Row, call_node
from pipeline.definitions.rules.texts import TEXT_TESTS
from pipeline.definitions.rules.types import TypedNode, bracketed_node, operator_chain
from pipeline.definitions.rules.values import rule_value
from pipeline.definitions.rules.words import column_names, rule_words
from pipeline.lake.tables import Kind

QUANTIFIERS = ("ANY", "ALL", "NONE")


def values_in(text: str, separator: str) -> list[str]:
    """Return the values that a cell holds."""
    return text.split(separator) if text else []


def values_test(quantifier: str, node: exp.Expression, separator: str, choices: Sequence[str]) -> TypedNode:
    """Return whether any, all or none of the values in `node` are among `choices`, none of which is empty or has the separator."""
    if quantifier == "NONE":
        return _negated(values_test("ANY", node, separator, choices))
    if quantifier == "ANY":
        tests = [_value_test(node, separator, choice) for choice in choices]
        return TypedNode(operator_chain(exp.Or, *tests) if len(tests) > 1 else tests[0], Kind.FLAG)
    left: exp.Expression = _enclosed(node, separator)
    for choice in choices:
        left = exp.Replace(this=left, expression=_text(f"{separator}{choice}{separator}"), replacement=_text(""))
    # Of no value at all two separators are left.
    sql = exp.In(this=left, expressions=[_text(""), _text(separator * 2)])
    words = f"ALL({rule_words(node)}) {_choice_words(choices)}"
    known = set(choices)
    return _list_call(words, node, sql, lambda text: known.issuperset(values_in(text, separator)), examples=choices, separator=separator)


def other_value_test(quantifier: str, node: exp.Expression, separator: str, choice: str) -> TypedNode:
    """Return whether any, all or none of the values are something else than `choice`."""
    if quantifier == "ALL":
        return _negated(values_test("ANY", node, separator, [choice]))
    if quantifier == "NONE":
        return values_test("ALL", node, separator, [choice])
    return _negated(values_test("ALL", node, separator, [choice]))


def values_text_test(quantifier: str, name: str, node: exp.Expression, separator: str, part: str) -> TypedNode:
    """Return whether any or none of the values contains, begins or ends with `part`."""
    if quantifier == "NONE":
        return _negated(values_text_test("ANY", name, node, separator, part))
    holds = TEXT_TESTS[name][1]
    found = {"CONTAINS": part, "STARTS_WITH": f"{separator}{part}", "ENDS_WITH": f"{part}{separator}"}[name]
    sql = exp.Contains(this=_enclosed(node, separator), expression=_text(found))
    words = f"{name}(ANY({rule_words(node)}), {_text(part).sql('duckdb')})"

    def holds_of_any(text: str) -> bool:
        return any(holds(value, part) for value in values_in(text, separator))

    return _list_call(words, node, sql, holds_of_any, examples=[part], separator=separator)


def _value_test(node: exp.Expression, separator: str, choice: str) -> exp.Expression:
    sql = exp.Contains(this=_enclosed(node, separator), expression=_text(f"{separator}{choice}{separator}"))
    words = f"ANY({rule_words(node)}) {_choice_words([choice])}"
    # A customer may have any values beside each other.
    return _list_call(
        words, node, sql, lambda text: choice in values_in(text, separator), examples=[choice], separator=separator, is_free=True
    ).node


def _list_call(words: str, node: exp.Expression, sql: exp.Expression, holds: Callable[[str], bool], **facts: Any) -> TypedNode:  # noqa: ANN401 - of several kinds
    """Return the call of a test; `facts` are further ones of a `Call`."""

    def value_of(row: Row) -> bool | None:
        value: Any = rule_value(node, row)
        return None if value is None else holds(value)

    names, examples = column_names(node), tuple(facts.pop("examples"))
    call = Call(words, Kind.FLAG, value_of, names, names, is_surjective=True, examples=examples, **facts)
    return TypedNode(call_node(call, sql), Kind.FLAG)


def _enclosed(node: exp.Expression, separator: str) -> exp.Expression:
    """Return the text of a list with a separator on both sides of each value."""
    doubled = exp.Replace(this=node.copy(), expression=_text(separator), replacement=_text(separator * 2))
    enclosed = exp.DPipe(this=exp.DPipe(this=_text(separator), expression=doubled), expression=_text(separator))
    return exp.Paren(this=enclosed)


def _negated(item: TypedNode) -> TypedNode:
    return TypedNode(exp.Not(this=bracketed_node(item.node)), Kind.FLAG)


def _choice_words(choices: Sequence[str]) -> str:
    texts = [_text(choice).sql("duckdb") for choice in choices]
    return f"= {texts[0]}" if len(texts) == 1 else f"IN ({', '.join(texts)})"


def _text(value: str) -> exp.Expression:
    return exp.Literal.string(value)
