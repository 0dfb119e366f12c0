"""Calls of functions as they were parsed, before anything of them is checked, and the texts and lists that they are given."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from pipeline.definitions.rules.phrases import CALL_MARK
from pipeline.definitions.rules.texts import lower_text, lowered
from pipeline.definitions.rules.types import TypedNode, typed_column
from pipeline.definitions.rules.vocabulary import RuleContext
from pipeline.lake.tables import Kind
from pipeline.spelling import did_you_mean

Check = Callable[[RuleContext, exp.Expr], TypedNode]
"""Builds a node of any kind anew: handed down, as what checks a part has to check the parts of that."""


def is_call(node: exp.Expr, *names: str) -> bool:
    """Return whether `node` is a call as it was parsed, of one of these functions where any is named."""
    return isinstance(node, exp.Anonymous) and (not names or function_name(node) in names)


def function_name(node: exp.Expr) -> str:
    """Return the name of the function that a parsed call names."""
    return str(node.name).removeprefix(CALL_MARK)


def list_column(rule: RuleContext, node: exp.Expr) -> tuple[exp.Expression, str]:
    """Return the list that a call of ANY, ALL or NONE asks about, and what separates its values."""
    [inner] = node.expressions if len(node.expressions) == 1 else [node]
    column = inner.expressions[0] if is_call(inner, "LOWER") and len(inner.expressions) == 1 else inner
    separators = {**rule.vocabulary.separators, **rule.listed}
    if not isinstance(column, exp.Column) or column.name not in separators:
        suggestion = did_you_mean(column.name, separators) if isinstance(column, exp.Column) else ""
        what = f"{function_name(node)} takes what holds a list{suggestion}"
        todo = 'Name an attribute of kind = "list" (under [attributes.<name>] of company.toml), or write LIST(order_lines.category).'
        raise rule.error_at(node, what, todo)
    item = typed_column(column.name, Kind.TEXT)
    return (item if column is inner else lowered(item, rule.vocabulary.language)).node, separators[column.name]


def constant_text(rule: RuleContext, node: exp.Expr, what: str, separator: str = "") -> str:
    """Return the text that a literal is; raises ConfigError for anything else, for an empty one, and for one with the `separator`."""
    if not isinstance(node, exp.Literal) or not node.is_string:
        raise rule.error_at(node, f"{what} must be a text in single quotes", "Write it as 'text'.")
    if not node.name:
        raise rule.error_at(node, f"{what} is empty", "Write at least one character.")
    if separator and separator in node.name:
        raise rule.error_at(node, f"`{separator}` separates the values of this list, so that none of them has it", "Write one value.")
    return node.name


def require_lower(rule: RuleContext, node: exp.Expr) -> None:
    """Raise ConfigError for a text with capitals that small letters are compared with."""
    lower = lower_text(node.name, rule.vocabulary.language)
    if node.name != lower:
        raise rule.error_at(
            node, "LOWER(...) has no capital letters, so that it never is this", f"Write {exp.Literal.string(lower).sql()}."
        )
