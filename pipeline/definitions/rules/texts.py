"""Text in rules: what it contains, and its small letters, alike on every engine and in every language."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from pipeline.definitions.rules.calls import Call, Row, call_node
from pipeline.definitions.rules.types import TypedNode, bracketed_node
from pipeline.definitions.rules.values import rule_value
from pipeline.definitions.rules.words import column_names, rule_words
from pipeline.lake.tables import Kind

TURKIC_LANGUAGES = ("tr", "az")
"""Languages in which the small letter of I has no dot."""
# On these alone engines differ, or know only one language: one by one they have one small letter.
_SMALL_LETTERS = {"\u0130": "i", "\u03a3": "\u03c3"}
_TURKIC_LETTERS = {"I": "\u0131"}
TEXT_TESTS: dict[str, tuple[type[exp.Expression], Callable[[str, str], bool]]] = {
    "CONTAINS": (exp.Contains, lambda text, part: part in text),
    "STARTS_WITH": (exp.StartsWith, str.startswith),
    "ENDS_WITH": (exp.EndsWith, str.endswith),
}
"""The functions that look for one text in another."""


def lower_text(text: str, language: str) -> str:
    """Return `text` in small letters, letter by letter, as Unicode has them and as `language` writes them."""
    for capital, small in _letters_of(language).items():
        text = text.replace(capital, small)
    # One by one: what a letter becomes does not depend on its neighbours here, unlike the Greek sigma in a word.
    return "".join(letter.lower() for letter in text)


def lowered(item: TypedNode, language: str) -> TypedNode:
    """Return a text in small letters."""
    prepared: exp.Expression = item.node
    for capital, small in _letters_of(language).items():
        prepared = exp.Replace(this=prepared, expression=exp.Literal.string(capital), replacement=exp.Literal.string(small))

    def value_of(row: Row) -> Any:  # noqa: ANN401 - a text, or unknown
        value: Any = rule_value(item.node, row)
        return None if value is None else lower_text(value, language)

    names = column_names(item.node)
    call = Call(f"LOWER({rule_words(item.node)})", Kind.TEXT, value_of, names, names, is_surjective=isinstance(item.node, exp.Column))
    return TypedNode(call_node(call, exp.Lower(this=prepared)), Kind.TEXT)


def text_test(name: str, item: TypedNode, part: str) -> TypedNode:
    """Return whether a text contains, begins or ends with `part`."""
    node, (kind, holds) = item.node, TEXT_TESTS[name]

    def value_of(row: Row) -> bool | None:
        value: Any = rule_value(node, row)
        return None if value is None else holds(value, part)

    names, literal = column_names(node), exp.Literal.string(part)
    call = Call(
        text=f"{name}({rule_words(node)}, {literal.sql('duckdb')})",
        kind=Kind.FLAG,
        value_of=value_of,
        bases=names,
        unknown_with=names,
        is_surjective=True,
        examples=(part,),
    )
    return TypedNode(call_node(call, kind(this=bracketed_node(node), expression=literal)), Kind.FLAG)


def _letters_of(language: str) -> dict[str, str]:
    is_turkic = language.partition("-")[0] in TURKIC_LANGUAGES
    return {**_SMALL_LETTERS, **(_TURKIC_LETTERS if is_turkic else {})}
