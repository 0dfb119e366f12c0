"""Sources: databases and folders of files that a company's own queries are run in, each read in one consistent snapshot.

Offers `SourceQuery`, the `Snapshot` that every kind of source implements, and the reading of queries from their files.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from sqlglot import Dialect
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType

from pipeline.calendar import Window
from pipeline.definitions.definition_files import read_definition
from pipeline.errors import ConfigError
from pipeline.spelling import did_you_mean

PARAMETERS = ("day_start", "day_end")
READ_AT = "read_at"
"""The instant as of which a night reads, where the source's tables have a past: the same for all of its queries."""


@dataclass(frozen=True, slots=True)
class SourceQuery:
    """One query of the company in the dialect of its source; `$day_start` and `$day_end` stand for the bounds of `window`.

    Of a query that is made around another one, `authored` is the text within, alone on its lines between brackets.
    """

    name: str
    file: Path
    dialect: str
    text: str
    window: Window
    authored: str = ""

    @property
    def parameters(self) -> dict[str, datetime]:
        """Values of the parameters that the text uses."""
        values = {"day_start": self.window.start, "day_end": self.window.end}
        return {name: values[name] for _, _, name in parameter_places(self.text, self.dialect)}

    def select_from_rows(self, columns: Iterable[str] = (), condition: str = "") -> SourceQuery:
        """Return a query for `columns` of this one's rows, or for all columns, where `condition` holds.

        The author's text stands alone on its lines, so that a comment at its end hides nothing.
        """
        names = ", ".join(quote_name(column) for column in columns) or "*"
        # No parsing and rebuilding: the source's dialect may know more than we do.
        lines = ["SELECT", names, "FROM (", self.text, ") AS source", f"WHERE {condition}" if condition else ""]
        return replace(self, text="\n".join(lines), authored=self.authored or self.text)


class Snapshot(Protocol):
    """One moment of a source: all queries see the same state of it."""

    def schema(self, query: SourceQuery) -> pa.Schema:
        """Return names and types of the columns that `query` gives, without reading its rows."""

    def rows(self, query: SourceQuery) -> Generator[pa.RecordBatch, None, None]:
        """Yield the rows of `query` in batches of bounded size, in any order."""

    def reads_spans(self, query: SourceQuery) -> bool:
        """Return whether asking `query` for a span of days costs what the span holds, rather than all that there is."""


def authored_query(name: str, file: Path, dialect: str, window: Window) -> SourceQuery:
    """Return the query in `file`, without a closing semicolon.

    Raises ConfigError where the file is no text, or holds no statement, several of them, or a parameter that does not exist.
    """
    text = read_definition(file).text
    try:
        query = SourceQuery(name, file, dialect, _only_statement(text, dialect), window)
        known = (*PARAMETERS, *((READ_AT,) if dialect == "spark" else ()))
        unknown = [parameter for _, _, parameter in parameter_places(query.text, dialect) if parameter not in known]
    except (TokenError, ValueError) as error:
        what = "a quote or a comment never ends" if isinstance(error, TokenError) else str(error)
        # `$day_start,$` reads like the start of a quote.
        todo = "Write one query, with a space after each parameter."
        raise ConfigError(f"sources/{file.name} is not one query: {what}", where=str(file), todo=todo) from None
    for parameter in unknown:
        raise ConfigError(
            f"`${parameter}` is not a parameter{did_you_mean(parameter, known)}",
            where=str(file),
            todo="Use $day_start and $day_end, the first instant asked for and the one after the last.",
        )
    return query


def parameter_places(text: str, dialect: str) -> list[tuple[int, int, str]]:
    """Return start, end and name of each `$name` in `text` that is neither in a string nor in a comment."""
    tokens = _sql_tokens(text, dialect)
    # To some dialects the sign is a letter of the name.
    named = [(each.start, each.end + 1, each.text[1:]) for each in tokens if each.token_type is TokenType.VAR and each.text[:1] == "$"]
    marked = [
        (mark.start, name.end + 1, name.text)
        for mark, name in pairwise(tokens)
        if mark.token_type is TokenType.PARAMETER and mark.text == "$" and name.start == mark.end + 1
    ]
    return sorted([*named, *marked])


def sql_words(text: str, dialect: str) -> set[str]:
    """Return all names and keywords in `text`, in lower case."""
    # All words, rather than the tables of a parsed query: one too many opens a table for nothing, one too few leaves it out.
    return {token.text.lower() for token in _sql_tokens(text, dialect) if token.token_type is not TokenType.STRING}


def word_line(query: SourceQuery, word: str) -> int:
    """Return the line, from 1, on which the author's text first has a name outside of comments and strings; 0 where it has none."""
    tokens = _sql_tokens(query.authored or query.text, query.dialect)
    named = (token.line for token in tokens if token.text.lower() == word.lower() and token.token_type is not TokenType.STRING)
    return next(named, 0)


def quote_name(name: str) -> str:
    """Return `name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _only_statement(text: str, dialect: str) -> str:
    tokens = _sql_tokens(text, dialect)
    # By tokens: a semicolon in a string or a comment ends nothing.
    ends = [token.start for token in tokens if token.token_type is TokenType.SEMICOLON]
    if len(ends) == len(tokens):
        raise ValueError("it is empty")
    if ends and any(token.start > ends[0] and token.token_type is not TokenType.SEMICOLON for token in tokens):
        raise ValueError("it holds several statements")
    return text[: ends[0]] if ends else text


def _sql_tokens(text: str, dialect: str) -> list[Token]:
    return Dialect.get_or_raise(dialect).tokenize(text)
