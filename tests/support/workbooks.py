"""Workbooks as spreadsheets write them, reduced to what matters: an .xlsx file is a zip of XML, an .ods file as well."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"


DAY_ZERO = date(1899, 12, 30)
_HIDDEN = ' state="hidden"'


@dataclass(frozen=True)
class Formula:
    """A formula with its last value, as it stands in the file: None where nobody computed it."""

    value: object = None


@dataclass(frozen=True)
class Styled:
    """A number shown in a format: `yyyy-mm-dd`, `00000`, `0.00`."""

    number: float
    code: str


@dataclass(frozen=True)
class Error:
    """A cell with an error."""

    text: str = "#N/A"


@dataclass(frozen=True)
class Sheet:
    """Rows from the first one of the sheet; `first_column` is where they begin. `merged` are ranges such as `A2:A4`."""

    rows: Sequence[Sequence[object]]
    merged: Sequence[str] = ()
    first_column: int = 0
    is_hidden: bool = False


@dataclass
class _Styles:
    codes: list[str] = field(default_factory=list)

    def place(self, code: str) -> int:
        if code not in self.codes:
            self.codes.append(code)
        return self.codes.index(code) + 1

    def xml(self) -> str:
        formats = "".join(f'<numFmt numFmtId="{164 + place}" formatCode="{escape(code)}"/>' for place, code in enumerate(self.codes))
        cells = "".join(f'<xf numFmtId="{164 + place}" applyNumberFormat="1"/>' for place in range(len(self.codes)))
        return f'<styleSheet xmlns="{MAIN}"><numFmts>{formats}</numFmts><cellXfs><xf numFmtId="0"/>{cells}</cellXfs></styleSheet>'


def an_xlsx(sheets: Mapping[str, Sheet], *, is_1904: bool = False) -> bytes:
    """Return the bytes of an .xlsx file with these sheets."""
    styles, written = _Styles(), io.BytesIO()
    bodies = [_sheet_xml(sheet, styles) for sheet in sheets.values()]
    listed = "".join(
        f'<sheet name="{escape(name)}" sheetId="{number}" r:id="rId{number}"{_HIDDEN * sheet.is_hidden}/>'
        for number, (name, sheet) in enumerate(sheets.items(), 1)
    )
    targets = {f"rId{number}": ("worksheet", f"worksheets/sheet{number}.xml") for number in range(1, len(bodies) + 1)}
    settings = f'<workbookPr date1904="{int(is_1904)}"/>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"/>',
        "_rels/.rels": _relations({"rId1": ("officeDocument", "xl/workbook.xml")}),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}">{settings}<sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": _relations({**targets, "rIdStyles": ("styles", "styles.xml")}),
        "xl/styles.xml": styles.xml(),
        **{f"xl/worksheets/sheet{number}.xml": body for number, body in enumerate(bodies, 1)},
    }
    with ZipFile(written, "w", ZIP_DEFLATED) as file:
        for name, text in parts.items():
            file.writestr(name, f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>{text}')
    return written.getvalue()


def _relations(targets: Mapping[str, tuple[str, str]]) -> str:
    listed = "".join(f'<Relationship Id="{name}" Type="{RELATIONS}/{kind}" Target="{target}"/>' for name, (kind, target) in targets.items())
    return f'<Relationships xmlns="{PACKAGE}/relationships">{listed}</Relationships>'


def _sheet_xml(sheet: Sheet, styles: _Styles) -> str:
    rows = ""
    for number, row in enumerate(sheet.rows, 1):
        cells = "".join(_cell_xml(cell, f"{_letter(place)}{number}", styles) for place, cell in enumerate(row, sheet.first_column))
        rows += f'<row r="{number}">{cells}</row>'
    merged = "".join(f'<mergeCell ref="{area}"/>' for area in sheet.merged)
    merges = f"<mergeCells>{merged}</mergeCells>" if merged else ""
    return f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData>{merges}</worksheet>'


def _cell_xml(cell: object, place: str, styles: _Styles) -> str:
    if cell is None:
        return ""
    if isinstance(cell, date):
        days = (datetime.combine(cell, time()) if not isinstance(cell, datetime) else cell) - datetime.combine(DAY_ZERO, time())
        cell = Styled(days.total_seconds() / 86_400, "yyyy-mm-dd hh:mm:ss" if isinstance(cell, datetime) else "yyyy-mm-dd")
    if isinstance(cell, Styled):
        return f'<c r="{place}" s="{styles.place(cell.code)}"><v>{cell.number!r}</v></c>'
    if isinstance(cell, Formula):
        kind = ' t="str"' if isinstance(cell.value, str) else ""
        return f'<c r="{place}"{kind}><f>A1+A1</f><v>{"" if cell.value is None else escape(str(cell.value))}</v></c>'
    if isinstance(cell, Error):
        return f'<c r="{place}" t="e"><f>1/0</f><v>{cell.text}</v></c>'
    if isinstance(cell, int | float):
        kind = ' t="b"' if isinstance(cell, bool) else ""
        return f'<c r="{place}"{kind}><v>{int(cell) if isinstance(cell, bool) else repr(cell)}</v></c>'
    return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(str(cell))}</t></is></c>'


def _letter(place: int) -> str:
    return chr(ord("A") + place)


OASIS = "urn:oasis:names:tc:opendocument:xmlns"
CALC = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"


def an_ods(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    """Return the bytes of an .ods file with the rows of these sheets."""
    written = io.BytesIO()
    tables = "".join(f'<table:table table:name="{escape(name)}">{_ods_rows(rows)}</table:table>' for name, rows in sheets.items())
    spaces = " ".join(f'xmlns:{each}="{OASIS}:{each}:1.0"' for each in ("office", "table", "text")) + f' xmlns:calcext="{CALC}"'
    sheets = f"<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body>"
    with ZipFile(written, "w") as file:
        file.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        file.writestr("META-INF/manifest.xml", f'<manifest:manifest xmlns:manifest="{OASIS}:manifest:1.0"/>')
        file.writestr("content.xml", f"<office:document-content {spaces}>{sheets}</office:document-content>")
    return written.getvalue()


def _ods_rows(rows: Sequence[Sequence[object]]) -> str:
    return "".join(f"<table:table-row>{''.join(map(_ods_cell, row))}</table:table-row>" for row in rows)


def _ods_cell(cell: object) -> str:
    if cell is None:
        return "<table:table-cell/>"
    if isinstance(cell, Error):
        value = 'office:value-type="string" office:string-value="" calcext:value-type="error"'
    elif isinstance(cell, bool):
        value = f'office:value-type="boolean" office:boolean-value="{str(cell).lower()}"'
    elif isinstance(cell, int | float):
        value = f'office:value-type="float" office:value="{cell!r}"'
    elif isinstance(cell, date):
        value = f'office:value-type="date" office:date-value="{cell.isoformat()}"'
    else:
        value = 'office:value-type="string"'
    return f"<table:table-cell {value}><text:p>{escape(cell.text if isinstance(cell, Error) else str(cell))}</text:p></table:table-cell>"
