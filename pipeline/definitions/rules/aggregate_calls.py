"""Aggregates as they are written, cut out of the tokens of a rule before it is parsed.

    COUNT(DISTINCT order_lines.order_id WHERE category = 'Wine' LAST 90 DAYS BEFORE 90 DAYS AGO)     within a rule
    COUNT(DISTINCT order_id)            in features/*.toml, where `from`, `where` and the days stand beside it

Each becomes a name, so that the parser of SQL never sees what is not SQL.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot.tokenizer_core import Token, TokenType

from pipeline.definitions import aggregate_words
from pipeline.definitions.aggregate_words import EXISTS
from pipeline.definitions.rules.aggregate_clauses import Clauses, read_clauses
from pipeline.definitions.rules.aggregates import AggregateFunction
from pipeline.definitions.rules.event_sources import EventSource
from pipeline.definitions.rules.phrases import CALL_MARK
from pipeline.definitions.rules.text import RuleText
from pipeline.spelling import did_you_mean

FUNCTIONS = {word: AggregateFunction(word) for word in aggregate_words.FUNCTIONS}
SYNTAX = (
    "Write COUNT(order_lines WHERE category = 'Wine' LAST 90 DAYS); COUNT, COUNT(DISTINCT ...), SUM, MIN, MAX, AVG, FIRST, LAST, "
    "MOST_FREQUENT and LIST take a column, such as SUM(order_lines.net_amount LAST 90 DAYS)."
)


@dataclass(frozen=True, slots=True)
class AggregateCall:
    """One call: its function and source, the tokens of its argument, and what stands behind them.

    `clauses` is None where the call names no source: then all that is missing stands beside it in the file.
    """

    function: AggregateFunction
    source: EventSource
    argument: tuple[Token, ...]
    clauses: Clauses | None
    first: Token
    last: Token
    is_existence: bool = False


@dataclass(frozen=True, slots=True)
class _CallContext:
    rule: RuleText
    sources: Mapping[str, EventSource]
    own: EventSource | None


def split_calls(
    rule: RuleText, tokens: Sequence[Token], sources: Mapping[str, EventSource], own: EventSource | None
) -> list[AggregateCall]:
    """Return the aggregates in `tokens`, in order; `own` is the source of a file's feature, whose calls name none.

    Raises ConfigError, with a caret, for one that cannot be read.
    """
    words, calls, index = _CallContext(rule, sources, own), [], 0
    while index < len(tokens) - 1:
        if _is_aggregate(tokens[index]):
            end = _closing_bracket(rule, tokens, index + 1)
            calls.append(_read_call(words, tokens[index], tokens[index + 2 : end], tokens[end]))
            index = end
        index += 1
    return calls


def without_calls(tokens: Sequence[Token], calls: Sequence[AggregateCall], names: Sequence[str]) -> list[Token]:
    """Return `tokens` with each of `calls` replaced by its name; EXISTS becomes a comparison with 0."""
    replaced, index = [], 0
    for call, name in zip(calls, names, strict=True):
        start, end = tokens.index(call.first, index), tokens.index(call.last, index)
        place = (1, call.first.start + 1, call.first.start, call.last.end)
        value = [Token(TokenType.IDENTIFIER, name, *place)]
        if call.is_existence:
            # In brackets, as NOT may stand before it.
            marks = ((TokenType.L_PAREN, "("), *((each.token_type, each.text) for each in value), (TokenType.GT, ">"))
            value = [Token(kind, text, *place) for kind, text in (*marks, (TokenType.NUMBER, "0"), (TokenType.R_PAREN, ")"))]
        replaced += [*tokens[index:start], *value]
        index = end + 1
    return [*replaced, *tokens[index:]]


def _is_aggregate(token: Token) -> bool:
    return token.text.removeprefix(CALL_MARK) in {*FUNCTIONS, EXISTS} and token.text.startswith(CALL_MARK)


def _closing_bracket(rule: RuleText, tokens: Sequence[Token], opening: int) -> int:
    opened = 0
    for index in range(opening, len(tokens)):
        opened += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(tokens[index].token_type, 0)
        if not opened:
            return index
    raise rule.error_at(tokens[opening].start, "this bracket is not closed", SYNTAX)


def _read_call(words: _CallContext, name: Token, inner: Sequence[Token], last: Token) -> AggregateCall:
    rule, sources = words.rule, words.sources
    word = name.text.removeprefix(CALL_MARK)
    is_existence = word == EXISTS
    function = AggregateFunction.COUNT if is_existence else FUNCTIONS[word]
    if inner and inner[0].token_type is TokenType.DISTINCT:
        if function is not AggregateFunction.COUNT or is_existence:
            raise rule.error_at(inner[0].start, "DISTINCT stands in COUNT alone", SYNTAX)
        function, inner = AggregateFunction.COUNT_DISTINCT, inner[1:]
    # In a file a call may still name a source of its own, and is then read as within a rule.
    if words.own is not None and not (inner and inner[0].text.partition(".")[0] in sources):
        argument = () if len(inner) == 1 and inner[0].token_type is TokenType.STAR else tuple(inner)
        return AggregateCall(function, words.own, argument, None, name, last, is_existence)
    if not inner:
        raise rule.error_at(name.start, f"{word}() names nothing", SYNTAX)
    first = inner[0]
    source, _, column = first.text.partition(".")
    if source not in sources:
        what = f"unknown source of events `{source}`{did_you_mean(source, sources)}"
        raise rule.error_at(first.start, what, f"Name one of {', '.join(sources)}. {SYNTAX}")
    clauses = read_clauses(rule, inner[1:], sources)
    # Where the column stands in the text, behind source and point, so that a caret of an error points at it.
    place = (1, first.col + len(source) + 1, first.start + len(source) + 1, first.end)
    argument = (Token(TokenType.IDENTIFIER, column, *place),) if column else ()
    return AggregateCall(function, sources[source], argument, clauses, name, last, is_existence)
