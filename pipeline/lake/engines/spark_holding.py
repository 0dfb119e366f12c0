"""What a statement reads more than once, and Spark is told to hold: else it reads files, and works out WITH queries, once for each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from sqlglot import exp

WORK = (exp.Group, exp.Join, exp.Window, exp.Distinct)


def scan_counts(statement: exp.Query, views: Mapping[str, exp.Query]) -> Counter[str]:
    """Return how often Spark reads each table for `statement`, whose WITH queries have names of their own; `views` are read as they say."""
    queries = {query.alias: query.this for query in statement.find_all(exp.CTE)}
    counted: dict[str, Counter[str]] = {}

    def count_of(name: str) -> Counter[str]:
        if name not in counted:
            counted[name] = Counter({name: 1})  # a query that reads a table of its own name reads that table
            read = queries.get(name) or views.get(name)
            if read is not None:
                counted[name] = count_in(read)
        return counted[name]

    def count_in(query: exp.Expr) -> Counter[str]:
        found: Counter[str] = Counter()
        for name in tables_read(query):
            found.update(count_of(name))
        return found

    return count_in(statement)


def queries_to_hold(statement: exp.Query, large: Collection[str]) -> list[exp.CTE]:
    """Return the WITH queries of `statement` that are read more than once, and group or join rows of `large` tables; in their order."""
    queries = {query.alias: query for query in statement.find_all(exp.CTE)}
    uses = Counter(table.name for table in statement.find_all(exp.Table))

    def needs(name: str) -> Iterable[exp.CTE]:
        for other in needed_queries(queries[name].this, queries):
            yield queries[other]
        yield queries[name]

    return [
        query
        for name, query in queries.items()
        if uses[name] > 1
        and all(each.alias not in tables_read(each.this) for each in needs(name))  # one may be named as the table that it reads
        and any(each.this.find(*WORK) for each in needs(name))
        and any(table in large for each in needs(name) for table in tables_read(each.this))
    ]


def with_queries_inside(query: exp.Query, statement: exp.Query) -> exp.Query:
    """Return `query`, a WITH query of `statement`, with those that it needs in place of their names.

    Spark finds what it holds again by its plan, and would give WITH queries other numbers in each.
    """
    queries = {each.alias: each.this for each in statement.find_all(exp.CTE)}
    alone = query.copy()
    while named := [table for table in alone.find_all(exp.Table) if table.name in queries]:
        for table in named:
            table.replace(queries[table.name].copy().subquery(table.alias_or_name, copy=False))
    return alone


def needed_queries(query: exp.Expr, queries: Mapping[str, exp.CTE]) -> list[str]:
    """Return the names of the WITH queries that `query` is worked out from, each after those that it needs itself."""
    found: dict[str, None] = {}

    def visit(node: exp.Expr) -> None:
        for name in tables_read(node):
            if name in queries and name not in found and queries[name].this is not node:
                visit(queries[name].this)
                found[name] = None

    visit(query)
    return list(found)


def tables_read(query: exp.Expr) -> list[str]:
    """Return the name of each table that `query` names, but within its own WITH queries, as often as it names it."""
    return [node.name for node in query.walk(prune=lambda node: isinstance(node, exp.With)) if isinstance(node, exp.Table)]
