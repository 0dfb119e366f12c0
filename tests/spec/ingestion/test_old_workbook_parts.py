"""Cells with an error are found in .xls files of any size."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pipeline.ingestion.sources.old_workbook_parts import old_error_cells

SECTOR = 128  # real ones have 512 bytes, so that a file with a second list of sectors would have 7 MB
FIRST, END, FREE = 3, 0xFFFFFFFE, 0xFFFFFFFF  # the header takes the place of three of these sectors


def a_stream(size: int) -> bytes:
    """Return the records of a workbook of one sheet S, far behind, with an error in B2."""
    padding = struct.pack("<HH8000x", 0, 8000) * (size // 8004)
    start = 4 + 9 + len(padding)
    sheet = struct.pack("<HHIHBB1s", 0x85, 9, start, 0, 1, 0, b"S")
    return sheet + padding + struct.pack("<HHHHHBB", 0x205, 8, 1, 1, 0, 0x2A, 1) + struct.pack("<HH", 0x0A, 0)


def a_compound_file(stream: bytes) -> bytes:
    """Return a file with this stream, named Workbook ([MS-CFB])."""
    count, entries = -(-len(stream) // SECTOR), SECTOR // 4
    tables = -(-(FIRST + count + 1) // (entries - 1)) + 4
    lists = max(-(-(tables - 109) // (entries - 1)), 0)
    tables_at, lists_at = FIRST, FIRST + tables
    directory_at, stream_at = lists_at + lists, lists_at + lists + 1
    following = [FREE] * (tables * entries)
    following[directory_at] = END
    following[stream_at : stream_at + count] = [*range(stream_at + 1, stream_at + count), END]
    heads = [*range(tables_at, tables_at + tables)]
    further = [heads[at : at + entries - 1] for at in range(109, tables, entries - 1)]
    more = [
        struct.pack(f"<{entries}I", *part, *[FREE] * (entries - 1 - len(part)), lists_at + place if place < lists else END)
        for place, part in enumerate(further, 1)
    ]
    header = bytearray(512)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    struct.pack_into("<H", header, 30, 7)
    struct.pack_into("<I", header, 48, directory_at)
    struct.pack_into("<II", header, 68, lists_at if lists else END, lists)
    struct.pack_into("<109I", header, 76, *(heads + [FREE] * 109)[:109])
    directory = "Workbook".encode("utf-16-le").ljust(64, b"\0") + struct.pack("<H50xII4x", 18, stream_at, len(stream))
    body = struct.pack(f"<{len(following)}I", *following) + b"".join(more) + directory.ljust(SECTOR, b"\0") + stream
    return bytes(header) + body.ljust(-(-len(body) // SECTOR) * SECTOR, b"\0")


@pytest.mark.parametrize("size", [10_000, 500_000, 1_200_000])
def test_an_error_is_found_in_a_file_of_any_size(tmp_path: Path, size: int) -> None:
    path = tmp_path / "orders.xls"
    path.write_bytes(a_compound_file(a_stream(size)))
    assert old_error_cells(path, "S") == [(1, 1)]
