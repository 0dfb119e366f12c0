"""Parameters of a definition, such as `high_spend = 500`: a rule names one as `@high_spend`, and reads as if its value stood there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlglot.tokenizer_core import Token, TokenType

from pipeline.errors import ConfigError

Parameter = bool | int | float | str | date


def require_parameters(values: Mapping[str, Any], where: str) -> Mapping[str, Parameter]:
    """Let `values` through; raises ConfigError for one that no rule could name or compare with."""
    for name, value in values.items():
        is_finite = not isinstance(value, float) or abs(value) < float("inf")
        if not isinstance(value, Parameter) or isinstance(value, datetime) or not is_finite or not name.isidentifier():
            raise ConfigError(
                f"the parameter `{name}` is of no kind that rules know",
                where=where,
                todo="Name it in letters, digits and underscores; give it a number, a text, a date or true or false.",
            )
    return values


def value_tokens(value: Parameter, start: int, end: int) -> list[Token]:
    """Make the tokens that stand for `value` in a rule whose characters `start` to `end` name it."""
    return [Token(kind, text, 1, start + 1, start, end) for kind, text in _value_lexemes(value)]


def _value_lexemes(value: Parameter) -> list[tuple[TokenType, str]]:
    if isinstance(value, bool):
        return [(TokenType.TRUE, "true") if value else (TokenType.FALSE, "false")]
    if isinstance(value, str):
        return [(TokenType.STRING, value)]
    if isinstance(value, date):
        return [(TokenType.DATE, "date"), (TokenType.STRING, value.isoformat())]
    # The number as it was written: repr gives the shortest text of a float, format spells out its exponent.
    number = format(Decimal(repr(value)), "f")
    digits = (TokenType.NUMBER, number.lstrip("-"))
    return [(TokenType.DASH, "-"), digits] if number.startswith("-") else [digits]
