"""CSV files as rows of text: read by DuckDB as they are, or from a copy in UTF-8 where it cannot read them.

The separator is the declared one, or the one of `,` `;` tab `|` that is most frequent in the header outside of quotes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from duckdb import CatalogException, DuckDBPyConnection, DuckDBPyRelation

from pipeline.definitions.source_formats import TableFormat
from pipeline.errors import DataError
from pipeline.ingestion.sources.compressed_files import compression_of, find_compression_fault
from pipeline.ingestion.sources.csv_text import (
    LINES_SHOWN,
    REJECTS_KEPT,
    UTF_8,
    CsvLayout,
    find_text_fault,
    line_words,
    open_text,
    read_layout,
)
from pipeline.ingestion.sources.encoded_text import decoded_blocks
from pipeline.ingestion.sources.private_duckdb import pattern_of
from pipeline.ingestion.sources.table_files import SourceTable
from pipeline.ingestion.sources.text_rows import FILE_COLUMN, RECORD_COLUMN

_FAULT_WORDS = {
    "MISSING COLUMNS": "too few columns",
    "TOO MANY COLUMNS": "too many columns",
    "UNQUOTED VALUE": "a quote out of place",
    "INVALID ENCODING": "text that is not UTF-8",
    "LINE SIZE OVER MAXIMUM": "a line longer than 2 MB",
}
_FAULT_REMEDIES = {
    "MISSING COLUMNS": "Give every line the columns of the header.",
    "TOO MANY COLUMNS": "A separator within a cell needs quotes around the cell.",
    "UNQUOTED VALUE": 'A quote within a quoted cell is written twice: "12"" pipe".',
    "INVALID ENCODING": 'If it comes from Windows, declare `encoding = "windows-1252"` under [source.formats.<table>] of company.toml.',
    "LINE SIZE OVER MAXIMUM": "Shorten the cell or leave its column out; or a quote that never ends has swallowed the lines after it.",
}


@dataclass(frozen=True)
class CsvRows:
    """The CSV files of one table; of some DuckDB reads a copy instead, in UTF-8 below `staging`."""

    files: SourceTable
    declared: TableFormat
    staging: Path
    _layouts: dict[Path, CsvLayout] = field(default_factory=dict)
    _read: dict[Path, Path] = field(default_factory=dict)

    @property
    def noun(self) -> str:
        return "line"

    @property
    def origins(self) -> Mapping[str, Path]:
        return {str(read): path for path, read in self._read.items()}

    def words(self, path: Path) -> str:
        return path.name

    def open(self) -> None:
        """Copy what DuckDB cannot read; raises DataError naming the file, and the line where there is one."""
        for path in self.files.paths:
            self._layouts[path], self._read[path] = read_layout(path, self.files.name, self.declared), path
            # DuckDB knows few encodings, and takes a .zst that was cut off for a short one.
            if self.declared.encoding != UTF_8 or compression_of(path) == ".zst":
                self._read[path] = self.files.copy_path(path, self.staging, ".csv")
                _write_utf_8(path, self._read[path], self.files.name, self.declared.encoding)

    def groups(self, connection: DuckDBPyConnection) -> Iterator[DuckDBPyRelation]:
        """Yield the rows of all files with one header, as text, with the path of their file."""
        layouts = sorted(self._layouts.items(), key=lambda each: (each[1].names, each[1].separator, str(each[0])))
        # A reader that is given the columns takes no files with others.
        for layout, group in groupby(layouts, key=lambda each: each[1]):
            yield self._read_csv(connection, layout, [path for path, _ in group])

    def numbered(self, connection: DuckDBPyConnection) -> Iterator[tuple[Path, DuckDBPyRelation]]:
        """Yield the rows of each file, numbered within it."""
        for path in self.files.paths:
            rows = self._read_csv(connection, self._layouts[path], [path])
            yield path, rows.project(f"*, row_number() OVER () AS {RECORD_COLUMN}")

    def lines(self, path: Path, records: Sequence[int]) -> list[int]:
        """Return the lines, as editors count them, of these records, which DuckDB counts from 1, the header left out."""
        # A quoted cell may contain line breaks, so Python's reader finds the lines that editors show.
        layout, lines = self._layouts[path], list[int]()
        with open_text(path, self.declared.encoding) as text:
            for record, (line, _) in enumerate(layout.records(text)):
                if record in records:
                    lines.append(line)
                if len(lines) == len(records):
                    break
        return lines

    def lines_in_cells_above(self, path: Path) -> int:
        """Return how many more lines than records stand above the header: DuckDB counts the latter."""
        layout = self._layouts[path]
        return layout.header_line - 1 - layout.records_above

    def remedy(self, cell: str, column: str, kind: str) -> str:  # noqa: ARG002 - a query says how text is read
        """Return nothing: the query is to be edited."""
        return ""

    def find_fault(self) -> DataError | None:
        """Read the files to their ends and return the error for the first that no reader can make sense of; None without one."""
        return next(filter(None, (find_text_fault(path, self.files.name, self.declared) for path in self.files.paths)), None)

    def find_cut_off(self) -> DataError | None:
        """Read compressed files to their ends and return the error for the first that ends too soon; None without one."""
        return next(filter(None, (find_compression_fault(path) for path in self.files.paths if compression_of(path))), None)

    def _read_csv(self, connection: DuckDBPyConnection, layout: CsvLayout, paths: Sequence[Path]) -> DuckDBPyRelation:
        # Broken lines are collected rather than raised one by one, so that a single run names them all.
        return connection.read_csv(
            [pattern_of(self._read[path]) for path in paths],  # type: ignore[arg-type]
            columns=dict.fromkeys(layout.names, "VARCHAR"),
            header=True,
            skiprows=layout.records_above,
            auto_detect=False,
            delimiter=layout.separator,
            quotechar=layout.quote,
            escapechar=layout.quote,
            strict_mode=True,
            store_rejects=True,
            rejects_limit=REJECTS_KEPT,
            filename=FILE_COLUMN,
            hive_partitioning=self.files.is_partitioned,
            # Else the folder `month=01` would give the number 1.
            hive_types_autocast=False,
        )


def rejected_lines(connection: DuckDBPyConnection, tables: Sequence[CsvRows]) -> DataError | None:
    """Return the error for lines that the reader left out, None where it left out none: their numbers, never their content."""
    try:
        found = connection.sql(_REJECTED_LINES).fetchall()
    except CatalogException:  # the tables of rejects appear with the first row read
        return None
    if not found:
        return None
    faults, origins = [], {}
    for read, kind, columns, count, found_lines in found:
        table = next(each for each in tables if read in each.origins)
        origins[read] = (table.origins[read], table.files.name)
        lines = [line + table.lines_in_cells_above(origins[read][0]) for line in found_lines]
        named = ", ".join(column for column in columns if column)
        about = f" at {named}" if named else ""
        faults.append(f"{origins[read][0].name}: {_FAULT_WORDS.get(kind, kind.lower())}{about} in {line_words(count, lines)}")
    kinds = {kind: read for read, kind, *_ in reversed(found)}
    remedies = [remedy.replace("<table>", origins[kinds[kind]][1]) for kind, remedy in _FAULT_REMEDIES.items() if kind in kinds]
    return DataError(
        "\n".join(faults[:LINES_SHOWN]),
        where=", ".join(sorted({str(origin) for origin, _ in origins.values()})),
        todo=" ".join(["Correct these lines, or have the file written again.", *remedies]),
    )


_REJECTED_LINES = """
    SELECT file_path, error_type, list_sort(list(DISTINCT column_name)), count(DISTINCT line), list_sort(list(DISTINCT line))
    FROM reject_errors JOIN reject_scans USING (scan_id, file_id)
    GROUP BY file_path, error_type ORDER BY file_path, error_type
"""


def _write_utf_8(path: Path, copy: Path, table: str, encoding: str) -> None:
    """Write the text of `path` in UTF-8, its lines as they are; raises DataError where it is not of `encoding`."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    with copy.open("wb") as written:
        for text in decoded_blocks(path, table, encoding):
            written.write(text.encode())
