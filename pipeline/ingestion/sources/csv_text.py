"""CSV files as text: their header, and what is wrong with a file that no reader can make sense of, with what to do about it.

Reading a file to its end is for those that failed: a night reads no more of a sound one than its header.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from pipeline.errors import DataError

SEPARATORS = ",;\t|"
GZIP_MAGIC = b"\x1f\x8b"
_WORKBOOK_MARKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
LINES_SHOWN = 5
REJECTS_KEPT = 1000
_BLOCK = 1 << 20


def read_header(path: Path) -> tuple[tuple[str, ...], str]:
    """Return the column names in the first record, and the separator between them.

    Raises DataError naming the file, the line and the remedy where there is no header with one name per column.
    """
    _refuse_other_content(path)
    with open_text(path) as text:
        # By the header alone: cells, and so what they contain, change from night to night.
        line = text.readline()
        separator = max(SEPARATORS, key=re.sub(r'"[^"]*"', "", line).count)
        text.seek(0)
        names = tuple(next(csv.reader(text, delimiter=separator), ()))
    _require_sound_header(path, line, names, separator)
    return names, separator


def open_text(path: Path | str) -> TextIO:
    """Open the file as text, decompressed; what is not UTF-8 is replaced."""
    opened = gzip.open if str(path).lower().endswith(".gz") else open
    # Excel begins UTF-8 files with a mark; with `utf-8` it would be part of the first column's name.
    return cast("TextIO", opened(path, "rt", encoding="utf-8-sig", errors="replace", newline=""))


def find_text_fault(path: Path) -> DataError | None:
    """Read the file to its end and return the error for the first thing that keeps every reader from it; None where there is none."""
    try:
        _refuse_other_content(path)
        return _find_mixed_line_ends(path)
    except DataError as error:
        return error


def _require_sound_header(path: Path, line: str, names: tuple[str, ...], separator: str) -> None:
    where = str(path)
    if re.fullmatch(r'"?sep=.?"?\s*', line):
        raise DataError(f"{path.name} begins with Excel's line `sep=`, not with a header", where=where, todo="Remove the first line.")
    if not line.strip():
        what = f"{path.name} is empty" if not line else f"{path.name} begins with an empty line, not with a header"
        todo = "Write the names of the columns into its first line."
        raise DataError(what, where=where, todo=todo)
    if line.startswith("#"):
        raise DataError(f"{path.name} begins with a comment, not with a header", where=where, todo="Remove the first line.")
    unnamed = [str(place) for place, name in enumerate(names, 1) if not name.strip()]
    if unnamed:
        shown = {"\t": "tab"}.get(separator, f"`{separator}`")
        raise DataError(
            f"{path.name}: column {', '.join(unnamed)} of {len(names)} has no name in line 1",
            where=where,
            todo=f"Name it in the first line; if no column is meant, remove the {shown} that is too much from every line.",
        )
    # DuckDB takes names that differ by case for one.
    counts = Counter(name.lower() for name in names)
    twice = [f"`{name}` (column {place})" for place, name in enumerate(names, 1) if counts[name.lower()] > 1]
    if twice:
        what = f"{path.name} has columns whose names differ by case at most: {', '.join(twice)}"
        raise DataError(what, where=where, todo="Give each its own name in line 1.")


def _refuse_other_content(path: Path) -> None:
    """Raise DataError where the file is not what its name says: no gzip, cut off, UTF-16, a workbook."""
    where, is_gzip = str(path), path.name.lower().endswith(".gz")
    with path.open("rb") as file:
        start = file.read(4)
        if start.startswith(_WORKBOOK_MARKS):
            todo = "In the spreadsheet, save the sheet as CSV (UTF-8) under this name."
            raise DataError(f"{path.name} is a workbook or an archive, no CSV file", where=where, todo=todo)
        if not start:
            raise DataError(f"{path.name} is empty: 0 bytes", where=where, todo="Have the file written again.")
        if is_gzip and not start.startswith(GZIP_MAGIC):
            todo = f"Rename it to {path.name[:-3]} if it is plain text, or compress it with gzip."
            raise DataError(f"{path.name} is not compressed by gzip, though its name says so", where=where, todo=todo)
        if not is_gzip and start.startswith(GZIP_MAGIC):
            raise DataError(f"{path.name} is compressed by gzip", where=where, todo=f"Rename it to {path.name}.gz.")
        file.seek(0)
        beginning = b"".join(_take(_decompressed(path, file) if is_gzip else _blocks(file), 4096))[:4096]
    if beginning.startswith(_UTF_16_MARKS) or b"\0" in beginning[:4]:
        order = "" if beginning.startswith(_UTF_16_MARKS) else "BE" if beginning.startswith(b"\0") else "LE"
        todo = f"Save it as UTF-8: iconv -f UTF-16{order} -t UTF-8 {path.name} > utf8.csv, and put that in its place."
        raise DataError(f"{path.name} is UTF-16 text, not UTF-8", where=where, todo=todo)


def find_gzip_fault(path: Path) -> DataError | None:
    """Decompress the file to its end and return the error for one that ends too soon or is damaged; None where it is whole."""
    try:
        with path.open("rb") as file:
            for _ in _decompressed(path, file):
                pass
    except DataError as error:
        return error
    return None


def _decompressed(path: Path, file: BinaryIO) -> Iterator[bytes]:
    try:
        yield from _blocks(cast("BinaryIO", gzip.GzipFile(fileobj=file)))
    except EOFError:
        todo = "Wait until the whole file has arrived, or copy it again; then run again."
        raise DataError(f"{path.name} is cut off: its gzip data end too soon", where=str(path), todo=todo) from None
    except (gzip.BadGzipFile, zlib.error):
        todo = "Copy the file again, or have it written again; then run again."
        raise DataError(f"{path.name} is damaged: its gzip data cannot be decompressed", where=str(path), todo=todo) from None


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_BLOCK):
        yield block


def _take(blocks: Iterator[bytes], size: int) -> Iterator[bytes]:
    taken = 0
    with suppress(StopIteration):
        while taken < size:
            block = next(blocks)
            taken += len(block)
            yield block


def _find_mixed_line_ends(path: Path) -> DataError | None:
    """Return the error where lines end in different ways; a line end within a quoted cell counts too, as the reader counts it."""
    first, number = "", 1
    with open_text(path) as text:
        text.reconfigure(newline="")  # type: ignore[attr-defined]
        for number, line in enumerate(text, 1):
            end = line[len(line.rstrip("\r\n")) :]
            first = first or end
            if end and end != first:
                names = {"\n": "LF (Unix)", "\r\n": "CR LF (Windows)", "\r": "CR (old Mac)"}
                what = f"{path.name} mixes line ends: {names.get(first, 'others')} in line 1, {names.get(end, 'others')} in line {number}"
                todo = f"Make them one kind: sed -i 's/\\r$//' {path.name}. Or have the file written again."
                return DataError(what, where=str(path), todo=todo)
    return None


def record_lines(path: str, separator: str, records: Sequence[int]) -> list[int]:
    """Return the lines, as editors count them, of these records, which a reader of CSV counts from 1, the header included."""
    # DuckDB counts records; a quoted cell may contain line breaks, so Python's reader finds the lines that editors show.
    lines, line = [], 1
    with open_text(path) as text, suppress(csv.Error):
        for record, _ in enumerate(reader := csv.reader(text, delimiter=separator)):
            if record in records:
                lines.append(line)
            line = reader.line_num + 1
            if len(lines) == len(records):
                break
    return lines


def line_words(count: int, lines: Sequence[int]) -> str:
    """Return the lines in words: all of them where they are few."""
    shown = ", ".join(str(line) for line in lines[:LINES_SHOWN])
    known = f"{count} lines" if count < REJECTS_KEPT else f"{REJECTS_KEPT} lines or more"
    return f"line {shown}" if count == 1 else f"{known} ({shown}{', ...' if count > LINES_SHOWN else ''})"
