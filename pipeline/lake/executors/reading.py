"""Reads files of the lake in an executor: of each, what is read is verified before a row of it counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.lake.damage import reading, reading_private_row_groups, reading_row_groups, replacement_error, require_whole_private_file
from pipeline.lake.executors.exchange import Exchange
from pipeline.lake.executors.failures import raising_readable_errors
from pipeline.lake.executors.reading_tasks import FilePiece, Pieces
from pipeline.lake.parquet import ROW_GROUP_ROWS


@dataclass(frozen=True, slots=True)
class FileReader:
    """Turns numbers of tasks into the rows of their pieces of files: the columns of `schema`, null where a file lacks one.

    `name` is that of their table. It is called by Spark, in an executor, with one column of numbers.
    """

    exchange: Exchange
    name: str
    schema: pa.Schema
    tasks: Sequence[Pieces]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with raising_readable_errors():
            for batch in batches:
                for number in batch.column(0).to_pylist():
                    for piece in self.tasks[number]:
                        rows = self._rows_of_file(piece) if piece.groups is None else self._rows_of_groups(piece, piece.groups)
                        yield from map(self._as_declared, rows)

    def _rows_of_file(self, piece: FilePiece) -> Iterator[pa.RecordBatch]:
        if piece.address is None:
            require_whole_private_file(self.name, piece.path, self.schema.names)
            yield from self._batches(piece.path)
        else:
            link = self.exchange.local(piece.path)
            with reading(self.exchange.store, self.name, piece.address, columns=self.schema.names, link=link) as found:
                yield from self._batches(found)

    def _batches(self, path: Path) -> Iterator[pa.RecordBatch]:
        file = pq.ParquetFile(path)  # the checksums of whole columns were verified, so those of pages need not be
        names = [name for name in self.schema.names if name in file.schema_arrow.names]
        yield from file.iter_batches(ROW_GROUP_ROWS, columns=names, use_threads=False)

    def _rows_of_groups(self, piece: FilePiece, groups: range) -> Iterator[pa.RecordBatch]:
        names, store = self.schema.names, self.exchange.store
        opened = (
            reading_private_row_groups(self.name, piece.path, names)
            if piece.address is None
            else reading_row_groups(store, self.name, piece.address, columns=names, link=self.exchange.local(piece.path))
        )
        with opened as reader:
            if reader.seal.digest != piece.digest:
                raise replacement_error(self.name, store.where(piece.address) if piece.address else str(piece.path))
            yield from reader.batches(groups)

    def _as_declared(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        columns = [
            batch.column(field.name) if field.name in batch.schema.names else pa.nulls(batch.num_rows, field.type) for field in self.schema
        ]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)
