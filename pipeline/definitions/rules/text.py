"""The letters of a rule: which lexemes it may have, how deep it may nest, and where it is wrong."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ParseError
from sqlglot.tokenizer_core import Token, TokenType

from pipeline.definitions.rules.parameters import Parameter, value_tokens
from pipeline.definitions.rules.phrases import CALL_MARK, spelt_out
from pipeline.errors import ConfigError
from pipeline.spelling import did_you_mean

# Far above what people write, far below what makes a parser or an engine slow or stop.
MAX_CHARACTERS = 4_000
MAX_PARENTHESES = 10
MAX_SIGNS = 2
MAX_DEPTH = 40
SHOWN_CHARACTERS = 60
LANGUAGE = (
    "Use names, scheme.segment, @parameters, numbers, 'text', DATE '2026-01-31', TODAY, TRUE, FALSE, functions such as DAYS_SINCE(date), "
    "= <> < <= > >=, BETWEEN, IN, IN LIST, IN AUDIENCE, WAS IN, IS NULL, IS, IS NOT, + - * /, AND, OR, NOT, ( )."
)
# How a person writes the night's day, and the column that it is.
TODAY_WORDS = ("today", "current_date")
AS_OF_DATE = "as_of_date"
_DAYS_IN = {"day": 1, "days": 1, "week": 7, "weeks": 7}

LEXEME = re.compile(
    r"""
    (?P<space>\s+)
    |(?P<comment>--)
    |(?P<text>'(?:[^'\n]|'')*')
    |(?P<quoted>"(?:[^"\n]|"")+")
    |(?P<number>[0-9]+(?:\.[0-9]+)?)
    |(?P<date>(?i:date)(?=\s*'))
    |(?P<interval>(?i:interval)\s+(?:'\s*[0-9]{1,6}\s+(?i:days?|weeks?)\s*'|'[0-9]{1,6}'\s+(?i:days?|weeks?)\b|[0-9]{1,6}\s+(?i:days?|weeks?)\b))
    |(?P<reference>[^\W\d]\w*\.[^\W\d]\w*)
    |(?P<segment>[^\W\d]\w*\.(?:'(?:[^'\n]|'')+'|"(?:[^"\n]|"")+"))
    |(?P<word>[^\W\d]\w*)
    |(?P<parameter>@[^\W\d]\w*)
    |(?P<mark><>|!=|<=|>=|[-+*/(),=<>])
    """,
    re.VERBOSE,
)
WORDS = {
    "and": TokenType.AND,
    "or": TokenType.OR,
    "not": TokenType.NOT,
    "between": TokenType.BETWEEN,
    "in": TokenType.IN,
    "is": TokenType.IS,
    "distinct": TokenType.DISTINCT,
    "from": TokenType.FROM,
    "null": TokenType.NULL,
    "true": TokenType.TRUE,
    "false": TokenType.FALSE,
}
MARKS = {
    "(": TokenType.L_PAREN,
    ")": TokenType.R_PAREN,
    ",": TokenType.COMMA,
    "+": TokenType.PLUS,
    "-": TokenType.DASH,
    "*": TokenType.STAR,
    "/": TokenType.SLASH,
    "=": TokenType.EQ,
    "<>": TokenType.NEQ,
    "!=": TokenType.NEQ,
    "<": TokenType.LT,
    "<=": TokenType.LTE,
    ">": TokenType.GT,
    ">=": TokenType.GTE,
}
_SIGNS = {TokenType.NOT, TokenType.DASH, TokenType.PLUS}
# Joiners of letters in some scripts; every other invisible character can make a rule read unlike it works.
_INVISIBLE = ("Cc", "Cf", "Cs", "Zl", "Zp")
_JOINERS = {"\u200c", "\u200d"}
_REASONS = {
    "@": ("the name of a parameter is missing", "Write @name, and give `name` a value under [parameters]."),
    "$": ("parameters begin with @", "Write @name, and give `name` a value under [parameters]."),
    ":": ("casts are not part of the rule language", LANGUAGE),
    ".": (
        "a point stands within a number or between a scheme and `segment`",
        "Write rfm.segment, 0.5 for .5, and quotes around a segment that is no plain word: WAS IN rfm.'At risk' WITHIN 30 DAYS.",
    ),
    ";": ("a rule is one condition", "Remove everything from the semicolon on."),
    "-": ("comments are not part of the rule language", "Put remarks in the definition file after a #."),
    "`": ("names are not quoted like this", 'Write "name" or just name.'),
    "'": ("this text is not closed on its line", "Add the closing quote; a quote within text is written twice: ''."),
    '"': ("this name is not closed on its line", "Add the closing quote."),
}


@dataclass(frozen=True, slots=True)
class RuleText:
    """A rule as written, where, and the values of the parameters that it may name."""

    text: str
    where: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    def error_at(self, index: int, what: str, todo: str) -> ConfigError:
        """Make the error that says `what` is wrong, with the line of the text and a caret below its character `index`."""
        start = self.text.rfind("\n", 0, index) + 1
        line, column = self.text.count("\n", 0, index) + 1, index - start + 1
        first = max(start, index - SHOWN_CHARACTERS)
        excerpt = self.text[first : index + SHOWN_CHARACTERS].split("\n", 1)[0]
        # An unprintable character could move the caret, or the terminal's cursor.
        excerpt = "".join(character if character.isprintable() else "?" for character in excerpt)
        caret = " " * (index - first) + "^"
        place = f"column {column}" if line == 1 else f"line {line}, column {column}"
        said = f"{what}\n    {excerpt}\n    {caret}"
        return ConfigError(said, where=f"{self.where}, {place} of the rule", todo=todo, place=(line, column))


def parse_text(rule: RuleText) -> exp.Expr:
    """Parse `rule` into a syntax tree, whose nodes are still to be checked; leaves know their position.

    Raises ConfigError for a text that cannot be read, that is empty, or that is nested too deeply.
    """
    return parse_tokens(rule, read_tokens(rule))


def parse_tokens(rule: RuleText, tokens: list[Token]) -> exp.Expr:
    """Parse tokens of `rule`, all or a part of them, as `parse_text` does."""
    # The parser is recursive: a deeply nested text would end in RecursionError before there is a tree to measure.
    _refuse_nesting(rule, tokens)
    try:
        tree = DuckDB().parser().parse_into(exp.Condition, tokens, rule.text)[0]
    except ParseError as error:
        column = error.errors[0].get("col")
        token = next((token for token in tokens if token.col == column), tokens[-1])
        what = f"`{token.text}` does not fit here: something is missing, or too much"
        raise rule.error_at(token.start, what, LANGUAGE) from None
    if tree is None:
        raise rule.error_at(0, "the rule is empty", "Write a condition such as `recency_days <= 30`.")
    if _nesting_depth(tree) > MAX_DEPTH:
        raise rule.error_at(text_position(tree), "too many operations in a row", "Split the rule.")
    return tree


def text_position(node: exp.Expr) -> int:
    """Find where in its text the first leaf below `node` begins."""
    return min((leaf.meta["start"] for leaf in node.walk() if "start" in leaf.meta), default=0)


def read_tokens(rule: RuleText) -> list[Token]:
    """Cut the text into tokens, parameters replaced by their values.

    Lexemes are read here because the tokenizer of SQL knows comments, casts and hundreds of keywords that no rule may have.
    """
    if len(rule.text) > MAX_CHARACTERS:
        raise rule.error_at(0, f"the rule is longer than {MAX_CHARACTERS} characters", "Split it into several segments.")
    _refuse_invisible(rule)
    tokens, index = [], 0
    while index < len(rule.text):
        lexeme = LEXEME.match(rule.text, index)
        # A comment of the form /* */ begins like a division, but is meant as a comment.
        if lexeme is None or lexeme.lastgroup == "comment" or rule.text.startswith("/*", index):
            character = "-" if rule.text.startswith("/*", index) else rule.text[index]
            what, todo = _REASONS.get(character, (f"`{character}` is not part of the rule language", LANGUAGE))
            raise rule.error_at(index, what, todo)
        if lexeme.lastgroup == "parameter":
            tokens += _parameter_tokens(rule, lexeme)
        elif lexeme.lastgroup != "space":
            tokens.append(lexeme_token(lexeme))
        index = lexeme.end()
    for place, (name, following) in enumerate(pairwise(tokens)):
        if name.text.lower() == "interval" and following.token_type in (TokenType.NUMBER, TokenType.STRING):
            raise rule.error_at(name.start, "an INTERVAL is of days or weeks", "Write TODAY - INTERVAL 60 DAYS, or TODAY - 60.")
        if name.token_type is TokenType.IDENTIFIER and following.token_type is TokenType.L_PAREN:
            tokens[place] = _function_token(rule, name)
    return spelt_out(tokens, rule.error_at)


def _function_token(rule: RuleText, name: Token) -> Token:
    """Return the name of a function marked as such, so that no parser of SQL knows it; the checks say which functions there are."""
    if rule.text[name.start] == '"':
        raise rule.error_at(name.start, "a name in quotes is no function", LANGUAGE)
    # The capital of a dotless i is I: only letters that every alphabet has alike are made capitals.
    text = name.text.upper() if name.text.isascii() else name.text
    return Token(TokenType.IDENTIFIER, f"{CALL_MARK}{text}", 1, name.col, name.start, name.end)


def lexeme_token(lexeme: re.Match[str]) -> Token:
    """Return the token that a lexeme is, unless it is white space, a comment or a parameter."""
    kind, text = lexeme.lastgroup, lexeme.group()
    start, end = lexeme.start(), lexeme.end() - 1
    if kind == "text":
        return Token(TokenType.STRING, text[1:-1].replace("''", "'"), 1, start + 1, start, end)
    if kind == "quoted":
        return Token(TokenType.IDENTIFIER, text[1:-1].replace('""', '"'), 1, start + 1, start, end)
    if kind == "segment":
        scheme, _, segment = text.partition(".")
        quote = segment[0]
        return Token(TokenType.IDENTIFIER, f"{scheme}.{segment[1:-1].replace(quote * 2, quote)}", 1, start + 1, start, end)
    if kind == "interval":
        number, unit = re.findall(r"[0-9]+|[a-z]+", text.lower())[1:]
        return Token(TokenType.NUMBER, str(int(number) * _DAYS_IN[unit]), 1, start + 1, start, end)
    if kind == "word" and text.lower() in TODAY_WORDS and text.isascii():
        return Token(TokenType.IDENTIFIER, AS_OF_DATE, 1, start + 1, start, end)
    types = {"number": TokenType.NUMBER, "date": TokenType.DATE, "mark": MARKS.get(text)}
    # Any word that is not ours is a name, so that no other keyword of SQL reaches the parser.
    token_type = types.get(str(kind)) or WORDS.get(text.lower(), TokenType.IDENTIFIER)
    return Token(token_type, text, 1, start + 1, start, end)


def _parameter_tokens(rule: RuleText, lexeme: re.Match[str]) -> list[Token]:
    name = lexeme.group()[1:]
    if name not in rule.parameters:
        suggestion = did_you_mean(name, rule.parameters)
        raise rule.error_at(lexeme.start(), f"unknown parameter `@{name}`{suggestion}", "Give it a value under [parameters].")
    return value_tokens(rule.parameters[name], lexeme.start(), lexeme.end() - 1)


def _refuse_invisible(rule: RuleText) -> None:
    for index, character in enumerate(rule.text):
        is_invisible = unicodedata.category(character) in _INVISIBLE
        if is_invisible and character not in "\n\r\t" and character not in _JOINERS:
            raise rule.error_at(index, "an invisible character", "Delete it and type the text again.")


def _refuse_nesting(rule: RuleText, tokens: list[Token]) -> None:
    opened = signs = 0
    for token in tokens:
        opened += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        signs = signs + 1 if token.token_type in _SIGNS else 0
        if opened > MAX_PARENTHESES or signs > MAX_SIGNS:
            raise rule.error_at(token.start, "too many nested parentheses or signs", "Split the rule into several segments.")


def _nesting_depth(tree: exp.Expr) -> int:
    """Count how many operations are nested in `tree`; a chain of AND, or of OR, counts once."""
    deepest, waiting = 0, [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        deepest = max(deepest, depth)
        for child in node.iter_expressions():
            is_chain = isinstance(node, exp.Connector) and type(child) is type(node)
            waiting.append((child, depth if is_chain else depth + 1))
    return deepest
