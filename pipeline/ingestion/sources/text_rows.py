"""Rows of text, whatever the files that they are in: what a table needs of them to give columns their types and to name a bad cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from duckdb import DuckDBPyConnection, DuckDBPyRelation

from pipeline.definitions.source_formats import TableFormat
from pipeline.errors import DataError
from pipeline.ingestion.sources.table_files import SourceTable

FILE_COLUMN = "segments_file"
RECORD_COLUMN = "segments_record"


class TextRows(Protocol):
    """The files of one table, every cell of which is text or NULL; `noun` is what a row is called where they are shown."""

    @property
    def files(self) -> SourceTable:
        """The files."""

    @property
    def declared(self) -> TableFormat:
        """How they are written."""

    @property
    def noun(self) -> str:
        """What messages call the place of a row: a line, or a row."""

    @property
    def origins(self) -> Mapping[str, Path]:
        """The files of the source, by the path that is read: a file itself, or a copy that can be read in its place."""

    def words(self, path: Path) -> str:
        """Return what messages call the file, with the table where it has several."""

    def open(self) -> None:
        """Make the files ready to be read; raises DataError naming the first that cannot be."""

    def groups(self, connection: DuckDBPyConnection) -> Iterator[DuckDBPyRelation]:
        """Yield the rows of the files, some files at a time, with the path that was read in FILE_COLUMN."""

    def numbered(self, connection: DuckDBPyConnection) -> Iterator[tuple[Path, DuckDBPyRelation]]:
        """Yield each file of the source with its rows, numbered in RECORD_COLUMN."""

    def lines(self, path: Path, records: Sequence[int]) -> list[int]:
        """Return where in the file people find these records."""

    def remedy(self, cell: str, column: str, kind: str) -> str:
        """Return what to declare where a query casts such a cell in vain; nothing where the query is to be edited."""

    def find_fault(self) -> DataError | None:
        """Return the error for the first file that nobody can read to its end; None where all can be."""

    def find_cut_off(self) -> DataError | None:
        """Return the error for the first file that has not wholly arrived; None where all have."""
