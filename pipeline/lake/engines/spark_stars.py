"""Stars that leave out columns as lists of the others: not every server that speaks Spark Connect knows `SELECT * EXCEPT (...)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, traverse_scope

Names = tuple[str, ...]


def with_columns_listed(statement: exp.Query, columns: Mapping[str, Sequence[str]]) -> exp.Query:
    """Return `statement` with each star that leaves out columns as a list of those it keeps; `columns` are those of tables by name.

    A star stays where it is not known what it selects.
    """
    if not any(star.args.get("except_") for star in statement.find_all(exp.Star)):
        return statement
    listed = statement.copy()
    found: dict[int, Names | None] = {}
    # The innermost come first, so that what a query reads has been listed by then.
    for scope in traverse_scope(listed):
        query = scope.expression
        if isinstance(query, exp.Select):
            _list_columns(scope, columns, found)
        if isinstance(query, exp.SetOperation):
            found[id(query)] = found.get(id(query.left.unnest()))
    return listed


def _list_columns(scope: Scope, columns: Mapping[str, Sequence[str]], found: dict[int, Names | None]) -> None:
    """Replace the stars of a SELECT that leave out columns, and add its own columns to those `found` of queries."""
    select, names, replaced = scope.expression, list[Names | None](), list[exp.Expr]()
    for each in select.expressions:
        kept = _kept_columns(each, scope, columns, found) if each.is_star else (each.output_name,)
        names.append(kept)
        is_listed = kept is not None and _star_of(each).args.get("except_") if each.is_star else False
        of = each.args.get("table") if isinstance(each, exp.Column) else None
        replaced += [exp.column(name, table=of, quoted=True) for name in kept or ()] if is_listed else [each]
    select.set("expressions", replaced)
    found[id(select)] = None if None in names else tuple(chain.from_iterable(each or () for each in names))


def _kept_columns(star: exp.Expr, scope: Scope, columns: Mapping[str, Sequence[str]], found: Mapping[int, Names | None]) -> Names | None:
    """Return the columns that a star selects; None where they are not known."""
    of = star.text("table") if isinstance(star, exp.Column) else ""
    sources = [_source_columns(source, columns, found) for name, (_, source) in scope.selected_sources.items() if of in ("", name)]
    joins = scope.expression.args.get("joins") or ()
    if not sources or None in sources or any(join.args.get("using") for join in joins):
        return None
    left_out = {name.name.lower() for name in _star_of(star).args.get("except_") or ()}
    return tuple(name for name in chain.from_iterable(each or () for each in sources) if name.lower() not in left_out)


def _source_columns(source: exp.Table | Scope, columns: Mapping[str, Sequence[str]], found: Mapping[int, Names | None]) -> Names | None:
    if isinstance(source, exp.Table):
        return tuple(columns[source.name]) if source.name in columns else None
    return tuple(source.outer_columns) or found.get(id(source.expression))


def _star_of(star: exp.Expr) -> exp.Expr:
    return star.this if isinstance(star, exp.Column) else star
