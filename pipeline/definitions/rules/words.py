"""A checked rule in words again, as a person would write it, for what was put together from several parts."""

from __future__ import annotations

from sqlglot import exp
from sqlglot.tokenizer_core import TokenType

from pipeline.definitions.rules.calls import call_of
from pipeline.definitions.rules.joined_columns import joined_kind
from pipeline.definitions.rules.text import LEXEME, lexeme_token

_TODAY = "as_of_date"
_WAS = "was"  # before IN it begins a phrase


def rule_words(node: exp.Expr) -> str:
    """Return how a person would write a part of a rule."""
    if (call := call_of(node)) is not None:
        return call.text
    if isinstance(node, exp.Cast):
        is_date = isinstance(node.this, exp.Literal) and node.this.is_string
        return f"DATE {node.this.sql('duckdb')}" if is_date else rule_words(node.this)
    if isinstance(node, exp.Column):
        return "TODAY" if node.name == _TODAY else node.name if joined_kind(node.name) is not None else written_name(node.name)
    if isinstance(node, exp.Paren):
        return f"({rule_words(node.this)})"
    if isinstance(node, exp.Binary) and type(node) in _MARKS:
        return f"{rule_words(node.this)} {_MARKS[type(node)]} {rule_words(node.expression)}"
    return node.sql("duckdb")


def written_name(name: str) -> str:
    """Return the name of a column as a rule says it: in quotes where it is no plain word, or a word of the language."""
    lexeme = LEXEME.fullmatch(name)
    token = lexeme_token(lexeme) if lexeme is not None and lexeme.lastgroup == "word" else None
    is_bare = token is not None and (token.token_type, token.text) == (TokenType.IDENTIFIER, name) and name.lower() != _WAS
    return name if is_bare else exp.to_identifier(name, quoted=True).sql("duckdb")


def column_names(node: exp.Expr) -> frozenset[str]:
    """Return the names of the columns in `node`."""
    return frozenset(column.name for column in node.find_all(exp.Column))


_MARKS: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}
