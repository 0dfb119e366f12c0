"""What a rule names, told from its text before it is parsed: files are read in the order in which their rules name each other.

A text with faults must not raise here: whoever reads its file reports them. Names are found among the lexemes of a rule, so that words
within 'a text' name nothing, and a name in quotes is the same as one without.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from sqlglot.tokenizer_core import TokenType

from pipeline.definitions.rules.text import LEXEME, lexeme_token

_NO_TOKENS = ("space", "comment", "parameter")


def parameters_of(text: str) -> set[str]:
    """Return the parameters that `text` names, as far as it can be read."""
    return {lexeme.group()[1:] for lexeme in LEXEME.finditer(text) if lexeme.lastgroup == "parameter"}


def references_of(text: str) -> set[str]:
    """Return what `text` refers to beyond features and attributes, such as `rfm.segment`, as far as it can be read."""
    return {lexeme.group() for lexeme in LEXEME.finditer(text) if lexeme.lastgroup == "reference"}


def audiences_of(text: str) -> set[str]:
    """Return the audiences that `text` names behind IN AUDIENCE, as far as it can be read."""
    return set(_names_behind("audience", text, TokenType.IDENTIFIER))


def lists_of(text: str) -> set[str]:
    """Return the lists that `text` names behind IN LIST, as far as it can be read."""
    return set(_names_behind("list", text, TokenType.IDENTIFIER, TokenType.STRING))


def _names_behind(word: str, text: str, *types: TokenType) -> Iterator[str]:
    if word not in text.lower():  # few rules name anything like this, and a night reads every rule
        return
    lexemes = [lexeme for lexeme in LEXEME.finditer(text) if lexeme.lastgroup != "space"]
    for before, phrase, name in zip(lexemes, islice(lexemes, 1, None), islice(lexemes, 2, None), strict=False):
        is_phrase = (before.group().lower(), phrase.group().lower()) == ("in", word)
        if is_phrase and name.lastgroup not in _NO_TOKENS and (token := lexeme_token(name)).token_type in types:
            yield token.text
