"""Cells with an error in an .xls file, which the reader of workbooks gives as empty ones.

An .xls file is a file system of its own, in which a stream named `Workbook` holds records, sheet after sheet ([MS-CFB], [MS-XLS]).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_STREAMS = ("Workbook".encode("utf-16-le"), "Book".encode("utf-16-le"))
_LAST_SECTOR = 0xFFFFFFFA  # greater numbers are marks: the end of a chain, a free sector
_DIRECTORY_ENTRY = 128
_SMALLEST_STREAM = 4096  # smaller ones lie within another one, and hold no more than a few cells
_SHEET, _END, _FORMULA, _FLAG_OR_ERROR = 0x85, 0x0A, 0x06, 0x205
_ERROR_IN_FORMULA = 2


def old_error_cells(path: Path, sheet: str) -> list[tuple[int, int]]:
    """Return row and column, from 0, of the cells of a sheet that hold an error; none where the file is not as it should be."""
    try:
        stream = _workbook_stream(path.read_bytes())
        return list(_error_cells(stream, _sheet_start(stream, sheet)))
    except (struct.error, IndexError, StopIteration, ValueError):
        return []


def _workbook_stream(content: bytes) -> bytes:
    if not content.startswith(_MAGIC):
        raise ValueError
    size = 1 << struct.unpack_from("<H", content, 30)[0]
    table = b"".join(_sector(content, sector, size) for sector in _table_sectors(content, size) if sector < _LAST_SECTOR)
    following = struct.unpack(f"<{len(table) // 4}I", table)
    directory = _chain(content, struct.unpack_from("<I", content, 48)[0], following, size)
    for at in range(0, len(directory), _DIRECTORY_ENTRY):
        name = directory[at : at + max(struct.unpack_from("<H", directory, at + 64)[0] - 2, 0)]
        first, length = struct.unpack_from("<II", directory, at + 116)
        if name in _STREAMS and length >= _SMALLEST_STREAM:
            return _chain(content, first, following, size)[:length]
    raise ValueError


def _table_sectors(content: bytes, size: int) -> Iterator[int]:
    """Yield the sectors that hold the table of chains: the header lists the first 109, sectors of their own the others."""
    yield from struct.unpack_from("<109I", content, 76)
    further, count = struct.unpack_from("<II", content, 68)
    for _ in range(min(count, len(content) // size)):
        *listed, further = struct.unpack(f"<{size // 4}I", _sector(content, further, size))
        yield from listed


def _chain(content: bytes, sector: int, following: tuple[int, ...], size: int) -> bytes:
    found: list[bytes] = []
    while sector < _LAST_SECTOR:
        if len(found) > len(following):  # a damaged file may lead round in a circle
            raise ValueError
        found.append(_sector(content, sector, size))
        sector = following[sector]
    return b"".join(found)


def _sector(content: bytes, sector: int, size: int) -> bytes:
    return content[(sector + 1) * size : (sector + 2) * size]


def _records(stream: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    while at + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, at)
        yield kind, stream[at + 4 : at + 4 + length]
        at += 4 + length


def _sheet_start(stream: bytes, sheet: str) -> int:
    for kind, record in _records(stream, 0):
        if kind == _SHEET:
            encoding, width = ("utf-16-le", 2) if record[7] & 1 else ("latin-1", 1)
            if record[8 : 8 + record[6] * width].decode(encoding) == sheet:
                return int(struct.unpack_from("<I", record)[0])
    raise ValueError


def _error_cells(stream: bytes, start: int) -> Iterator[tuple[int, int]]:
    for kind, record in _records(stream, start):
        if kind == _END:
            return
        is_error = kind == _FLAG_OR_ERROR and record[7] == 1
        # The value of a formula: eight bytes, which are no number where the last two are ones, and then the first says what they are.
        is_error = is_error or (kind == _FORMULA and record[12:14] == b"\xff\xff" and record[6] == _ERROR_IN_FORMULA)
        if is_error:
            row, column = struct.unpack_from("<HH", record)
            yield row, column
