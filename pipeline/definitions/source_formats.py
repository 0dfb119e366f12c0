"""How the files of a source are written: `[source.formats.<table>]` in `company.toml`. Nothing of it is ever guessed from a file."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from pipeline.definitions.fields import Fields, printable_value

DECIMAL_MARKS = (".", ",")
THOUSANDS_MARKS = ("", ",", ".", "'", " ")
LARGEST_HEADER_ROW = 1000
"""A header further down than this is a slip of the keyboard."""


@dataclass(frozen=True, slots=True)
class TableFormat:
    """How the files of one table are written; an empty text leaves it to the file: to its header, or its only sheet.

    `decimal` and `thousands` are those of columns that are declared as numbers. Of rows that have the same `key`, those of the newest
    file stand. `fill_merged` are columns of workbooks in which a merged cell stands for each of its rows; None where nobody said so.
    """

    encoding: str = "utf-8"
    separator: str = ""
    quote: str = '"'
    decimal: str = "."
    thousands: str = ""
    header_row: int = 1
    sheet: str = ""
    fill_merged: tuple[str, ...] | None = None
    key: tuple[str, ...] = ()


def read_formats(sections: Fields) -> dict[str, TableFormat]:
    """Return the formats that `[source.formats.<table>]` declare, by table; raises ConfigError naming the wrong key."""
    return {table: _read_format(section) for table, section in sections.sections()}


def _read_format(section: Fields) -> TableFormat:
    declared = TableFormat(
        encoding=_read_encoding(section),
        separator=_read_mark(section, "separator", ""),
        quote=_read_mark(section, "quote", '"'),
        decimal=section.choice("decimal", DECIMAL_MARKS, default="."),
        thousands=section.choice("thousands", THOUSANDS_MARKS, default=""),
        header_row=section.integer("header_row", 1, LARGEST_HEADER_ROW, default=1),
        sheet=section.take("sheet", str, default=""),
        fill_merged=section.texts("fill_merged", default=[]) if section.has("fill_merged") else None,
        key=section.texts("key", default=[]),
    )
    section.refuse_unknown()
    if declared.thousands == declared.decimal:
        raise section.refusal("thousands", "is the mark of decimals as well", "Declare the one that the file has, and leave the other out.")
    if declared.separator == declared.quote:
        raise section.refusal("separator", "is the mark of quotes as well", "Declare the marks that the file has.")
    return declared


def _read_encoding(section: Fields) -> str:
    name: str = section.take("encoding", str, default="utf-8")
    try:
        # Python also calls `hex` and `zip` encodings, which make no text.
        is_text = codecs.lookup(name)._is_text_encoding  # noqa: SLF001 - as `open` asks it
    except (LookupError, ValueError):
        is_text = False
    if not is_text or name.lower() in {"idna", "punycode", "undefined"}:
        what = f"is {printable_value(name)}, which is no encoding"
        raise section.refusal("encoding", what, 'Write its name: "utf-8", "utf-16", "windows-1252", "iso-8859-9".')
    # A mark at the beginning of UTF-8 is understood with or without a word.
    return codecs.lookup(name).name.removesuffix("-sig")


def _read_mark(section: Fields, key: str, default: str) -> str:
    mark: str = section.take(key, str, default=default)
    # A letter or a digit is within cells; a line end ends the line.
    if mark != default and (len(mark) != 1 or mark.isalnum() or not mark.isascii() or not (mark.isprintable() or mark == "\t")):
        raise section.refusal(key, f"is {printable_value(mark)}, which is no single mark", 'Write one, such as ";" or "\\t".')
    return mark
