"""Tables of text whose column types never depend on the rows.

A sniffer that looks at values reads `00123` as 123, money as DOUBLE, and changes its mind on the night that
brings the first letter. So nothing is sniffed: columns are text, empty cells are NULL, and the only types are
those that `[source.column_types.<table>]` of company.toml declares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

from duckdb import DuckDBPyConnection, DuckDBPyRelation

from pipeline.errors import ConfigError, DataError
from pipeline.ingestion.sources import quote_name
from pipeline.ingestion.sources.cell_types import CellType, cell_type, without_space_before_offset
from pipeline.ingestion.sources.csv_text import LINES_SHOWN, line_words
from pipeline.ingestion.sources.failed_casts import form_of, remedy_for
from pipeline.ingestion.sources.newest_files import require_key, rows_of_newest_files
from pipeline.ingestion.sources.text_rows import FILE_COLUMN, RECORD_COLUMN, TextRows
from pipeline.spelling import did_you_mean


@dataclass(frozen=True, slots=True)
class TextTable:
    """One table of text files: its raw view holds text only, its view the declared types; `instants` are columns cast to such."""

    rows: TextRows
    types: Mapping[str, str]
    instants: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return self.rows.files.name

    @property
    def raw_view(self) -> str:
        return f"segments raw {self.name}"

    def with_instants(self, names: Iterable[str]) -> TextTable:
        """Return the table with these columns, named in lower case, read as text that a query casts to an instant."""
        return replace(self, instants=self.instants.union(names))

    def create_views(self, connection: DuckDBPyConnection) -> None:
        """Create the raw view and, over it, the view that the company's queries read."""
        raw = reduce(lambda above, below: above.union_by_name(below), self.rows.groups(connection))
        if key := self.rows.declared.key:
            for path, of_file in self.rows.numbered(connection):
                require_key(self.rows.files, path, of_file.columns, key)
        # As DuckDB has it, a name is the same in capitals or not: files may differ in that.
        declared = {name.lower(): self._type(kind) for name, kind in self.types.items()}
        known = {name.lower() for name in raw.columns}
        for name in (name for name in self.types if name.lower() not in known):
            has = ", ".join(column for column in raw.columns if column != FILE_COLUMN)
            raise ConfigError(
                f"source.column_types.{self.name} names `{name}`, which no file has{did_you_mean(name, raw.columns)}",
                where="company.toml",
                todo=f"Name one of its columns: {has}.",
            )
        raw.create_view(self.raw_view)
        typed = [
            declared[name.lower()].cell(name) if name.lower() in declared else f"{self._text_cell(name)} AS {quote_name(name)}"
            for name in raw.columns
            if name != FILE_COLUMN
        ]
        rows = connection.view(quote_name(self.raw_view))
        if key:
            rows = rows_of_newest_files(connection, rows, self.rows.files, self.rows.origins, key)
        rows.project(", ".join(typed)).create_view(self.name)

    def bad_cells(self, connection: DuckDBPyConnection) -> DataError | None:
        """Return the error for the first file and column with cells that do not read as declared; None where all do."""
        types = {name.lower(): kind for name, kind in self.types.items()}
        # A file at a time, so that records are numbered within it.
        for path, numbered in self.rows.numbered(connection):
            for column in [name for name in numbered.columns if name.lower() in types]:
                kind = self._type(types[column.lower()])
                if found := self._bad_cells_of_column(path, numbered, column, kind.sql, kind.readable(column)):
                    words, cell = found
                    todo = "Correct the cells, or declare another type in [source.column_types] of company.toml."
                    if kind.has_more_decimals(cell):
                        todo = (
                            f"It has more decimals: round it in the source, or declare `DECIMAL(38,18)` "
                            f"and write `CAST({quote_name(column)} AS {kind.sql})`, which rounds."
                        )
                    elif kind.is_number:
                        todo += f" Other marks within numbers: `decimal` and `thousands` under [source.formats.{self.name}]."
                    return DataError(words, where=str(path), todo=f"{_form_words(cell)} {todo}")
        return None

    def failed_casts(self, connection: DuckDBPyConnection, casts: Iterable[tuple[str, str]]) -> DataError | None:
        """Return the error for the first file and column with text cells that one of a query's `casts` cannot read; None without."""
        declared = {name.lower() for name in self.types}
        wanted = [(column, kind) for column, kind in casts if column.lower() not in declared]
        for path, numbered in self.rows.numbered(connection):
            known = {name.lower(): name for name in numbered.columns}
            for column, kind in ((known[c.lower()], k) for c, k in wanted if c.lower() in known):
                is_readable = f"TRY_CAST({self._text_cell(column)} AS {kind}) IS NOT NULL"
                if found := self._bad_cells_of_column(path, numbered, column, kind, is_readable):
                    words, bad = found
                    return DataError(
                        words,
                        where=str(path),
                        todo=f"{_form_words(bad)} {self.rows.remedy(bad, column, kind) or remedy_for(bad, column, kind)}",
                    )
        return None

    def _type(self, kind: str) -> CellType:
        return cell_type(self.name, kind, self.rows.declared)

    def _text_cell(self, name: str) -> str:
        quoted = quote_name(name)
        return without_space_before_offset(quoted) if name.lower() in self.instants else quoted

    def _bad_cells_of_column(
        self, path: Path, numbered: DuckDBPyRelation, column: str, kind: str, is_readable: str
    ) -> tuple[str, str] | None:
        """Return what is wrong with a column's cells, by file and line, and the first such cell; None where all can be read."""
        bad = numbered.filter(f"{quote_name(column)} IS NOT NULL AND NOT ({is_readable})")
        count = bad.shape[0]
        if not count:
            return None
        rows = bad.project(f"{RECORD_COLUMN}, {quote_name(column)}").order(RECORD_COLUMN).limit(LINES_SHOWN).fetchall()
        lines = self.rows.lines(path, [record for record, _ in rows])
        return f"{self.rows.words(path)}: {column} is no {kind} in {line_words(count, lines, self.rows.noun)}", rows[0][1]


def _form_words(cell: str) -> str:
    return f"The first has the form `{form_of(cell)}`."
