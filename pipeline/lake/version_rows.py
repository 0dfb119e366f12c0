"""Reading the rows of versions: each file is opened and verified once, and neighbouring days do not read a row group twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from functools import partial
from itertools import accumulate, chain
from pathlib import Path
from types import MappingProxyType

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.lake.damage import damage_error, reading
from pipeline.lake.event_days import MonthFile, StoredVersion, Version, month_of
from pipeline.lake.file_stamps import read_unreplaced
from pipeline.lake.later_columns import with_later_columns
from pipeline.lake.month_files import FileGoneError, find_versions, gone_error, versions_in
from pipeline.lake.parquet import ROWS_WORTH_THREADS
from pipeline.lake.store import Store
from pipeline.lake.tables import Table


class RowReader:
    """Reads the rows of versions, and holds the last row group of each file for the next version in it.

    Columns named in `dictionaries` come as they are stored: each value of a row group once, and the place of each row's value.
    """

    def __init__(
        self, store: Store, table: Table, *, dictionaries: Sequence[str] = (), links: Mapping[MonthFile, Path] = MappingProxyType({})
    ) -> None:
        """Read from `store`, but files that have one of the `links` from there."""
        self._store, self._table, self._dictionaries, self._links = store, table, list(dictionaries), links
        self._files: dict[MonthFile, OpenParquetFile] = {}

    def pieces(self, version: Version, file: MonthFile) -> Iterator[pa.Table]:
        """Yield the rows of a version in the columns of its file, one row group at a time; once, without rows, where it has none.

        A table with later columns has the declared ones in every file.
        Raises FileGoneError, before the first, where the file is not there or does not hold the version any more.
        """
        if file not in self._files:
            try:
                self._files[file] = self._open_file(file)
            except FileNotFoundError:
                raise gone_error(self._store, self._table, file) from None
        opened = self._files[file]
        if version not in opened.versions:
            del self._files[file]
            raise gone_error(self._store, self._table, file)
        stored = opened.versions[version]
        with self._translating_damage(file):
            rows = opened.rows(stored.first_row, stored.row_count)
            if not self._table.later_columns:
                yield from rows
            else:
                yield from (with_later_columns(self._table, piece, where=self.where(file)) for piece in rows)

    def where(self, file: MonthFile) -> str:
        """Return the place of a file, as messages name it."""
        return self._store.where(file.address)

    def _open_file(self, file: MonthFile) -> OpenParquetFile:
        path = self._links.get(file) or self._store.local(file.address)
        return read_unreplaced(path, partial(self._open_path, file, path))

    def _open_path(self, file: MonthFile, path: Path) -> OpenParquetFile:
        versions = versions_in(self._store, self._table, file, link=path)
        with reading(self._store, self._table.name, file.address, link=path):
            return OpenParquetFile(pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=self._dictionaries), versions)

    @contextmanager
    def _translating_damage(self, file: MonthFile) -> Iterator[None]:
        """Raise what fails in the block as a DataError about damage of the file."""
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            raise damage_error(self._store, self._table.name, file.address, type(error).__name__) from None


class OpenParquetFile:
    """One Parquet file, the versions that it holds, and the row group that was last read from it."""

    def __init__(self, file: pq.ParquetFile, versions: Mapping[Version, StoredVersion]) -> None:
        self._file, self.versions = file, versions
        self._ends = list(accumulate(file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)))
        self._index, self._group = -1, file.schema_arrow.empty_table()

    def rows(self, first: int, count: int) -> Iterator[pa.Table]:
        if not count:
            yield self._file.schema_arrow.empty_table()
        for index, end in enumerate(self._ends):
            start = self._ends[index - 1] if index else 0
            if start < first + count and first < end:
                yield self._read_group(index).slice(max(first - start, 0), min(first + count, end) - max(first, start))
            # Versions are read in order, so no later one has rows in a group that ends here.
            if index == self._index and end <= first + count:
                self._index, self._group = -1, self._file.schema_arrow.empty_table()

    def _read_group(self, index: int) -> pa.Table:
        if index != self._index:
            self._group = self._file.read_row_group(index, use_threads=self._file.metadata.num_rows > ROWS_WORTH_THREADS)
            self._index = index
        return self._group


def read_versions(
    store: Store, table: Table, versions: Sequence[Version], *, dictionaries: Sequence[str] = ()
) -> Iterator[tuple[Version, pa.Table]]:
    """Yield the rows of versions in the given order, in pieces; a version without rows comes once, with none.

    Columns named in `dictionaries` come as dictionaries.

    Files that another run compacts or replaces meanwhile are looked for again.
    """
    files = [each.file for each in find_versions(store, table, versions)]
    store.fetch(sorted({file.address for file in files}))
    reader, month = RowReader(store, table, dictionaries=dictionaries), date.min
    for number, version in enumerate(versions):
        if month_of(version.day) != month:  # so that the files of one month are open at a time
            reader, month = RowReader(store, table, dictionaries=dictionaries), month_of(version.day)
        pieces = reader.pieces(version, files[number])
        # Only before its first piece: once a file is open it stays readable, whatever takes its place.
        while (first := _first_piece(pieces)) is None:
            files[number:] = [each.file for each in find_versions(store, table, versions[number:])]
            pieces = reader.pieces(version, files[number])
        for rows in chain([first], pieces):
            yield version, rows


def _first_piece(pieces: Iterator[pa.Table]) -> pa.Table | None:
    """Return the first piece of a version; None where its file is gone."""
    try:
        return next(pieces)
    except FileGoneError:
        return None
