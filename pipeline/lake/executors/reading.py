"""Reads files of the lake in an executor, each verified before a row of it counts."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.lake.damage import reading, require_whole_private_file
from pipeline.lake.executors.exchange import Exchange
from pipeline.lake.executors.failures import raising_readable_errors
from pipeline.lake.parquet import ROW_GROUP_ROWS

# A task for less is not worth starting.
TASK_BYTES = 8 << 20
LARGE_TASK_BYTES = 256 << 20
Files = Sequence[tuple[Path, str | None]]


@dataclass(frozen=True, slots=True)
class FileReader:
    """Turns numbers of tasks into the rows of their files: the columns of `schema`, null where a file lacks one.

    `name` is that of their table; a file is the path at which the process that runs the night reads it, and its address, if it has one.
    It is called by Spark, in an executor, with one column of numbers.
    """

    exchange: Exchange
    name: str
    schema: pa.Schema
    tasks: Sequence[Files]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with raising_readable_errors():
            for batch in batches:
                for number in batch.column(0).to_pylist():
                    for path, address in self.tasks[number]:
                        yield from self._rows(path, address)

    def _rows(self, path: Path, address: str | None) -> Iterator[pa.RecordBatch]:
        if address is None:
            require_whole_private_file(self.name, path, self.schema.names)
            yield from self._batches(path)
        else:
            link = self.exchange.local(path)
            with reading(self.exchange.store, self.name, address, columns=self.schema.names, link=link) as found:
                yield from self._batches(found)

    def _batches(self, path: Path) -> Iterator[pa.RecordBatch]:
        file = pq.ParquetFile(path)  # the checksums of whole columns were verified, so those of pages need not be
        names = [name for name in self.schema.names if name in file.schema_arrow.names]
        for batch in file.iter_batches(ROW_GROUP_ROWS, columns=names, use_threads=False):
            yield self._as_declared(batch)

    def _as_declared(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [
            batch.column(field.name) if field.name in batch.schema.names else pa.nulls(batch.num_rows, field.type) for field in self.schema
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def read_in_tasks(files: Files, most_tasks: int) -> list[Files]:
    """Return `files` in tasks of about the same size: at most `most_tasks`, unless these were very large."""
    sizes = {file: file[0].stat().st_size for file in files}
    total = sum(sizes.values())
    count = min(len(files), max(1, min(most_tasks, -(-total // TASK_BYTES)), -(-total // LARGE_TASK_BYTES)))
    tasks: list[tuple[int, int, list[tuple[Path, str | None]]]] = [(0, number, []) for number in range(count)]
    for file in sorted(files, key=lambda each: (-sizes[each], each[0])):
        size, number, held = heapq.heappop(tasks)
        heapq.heappush(tasks, (size + sizes[file], number, [*held, file]))
    return [tuple(held) for _, _, held in sorted(tasks, key=lambda task: task[1])]
