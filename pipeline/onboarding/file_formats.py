"""How a text file is written: encoding, header line and separator, found once and declared in company.toml. Pure."""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from pipeline.definitions.fields import printable_value
from pipeline.definitions.source_formats import TableFormat
from pipeline.errors import ConfigError
from pipeline.onboarding.questions import Choice, Question

SEPARATORS = ",;\t|"
LINES_LOOKED_AT, BYTES_LOOKED_AT = 60, 1 << 20
WESTERN = "windows-1252"
_ENCODINGS = (
    Choice(WESTERN, "Western Europe"),
    Choice("windows-1254", "Turkish"),
    Choice("windows-1250", "Central Europe"),
    Choice("mac-roman", "an old Mac"),
)
# Letters of other alphabets, read as Western: signs within words, and letters of Icelandic.
_UNLIKELY = re.compile(r"[^\W\d_][¹²³¿£¥¯ŒœŸ¶§ß]?[¹³¿£¥¯ðþýÐÞÝ±¼½¾]|[¹³¿£¥¯þÞ][^\W\d_]")


@dataclass(frozen=True, slots=True)
class FoundFormat:
    """The format that a file has, with what had to be assumed or asked about it."""

    format: TableFormat
    assumption: str = ""
    question: Question | None = None


def text_format(content: bytes, *, given_encoding: str = "") -> FoundFormat:
    """Return how the text in `content` is written; `given_encoding` is what a person says of files that are not UTF-8."""
    encoding, assumption, question = _encoding(content, given_encoding)
    # A file of many years has its header within the first of its bytes, too.
    text = content[:BYTES_LOOKED_AT].decode(encoding, errors="replace").removeprefix("\ufeff")
    lines = text.splitlines()[:LINES_LOOKED_AT]
    row, separator = _header(lines)
    line = lines[row - 1] if lines else ""
    # By the header alone, as a night does; only what that would miss is declared.
    usual = max(SEPARATORS, key=re.sub(r'"[^"]*"', "", line).count)
    declared = TableFormat(encoding=encoding, header_row=row, separator="" if separator == usual else separator)
    return FoundFormat(declared, assumption, question)


def _encoding(content: bytes, given: str) -> tuple[str, str, Question | None]:
    known, found = _known_encoding(given) if given else "", _unicode_encoding(content)
    # Text without letters beyond ASCII reads alike in both; a later export may have some.
    if known and (not found or (found == "utf-8" and content.isascii())):
        return known, "", None
    if found:
        return found, "", None
    fitting = [choice for choice in (*_ENCODINGS[1:], _ENCODINGS[0]) if _is_written_in(content, choice.value)]
    if _ENCODINGS[0] not in fitting or _UNLIKELY.search(content.decode(WESTERN)):
        text = (
            "The file is not UTF-8, and has letters that are not Western. In which encoding was it saved? "
            "If it is another one than these, begin again with --set encoding=NAME."
        )
        return WESTERN, "", Question("encoding", text, tuple(fitting))
    return WESTERN, "The text is not UTF-8: it is read as Windows-1252, what Excel writes in Western Europe.", None


def _unicode_encoding(content: bytes) -> str:
    """Return the encoding of Unicode that the text is in; empty where it is in none."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in content[:4]:
        return "utf-16-be" if content.startswith(b"\0") else "utf-16-le"
    return "utf-8" if _is_written_in(content, "utf-8") else ""


def _is_written_in(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _known_encoding(name: str) -> str:
    try:
        codecs.lookup(name)
    except (LookupError, ValueError):
        todo = "Name one, such as utf-8, windows-1252 or iso-8859-9."
        raise ConfigError(f"{printable_value(name)} is no encoding", where="--set encoding=...", todo=todo) from None
    return name.lower()


def _header(lines: Sequence[str]) -> tuple[int, str]:
    """Return the line that names the columns, from 1, and the separator between them.

    It is the first line that is as wide as most lines below it, and names each column.
    """
    best = (0, 1, SEPARATORS[0])
    for separator in SEPARATORS:
        rows = list(csv.reader(lines, delimiter=separator))
        place = header_place(rows)
        width = sum(1 for cell in rows[place] if cell.strip()) if rows else 0
        if width > best[0]:
            # Records of several lines come below the header, if at all.
            best = (width, place + 1, separator)
    return best[1], best[2]


def header_place(rows: Sequence[Sequence[str]]) -> int:
    """Return the place of the row that names the columns: the first as wide as most rows, with a text for each column; else the first."""
    widths = Counter(_width(row) for row in rows)
    widths.pop(0, None)
    widths.pop(1, None)
    if not widths:
        return 0
    # Of equally frequent widths the widest: lists have few rows with every cell filled, and notes are short.
    usual = max(widths, key=lambda width: (widths[width], width))
    for place, row in enumerate(rows):
        named = [cell.strip() for cell in row[: _width(row)]]
        if (
            len(named) >= min(usual, max(widths))
            and all(named)
            and len({name.lower() for name in named}) == len(named)
            and _are_names(named)
        ):
            return place
    return 0


def _width(row: Sequence[str]) -> int:
    return max((place for place, cell in enumerate(row, 1) if cell.strip()), default=0)


def _are_names(cells: Iterable[str]) -> bool:
    return not any(re.fullmatch(r"[\d.,:/ €$£%+-]+", cell) for cell in cells)


def format_settings(declared: TableFormat) -> dict[str, str | int | list[str]]:
    """Return what a format says beyond the usual, by the keys of company.toml."""
    usual = TableFormat()
    found: dict[str, str | int | list[str]] = {}
    for name in ("encoding", "separator", "quote", "decimal", "thousands", "header_row", "sheet"):
        if getattr(declared, name) != getattr(usual, name):
            found[name] = getattr(declared, name)
    if declared.fill_merged is not None:
        found["fill_merged"] = list(declared.fill_merged)
    if declared.key:
        found["key"] = list(declared.key)
    return found


def with_key(declared: TableFormat, key: Iterable[str]) -> TableFormat:
    """Return the format with the columns that tell what a row is about."""
    return replace(declared, key=tuple(key))
