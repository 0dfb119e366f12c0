"""Statements as SQL of Spark."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import cast

from sqlglot import exp

from pipeline.lake.engines.spark_functions import with_casts_by_text, with_cheap_functions, with_plain_zeros
from pipeline.lake.engines.spark_stars import with_columns_listed


def spark_sql(statement: exp.Query, columns: Mapping[str, Sequence[str]], *, casts_to_nearest: bool = True) -> str:
    """Return `statement` as Spark writes it; `columns` are those of the tables that it reads, by name."""
    listed = with_columns_listed(_with_names_apart(statement), columns)
    plain = with_plain_zeros(_with_anti_joins(listed))
    return with_cheap_functions(plain if casts_to_nearest else with_casts_by_text(plain)).sql("spark")


def _with_anti_joins(statement: exp.Query) -> exp.Query:
    """Return `statement` with an anti join for each `NOT key IN (SELECT key ...)`, of keys that are never null.

    As it allows for nulls, Spark would send all rows of the subquery through the server to each executor, however many they are.
    """
    if not any(isinstance(test.this, exp.In) and test.this.args.get("query") for test in statement.find_all(exp.Not)):
        return statement
    joined = statement.copy()
    for number, select in enumerate(list(joined.find_all(exp.Select))):
        where = select.args.get("where")
        conditions = list(where.this.flatten()) if where and isinstance(where.this, exp.And) else [where.this] if where else []
        anti = [each for each in conditions if isinstance(each, exp.Not) and isinstance(each.this, exp.In) and each.this.args.get("query")]
        for place, test in enumerate(anti):
            name = f"absent_{number}_{place}"
            rows = test.this.args["query"].this.subquery(copy=False)
            alias = exp.TableAlias(this=exp.to_identifier(f"rows_{name}"), columns=[exp.to_identifier(name)])
            rows.set("alias", alias)
            select.join(rows, on=test.this.this.eq(exp.column(name)), join_type="left anti", copy=False)
        if anti:
            left = [each for each in conditions if each not in anti]
            select.set("where", exp.Where(this=exp.and_(*left, copy=False)) if left else None)
    return joined


def _with_names_apart(statement: exp.Query) -> exp.Query:
    """Return `statement` with a name of its own for each WITH query where names repeat: sqlglot moves all of them to the top for Spark."""
    names = Counter(query.alias for query in statement.find_all(exp.CTE))
    if not names or max(names.values()) == 1:
        return statement
    apart = statement.copy()
    # The innermost first: what is left to rename of a name is then meant by the clause around.
    for number, clause in enumerate(reversed(list(apart.find_all(exp.With)))):
        if clause.parent is not apart:
            for place, query in enumerate(clause.expressions):
                # A query may read a table of its own name, and so may those before it: that is another one.
                before = {id(table) for each in clause.expressions[: place + 1] for table in each.find_all(exp.Table)}
                readers = [table for table in cast("exp.Query", clause.parent).find_all(exp.Table) if id(table) not in before]
                _rename(query, [table for table in readers if table.name == query.alias], f"{query.alias}_{number}")
    return apart


def _rename(query: exp.CTE, readers: list[exp.Table], name: str) -> None:
    for table in readers:
        if not table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name)))
        table.set("this", exp.to_identifier(name))
    query.args["alias"].set("this", exp.to_identifier(name))
