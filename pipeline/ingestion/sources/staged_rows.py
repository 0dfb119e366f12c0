"""Files that DuckDB cannot read: their rows are written as text to Parquet in a private folder, and read from there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from duckdb import DuckDBPyConnection, DuckDBPyRelation

from pipeline.definitions.source_formats import TableFormat
from pipeline.errors import DataError
from pipeline.ingestion.sources.parquet_files import read_parquet_files
from pipeline.ingestion.sources.table_files import SourceTable
from pipeline.ingestion.sources.text_rows import RECORD_COLUMN

BATCH_ROWS = 10_000


@dataclass(frozen=True)
class StagedRows:
    """The files of one table as `read` yields them: text by column, with the place of each row in RECORD_COLUMN.

    Batches of one file may have more columns than those before. A file without rows gives one batch without rows.
    """

    files: SourceTable
    declared: TableFormat
    staging: Path
    noun: str
    read: Callable[[Path], Iterator[pa.RecordBatch]]
    _parts: dict[Path, list[Path]] = field(default_factory=dict)

    @property
    def origins(self) -> Mapping[str, Path]:
        return {str(part): path for path, parts in self._parts.items() for part in parts}

    def words(self, path: Path) -> str:
        return f"{path.name}, table {self.files.name}" if self.files.kind == "SQLite" else path.name

    def open(self) -> None:
        """Stage the files; raises DataError naming the first that cannot be read."""
        for path in self.files.paths:
            self._parts[path] = list(self._stage(path))

    def groups(self, connection: DuckDBPyConnection) -> Iterator[DuckDBPyRelation]:
        """Yield the rows of all files with the same columns."""
        columns = {path: sorted(self._read_parts(connection, parts).columns) for path, parts in self._parts.items()}
        for _, paths in groupby(sorted(columns, key=lambda path: columns[path]), key=lambda path: columns[path]):
            parts = [part for path in paths for part in self._parts[path]]
            yield self._read_parts(connection, parts).project(f"* EXCLUDE ({RECORD_COLUMN})")

    def numbered(self, connection: DuckDBPyConnection) -> Iterator[tuple[Path, DuckDBPyRelation]]:
        """Yield the rows of each file, with their places in it."""
        for path, parts in self._parts.items():
            yield path, self._read_parts(connection, parts)

    def lines(self, path: Path, records: Sequence[int]) -> list[int]:  # noqa: ARG002 - a record is numbered by its place
        """Return the places of the records."""
        return list(records)

    def remedy(self, cell: str, column: str, kind: str) -> str:
        """Return what to declare for a number that a query takes for a day: which day it is depends on the file."""
        is_day = self.files.kind == "workbook" and kind in ("DATE", "TIMESTAMP") and re.fullmatch(r"\d{5}(\.\d+)?", cell)
        section = f"[source.column_types.{self.files.name}] of company.toml"
        return f'A day as a number: declare `"{column}" = "{kind}"` under {section}.' if is_day else ""

    def find_fault(self) -> DataError | None:
        """Return None: what cannot be read was refused when it was staged."""
        return None

    def find_cut_off(self) -> DataError | None:
        """Return None: what cannot be read was refused when it was staged."""
        return None

    def _stage(self, path: Path) -> Iterator[Path]:
        """Write the rows of one file; yield what was written, another file wherever there are more columns than before."""
        folder, schema, writer, number = self.files.copy_path(path, self.staging, "").parent, None, None, 0
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as opened:
            for batch in self.read(path):
                if writer is None or batch.schema != schema:
                    opened.close()
                    number, schema = number + 1, batch.schema
                    part = self.files.copy_path(path, self.staging, f".{number}.parquet")
                    writer = opened.enter_context(pq.ParquetWriter(part, schema))
                    yield part
                writer.write_batch(batch)

    def _read_parts(self, connection: DuckDBPyConnection, parts: Sequence[Path]) -> DuckDBPyRelation:
        return read_parquet_files(connection, parts, is_partitioned=self.files.is_partitioned)


def text_batch(records: Sequence[int], columns: Mapping[str, Sequence[str | None]]) -> pa.RecordBatch:
    """Return a batch of text columns, each row with its place."""
    arrays = [pa.array(records, pa.int64()), *(pa.array(cells, pa.string()) for cells in columns.values())]
    return pa.RecordBatch.from_arrays(arrays, names=[RECORD_COLUMN, *columns])
