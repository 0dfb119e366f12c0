"""Memberships of several sources side by side, each sorted by customer and scheme, without holding more than a piece of each.

A window has, of every source, all rows of one range of keys. Within it a key is one number, so that rows are compared as numbers are:
customers and schemes of the window are numbered in their order, and a row's key is that of its customer and, within, that of its scheme.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Codes: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]
_KEY = ("customer_id", "scheme")


@dataclass(frozen=True, slots=True)
class MembershipWindow:
    """The rows of each source within one range of keys, and of each source keys and segments as numbers.

    `customers`, `schemes` and `segments` are what the numbers stand for, each in order and once.
    """

    rows: Sequence[pa.RecordBatch]
    customers: pa.Array
    schemes: pa.Array
    segments: pa.Array
    keys: Sequence[Codes]
    segment_codes: Sequence[Codes]

    def memberships(self, keys: Codes, segment_codes: Codes) -> list[pa.Array]:
        """Return customers, schemes and segments of these numbers."""
        customer_codes, scheme_codes = np.divmod(keys, max(len(self.schemes), 1))
        pairs = ((self.customers, customer_codes), (self.schemes, scheme_codes), (self.segments, segment_codes))
        return [values.take(pa.array(codes)) for values, codes in pairs]


def membership_windows(sources: Sequence[Iterable[pa.RecordBatch]]) -> Iterator[MembershipWindow]:
    """Yield windows over all rows of `sources`, which have customer_id, scheme and segment and are sorted by the first two.

    Each source gives a batch at least, though it be one without rows.
    """
    for rows in _aligned_rows(sources):
        customers, customer_codes = _numbered([_places_of(batch["customer_id"]) for batch in rows])
        schemes, scheme_codes = _numbered([_places_of(batch["scheme"]) for batch in rows])
        segments, segment_codes = _numbered([_places_of(batch["segment"]) for batch in rows])
        keys = [customer * len(schemes) + scheme for customer, scheme in zip(customer_codes, scheme_codes, strict=True)]
        yield MembershipWindow(rows, customers, schemes, segments, keys, segment_codes)


def _aligned_rows(sources: Sequence[Iterable[pa.RecordBatch]]) -> Iterator[list[pa.RecordBatch]]:
    """Yield of each source its next rows, up to the lowest key at which a piece that is at hand ends."""
    waiting = [_Waiting(iter(source)) for source in sources]
    while open_ones := [each for each in waiting if each.rows.num_rows]:
        last = min(each.last_key for each in open_ones)
        yield [each.take_through(last) for each in waiting]


class _Waiting:
    """The rows of one source that no window has yet, as far as they are at hand; none once there are no more."""

    def __init__(self, source: Iterator[pa.RecordBatch]) -> None:
        self._source = source
        self.rows = next(source)
        self._skip_empty_batches()

    @property
    def last_key(self) -> tuple[str, ...]:
        return self._key(self.rows.num_rows - 1)

    def take_through(self, last: tuple[str, ...]) -> pa.RecordBatch:
        """Return and forget the rows up to and with the key `last`."""
        first, beyond = 0, self.rows.num_rows
        while first < beyond:
            middle = (first + beyond) // 2
            first, beyond = (middle + 1, beyond) if self._key(middle) <= last else (first, middle)
        taken, self.rows = self.rows.slice(0, first), self.rows.slice(first)
        self._skip_empty_batches()
        return taken

    def _key(self, place: int) -> tuple[str, ...]:
        # Python orders texts by code points, which is the order of their bytes in UTF-8.
        return tuple(self.rows[name][place].as_py() for name in _KEY)

    def _skip_empty_batches(self) -> None:
        while not self.rows.num_rows and (batch := next(self._source, None)) is not None:
            self.rows = batch


def _places_of(column: pa.Array) -> tuple[pa.Array, Codes]:
    """Return values, each once, and of each row the place of its value among them."""
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    return encoded.dictionary, encoded.indices.to_numpy()


def _numbered(columns: Sequence[tuple[pa.Array, Codes]]) -> tuple[pa.Array, list[Codes]]:
    """Return the values of all columns in order, and of each column the numbers of its rows' values in it."""
    values = pc.unique(pa.concat_arrays([values for values, _ in columns]))
    values = values.take(pc.sort_indices(values))
    return values, [pc.index_in(own, value_set=values).to_numpy().astype(np.int64)[places] for own, places in columns]
