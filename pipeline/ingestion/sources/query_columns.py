"""What a company's query gives for each of its columns, in the source's own words."""

from __future__ import annotations

from contextlib import suppress

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError


def column_expressions(text: str, dialect: str) -> dict[str, exp.Expr] | None:
    """Return the expressions by column; None where they cannot be told, as behind a star or in words that only the source knows."""
    with suppress(SqlglotError, RecursionError):
        query = sqlglot.parse_one(text, read=dialect)
        if isinstance(query, exp.Query) and not query.is_star:
            return {column.alias_or_name: column.unalias() for column in query.selects}
    return None


def column_line(text: str, dialect: str, column: str) -> int:
    """Return the line, from 1, on which a query names `column` as it gives it in the end; 0 where that cannot be told.

    Comments, and queries within the query, may name the same column further up.
    """
    expression = (column_expressions(text, dialect) or {}).get(column)
    if expression is None:
        return 0
    given = expression.parent if isinstance(expression.parent, exp.Alias) else expression
    lines: list[int] = [each.meta["line"] for each in given.find_all(exp.Identifier) if each.name == column and "line" in each.meta]
    return max(lines, default=0)


def expression_text(text: str, dialect: str, column: str) -> str:
    """Return what a query gives for `column`, in brackets where it is not one piece; the column itself where that cannot be told."""
    expression = (column_expressions(text, dialect) or {}).get(column)
    if expression is None:
        return column
    words = expression.sql(dialect, comments=False)
    return words if isinstance(expression, exp.Column | exp.Cast | exp.Func | exp.Paren | exp.Literal) else f"({words})"
