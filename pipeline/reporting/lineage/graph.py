"""Which column is calculated from which, as a graph that can be followed either way.

Two kinds of edges are kept apart: a column's value is calculated from others, or others only choose which rows count for it, such as
`WHERE line_kind = 'order'`. Who removes a source column wants to know which of the two they break.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Literal, NamedTuple

ROWS = "*"
How = Literal["copy", "value", "rows"]


class Field(NamedTuple):
    """A column of a table or of a part of its statement; `*` stands for which rows there are."""

    table: str
    column: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"


class Edge(NamedTuple):
    """`target` reads `source`: it is a copy, its value is calculated from it, or it only chooses the rows that count."""

    target: Field
    source: Field
    how: How


class ColumnGraph:
    """Every edge between the columns of some tables."""

    def __init__(self, edges: Iterable[Edge]) -> None:
        # By whether the edge makes the value: a path of such edges alone makes the value too.
        self._up: dict[bool, dict[Field, set[Field]]] = {True: defaultdict(set), False: defaultdict(set)}
        self._down: dict[bool, dict[Field, set[Field]]] = {True: defaultdict(set), False: defaultdict(set)}
        self._copied: dict[Field, set[Field]] = defaultdict(set)
        for edge in edges:
            self._up[edge.how != "rows"][edge.target].add(edge.source)
            self._down[edge.how != "rows"][edge.source].add(edge.target)
            if edge.how == "copy":
                self._copied[edge.target].add(edge.source)

    def sources_of(self, fields: Iterable[Field]) -> tuple[set[Field], set[Field]]:
        """Follow the graph upward: what the values of `fields` are calculated from, at any depth, and what only chooses their rows."""
        return _reached_fields(self._up, fields)

    def copies_of(self, field: Field, table: str) -> list[Field]:
        """List `field` and what it is a copy of, as far as that is a part of the statement of `table`."""
        # Of two sources, as in the parts of a union, neither is the one that it is a copy of.
        sources = self._copied.get(field, set())
        if len(sources) != 1:
            return [field]
        (source,) = sources
        return [field, *(self.copies_of(source, table) if source.table.startswith(f"{table}/") else [])]

    def inputs_of(self, field: Field, stored: Collection[str]) -> dict[Field, bool]:
        """Return the columns of `stored` tables that `field` is made of in one step, in order, with whether each makes its value.

        What is no stored table, such as a part of a statement, is stepped over, and so is which rows a table has.
        """
        values = _nearest_fields([self._up[True]], field, stored)
        return {source: source in values for source in sorted(_nearest_fields(list(self._up.values()), field, stored))}

    def readers_of(self, fields: Iterable[Field]) -> tuple[set[Field], set[Field]]:
        """Follow the graph downward: what is calculated from the values of `fields`, at any depth, and what they only choose rows for."""
        return _reached_fields(self._down, fields)


def _reached_fields(edges: Mapping[bool, Mapping[Field, set[Field]]], fields: Iterable[Field]) -> tuple[set[Field], set[Field]]:
    start = set(fields)
    # One edge that only chooses rows makes the whole path one: values are what is reached without any such edge.
    values = _transitive_closure([edges[True]], start)
    everything = _transitive_closure(list(edges.values()), start)
    return values - start, everything - values


def _nearest_fields(edges: list[Mapping[Field, set[Field]]], start: Field, stored: Collection[str]) -> set[Field]:
    found, seen, waiting = set[Field](), {start}, [start]
    while waiting:
        field = waiting.pop()
        for other in {other for step in edges for other in step.get(field, ())} - seen:
            seen.add(other)
            if other.table in stored and other.column != ROWS:
                found.add(other)
            else:
                waiting.append(other)
    return found


def _transitive_closure(edges: list[Mapping[Field, set[Field]]], start: set[Field]) -> set[Field]:
    reached, waiting = set(start), list(start)
    while waiting:
        field = waiting.pop()
        new = {other for step in edges for other in step.get(field, ())} - reached
        reached |= new
        waiting += new
    return reached
