"""A digest of rows that depends only on their values and order: not on batches, files, or the bytes that lie beneath a null."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

DIGEST_BYTES = 16
# What nulls are filled with, else 0: the bytes beneath them are arbitrary.
ZEROS = {pa.string(): "", pa.bool_(): False}


@dataclass(frozen=True, slots=True)
class ColumnBytes:
    """The values of one column as bytes: `width` bytes each, or text cut at `ends`; and the positions of its nulls."""

    values: memoryview
    width: int
    ends: np.ndarray | None
    nulls: np.ndarray


class RowDigest:
    """Digests rows that are added in order, in pieces of any size: each column by itself, so that pieces leave no trace."""

    def __init__(self, schema: pa.Schema) -> None:
        # Per column: values, lengths of texts, positions of nulls. Lengths tell 'ab', 'c' from 'a', 'bc'; positions tell null from 0.
        self._digests = [[blake2b(digest_size=DIGEST_BYTES) for _ in range(3)] for _ in schema]
        self._names = ",".join(f"{field.name} {field.type}" for field in schema)
        self._row_count = 0

    def add(self, columns: Iterable[ColumnBytes], start: int, end: int) -> None:
        """Add the rows from `start` to before `end`."""
        for column, (values, lengths, nulls) in zip(columns, self._digests, strict=True):
            if column.ends is None:
                values.update(column.values[start * column.width : end * column.width])
            else:
                ends = column.ends[start : end + 1]
                values.update(column.values[ends[0] : ends[-1]])
                lengths.update(np.diff(ends).tobytes())
            if len(column.nulls):
                places = column.nulls[np.searchsorted(column.nulls, start) : np.searchsorted(column.nulls, end)]
                nulls.update((places - start + self._row_count).tobytes())
        self._row_count += end - start

    def hexdigest(self) -> str:
        """Return the digest of the rows added so far and of the names and types of their columns."""
        parts = [one.digest() for column in self._digests for one in column]
        return blake2b(b"".join([f"{self._names}|{self._row_count}".encode(), *parts]), digest_size=DIGEST_BYTES // 2).hexdigest()


def column_bytes(rows: pa.RecordBatch) -> list[ColumnBytes]:
    """Return the columns of `rows` as bytes."""
    return [_bytes_of_column(column) for column in rows.columns]


def _bytes_of_column(column: pa.Array) -> ColumnBytes:
    nulls = np.empty(0, np.int64)
    if column.null_count:
        nulls = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))
        column = pc.fill_null(column, pa.scalar(ZEROS.get(column.type, 0), column.type))
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    _, second, *rest = column.buffers()
    if pa.types.is_string(column.type):
        ends = np.frombuffer(second, np.int32, len(column) + 1, column.offset * 4) if second else np.zeros(1, np.int32)
        return ColumnBytes(memoryview(rest[0] or b""), 0, ends, nulls)
    width = column.type.bit_width // 8
    return ColumnBytes(memoryview(second or b"")[column.offset * width :], width, None, nulls)
