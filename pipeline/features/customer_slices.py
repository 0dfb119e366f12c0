"""Slices of customers: ranges of ids whose rows fit into memory together.

A statement that groups by customer runs once per slice, so that nothing spills to disk however many customers there are.
Slices follow the order of ids, so their rows, one slice after the other, are those of the whole statement in its order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain, pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake, Version
from pipeline.lake.tables import Table

# Rows of the largest rollup that an engine can group by customer in the 3 GB that it is given.
ROWS_PER_SLICE = 13_000_000
SAMPLED_DAYS = 8


@dataclass(frozen=True, slots=True)
class Slice:
    """Customers with ids from `first` to before `end`; None means no bound."""

    first: str | None = None
    end: str | None = None

    @property
    def parameters(self) -> Mapping[str, str]:
        """The bounds, as parameters of a statement over the slice."""
        bounds = {"slice_first": self.first, "slice_end": self.end}
        return {name: bound for name, bound in bounds.items() if bound is not None}


EVERYBODY = Slice()


def rows_by_slice(
    engine: Engine, query: exp.Query, parameters: Mapping[str, date], *, tables: Iterable[str], slices: Sequence[Slice]
) -> Iterable[pa.RecordBatch]:
    """Run `query` for each slice in turn and return all rows; `tables` are the ones to cut, which have a `customer_id`."""
    if slices == [EVERYBODY]:
        return engine.run(query, parameters)
    names = set(tables)
    runs = (engine.run(statement_of_slice(query, part, tables=names), {**parameters, **part.parameters}) for part in slices)
    return chain.from_iterable(runs)


def slices_of_rollup(lake: Lake, engine: Engine, table: Table, versions: Sequence[Version], *, limit: int = ROWS_PER_SLICE) -> list[Slice]:
    """Return as many slices as the rows of a rollup's `versions` need, at least one; one where the `engine` needs none.

    They are cut at the ids found on a few days, evenly spread: whoever orders often is on them often, so slices come out even
    in rows rather than in customers.
    """
    if not engine.needs_slices:
        return [EVERYBODY]
    stored = lake.stored_versions(table)
    count = -(-sum(stored[version].row_count for version in versions) // limit)
    if count <= 1:
        return slices_between([])
    sampled = versions[:: -(-len(versions) // SAMPLED_DAYS)]
    ids = sorted(each for _, rows in lake.rows(table, sampled) for each in rows["customer_id"].to_pylist())
    return slices_between(cut_points(ids, count))


def slices_of_customers(path: Path, *, limit: int) -> list[Slice]:
    """Return slices of at most `limit` rows of the file at `path`, which has a row per customer in the order of ids."""
    if pq.read_metadata(path).num_rows <= limit:
        return slices_between([])
    ids = pq.read_table(path, columns=["customer_id"])["customer_id"]
    return slices_between([ids[place].as_py() for place in range(limit, len(ids), limit)])


def cut_points(ids: Sequence[str], count: int) -> list[str]:
    """Return the distinct ids that cut sorted `ids` into `count` parts of about the same size."""
    return sorted({ids[number * len(ids) // count] for number in range(1, count)})


def slices_between(cuts: Sequence[str]) -> list[Slice]:
    """Return the slices that sorted `cuts` leave: every id is in exactly one."""
    return [Slice(first, end) for first, end in pairwise([None, *cuts, None])]


def limits_of_slice(part: Slice) -> list[exp.Expr]:
    """Return the conditions on `customer_id` that the slice sets; the bounds are parameters, so that a statement's text stays the same."""
    comparisons = {"slice_first": exp.GTE, "slice_end": exp.LT}
    return [comparisons[name](this=exp.column("customer_id"), expression=exp.Placeholder(this=name)) for name in part.parameters]


def statement_of_slice(query: exp.Query, part: Slice, *, tables: Iterable[str]) -> exp.Query:
    """Return `query` with each of `tables` cut to the slice's customers."""
    limits = limits_of_slice(part)
    sliced = query.copy()
    for table in list(sliced.find_all(exp.Table)) if limits else []:
        if table.name in tables:
            rows = exp.select("*").from_(table.name).where(*limits)
            table.replace(rows.subquery(table.alias_or_name))
    return sliced
