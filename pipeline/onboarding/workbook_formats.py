"""How a workbook is written: which sheets hold tables, in which row their columns are named, which merged cells stand for several rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from pipeline.definitions.source_formats import TableFormat
from pipeline.errors import DataError
from pipeline.ingestion.sources.cell_texts import cell_text
from pipeline.ingestion.sources.sheet_extent import require_sane_extent
from pipeline.onboarding.column_names import role_rank
from pipeline.onboarding.file_formats import LINES_LOOKED_AT, FoundFormat, header_place
from pipeline.onboarding.roles import plain_name

FEWEST_COLUMNS = 2


def workbook_formats(path: Path) -> list[FoundFormat]:
    """Return a format for each sheet that may hold a table; the sheet is named where the workbook has several.

    Raises DataError for a file that is no workbook, or has no such sheet.
    """
    require_sane_extent(path)
    try:
        with CalamineWorkbook.from_path(path) as workbook:
            sheets = [
                each
                for each in workbook.sheets_metadata
                if each.typ == SheetTypeEnum.WorkSheet and each.visible == SheetVisibleEnum.Visible
            ]
            filled = [sheet for sheet in (workbook.get_sheet_by_name(each.name) for each in sheets) if sheet.start]
    except CalamineError as error:
        what = f"{path.name} cannot be read as a workbook: {type(error).__name__}"
        raise DataError(what, where=str(path), todo="Save it again as .xlsx, without a password, or as CSV.") from None
    found = [format_of_sheet for sheet in filled if (format_of_sheet := _sheet_format(sheet, is_only=len(filled) == 1))]
    if not found:
        raise DataError(f"{path.name} has no table", where=str(path), todo="A table has a row that names its columns, and rows below it.")
    return found


def _sheet_format(sheet: CalamineSheet, *, is_only: bool) -> FoundFormat | None:
    rows = [[cell_text(cell) or "" for cell in row] for row in islice(sheet.iter_rows(), LINES_LOOKED_AT)]
    place = header_place(rows)
    named = [cell for cell in rows[place] if cell.strip()] if rows else []
    if len(named) < FEWEST_COLUMNS or not any(any(row) for row in rows[place + 1 :]):
        return None
    merged = list(_merged_names(sheet, rows[place], place))
    declared = TableFormat(
        header_row=place + 1,
        sheet="" if is_only else sheet.name,
        fill_merged=None if not merged else tuple(dict.fromkeys(name for name, is_filled in merged if is_filled)),
    )
    filled, single = (tuple(dict.fromkeys(name for name, is_filled in merged if is_filled is wanted)) for wanted in (True, False))
    said = [
        f"merged cells of {_quoted(filled)} stand for each of their rows" if filled else "",
        f"merged cells of {_quoted(single)} count once" if single else "",
    ]
    return FoundFormat(declared, f"In {sheet.name}, {' and '.join(filter(None, said))}." if merged else "")


def _merged_names(sheet: CalamineSheet, names: Sequence[str], header: int) -> Iterator[tuple[str, bool]]:
    """Yield the name of each column with a cell merged over rows below the header, and whether it stands for each of them."""
    first = sheet.start[1] if sheet.start else 0
    for (top, left), (bottom, _) in sheet.merged_cell_ranges or ():
        column = left - first
        if bottom > top > header and 0 <= column < len(names) and names[column]:
            # A sum that is merged over the rows that it adds up would count once for each of them.
            yield names[column], not _is_of_numbers(sheet, column, header) or role_rank("order_id", plain_name(names[column])) is not None


def _is_of_numbers(sheet: CalamineSheet, column: int, header: int) -> bool:
    cells = (cell_text(row[column]) for row in islice(sheet.iter_rows(), header + 1, None))
    return all(re.fullmatch(r"-?\d+(\.\d+)?", cell) for cell in cells if cell)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
