"""Checksums of Parquet files: of the footer, and of each column, so that whoever reads a few columns verifies these and no others.

Engines verify no checksums of pages, and nobody verifies a footer, whose statistics decide which rows are read at all. So between the
columns and the footer of a file of ours lies a seal, where Parquet leaves room and readers look for nothing:

    PAR1 | chunks of columns, row group by row group | seal | footer | PAR1

The seal is a line of JSON: the names of the columns, where each chunk ends, a CRC-32 of the footer, and for each column one of all its
chunks; its own length and CRC-32 follow it. Together they cover every byte. As it also tells where the manifest is in the footer, what a
file holds is known without parsing Parquet.

Of several row groups it also says what the CRC-32 of each column had come to at the end of each group. So a chunk is verified by itself,
going on from where the one before it ended, and several readers share a file. Files that were written before lack these.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from hashlib import sha256
from io import FileIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.lake.byte_sources import TAIL_BYTES
from pipeline.lake.file_stamps import FileReplacedError, FileStamp, StampedFile, file_stamp

MANIFEST_KEY = b"customer_segments.manifest"
MAGIC = b"PAR1"
LENGTH_BYTES = 4 + len(MAGIC)
# After the seal: its length and its checksum, in eight hexadecimal digits each, and this.
SEAL_MARK = b"SEAL"
MARK_BYTES = 16 + len(SEAL_MARK)
BLOCK_BYTES = 1 << 18


ReadBefore = Callable[[int, int], bytes]
"""Returns as many bytes of a file as its second number says, those that end where its first number says."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What the seal of a file says, once it and the footer were verified.

    `ends` are where the chunks of the columns end, one row group after the other; the first is where the first chunk begins.
    `chunk_checksums` are those of each chunk's column up to its end, in the same order; a file that was written before has none.
    """

    names: tuple[str, ...]
    ends: Sequence[int]
    checksums: Sequence[str]
    chunk_checksums: Sequence[str]
    manifest: bytes
    digest: str

    @property
    def group_count(self) -> int:
        """How many row groups the file has."""
        return (len(self.ends) - 1) // len(self.names) if self.names else 0

    def is_chunk_whole(self, chunk: int, content: bytes | memoryview) -> bool:
        """Return whether these are the bytes of the chunk of that number, counted as they lie in the file."""
        before = chunk - len(self.names)
        value = int(self.chunk_checksums[before], 16) if before >= 0 else 0
        return _digits(zlib.crc32(content, value)) == self.chunk_checksums[chunk]


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A file whose seal can be read; those with equal stamps are the same file, wherever it is read.

    `read` raises ValueError where seal or footer is damaged or of another writer, FileReplacedError where another file took its place.
    """

    stamp: Hashable
    read: Callable[[], Seal] = field(compare=False)


def sealed_file(path: Path) -> SealedFile:
    """Return the file at `path`; raises FileNotFoundError."""
    stamped = StampedFile(path, file_stamp(path))
    return SealedFile(stamped.stamp, partial(seal_of, stamped))


def seal_file(path: Path) -> None:
    """Put the seal into a file that was written to its end."""
    with path.open("r+b", buffering=0) as file:
        size = _size(file)
        footer = read_footer(partial(_read_before, file), size)
        seal = _described(footer, size)
        names, ends = seal["names"], seal["ends"]
        by_group = _column_checksums(file, ends, range(len(names)), len(names))
        seal["checksums"] = by_group[-1]
        if len(by_group) > 1:
            seal["chunks"] = [checksum for group in by_group for checksum in group]
        content = json.dumps(seal, separators=(",", ":"), sort_keys=True).encode()
        file.seek(ends[-1])
        file.write(content + b"%08x%08x" % (len(content), zlib.crc32(content)) + SEAL_MARK + footer)


def read_seal(path: Path) -> Seal:
    """Return the seal of a file of ours; raises ValueError where it or the footer is damaged or of another writer, FileNotFoundError."""
    while True:
        with suppress(FileReplacedError):
            return seal_of(StampedFile(path, file_stamp(path)))


# The same ones are asked for again and again: who lists what a file holds then reads it, and each step of a night does.
@lru_cache(maxsize=512)
def seal_of(stamped: StampedFile) -> Seal:
    """Return the seal of that very file, as `read_seal` does; raises FileReplacedError where another took its place."""
    with _open_unreplaced(stamped) as file:
        return parse_seal(partial(_read_before, file), _size(file))


def parse_seal(read: ReadBefore, size: int) -> Seal:
    """Return the seal of a file of `size` bytes, of which `read` is given the end alone; raises ValueError as `read_seal` does."""
    footer = read_footer(read, size)
    content = _read_seal(read, size - len(footer))
    seal = json.loads(content)
    ends, (start, length) = seal["ends"], seal["manifest"]
    if _digits(zlib.crc32(footer)) != seal["footer"] or ends[-1] + len(content) + MARK_BYTES + len(footer) != size:
        raise ValueError("the footer is another one")
    digest = sha256(content + footer).hexdigest()[:16]
    names, checksums = tuple(seal["names"]), seal["checksums"]
    of_chunks = seal.get("chunks", checksums if len(ends) <= len(names) + 1 else [])
    return Seal(names, ends, checksums, of_chunks, footer[start : start + length], digest)


def is_whole(path: Path, columns: Collection[str] | None = None) -> bool:
    """Return whether every byte of the footer and of `columns`, by default of all, is as our writer left it.

    False also for files of other writers; columns that the file lacks are passed over.
    """
    while True:
        with suppress(FileReplacedError):
            return _is_whole(StampedFile(path, file_stamp(path)), columns)


def _is_whole(stamped: StampedFile, columns: Collection[str] | None) -> bool:
    try:
        seal = seal_of(stamped)
    except ValueError:
        return False
    places = [place for place, name in enumerate(seal.names) if columns is None or name in columns]
    if not places and columns is not None:
        return True
    with _open_unreplaced(stamped) as file:
        if file.read(len(MAGIC)) != MAGIC:
            return False
        found = _column_checksums(file, seal.ends, places, len(seal.names))
    return found[-1] == [seal.checksums[place] for place in places]


def _open_unreplaced(stamped: StampedFile) -> FileIO:
    """Open that very file; raises FileReplacedError where another took its place."""
    file = stamped.path.open("rb", buffering=0)
    if FileStamp.of(os.fstat(file.fileno())) != stamped.stamp:
        file.close()
        raise FileReplacedError
    return file


def _size(file: FileIO) -> int:
    return os.fstat(file.fileno()).st_size


def read_footer(read: ReadBefore, size: int) -> bytes:
    """Return the footer of a Parquet file, with its length and the last four bytes; raises ValueError where there is none."""
    tail = read(size, min(size, TAIL_BYTES))
    length = int.from_bytes(tail[-LENGTH_BYTES:-4], "little") + LENGTH_BYTES
    if not tail.endswith(MAGIC) or length > size - len(MAGIC):
        raise ValueError("the file has no footer")
    return tail[-length:] if length <= len(tail) else read(size, length)


def _read_seal(read: ReadBefore, end: int) -> bytes:
    """Return the content of the seal that ends where the footer begins; raises ValueError where there is none."""
    mark = read(end, min(end, MARK_BYTES))
    if not mark.endswith(SEAL_MARK):
        raise ValueError("the file has no seal")
    length, checksum = int(mark[:8], 16), int(mark[8:16], 16)
    content = read(end - MARK_BYTES, min(length, end - MARK_BYTES))
    if zlib.crc32(content) != checksum:
        raise ValueError("the seal is broken")
    return content


def _read_before(file: FileIO, end: int, count: int) -> bytes:
    file.seek(end - count)
    return file.read(count)


def _described(footer: bytes, file_size: int) -> dict[str, Any]:
    """Return what the seal of a file says of its footer and of the chunks; raises ValueError where these are not all that is before it."""
    # The footer alone is enough to parse it, and is in memory already.
    metadata = pq.read_metadata(pa.BufferReader(footer))
    names = metadata.schema.to_arrow_schema().names
    keys: Mapping[bytes, bytes] = metadata.metadata or {}
    manifest = keys.get(MANIFEST_KEY, b"")
    ends = [len(MAGIC)]
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        for column in range(group.num_columns):
            chunk = group.column(column)
            size = chunk.total_compressed_size
            start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
            if size and start != ends[-1]:  # flags of no rows have no bytes at all, and lie nowhere
                raise ValueError("between two columns are bytes of none")
            ends.append(ends[-1] + size)
    if ends[-1] != file_size - len(footer) or metadata.num_columns != len(names):
        raise ValueError("the columns are not all that the file holds")
    # The last time: statistics, which may say anything, come before the keys.
    place = [footer.rfind(manifest), len(manifest)]
    return {"names": names, "ends": ends, "footer": _digits(zlib.crc32(footer)), "manifest": place}


def _column_checksums(file: FileIO, ends: Sequence[int], places: Iterable[int], column_count: int) -> list[list[str]]:
    """Return what the CRC-32 of each of the columns in these `places` comes to at the end of each row group; one at least."""
    checksums, by_group = dict.fromkeys(places, 0), list[list[str]]()
    # Into one block that stays in the processor's cache, rather than into new memory each time.
    block = memoryview(bytearray(BLOCK_BYTES))
    for group in range(0, len(ends) - 1, column_count or 1):
        for place, value in checksums.items():
            start, end = ends[group + place], ends[group + place + 1]
            file.seek(start)
            checksums[place] = _crc_continued(file, value, end - start, block)
        by_group.append([_digits(value) for value in checksums.values()])
    return by_group or [[_digits(value) for value in checksums.values()]]


def _digits(checksum: int) -> str:
    # As many for every value: what a night goes by is known by the sizes of files, which must not depend on who wrote them.
    return f"{checksum:08x}"


def _crc_continued(file: FileIO, value: int, count: int, block: memoryview) -> int:
    """Return the CRC-32 `value` continued over the next `count` bytes."""
    while count and (read := file.readinto(block[: min(BLOCK_BYTES, count)])):
        value = zlib.crc32(block[:read], value)
        count -= read
    return value
