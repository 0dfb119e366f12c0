"""The order that files are written in, and whether rows come in it: a server that does not keep it says nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import TransientError


@dataclass(frozen=True, slots=True)
class SortKey:
    """A column that rows are sorted by. Engines differ in where nulls go, so that each key says it."""

    name: str
    is_descending: bool = False
    has_nulls_first: bool = False


def rows_in_order(batches: Iterator[pa.RecordBatch], order: Sequence[SortKey]) -> Iterator[pa.RecordBatch]:
    """Yield `batches`, whose rows are sorted by `order`; raises TransientError at the first batch whose rows are not."""
    last: list[pa.Array] = []
    for batch in batches:
        if batch.num_rows and order:
            keys = [batch.column(key.name) for key in order]
            columns = [pa.concat_arrays(pair) for pair in zip(last, keys, strict=True)] if last else keys
            if not _is_sorted(columns, order):
                what = f"rows did not come in the order of {', '.join(key.name for key in order)}, which the server was asked for"
                raise TransientError(what, todo="Use a server that is Apache Spark, or SEGMENTS_ENGINE=duckdb.")
            last = [key.slice(len(key) - 1) for key in keys]
        yield batch


def _is_sorted(columns: Sequence[pa.Array], order: Sequence[SortKey]) -> bool:
    undecided = None
    for column, key in zip(columns, order, strict=True):
        before, after = column.slice(0, len(column) - 1), column.slice(1)
        falls, stays = _falls(before, after, key), _stays(before, after)
        if pc.any(falls if undecided is None else pc.and_(falls, undecided)).as_py():
            return False
        undecided = stays if undecided is None else pc.and_(stays, undecided)
        if not pc.any(undecided).as_py():
            return True
    return True


def _falls(before: pa.Array, after: pa.Array, key: SortKey) -> pa.Array:
    """Return for each pair whether its second value belongs before its first one."""
    falls = (pc.less if key.is_descending else pc.greater)(before, after)
    if not falls.null_count:
        return falls
    misplaced = pc.and_(before.is_valid(), after.is_null()) if key.has_nulls_first else pc.and_(before.is_null(), after.is_valid())
    return pc.if_else(falls.is_valid(), falls, misplaced)


def _stays(before: pa.Array, after: pa.Array) -> pa.Array:
    stays = pc.equal(before, after)
    return pc.if_else(stays.is_valid(), stays, pc.and_(before.is_null(), after.is_null())) if stays.null_count else stays
