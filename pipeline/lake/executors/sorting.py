"""Sorts the rows of a task in the executor itself: not every server that speaks Spark Connect gives them in the order it was asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.lake.executors.failures import raising_readable_errors
from pipeline.lake.executors.order import SortKey
from pipeline.lake.staging import temporary_folder

# Of rows that are sorted at once; beyond, sorted runs are merged from files, a batch of each in memory.
RUN_BYTES = 128 << 20
BATCH_ROWS = 16_384


@dataclass(frozen=True, slots=True)
class SortingWriter:
    """Gives a writer the rows of its task sorted by `order`."""

    writer: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
    order: Sequence[SortKey]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from self.writer(sorted_rows(batches, self.order))


def sorted_rows(batches: Iterator[pa.RecordBatch], order: Sequence[SortKey], *, run_bytes: int = RUN_BYTES) -> Iterator[pa.RecordBatch]:
    """Yield the rows of `batches` sorted by `order`, in memory for a few times `run_bytes`."""
    with ExitStack() as opened:
        runs, folder = list[Iterator[pa.Table]](), Path()
        for run in _sorted_runs(batches, order, run_bytes):
            if run.is_last and not runs:
                yield from run.rows.to_batches(BATCH_ROWS)
                return
            with raising_readable_errors():
                folder = folder if runs else opened.enter_context(temporary_folder())
                runs.append(_through_file(run.rows, folder / f"{len(runs)}.arrow", opened))
        yield from _merged(runs, order)


@dataclass(frozen=True, slots=True)
class _Run:
    rows: pa.Table
    is_last: bool


def _sorted_runs(batches: Iterator[pa.RecordBatch], order: Sequence[SortKey], run_bytes: int) -> Iterator[_Run]:
    held, size = list[pa.RecordBatch](), 0
    for batch in batches:
        if size > run_bytes:
            yield _Run(_sorted([pa.Table.from_batches(held)], order), is_last=False)
            held, size = [], 0
        held.append(batch)
        size += batch.nbytes
    if held:
        yield _Run(_sorted([pa.Table.from_batches(held)], order), is_last=True)


def _sorted(pieces: Sequence[pa.Table], order: Sequence[SortKey]) -> pa.Table:
    rows = pa.concat_tables(pieces)
    keys = [
        (key.name, "descending" if key.is_descending else "ascending", "at_start" if key.has_nulls_first else "at_end") for key in order
    ]
    return rows.take(pc.sort_indices(rows, sort_keys=keys))


def _through_file(rows: pa.Table, path: Path, opened: ExitStack) -> Iterator[pa.Table]:
    """Write `rows` to `path` and return them batch by batch, as they are read from there."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows, BATCH_ROWS)
    file = pa.ipc.open_file(opened.enter_context(pa.memory_map(str(path))))
    return (pa.Table.from_batches([file.get_batch(number)]) for number in range(file.num_record_batches))


def _merged(runs: Sequence[Iterator[pa.Table]], order: Sequence[SortKey]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of sorted `runs` as one: up to the least key that ends what is in memory of a run, all that come before are there."""
    heads = [(next(run), run) for run in runs]
    while heads:
        until = min(_key(rows, order, -1) for rows, _ in heads)
        pieces, left = list[pa.Table](), list[tuple[pa.Table, Iterator[pa.Table]]]()
        for rows, run in heads:
            count = bisect_right(range(rows.num_rows), until, key=partial(_key, rows, order))
            pieces.append(rows.slice(0, count))
            if rest := rows.slice(count) if count < rows.num_rows else next(run, None):
                left.append((rest, run))
        heads = left
        yield from _sorted(pieces, order).to_batches(BATCH_ROWS)


def _key(rows: pa.Table, order: Sequence[SortKey], place: int) -> tuple[object, ...]:
    """Return what tells where a row belongs: of two rows, the one with the lesser comes first."""
    return tuple(part for key in order for part in _parts_of_key(rows.column(key.name)[place].as_py(), key))


def _parts_of_key(value: object, key: SortKey) -> tuple[object, object]:
    is_null = value is None
    # Two nulls are the same None, which nothing is compared with: whether a value is null comes before it.
    return is_null != key.has_nulls_first, _Descending(value) if key.is_descending and not is_null else value


@dataclass(frozen=True, slots=True)
class _Descending:
    value: Any

    def __lt__(self, other: _Descending) -> bool:
        return bool(other.value < self.value)
