"""DuckDB's errors about a company's query, in our words: what is wrong, where, and what to do.

Its own words are used where they are about the query, and only their kind where they would quote a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline.errors import ConfigError, DataError, PipelineError, SchemaDrift, TransientError
from pipeline.ingestion.sources import SourceQuery, word_line
from pipeline.spelling import did_you_mean, printable_text

_QUERY_KINDS = ("Parser", "Binder", "Catalog", "Syntax", "Permission", "Not implemented")
_TRANSIENT_KINDS = ("IO", "Out of Memory", "Interrupt")
_ABSENT_TABLE = re.compile(r"Table with name (.+?) does not exist")
_ABSENT_COLUMN = re.compile(r'Referenced column "(.+?)" not found|does not have a column named "(.+?)"')
# What the binder says of a column whose type is another one than the query takes for granted.
_OTHER_TYPE = re.compile(r"No function matches the given name and argument types|Cannot compare values of type|Cannot mix values of type")
# A function or a type, of which DuckDB marks no line.
_ABSENT_WORD = re.compile(r"with name (\w+) does not exist")
_MARKED_LINE = re.compile(r"^LINE ([0-9]+): ", re.MULTILINE)


def absent_table(message: str) -> str:
    """Return the name of the table that an error says does not exist; empty for any other error."""
    found = _ABSENT_TABLE.match(_kind_and_words(message)[1])
    return found[1].strip('"') if found else ""


def is_about_rows(message: str) -> bool:
    """Return whether an error is about what rows hold, not about the query or the machine."""
    kind, _ = _kind_and_words(message)
    return kind not in (*_QUERY_KINDS, *_TRANSIENT_KINDS)


def query_error(message: str, query: SourceQuery, columns: Iterable[str]) -> PipelineError:
    """Return our error for DuckDB's `message` about `query`; `columns` are those of the tables that it names."""
    kind, words = _kind_and_words(message)
    where, name = str(query.file), f"sources/{query.file.name}"
    if kind in _TRANSIENT_KINDS:
        return TransientError(f"the source could not be read: {kind.lower()} error", where=where, todo="Nothing was stored. Run again.")
    if kind not in _QUERY_KINDS:
        todo = "Find the row in the source, or make the query bear it: TRY_CAST in place of CAST leaves empty what does not read."
        return DataError(f"{name} failed on a row: {kind.lower()} error", where=where, todo=todo)
    if absent := _ABSENT_COLUMN.search(words):
        column, known = absent[1] or absent[2], sorted(columns)
        what = f"{name} names the column `{column}`, which the source does not have{did_you_mean(column, known)}"
        todo = f"Edit the query, or have the column back. The tables it names have: {', '.join(known)}."
        return SchemaDrift(printable_text(what), where=f"{where}{_line_words(query, column)}", todo=printable_text(todo))
    # Behind that DuckDB shows the line of the query, with a mark below it that makes sense in its own console alone.
    first = printable_text(words.split("LINE ")[0].strip())
    marked = _MARKED_LINE.search(words)
    word = _ABSENT_WORD.search(words)
    where += f":{marked[1]}" if marked else _line_words(query, word[1]) if word else ""
    if _OTHER_TYPE.search(words):
        # The rest is DuckDB's list of everything that it could have been.
        what = f"{name} takes a column for another type than it has: {first.splitlines()[0]}"
        todo = "Cast the column in the query, or have the source give the type that it gave before."
        return SchemaDrift(what, where=where, todo=todo)
    return ConfigError(f"{name} cannot be run: {first}", where=where, todo="Edit the query.")


def _line_words(query: SourceQuery, word: str) -> str:
    line = word_line(query, word)
    return f":{line}" if line else ""


def _kind_and_words(message: str) -> tuple[str, str]:
    known = re.match(r"([A-Z][A-Za-z ]{1,30}) Error: ", message)
    return (known[1], message[known.end() :]) if known else ("Unknown", "")
