"""Rows of stored partitions in batches that fit into memory. Rows with equal keys share a batch, so repeated keys can be found in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby
from operator import itemgetter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake, Version, sorted_by
from pipeline.lake.tables import Partition, Table

ROWS_WORTH_THREADS = 16_384  # below, starting threads takes longer than decoding


@dataclass(frozen=True, slots=True)
class PartitionRef:
    """One stored partition: a night has `day`, a snapshot `known_on`, an event day both."""

    table: Table
    day: date | None = None
    known_on: date | None = None


Batch = list[tuple[PartitionRef, pa.Table]]


def read_batches(lake: Lake, partitions: Sequence[PartitionRef], *, limit: int) -> Iterator[Batch]:
    """Yield the rows of `partitions` in order, small ones together, in batches of about `limit` rows.

    Each partition comes at least once, even without rows. A batch holds partitions of one `known_on` night, on which the
    parameters of rules depend.
    """
    batch: Batch = []
    row_count = 0
    for partition, rows in read_pieces(lake, partitions, limit=limit):
        if batch and (row_count + rows.num_rows > limit or batch[0][0].known_on != partition.known_on):
            yield batch
            batch, row_count = [], 0
        batch.append((partition, rows))
        row_count += rows.num_rows
    if batch:
        yield batch


def read_pieces(lake: Lake, partitions: Sequence[PartitionRef], *, limit: int) -> Iterator[tuple[PartitionRef, pa.Table]]:
    """Yield partitions of one table in pieces of about `limit` rows, sorted by key; rows of one key share a piece.

    Raises SchemaDrift where a declared column is missing, DataError where a file is absent, damaged or
    larger than a piece and not sorted.
    """
    for partition, groups in _groups_by_partition(lake, partitions):
        for rows in _pieces_of_partition(lake, partition, groups, limit=limit):
            yield partition, rows


def _pieces_of_partition(lake: Lake, partition: PartitionRef, groups: Iterable[pa.Table], *, limit: int) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    last: tuple[tuple[bool, object], ...] | None = None
    for group in groups:
        waiting.append(group)
        while sum(rows.num_rows for rows in waiting) > limit:
            merged = _sorted_rows(waiting, partition.table)
            cut = _place_to_cut(merged, partition.table, limit)
            if cut == 0:  # one key fills all that was read: read on until it ends
                waiting = [merged]
                break
            last = _require_order(lake, partition, merged, last, cut)
            yield merged.slice(0, cut)
            waiting = [merged.slice(cut)]
    rest = _sorted_rows(waiting, partition.table)
    # At least one piece, so that a partition without rows is checked too.
    if rest.num_rows or last is None:
        if last is not None:
            _require_order(lake, partition, rest, last, rest.num_rows)
        yield rest


def _groups_by_partition(lake: Lake, partitions: Sequence[PartitionRef]) -> Iterator[tuple[PartitionRef, Iterator[pa.Table]]]:
    """Yield each partition with its row groups; those of event days have the columns for day and night."""
    table = partitions[0].table if partitions else None
    if table is None or table.partition is not Partition.EVENT_DAY:
        yield from ((partition, _row_groups(lake, partition)) for partition in partitions)
        return
    # Many event days lie in one file, which is opened once for all of them.
    versions = {Version(each.day or date.min, each.known_on or date.min): each for each in partitions}
    stored = replace(table, columns=table.stored_columns)
    for version, found in groupby(lake.rows(table, versions), key=itemgetter(0)):
        yield versions[version], (rows if rows.schema.equals(table.stored_schema) else stored.conform(rows) for _, rows in found)


def _row_groups(lake: Lake, partition: PartitionRef) -> Iterator[pa.Table]:
    address = addresses.partition(partition.table, day=partition.day, known_on=partition.known_on)
    with lake.reading(partition.table.name, address) as path, pq.ParquetFile(path, page_checksum_verification=True) as file:
        declared = partition.table.schema
        is_as_declared = file.schema_arrow.equals(declared)
        yield declared.empty_table() if is_as_declared else partition.table.conform(file.schema_arrow.empty_table())
        for index in range(file.num_row_groups):
            rows = file.read_row_group(index, use_threads=file.metadata.num_rows > ROWS_WORTH_THREADS)
            yield rows if is_as_declared else partition.table.conform(rows)


def _sorted_rows(tables: list[pa.Table], table: Table) -> pa.Table:
    return sorted_by(pa.concat_tables(tables), table.key).combine_chunks()


def _place_to_cut(rows: pa.Table, table: Table, limit: int) -> int:
    """Return where to cut sorted `rows`: at the last start of a key within `limit`, else at the first after it, else 0 for nowhere."""
    starts = np.flatnonzero(~same_as_previous(rows, table.key))
    within = starts[starts <= limit]
    if len(within) and within[-1] > 0:
        return int(within[-1])
    beyond = starts[starts > limit]
    return int(beyond[0]) if len(beyond) else 0


def same_as_previous(rows: pa.Table, columns: Iterable[str]) -> np.ndarray:
    """Return per row whether `columns` equal those of the row before; nulls equal each other."""
    same = np.ones(rows.num_rows, np.bool_)
    same[:1] = False
    for name in columns:
        column = rows[name].combine_chunks()
        here, before = column.slice(1), column.slice(0, max(len(column) - 1, 0))
        equal = pc.or_(pc.fill_null(pc.equal(here, before), fill_value=False), pc.and_(pc.is_null(here), pc.is_null(before)))
        same[1:] &= equal.to_numpy(zero_copy_only=False)
    return same


def _require_order(
    lake: Lake, partition: PartitionRef, rows: pa.Table, last: tuple[tuple[bool, object], ...] | None, count: int
) -> tuple[tuple[bool, object], ...] | None:
    """Return the key of row `count - 1`; raise DataError where the first row does not come after `last`."""
    if last is not None and rows.num_rows and _key_of_row(rows, partition.table, 0) <= last:
        raise DataError(
            f"{partition.table.name} is not sorted by {', '.join(partition.table.key)}",
            where=lake.where(addresses.partition(partition.table, day=partition.day, known_on=partition.known_on)),
            todo="Run that day again: segments run --reread --day YYYY-MM-DD.",
        )
    return _key_of_row(rows, partition.table, count - 1) if count else last


def _key_of_row(rows: pa.Table, table: Table, row: int) -> tuple[tuple[bool, object], ...]:
    """Return the key of one row, comparable as files are sorted: text by its bytes, nulls last."""
    scalars = [rows[name][row] for name in table.key]
    return tuple((not scalar.is_valid, _comparable_value(scalar) if scalar.is_valid else 0) for scalar in scalars)


def _comparable_value(scalar: pa.Scalar) -> object:
    if pa.types.is_string(scalar.type):
        return scalar.as_buffer().to_pybytes()
    # As counts since 1970: a date or an instant beyond Python's calendar is no value of Python's.
    return scalar.value if pa.types.is_temporal(scalar.type) else scalar.as_py()
