"""Reading the rows of versions: each file is opened and verified once, and neighbouring days do not read a row group twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from itertools import accumulate
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.lake.damage import damage_error, reading
from pipeline.lake.event_days import StoredVersion, Version
from pipeline.lake.tables import Table

ROWS_WORTH_THREADS = 16_384


class RowReader:
    """Reads the rows of versions, and holds the last row group of each file for the next version in it."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._files: dict[Path, OpenParquetFile] = {}

    def pieces(self, stored: StoredVersion) -> Iterator[pa.Table]:
        """Yield the rows of a version in the columns of its file, one row group at a time; once, without rows, where it has none."""
        path = stored.file.path
        if path not in self._files:
            with reading(self._table.name, path):
                self._files[path] = OpenParquetFile(pq.ParquetFile(path, page_checksum_verification=True))
        with translating_damage(self._table, path):
            yield from self._files[path].rows(stored.first_row, stored.row_count)


class OpenParquetFile:
    """One Parquet file and the row group that was last read from it."""

    def __init__(self, file: pq.ParquetFile) -> None:
        self._file = file
        self._ends = list(accumulate(file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)))
        self._index, self._group = -1, file.schema_arrow.empty_table()

    def rows(self, first: int, count: int) -> Iterator[pa.Table]:
        if not count:
            yield self._file.schema_arrow.empty_table()
        for index, end in enumerate(self._ends):
            start = self._ends[index - 1] if index else 0
            if start < first + count and first < end:
                yield self._read_group(index).slice(max(first - start, 0), min(first + count, end) - max(first, start))
            if index == self._index and end <= first + count:
                self._index, self._group = -1, self._file.schema_arrow.empty_table()

    def _read_group(self, index: int) -> pa.Table:
        if index != self._index:
            self._group = self._file.read_row_group(index, use_threads=self._file.metadata.num_rows > ROWS_WORTH_THREADS)
            self._index = index
        return self._group


def read_versions(table: Table, versions: Sequence[StoredVersion]) -> Iterator[tuple[Version, pa.Table]]:
    """Yield the rows of versions in the given order, in pieces; a version without rows comes once, with none."""
    reader, month = RowReader(table), date.min
    for stored in versions:
        if stored.file.month != month:  # so that the files of one month are open at a time
            reader, month = RowReader(table), stored.file.month
        for rows in reader.pieces(stored):
            yield stored.version, rows


@contextmanager
def translating_damage(table: Table, path: Path) -> Iterator[None]:
    """Raise what fails in the block as a DataError about damage of the file at `path`."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise damage_error(table.name, path, type(error).__name__) from None
