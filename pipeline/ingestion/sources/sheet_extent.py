"""How far the cells of a workbook reach. Its reader keeps every place between the first and the last: one lost cell can take all memory."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from pipeline.errors import DataError
from pipeline.ingestion.sources.workbook_parts import column_place, pieces_of

MOST_PLACES = 50_000_000  # of 40 bytes each
MOST_PLACES_A_CELL = 4  # a table may have empty cells, and a full one is as large as it is
_COLUMNS_OF_ONE_LETTER = 26
_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml", re.IGNORECASE)
_ROW = re.compile(rb'row\b[^>]*\br="([0-9]+)"')
# A cell in a column beyond Z, or in a row from 1,000,000 on. A pattern that begins with plain characters is found faster.
_FAR = re.compile(rb'r="(?:([A-Z]{2,})([0-9]+)|[A-Z]([0-9]{7,}))"')


def require_sane_extent(path: Path) -> None:
    """Raise DataError where a sheet of an .xlsx file has cells so far apart that reading it would take all memory."""
    for rows, columns, cells in _extents(path):
        if rows * columns > max(MOST_PLACES, cells * MOST_PLACES_A_CELL):
            what = f"{path.name} has a sheet of {rows:,} rows and {columns:,} columns, nearly all of it empty"
            todo = "Mark all rows below the table, and all columns beside it, delete them, and save the file."
            raise DataError(what, where=str(path), todo=todo)


def _extents(path: Path) -> Iterator[tuple[int, int, int]]:
    """Yield rows, columns and cells of each sheet; nothing of a file that is written otherwise or damaged, of which its reader says so."""
    try:
        with ZipFile(path) as parts:
            for name in filter(_SHEET.fullmatch, parts.namelist()):
                rows, columns, cells = 1, _COLUMNS_OF_ONE_LETTER, 0
                for piece in pieces_of(parts, name):
                    far = [(int(found[2] or found[3]), column_place(found[1] or b"A") + 1) for found in _FAR.finditer(piece)]
                    last = _ROW.search(piece, piece.rfind(b"row ")) if b"row " in piece else None
                    rows = max([rows, int(last[1]) if last else 0, *(row for row, _ in far)])
                    columns = max([columns, *(column for _, column in far)])
                    cells += piece.count(b"<c ") + piece.count(b":c ")
                yield rows, columns, cells
    except (BadZipFile, KeyError, OSError, zlib.error, NotImplementedError, RuntimeError):
        return
