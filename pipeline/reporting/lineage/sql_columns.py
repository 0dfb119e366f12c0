"""What each column of one statement reads, from its syntax tree.

sqlglot has a lineage of its own. It finds the same source columns thirty times slower, and does not say which columns only choose rows.
So the tree is walked here: every SELECT becomes a relation, named after its table and its part, such as `customer_features/<CTE>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from pipeline.reporting.lineage.graph import ROWS, Edge, Field, How

_CONDITIONS = ("where", "group", "having", "qualify")


@dataclass(frozen=True, slots=True)
class Relation:
    """What can be selected from: a table, a named part of a statement or a subquery, with its columns in order."""

    name: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SelectScope:
    """One SELECT, the relation that it makes, and what it selects from, by alias."""

    node: exp.Select
    name: str
    sources: Mapping[str, Relation]
    fixed: str  # The alias whose rows are kept: all other relations are joined to it.

    def fields_in(self, nodes: Iterable[exp.Expr]) -> list[Field]:
        """Resolve the columns that stand in `nodes`; raises ValueError for one that no source has."""
        columns = (column for node in nodes for column in node.find_all(exp.Column))
        return [self._source_field(column) for column in columns if not isinstance(column.this, exp.Star)]

    def _source_field(self, column: exp.Column) -> Field:
        aliases = [column.table] if column.table else [name for name, source in self.sources.items() if column.name in source.columns]
        if len(aliases) != 1 or aliases[0] not in self.sources or column.name not in self.sources[aliases[0]].columns:
            raise ValueError(f"{self.name}: where does `{column.sql()}` come from?")
        return Field(self.sources[aliases[0]].name, column.name)


def statement_edges(query: exp.Query, name: str, tables: Mapping[str, Sequence[str]]) -> list[Edge]:
    """Work out what every column of the statement `query` of the table `name` reads; `tables` holds the columns of tables.

    Raises ValueError for a column that no relation has.
    """
    edges: list[Edge] = []
    _read_query(edges, query, name, {table: Relation(table, tuple(columns)) for table, columns in tables.items()}, ())
    return edges


def _read_query(edges: list[Edge], query: exp.Query, name: str, visible: Mapping[str, Relation], names: tuple[str, ...]) -> tuple[str, ...]:
    """Add the edges of `query` and return its columns; as a part of a union it has the `names` of the first part."""
    known_relations = dict(visible)
    for cte in query.ctes:
        inner = f"{name}/{cte.alias}"
        known_relations[cte.alias] = Relation(inner, _read_query(edges, cte.this, inner, known_relations, ()))
    if isinstance(query, exp.SetOperation):
        first = _read_query(edges, query.left, name, known_relations, names)
        return _read_query(edges, query.right, name, known_relations, first)
    if not isinstance(query, exp.Select):
        raise TypeError(f"{name}: this is no SELECT: {query.sql()}")
    return _read_select(edges, query, name, known_relations, names)


def _read_select(
    edges: list[Edge], node: exp.Select, name: str, known_relations: Mapping[str, Relation], names: tuple[str, ...]
) -> tuple[str, ...]:
    start = node.args.get("from_")
    parts = [*([start.this] if start else []), *(join.this for join in _joins_of(node))]
    sources = {part.alias_or_name: _read_relation(edges, part, name, known_relations) for part in parts}
    select = SelectScope(node, name, sources, fixed=next(iter(sources), ""))
    _read_rows(edges, select)
    outputs = list(_output_columns(select))
    columns = names or tuple(column for column, _ in outputs)
    # The parts of a union go by the names of the first one: columns match by place.
    for column, (_, expression) in zip(columns, outputs, strict=True):
        _read_column(edges, select, Field(name, column), expression)
    return columns


def _joins_of(node: exp.Select) -> list[exp.Join]:
    return node.args.get("joins") or []


def _read_relation(edges: list[Edge], part: exp.Expr, name: str, known_relations: Mapping[str, Relation]) -> Relation:
    if isinstance(part, exp.Subquery):
        inner = f"{name}/{part.alias}"
        return Relation(inner, _read_query(edges, part.this, inner, known_relations, ()))
    if part.name not in known_relations:
        raise ValueError(f"{name}: which table is `{part.name}`?")
    return known_relations[part.name]


def _output_columns(select: SelectScope) -> Iterator[tuple[str, exp.Expr]]:
    """Yield every column by name with its expression, those behind a star one by one."""
    for expression in select.node.expressions:
        if not expression.is_star:
            yield expression.alias_or_name, expression
            continue
        for alias in [expression.table] if isinstance(expression, exp.Column) else select.sources:
            yield from ((column, exp.column(column, alias)) for column in select.sources[alias].columns)


def _read_rows(edges: list[Edge], select: SelectScope) -> None:
    """Add what decides which rows there are: conditions, groups, and joins that can drop or add some."""
    rows = Field(select.name, ROWS)
    conditions = [select.node.args[key] for key in _CONDITIONS if select.node.args.get(key)]
    deciding = [select.fixed] if select.fixed else []
    for join in _joins_of(select.node):
        # A LEFT JOIN drops no row, and our statements have at most one row on its right side for each.
        if join.side != "LEFT" and join.kind != "CROSS":
            conditions.append(join.args["on"])
            deciding.append(join.alias_or_name)
    sources = [*select.fields_in(conditions), *(Field(select.sources[alias].name, ROWS) for alias in deciding)]
    edges += [Edge(rows, source, "value") for source in sources]


def _read_column(edges: list[Edge], select: SelectScope, target: Field, expression: exp.Expr) -> None:
    read = select.fields_in([expression])
    is_copy = isinstance(expression.unalias(), exp.Column) and len(read) == 1
    how: How = "copy" if is_copy else "value"
    edges += [Edge(target, source, how) for source in read]
    rows = Field(select.name, ROWS)
    # COUNT(*) is made of nothing but rows, so that what chooses them makes its value.
    counts_rows = any(isinstance(count.this, exp.Star) for count in expression.find_all(exp.Count))
    edges.append(Edge(target, rows, "value" if counts_rows else "rows"))
    tables = {source.table for source in read}
    joins = (join for join in _joins_of(select.node) if join.args.get("on"))
    joined = [join.args["on"] for join in joins if select.sources[join.alias_or_name].name in tables]
    # What a relation is joined by chooses which of its rows a column comes from, even where the join drops none.
    edges += [Edge(target, source, "rows") for source in select.fields_in(joined)]
