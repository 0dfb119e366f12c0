"""Ids of known customers: sorted, in files that are mapped into memory, so that a process holds no more of them than it looks at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SCHEMA = pa.schema([("customer_id", pa.string())])


@dataclass(frozen=True, slots=True)
class KnownIds:
    """Ids in `files` that `write_ids` wrote, and others `held` in memory, in arrays that are sorted by their bytes and have no nulls."""

    files: tuple[Path, ...] = ()
    held: tuple[pa.Array, ...] = ()

    @classmethod
    def of(cls, ids: pa.Array) -> Self:
        """Return these ids, which come in any order; null is none."""
        given = ids.drop_null()
        return cls(held=(given.take(pc.sort_indices(given)),))

    def with_ids_of(self, other: KnownIds) -> KnownIds:
        """Return the ids of both."""
        return KnownIds((*self.files, *other.files), (*self.held, *other.held))

    def contain(self, ids: pa.Array) -> pa.Array:
        """Return a boolean per id: whether it is known; null for null."""
        encoded = ids.dictionary_encode()
        order = pc.sort_indices(encoded.dictionary)
        needles = encoded.dictionary.take(order)
        found = np.zeros(len(needles), np.bool_)
        for known in self._arrays():
            # Only among the ids that the array may hold: however many arrays there are, each id is looked for in one of each file.
            first, end = (pc.search_sorted(needles, known[place], side=side).as_py() for place, side in ((0, "left"), (-1, "right")))
            if first < end:
                wanted = needles.slice(first, end - first)
                places = pc.min_element_wise(pc.search_sorted(known, wanted), pa.scalar(len(known) - 1, pa.uint64()))
                found[first:end] |= pc.equal(known.take(places), wanted).to_numpy(zero_copy_only=False)
        is_known = np.empty(len(needles), np.bool_)
        is_known[order.to_numpy()] = found
        return pa.array(is_known).take(encoded.indices)

    def _arrays(self) -> Iterator[pa.Array]:
        for known in (*self.held, *(array for file in self.files for array in _mapped_arrays(file))):
            if len(known):
                yield known


def write_ids(file: Path, pieces: Iterable[pa.ChunkedArray]) -> KnownIds:
    """Write ids to `file`, where nothing is, and return them; the pieces are sorted, and each begins where the last one ends."""
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
        for piece in pieces:
            writer.write_batch(pa.record_batch([piece.combine_chunks().drop_null()], schema=SCHEMA))
    return KnownIds((file,))


@lru_cache(maxsize=2)  # those of customers and of prospects; a file that is gone takes its room until it is dropped
def _mapped_arrays(file: Path) -> list[pa.Array]:
    # Its name is that of one run of one step, so another file never takes its place.
    reader = pa.ipc.open_file(pa.memory_map(str(file)))
    return [reader.get_batch(number).column(0) for number in range(reader.num_record_batches)]
