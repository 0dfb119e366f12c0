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


def expression_text(text: str, dialect: str, column: str) -> str:
    """Return what a query gives for `column`, in brackets where it is not one piece; the column itself where that cannot be told."""
    expression = (column_expressions(text, dialect) or {}).get(column)
    if expression is None:
        return column
    words = expression.sql(dialect, comments=False)
    return words if isinstance(expression, exp.Column | exp.Cast | exp.Func | exp.Paren | exp.Literal) else f"({words})"
