"""What the reader of workbooks leaves out of a file: cells with an error, formulas that nobody computed, numbers shown with zeros.

An .xlsx or .ods file is a zip of XML. The parts are looked through for marks, cell by cell and in
pieces, rather than parsed a second time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from xml.etree import ElementTree as ET
from zipfile import BadZipFile, ZipFile

from pipeline.ingestion.sources.old_workbook_parts import old_error_cells

_PIECE = 4 * 1024 * 1024
_CELL = rb"<(?:\w+:)?c\b"
_ERROR = re.compile(_CELL + rb'[^>]*\bt="e"[^>]*>')
_FORMULA = re.compile(
    _CELL + rb"([^>]*)>\s*<(?:\w+:)?f\b(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f>)\s*(?:<(?:\w+:)?v\s*/>|<(?:\w+:)?v>\s*</(?:\w+:)?v>)?\s*</"
)
_ODS_SHEET_OR_ERROR = re.compile(rb'<table:table\s[^>]*\btable:name="([^"]*)"|\bcalcext:value-type="error"')
_PLACE = re.compile(rb'\br="([A-Z]+)([0-9]+)"')
_PLACES_SHOWN = 5
_SOME_CELL = "a cell"  # of which the file does not say where it is
_ZEROS = re.compile(r"(0{2,})(;.*)?")
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


@dataclass
class SheetMarks:
    """What one sheet holds besides values: places such as `B7`, and the width of numbers that are shown with leading zeros."""

    errors: list[str] = field(default_factory=list)
    not_computed: list[str] = field(default_factory=list)
    widths: dict[tuple[int, int], int] = field(default_factory=dict)
    counts_from_1904: bool = False


def sheet_marks(path: Path, sheet: str) -> SheetMarks:
    """Return the marks of one sheet; of .ods and .xls files errors alone, none where a file is written in another way."""
    marks = SheetMarks()
    if path.name.lower().endswith(".xls"):
        marks.errors = [f"{column_letters(column)}{row + 1}" for row, column in old_error_cells(path, sheet)]
    try:
        with ZipFile(path) as parts:
            if "content.xml" in parts.namelist():
                marks.errors = list(_ods_errors(parts, sheet))
                return marks
            workbook = _xml(parts, "xl/workbook.xml")
            marks.counts_from_1904 = any(
                element.get("date1904") in ("1", "true") for element in workbook.iter() if element.tag.endswith("}workbookPr")
            )
            name = _part_of_sheet(parts, workbook, sheet)
            zeros = _styles_with_zeros(parts)
            for piece in pieces_of(parts, name):
                _look_through(piece, zeros, marks)
    except (BadZipFile, KeyError, ET.ParseError, OSError):
        return marks
    return marks


def column_letters(place: int) -> str:
    """Return what a spreadsheet calls the column at this place, counted from 0."""
    letters = ""
    while place >= 0:
        place, letter = divmod(place, 26)
        letters, place = chr(ord("A") + letter) + letters, place - 1
    return letters


def _ods_errors(parts: ZipFile, sheet: str) -> Iterator[str]:
    is_within = False
    for piece in pieces_of(parts, "content.xml"):
        for found in _ODS_SHEET_OR_ERROR.finditer(piece):
            if found[1] is not None:
                is_within = unescape(found[1].decode()) == sheet
            elif is_within:
                yield _SOME_CELL


def _xml(parts: ZipFile, name: str) -> ET.Element:
    return ET.fromstring(parts.read(name))  # noqa: S314 - a file of the company's own; Python's parser bounds what entities expand to


def _part_of_sheet(parts: ZipFile, workbook: ET.Element, sheet: str) -> str:
    wanted = next(element.get(_RELATION) for element in workbook.iter() if element.tag.endswith("}sheet") and element.get("name") == sheet)
    relations = {element.get("Id"): element.get("Target", "") for element in _xml(parts, "xl/_rels/workbook.xml.rels")}
    target = relations[wanted]
    return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"


def _styles_with_zeros(parts: ZipFile) -> dict[bytes, int]:
    """Return the styles of numbers that are shown with leading zeros, such as 00123, by their place, with the width."""
    if "xl/styles.xml" not in parts.namelist():
        return {}
    styles = _xml(parts, "xl/styles.xml")
    codes = {element.get("numFmtId"): element.get("formatCode", "") for element in styles.iter() if element.tag.endswith("}numFmt")}
    cells = next((element for element in styles if element.tag.endswith("}cellXfs")), ())
    found = ((str(place).encode(), _ZEROS.fullmatch(codes.get(style.get("numFmtId"), ""))) for place, style in enumerate(cells))
    return {place: len(match[1]) for place, match in found if match}


def pieces_of(parts: ZipFile, name: str) -> Iterator[bytes]:
    """Yield the part in pieces that end between rows."""
    rest = b""
    with parts.open(name) as part:
        while read := part.read(_PIECE):
            whole, end, rest = (rest + read).rpartition(b"row>")
            if end:
                yield whole
    yield rest


def _look_through(piece: bytes, zeros: dict[bytes, int], marks: SheetMarks) -> None:
    marks.errors += [_place(match[0]) for match in _ERROR.finditer(piece)]
    # A formula may well give an empty text.
    marks.not_computed += [_place(match[1]) for match in _FORMULA.finditer(piece) if b't="str"' not in match[1]]
    if zeros:
        styled = re.compile(_CELL + rb'[^>]*\bs="(' + b"|".join(zeros) + rb')"[^>]*>')
        for match in styled.finditer(piece):
            if place := _PLACE.search(match[0]):
                marks.widths[int(place[2]) - 1, column_place(place[1])] = zeros[match[1]]


def _place(cell: bytes) -> str:
    place = _PLACE.search(cell)
    return (place[1] + place[2]).decode() if place else _SOME_CELL


def column_place(letters: bytes) -> int:
    """Return the place, counted from 0, of the column that a spreadsheet calls so."""
    place = 0
    for letter in letters:
        place = place * 26 + letter - ord("A") + 1
    return place - 1


def places_words(places: list[str]) -> str:
    """Return the first few of these places, and how many there are; the number alone where nobody knows which they are."""
    if len(places) > 1 and set(places) == {_SOME_CELL}:
        return f"{len(places):,} cells"
    shown = ", ".join(places[:_PLACES_SHOWN])
    return shown if len(places) <= _PLACES_SHOWN else f"{shown}, ... ({len(places):,} cells)"
