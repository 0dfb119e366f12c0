"""CSV files as text: their header, and what is wrong with a file that no reader can make sense of, with what to do about it.

Reading a file to its end is for those that failed: a night reads no more of a sound one than its header.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from io import TextIOWrapper
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import TextIO

from pipeline.definitions.source_formats import TableFormat
from pipeline.errors import DataError
from pipeline.ingestion.sources.compressed_files import compression_of, open_bytes, read_blocks, require_named_compression

SEPARATORS = ",;\t|"
UTF_8 = "utf-8"
UTF_8_MARK = b"\xef\xbb\xbf"
_WORKBOOK_MARKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
LINES_SHOWN = 5
REJECTS_KEPT = 1000


@dataclass(frozen=True, slots=True)
class CsvLayout:
    """The columns of a CSV file and the marks around its cells; `header_line` is where the columns are named.

    Above it are `records_above`: fewer than lines where a quoted cell has several.
    """

    names: tuple[str, ...]
    separator: str
    quote: str
    header_line: int
    records_above: int = 0

    def records(self, text: TextIO) -> Iterator[tuple[int, list[str]]]:
        """Yield the records of the file from its header on, each with the line it begins in."""
        for _ in islice(text, self.header_line - 1):
            pass
        line = self.header_line
        with suppress(csv.Error):
            for record in (reader := csv.reader(text, delimiter=self.separator, quotechar=self.quote)):
                yield line, record
                line = self.header_line + reader.line_num


def read_layout(path: Path, table: str, declared: TableFormat) -> CsvLayout:
    """Return the columns that a file of `table` names, and its separator.

    Raises DataError naming the file, the line and the remedy where there is no header with one name per column.
    """
    _refuse_other_content(path, table, declared)
    with open_text(path, declared.encoding) as text:
        line = next(islice(text, declared.header_row - 1, None), "")
    # By the header alone: cells, and so what they contain, change from night to night.
    bare = re.sub(r"{0}[^{0}]*{0}".format(re.escape(declared.quote)), "", line)
    frequent = max(SEPARATORS, key=bare.count)
    separator = declared.separator or frequent
    with open_text(path, declared.encoding) as text:
        layout = CsvLayout((), separator, declared.quote, declared.header_row)
        _, names = next(layout.records(text), (0, []))
    _require_sound_header(path, line, names, layout, table)
    if len(names) == 1 and separator not in line and frequent in bare:
        found = f"no {_mark_words(separator)}, but {bare.count(frequent)} {_mark_words(frequent)}"
        todo = f"Declare the `separator` that it has under [source.formats.{table}] of company.toml, or have the file written anew."
        raise DataError(f"{path.name}: line {declared.header_row} has {found}", where=str(path), todo=todo)
    return replace(layout, names=tuple(_all_named(names)), records_above=_records_above(path, layout, declared.encoding))


def _records_above(path: Path, layout: CsvLayout, encoding: str) -> int:
    """Return how many records stand above the header; raises DataError where a quoted cell above it has not ended by then."""
    if layout.header_line == 1:
        return 0
    last = layout.header_line - 1
    ends: list[int] = []
    with open_text(path, encoding) as text, suppress(csv.Error):
        # With the header, which a cell that has not ended takes in.
        records = csv.reader(islice(text, layout.header_line), delimiter=layout.separator, quotechar=layout.quote)
        ends += (records.line_num for _ in records)
    if last in ends:
        return ends.index(last) + 1
    what = f"{path.name}: a quote above line {layout.header_line}, the header by `header_row`, does not end there"
    raise DataError(what, where=str(path), todo="Take the quote, or the lines above the header, out of the file.")


def open_text(path: Path | str, encoding: str = UTF_8) -> TextIO:
    """Open the file as text, decompressed and with its line ends; what is not of the encoding is replaced."""
    # Excel begins UTF-8 files with a mark; with `utf-8` it would be part of the first column's name.
    return TextIOWrapper(open_bytes(path), encoding="utf-8-sig" if encoding == UTF_8 else encoding, errors="replace", newline="")


def find_text_fault(path: Path, table: str, declared: TableFormat) -> DataError | None:
    """Read the file to its end and return the error for the first thing that keeps every reader from it; None where there is none."""
    try:
        _refuse_other_content(path, table, declared)
        return _find_mixed_line_ends(path, declared.encoding)
    except DataError as error:
        return error


def _require_sound_header(path: Path, line: str, names: Sequence[str], layout: CsvLayout, table: str) -> None:
    where, at = str(path), layout.header_line
    begins = f"{path.name} begins" if at == 1 else f"{path.name}: line {at} begins"
    below = f"Or, if the line below names the columns, declare `header_row = {at + 1}` under [source.formats.{table}] of company.toml."
    if re.fullmatch(r'"?sep=.?"?\s*', line):
        raise DataError(f"{begins} with Excel's line `sep=`, not with a header", where=where, todo=f"Remove the line. {below}")
    if not line.strip():
        what = f"{begins} with an empty line, not with a header"
        if not line:
            what = f"{path.name} is empty" if at == 1 else f"{path.name} ends before line {at}, its header by `header_row`"
        raise DataError(what, where=where, todo=f"Write the names of the columns into line {at}. {below}")
    if line.startswith("#"):
        raise DataError(f"{begins} with a comment, not with a header", where=where, todo=f"Remove the line. {below}")
    unnamed = [str(place) for place, name in enumerate(names, 1) if not name.strip()]
    if len(unnamed) > len(names) / 2:
        raise DataError(
            f"{path.name}: column {', '.join(unnamed)} of {len(names)} has no name in line {at}",
            where=where,
            todo=f"If the names are in another line, declare it: `header_row` under [source.formats.{table}] of company.toml. Else name "
            "them in that line.",
        )
    if twice := repeated_names(_all_named(names)):
        what = f"{path.name} has columns whose names differ by case at most: {', '.join(twice)}"
        raise DataError(what, where=where, todo=f"Give each its own name in line {at}.")


def _all_named(names: Iterable[str]) -> list[str]:
    """Return the names of columns; one without a name, as a mark at the end of each line makes it, is called by its place."""
    return distinct_names([name if name.strip() else f"column_{place}" for place, name in enumerate(names, 1)])


def distinct_names(names: Sequence[str]) -> list[str]:
    """Return the names of columns, with its place behind each that DuckDB takes for another one: no query reads one of two by chance."""
    counts = Counter(name.lower() for name in names if name)
    return [f"{name}_{place}" if counts[name.lower()] > 1 else name for place, name in enumerate(names, 1)]


def repeated_names(names: Sequence[str]) -> list[str]:
    """Return the names that DuckDB takes for one, each with its place."""
    counts = Counter(name.lower() for name in names)
    return [f"`{name}` (column {place})" for place, name in enumerate(names, 1) if counts[name.lower()] > 1]


def _mark_words(mark: str) -> str:
    return {"\t": "tab"}.get(mark, f"`{mark}`")


def _refuse_other_content(path: Path, table: str, declared: TableFormat) -> None:
    """Raise DataError where the file is not what its name and the declared format say: no gzip, cut off, UTF-16, a workbook."""
    where, encoding = str(path), declared.encoding
    with path.open("rb") as file:
        if file.read(4).startswith(_WORKBOOK_MARKS):
            todo = f"Name it as what it is, such as {path.stem}.xlsx, or save the sheet as CSV (UTF-8) under this name."
            raise DataError(f"{path.name} is a workbook or an archive, no CSV file", where=where, todo=todo)
    require_named_compression(path)
    beginning = next(read_blocks(path), b"")[:4096]
    is_utf_16 = beginning.startswith(_UTF_16_MARKS) or b"\0" in beginning[:4]
    if is_utf_16 and not encoding.startswith(("utf-16", "utf-32")):
        found = "utf-16" if beginning.startswith(_UTF_16_MARKS) else "utf-16-be" if beginning.startswith(b"\0") else "utf-16-le"
        todo = f'Declare `encoding = "{found}"` under [source.formats.{table}] of company.toml, or save the file as UTF-8.'
        raise DataError(f"{path.name} is UTF-16 text, not {encoding.upper()}", where=where, todo=todo)
    is_marked = beginning.startswith(UTF_8_MARK)
    if (is_marked and encoding != UTF_8) or (encoding.startswith("utf-16") and not is_utf_16):
        found = "UTF-8 text by its first bytes" if is_marked else "no UTF-16 text"
        todo = f"Declare its encoding under [source.formats.{table}] of company.toml, or leave `encoding` out if it is UTF-8."
        raise DataError(f"{path.name} is {found}, declared {encoding.upper()}", where=where, todo=todo)


def _find_mixed_line_ends(path: Path, encoding: str) -> DataError | None:
    """Return the error where lines end in different ways; a line end within a quoted cell counts too, as the reader counts it."""
    first, number = "", 1
    with open_text(path, encoding) as text:
        for number, line in enumerate(text, 1):
            end = line[len(line.rstrip("\r\n")) :]
            first = first or end
            if end and end != first:
                names = {"\n": "LF (Unix)", "\r\n": "CR LF (Windows)", "\r": "CR (old Mac)"}
                what = f"{path.name} mixes line ends: {names.get(first, 'others')} in line 1, {names.get(end, 'others')} in line {number}"
                command = "" if compression_of(path) else f": sed -i 's/\\r$//' {quote(path.name)}"
                todo = f"Make them one kind{command}. Or have the file written again."
                return DataError(what, where=str(path), todo=todo)
    return None


def line_words(count: int, lines: Sequence[int], noun: str = "line") -> str:
    """Return the lines in words: all of them where they are few."""
    shown = ", ".join(str(line) for line in lines[:LINES_SHOWN])
    known = f"{count} {noun}s" if count < REJECTS_KEPT else f"{REJECTS_KEPT} {noun}s or more"
    return f"{noun} {shown}" if count == 1 else f"{known} ({shown}{', ...' if count > LINES_SHOWN else ''})"
