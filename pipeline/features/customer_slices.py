"""Customers in slices: ranges of ids whose rows fit into memory together.

A statement that groups by customer runs for one slice after the other, so that nothing spills however many there are.
Slices follow each other in the order of ids: their rows, one slice after the other, are those of the whole statement in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import pyarrow as pa
from sqlglot import exp

from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake, Version
from pipeline.lake.tables import Table

ROWS_PER_SLICE = 13_000_000  # of the largest rollup; days of customers, which an engine groups in the 3 GB that it is given
SAMPLED_DAYS = 8


@dataclass(frozen=True, slots=True)
class Slice:
    """Customers from id `first` on up to but not including `end`; None is no bound."""

    first: str | None = None
    end: str | None = None

    @property
    def parameters(self) -> Mapping[str, str]:
        bounds = {"slice_first": self.first, "slice_end": self.end}
        return {name: bound for name, bound in bounds.items() if bound is not None}


def rows_by_slice(
    engine: Engine, query: exp.Query, parameters: Mapping[str, date], *, tables: Iterable[str], slices: Iterable[Slice]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `query` for the customers of each slice in turn, of whom it reads in `tables`."""
    names = set(tables)
    for part in slices:
        yield from engine.run(statement_of_slice(query, part, tables=names), {**parameters, **part.parameters})


def slices_of_rollup(lake: Lake, table: Table, versions: Sequence[Version], *, limit: int = ROWS_PER_SLICE) -> list[Slice]:
    """Return as many slices as the rows of a rollup's `versions` need, cut by the ids of a few days; one where there are few."""
    stored = lake.stored_versions(table)
    count = -(-sum(stored[version].row_count for version in versions) // limit)
    return slices_between(cut_points(_sampled_ids(lake, table, versions), count) if count > 1 else [])


def cut_points(ids: Sequence[str], count: int) -> list[str]:
    """Return the distinct ids that cut sorted `ids` into `count` parts of about the same size."""
    return sorted({ids[number * len(ids) // count] for number in range(1, count)})


def slices_between(cuts: Sequence[str]) -> list[Slice]:
    """Return the slices that sorted `cuts` leave: everyone is in one of them."""
    return [Slice(first, end) for first, end in pairwise([None, *cuts, None])]


def statement_of_slice(query: exp.Query, part: Slice, *, tables: Iterable[str]) -> exp.Query:
    """Return `query` over the rows of the slice's customers in `tables`; the bounds are the slice's parameters."""
    limits = _slice_bounds(part)
    sliced = query.copy()
    for table in list(sliced.find_all(exp.Table)) if limits else []:
        if table.name in tables:
            rows = exp.select("*").from_(table.name).where(*limits)
            table.replace(rows.subquery(table.alias_or_name))
    return sliced


def _slice_bounds(part: Slice) -> list[exp.Binary]:
    customer = exp.column("customer_id")
    bounds = {"slice_first": exp.GTE, "slice_end": exp.LT}
    return [bounds[name](this=customer, expression=exp.Placeholder(this=name)) for name in part.parameters]


def _sampled_ids(lake: Lake, table: Table, versions: Sequence[Version]) -> list[str]:
    """Return the sorted ids in the rows of a few days, evenly spread over time."""
    chosen = versions[:: -(-len(versions) // SAMPLED_DAYS)]
    return sorted(one for _, rows in lake.rows(table, chosen) for one in rows["customer_id"].to_pylist())
