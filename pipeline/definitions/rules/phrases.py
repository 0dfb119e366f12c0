"""What a rule says in several words, as the one expression that it stands for, before anything is parsed.

city IN LIST coast                       city IN (the list)
IN LIST vip                              customer_id IN (the list)
IN AUDIENCE spring_preview               the name of a condition
WAS IN rfm.champions WITHIN 30 DAYS      WAS_IN(rfm.champions, 30)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlglot.tokenizer_core import Token, TokenType

from pipeline.errors import ConfigError

CUSTOMER = "customer_id"
LIST_MARK, CALL_MARK, AUDIENCE_MARK = "list:", "call:", "audience:"
ErrorAt = Callable[[int, str, str], ConfigError]
_OPENING = {TokenType.AND, TokenType.OR, TokenType.NOT, TokenType.L_PAREN}
_STAY_TODO = "Write WAS IN rfm.champions WITHIN 30 DAYS, with quotes around what is no plain word: WAS IN rfm.'At risk' WITHIN 30 DAYS."


def spelt_out(tokens: Sequence[Token], error_at: ErrorAt) -> list[Token]:
    """Return `tokens` with each phrase replaced; raises ConfigError for one that is not complete."""
    done: list[Token] = []
    index = 0
    while index < len(tokens):
        if _is_word(tokens, index, "was") and _is_type(tokens, index + 1, TokenType.IN):
            done += _stay_tokens(tokens, index, error_at)
            index += 6
        elif (
            _is_type(tokens, index, TokenType.IN)
            and _is_word(tokens, index + 1, "list")
            and not _is_type(tokens, index + 1, TokenType.L_PAREN)
        ):
            done += _list_tokens(tokens, index, done, error_at)
            index += 3
        elif _is_type(tokens, index, TokenType.IN) and _is_word(tokens, index + 1, "audience"):
            done.append(_audience_token(tokens, index, done, error_at))
            index += 3
        else:
            done.append(tokens[index])
            index += 1
    return done


def _audience_token(tokens: Sequence[Token], index: int, before: Sequence[Token], error_at: ErrorAt) -> Token:
    if not _is_type(tokens, index + 2, TokenType.IDENTIFIER) or (before and before[-1].token_type not in _OPENING):
        todo = "Write IN AUDIENCE spring_preview, with nothing but NOT before it."
        raise error_at(tokens[index].start, "IN AUDIENCE takes the name of an audience, and no value", todo)
    return _at(tokens[index + 2], TokenType.IDENTIFIER, AUDIENCE_MARK + tokens[index + 2].text)


def _list_tokens(tokens: Sequence[Token], index: int, before: Sequence[Token], error_at: ErrorAt) -> list[Token]:
    where = tokens[index + 1]
    if not (_is_type(tokens, index + 2, TokenType.IDENTIFIER) or _is_type(tokens, index + 2, TokenType.STRING)):
        todo = "Write IN LIST vip for the file lists/vip.csv, and IN LIST 'summer-sale' for lists/summer-sale.csv."
        raise error_at(where.start, "the name of the list is missing", todo)
    name = tokens[index + 2]
    subject = before[-2] if len(before) > 1 and before[-1].token_type is TokenType.NOT else before[-1] if before else None
    is_alone = subject is None or subject.token_type in _OPENING
    choice = [_at(name, TokenType.L_PAREN, "("), _at(name, TokenType.IDENTIFIER, LIST_MARK + name.text), _at(name, TokenType.R_PAREN, ")")]
    return [*([_at(tokens[index], TokenType.IDENTIFIER, CUSTOMER)] if is_alone else []), tokens[index], *choice]


def _stay_tokens(tokens: Sequence[Token], index: int, error_at: ErrorAt) -> list[Token]:
    is_whole = (
        _is_type(tokens, index + 2, TokenType.IDENTIFIER)
        and "." in tokens[index + 2].text
        and _is_word(tokens, index + 3, "within")
        and _is_type(tokens, index + 4, TokenType.NUMBER)
        and (_is_word(tokens, index + 5, "days") or _is_word(tokens, index + 5, "day"))
    )
    if not is_whole:
        raise error_at(tokens[index].start, "WAS IN takes a segment and a number of days", _STAY_TODO)
    segment, days = tokens[index + 2], tokens[index + 4]
    return [
        _at(tokens[index], TokenType.IDENTIFIER, f"{CALL_MARK}WAS_IN"),
        _at(segment, TokenType.L_PAREN, "("),
        segment,
        _at(days, TokenType.COMMA, ","),
        days,
        _at(days, TokenType.R_PAREN, ")"),
    ]


def _at(place: Token, kind: TokenType, text: str) -> Token:
    """Make a token that stands where `place` does."""
    return Token(kind, text, 1, place.col, place.start, place.end)


def _is_type(tokens: Sequence[Token], index: int, kind: TokenType) -> bool:
    return index < len(tokens) and tokens[index].token_type is kind


def _is_word(tokens: Sequence[Token], index: int, word: str) -> bool:
    if not _is_type(tokens, index, TokenType.IDENTIFIER) or tokens[index].text.lower() != word:
        return False
    # A name in quotes is a name, whatever it is called.
    return tokens[index].end - tokens[index].start + 1 == len(word)
