"""Files of text or bytes, compressed or not: which compression one has says its name, and whether that is true says its beginning."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa

from pipeline.errors import DataError

_MARKS = {".gz": b"\x1f\x8b", ".zst": b"\x28\xb5\x2f\xfd"}
_PROGRAMS = {".gz": "gzip", ".zst": "zstd"}
COMPRESSIONS = ("", *_MARKS)
_BLOCK = 1 << 20


def compression_of(path: Path | str) -> str:
    """Return `.gz`, `.zst` or nothing, by the file's name."""
    name = str(path).lower()
    return next((suffix for suffix in _MARKS if name.endswith(suffix)), "")


def open_bytes(path: Path | str) -> BinaryIO:
    """Open the file, decompressed as it is read."""
    compression = compression_of(path)
    if compression == ".gz":
        return cast("BinaryIO", gzip.open(path, "rb"))
    if compression == ".zst":
        # Arrow's own, as Python has none before 3.14; DuckDB's takes a file that was cut off for a short one.
        return cast("BinaryIO", pa.CompressedInputStream(pa.OSFile(str(path)), "zstd"))
    return Path(path).open("rb")


def read_blocks(path: Path) -> Iterator[bytes]:
    """Yield what the file holds, decompressed; raises DataError where it ends too soon or is damaged."""
    compression = compression_of(path)
    program = _PROGRAMS.get(compression, "")
    try:
        with open_bytes(path) as file:
            while block := file.read(_BLOCK):
                yield block
    except EOFError:
        raise _cut_off(path, program) from None
    except (gzip.BadGzipFile, zlib.error):
        raise _damaged(path, program) from None
    except OSError as error:
        if compression != ".zst":
            raise
        raise (_cut_off if "Truncated" in str(error) else _damaged)(path, program) from None


def find_compression_fault(path: Path) -> DataError | None:
    """Read the file to its end and return the error for one that ends too soon or is damaged; None where it is whole."""
    try:
        for _ in read_blocks(path):
            pass
    except DataError as error:
        return error
    return None


def require_named_compression(path: Path) -> None:
    """Raise DataError where the file is empty, or is compressed in another way than its name says."""
    with path.open("rb") as file:
        start = file.read(4)
    where, named = str(path), compression_of(path)
    if not start:
        raise DataError(f"{path.name} is empty: 0 bytes", where=where, todo="Have the file written again.")
    if named and not start.startswith(_MARKS[named]):
        program = _PROGRAMS[named]
        todo = f"Rename it to {path.name[: -len(named)]} if it is plain text, or compress it with {program}."
        raise DataError(f"{path.name} is not compressed by {program}, though its name says so", where=where, todo=todo)
    found = next((suffix for suffix, mark in _MARKS.items() if start.startswith(mark)), "")
    if found and not named:
        raise DataError(f"{path.name} is compressed by {_PROGRAMS[found]}", where=where, todo=f"Rename it to {path.name}{found}.")


def _cut_off(path: Path, program: str) -> DataError:
    todo = "Wait until the whole file has arrived, or copy it again; then run again."
    return DataError(f"{path.name} is cut off: its {program} data end too soon", where=str(path), todo=todo)


def _damaged(path: Path, program: str) -> DataError:
    todo = "Copy the file again, or have it written again; then run again."
    return DataError(f"{path.name} is damaged: its {program} data cannot be decompressed", where=str(path), todo=todo)
