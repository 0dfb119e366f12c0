"""Customers in slices: ranges of ids whose rows fit into memory together.

A statement that groups by customer runs for one slice after the other, so that nothing spills however many there are.
Slices follow each other in the order of ids: their rows, one slice after the other, are those of the whole statement in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from pipeline.lake.engines import Engine

# Of the largest rollup. Rows of months hardly share a group any more: with three million of them the groups take about 0.6 GB of the 3 GB
# that an engine is given, and with four times as many each customer costs half as much again. Days cost more to read once more.
ROWS_PER_SLICE = 13_000_000
MONTH_ROWS_PER_SLICE = 3_000_000
SAMPLED_FILES = 8


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


def slices_of(days: Sequence[Path], months: Sequence[Path] = (), *, sampled: Sequence[Path], limit: int = ROWS_PER_SLICE) -> list[Slice]:
    """Return as many slices as the rows in a rollup's files need, cut by the ids of the `sampled` ones; one where there are few."""
    weight = _row_count(days) + _row_count(months) * ROWS_PER_SLICE // MONTH_ROWS_PER_SLICE
    count = -(-weight // limit)
    return between(cut_points(_sampled_ids(sampled), count) if count > 1 else [])


def cut_points(ids: Sequence[str], count: int) -> list[str]:
    """Return the distinct ids that cut sorted `ids` into `count` parts of about the same size."""
    return sorted({ids[number * len(ids) // count] for number in range(1, count)})


def between(cuts: Sequence[str]) -> list[Slice]:
    """Return the slices that sorted `cuts` leave: everyone is in one of them."""
    return [Slice(first, end) for first, end in pairwise([None, *cuts, None])]


def statement_of_slice(query: exp.Query, part: Slice, *, tables: Iterable[str]) -> exp.Query:
    """Return `query` over the rows of the slice's customers in `tables`; the bounds are the slice's parameters."""
    limits = _limits(part)
    sliced = query.copy()
    for table in list(sliced.find_all(exp.Table)) if limits else []:
        if table.name in tables:
            rows = exp.select("*").from_(table.name).where(*limits)
            table.replace(rows.subquery(table.alias_or_name))
    return sliced


def _limits(part: Slice) -> list[exp.Binary]:
    customer = exp.column("customer_id")
    bounds = {"slice_first": exp.GTE, "slice_end": exp.LT}
    return [bounds[name](this=customer, expression=exp.Placeholder(this=name)) for name in part.parameters]


def _row_count(paths: Sequence[Path]) -> int:
    return sum(pq.read_metadata(path).num_rows for path in paths)


def _sampled_ids(paths: Sequence[Path]) -> list[str]:
    """Return the sorted ids of the rows in a few files, evenly spread over time."""
    chosen = paths[:: -(-len(paths) // SAMPLED_FILES)]
    return sorted(one for path in chosen for one in pq.read_table(path, columns=["customer_id"])["customer_id"].to_pylist())
