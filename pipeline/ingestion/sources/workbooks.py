"""Workbooks (.xlsx, .xlsm, .xls, .ods) as rows of text: one sheet, every cell as a query would want it.

A whole number has no `.0`, a fraction the 15 digits that a spreadsheet keeps, a date is ISO, a flag `true` or `false`, an empty cell NULL.
What a value alone does not say stops the night: an error, a formula that nobody computed, cells merged over rows.
A sheet is held in memory while it is read: about 0.1 kB for each of its cells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path

import pyarrow as pa
from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError, SheetTypeEnum, SheetVisibleEnum

from pipeline.definitions.source_formats import TableFormat
from pipeline.errors import ConfigError, DataError
from pipeline.ingestion.sources.cell_texts import Cell, cell_text, day_of_serial, number_text
from pipeline.ingestion.sources.cell_types import cell_type
from pipeline.ingestion.sources.csv_text import distinct_names, repeated_names
from pipeline.ingestion.sources.sheet_extent import require_sane_extent
from pipeline.ingestion.sources.staged_rows import BATCH_ROWS, StagedRows, text_batch
from pipeline.ingestion.sources.table_files import SourceTable
from pipeline.ingestion.sources.workbook_parts import SheetMarks, column_letters, places_words, sheet_marks
from pipeline.spelling import did_you_mean

_DAY_ZERO, _DAY_ZERO_1904 = datetime(1899, 12, 30), datetime(1904, 1, 1)  # noqa: DTZ001 - a workbook knows no time zones
_LAST_SERIAL = 2_958_465  # 9999-12-31
_LARGEST_EXACT = 10.0**15 - 1  # of what is typed, a spreadsheet keeps 15 digits and writes zeros for the rest


def workbook_rows(files: SourceTable, declared: TableFormat, types: Mapping[str, str], staging: Path) -> StagedRows:
    """Return the rows of one table's workbooks."""
    kinds = {name: cell_type(files.name, kind, declared) for name, kind in types.items()}
    # One file may write them in capitals, another not.
    days = frozenset(name.lower() for name, kind in kinds.items() if kind.sql in ("DATE", "TIMESTAMP"))
    numbers = frozenset(name.lower() for name, kind in kinds.items() if kind.is_number)
    read = partial(_read_workbook, table=files.name, declared=declared, days=days, numbers=numbers)
    return StagedRows(files, declared, staging, "row", read)


@dataclass(frozen=True)
class _Sheet:
    """One sheet: `merged` are ranges of rows and columns, from 0, both ends included; `first_column` is where its rows begin."""

    path: Path
    table: str
    declared: TableFormat
    sheet: CalamineSheet
    marks: SheetMarks

    @property
    def first_column(self) -> int:
        return self.sheet.start[1] if self.sheet.start else 0

    def place(self, row: int, column: int) -> str:
        """Return what a spreadsheet calls the cell."""
        return f"{column_letters(column + self.first_column)}{row + 1}"

    def error(self, what: str, todo: str) -> DataError:
        return DataError(f"{self.path.name}, sheet {self.sheet.name}: {what}", where=str(self.path), todo=todo)


def _read_workbook(
    path: Path, *, table: str, declared: TableFormat, days: frozenset[str], numbers: frozenset[str]
) -> Iterator[pa.RecordBatch]:
    require_sane_extent(path)
    with _translating_errors(path), CalamineWorkbook.from_path(path) as workbook:
        sheet = _chosen_sheet(workbook, path, table, declared.sheet)
    found = _Sheet(path, table, declared, sheet, sheet_marks(path, sheet.name))
    _refuse_unknown_values(found)
    rows = enumerate(sheet.iter_rows())
    names = _header(found, next(islice(rows, declared.header_row - 1, None), None))
    yield from _batches(found, names, rows, days, numbers)


@contextmanager
def _translating_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except PasswordError:
        todo = "Save it without a password, or export the sheet as CSV."
        raise DataError(f"{path.name} is locked with a password", where=str(path), todo=todo) from None
    except BaseException as error:
        # What the library did not foresee in a damaged file ends as an error that is no Exception.
        if not isinstance(error, CalamineError | OSError) and type(error).__name__ != "PanicException":
            raise
        todo = "Have the file written again, or copy it again if it had not arrived yet."
        if _is_text(path):
            todo = "It is text: open it in a spreadsheet and save it as .xlsx, or name it as what it is, such as .csv."
        raise DataError(f"{path.name} is damaged, or no workbook of the kind that its name says", where=str(path), todo=todo) from None


def _is_text(path: Path) -> bool:
    """Return whether the file begins as text does, such as the web pages that some programs call .xls."""
    with path.open("rb") as file:
        beginning = file.read(64)
    return bool(beginning) and b"\0" not in beginning and not beginning.startswith(b"PK")


def _chosen_sheet(workbook: CalamineWorkbook, path: Path, table: str, declared: str) -> CalamineSheet:
    sheets = [each for each in workbook.sheets_metadata if each.typ == SheetTypeEnum.WorkSheet]
    if declared:
        if declared not in (names := [each.name for each in sheets]):
            what = f"{path.name} has no sheet `{declared}`{did_you_mean(declared, names)}"
            raise DataError(what, where=str(path), todo=f"Correct `sheet` under [source.formats.{table}]; it has: {', '.join(names)}.")
        return workbook.get_sheet_by_name(declared)
    visible = [workbook.get_sheet_by_name(each.name) for each in sheets if each.visible == SheetVisibleEnum.Visible]
    # A new workbook often has three sheets, two of which stay empty.
    filled = [sheet for sheet in visible if sheet.start]
    if len(filled) > 1:
        what = f"{path.name} has several sheets: {', '.join(sheet.name for sheet in filled)}"
        todo = f'Declare which one: `sheet = "{filled[0].name}"` under [source.formats.{table}] of company.toml.'
        raise ConfigError(what, where=str(path), todo=todo)
    if not filled:
        raise DataError(f"{path.name} is empty: no sheet has a cell", where=str(path), todo="Have the file written again.")
    return filled[0]


def _refuse_unknown_values(found: _Sheet) -> None:
    """Raise DataError for cells that have no value, though people see something there."""
    if errors := found.marks.errors:
        todo = "Correct the formula in the workbook, or empty the cell, which then is unknown."
        raise found.error(f"an error such as #N/A in {places_words(errors)}", todo)
    if formulas := found.marks.not_computed:
        todo = "Open the workbook in a spreadsheet and save it: the program that wrote it did not compute its formulas."
        raise found.error(f"a formula without a value in {places_words(formulas)}", todo)


def _header(found: _Sheet, row: tuple[int, Sequence[Cell]] | None) -> list[str]:
    """Return the names of the columns, empty for a column without one; raises DataError where the row names none, or one twice."""
    at, declare = found.declared.header_row, f"`header_row` under [source.formats.{found.table}] of company.toml"
    texts = [cell_text(cell) or "" for cell in row[1]] if row else []
    # A name over two rows belongs to the lower one as well.
    for top, column, bottom in _merged_columns(found):
        if row and top < row[0] <= bottom and not texts[column]:
            texts[column] = cell_text(next(islice(found.sheet.iter_rows(), top, None))[column]) or ""
    if not any(texts):
        first = next((number for number, cells in enumerate(found.sheet.iter_rows(), 1) if any(cell != "" for cell in cells)), at)
        raise found.error(f"row {at} names no columns", f"Declare which row does: {declare}; the first row with text is {first}.")
    texts = distinct_names(texts)
    if twice := repeated_names([name for name in texts if name]):
        what = f"columns whose names differ by case at most: {', '.join(twice)}"
        raise found.error(what, f"Give each its own name in row {at}; if the names are in another row, declare {declare}.")
    return texts


def _merged_columns(found: _Sheet) -> Iterator[tuple[int, int, int]]:
    """Yield the first row, the column and the last row of each cell that is merged over rows; columns as rows have them."""
    for (top, left), (bottom, _) in found.sheet.merged_cell_ranges or ():
        # Cells may be merged where nothing stands, beside the table as well.
        if bottom > top and found.first_column <= left < found.first_column + found.sheet.width:
            yield top, left - found.first_column, bottom


def _batches(
    found: _Sheet, names: Sequence[str], rows: Iterator[tuple[int, Sequence[Cell]]], days: frozenset[str], numbers: frozenset[str]
) -> Iterator[pa.RecordBatch]:
    columns = [(place, name) for place, name in enumerate(names) if name]
    unnamed = [place for place, name in enumerate(names) if not name]
    day_zero = _DAY_ZERO_1904 if found.marks.counts_from_1904 else _DAY_ZERO
    filled = _filled_cells(found, names, rows)
    while batch := list(islice(filled, BATCH_ROWS)):
        for row, cells in batch:
            if bad := next((place for place in unnamed if cells[place] != ""), None):
                todo = f"Name it in row {found.declared.header_row}, or empty the cell; notes belong on another sheet."
                raise found.error(f"column {column_letters(bad + found.first_column)} has no name, but a cell in row {row + 1}", todo)
        yield text_batch(
            [row + 1 for row, _ in batch],
            {
                name: [
                    _column_text(
                        cells[place], found, (row, place), day_zero if name.lower() in days else None, is_number=name.lower() in numbers
                    )
                    for row, cells in batch
                ]
                for place, name in columns
            },
        )
    yield text_batch([], {name: [] for _, name in columns})


def _filled_cells(found: _Sheet, names: Sequence[str], rows: Iterator[tuple[int, Sequence[Cell]]]) -> Iterator[tuple[int, Sequence[Cell]]]:
    """Yield rows that are not empty, merged cells filled in where that is declared; raises DataError where it is not known."""
    merged: dict[int, list[tuple[int, int]]] = {}
    for top, column, bottom in _merged_columns(found):
        merged.setdefault(top, []).append((column, bottom))
    wanted = found.declared.fill_merged
    for name in wanted or ():
        if name not in names:
            what = (
                f"source.formats.{found.table}.fill_merged names `{name}`, which {found.path.name} does not have{did_you_mean(name, names)}"
            )
            raise ConfigError(what, where="company.toml", todo=f"Name some of its columns: {', '.join(filter(None, names))}.")
    lasting: dict[int, tuple[int, Cell]] = {}
    for row, cells in rows:
        for column, bottom in merged.get(row, ()):
            if cells[column] == "":
                continue
            if wanted is None:
                what = f"cells are merged over rows, first in {found.place(row, column)}:{found.place(bottom, column)}"
                todo = (
                    f"Declare `fill_merged` under [source.formats.{found.table}] of company.toml: the columns in which such a cell stands "
                    f'for each of its rows, such as ["{names[column]}"], or [] for none; in all others it stands in its first row alone.'
                )
                raise found.error(what, todo)
            if names[column] in wanted:
                lasting[column] = (bottom, cells[column])
        if any(cell != "" for cell in cells):
            held = {column: value for column, (bottom, value) in lasting.items() if row <= bottom and cells[column] == ""}
            yield row, [held.get(column, cell) for column, cell in enumerate(cells)] if held else cells


def _column_text(cell: Cell, found: _Sheet, place: tuple[int, int], day_zero: datetime | None, *, is_number: bool) -> str | None:
    """Return the text of a cell in a column that is declared as a day or a number, or not declared."""
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return cell_text(cell)
    # A day that is shown as the number that it is stored as.
    if day_zero and 0 < cell <= _LAST_SERIAL:
        return cell_text(day_of_serial(cell, day_zero))
    if abs(cell) > _LARGEST_EXACT:
        todo = "A spreadsheet keeps 15 digits of a number. Have the file written again with such ids as text, or as CSV."
        raise found.error(f"a number that lost its last digits in {found.place(*place)}", todo)
    text = number_text(float(cell))
    if width := found.marks.widths.get((place[0], place[1] + found.first_column)):
        return text.zfill(width)
    return text.replace(".", found.declared.decimal) if is_number else text
