"""Reads some row groups of a Parquet file of ours: only the bytes that hold the wanted columns, verified before a row of them counts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from io import SEEK_END, SEEK_SET, RawIOBase

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.lake.byte_sources import ByteSource, FileEnd
from pipeline.lake.checksums import parse_seal, read_footer
from pipeline.lake.parquet import ROW_GROUP_ROWS

# Groups of many rows that hardly differ have a few kilobytes: several of them are fetched at once, as far as memory allows.
FETCHED_BYTES = 8 << 20
# An object store takes as long to answer as to send so much: what lies between two columns is fetched with them.
SPARED_GAP_BYTES = 1 << 19


class ChecksumError(ValueError):
    """The bytes of a file are not those that its checksums are of, or it has none of ours."""


class RowGroupReader:
    """Reads row groups of the file with the bytes of `source`, and of these the `columns` that it has."""

    def __init__(self, source: ByteSource, columns: Collection[str]) -> None:
        """Read and verify the end of the file; raises ChecksumError where that is damaged or of another writer."""
        end = FileEnd.of(source)
        try:
            self.seal = parse_seal(end.read_before, source.size)
        except ValueError:
            raise ChecksumError from None
        footer = read_footer(end.read_before, source.size)
        self._source, self._chunks = source, ChunkFile(source.size)
        metadata = pq.read_metadata(pa.BufferReader(footer))
        # Without a buffer of its own Parquet's reader asks for each chunk as a whole.
        self._file = pq.ParquetFile(pa.PythonFile(self._chunks, "r"), metadata=metadata, pre_buffer=False)
        self._places = [place for place, name in enumerate(self.seal.names) if name in columns]

    def batches(self, groups: range) -> Iterator[pa.RecordBatch]:
        """Yield the rows of these row groups; raises ChecksumError before any row of damaged bytes is, FileReplacedError."""
        names = [self.seal.names[place] for place in self._places]
        for some in self._fetchable(groups):
            self._chunks.hold(self._fetched([group * len(self.seal.names) + place for group in some for place in self._places]))
            yield from self._file.iter_batches(ROW_GROUP_ROWS, row_groups=list(some), columns=names, use_threads=False)

    def _fetchable(self, groups: range) -> Iterator[range]:
        """Yield `groups` in pieces that are fetched at once."""
        start, held = groups.start, 0
        for group in groups:
            first, width = group * len(self.seal.names), len(self.seal.names)
            size = self.seal.ends[first + width] - self.seal.ends[first]
            if held and held + size > FETCHED_BYTES:
                yield range(start, group)
                start, held = group, 0
            held += size
        yield range(start, groups.stop)

    def _fetched(self, chunks: Sequence[int]) -> dict[int, memoryview]:
        """Return the bytes of these chunks, by where they begin; raises ChecksumError."""
        found: dict[int, memoryview] = {}
        for together in self._close_together(chunks):
            first, last = self.seal.ends[together[0]], self.seal.ends[together[-1] + 1]
            content = memoryview(self._source.read(first, last))
            for chunk in together:
                start, end = self.seal.ends[chunk], self.seal.ends[chunk + 1]
                found[start] = content[start - first : end - first]
                if len(found[start]) < end - start or not self.seal.is_chunk_whole(chunk, found[start]):
                    raise ChecksumError
        return found

    def _close_together(self, chunks: Sequence[int]) -> list[list[int]]:
        together: list[list[int]] = []
        for chunk in chunks:
            if together and self.seal.ends[chunk] - self.seal.ends[together[-1][-1] + 1] <= SPARED_GAP_BYTES:
                together[-1].append(chunk)
            else:
                together.append([chunk])
        return together


class ChunkFile(RawIOBase):
    """A file of which some chunks of columns are here; nothing else of it can be read."""

    def __init__(self, size: int) -> None:
        self._size, self._place = size, 0
        self._chunks: dict[int, memoryview] = {}

    def hold(self, chunks: dict[int, memoryview]) -> None:
        """Have these chunks, by where they begin, in place of those before."""
        self._chunks = chunks

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int:
        self._place = {SEEK_SET: 0, SEEK_END: self._size}.get(whence, self._place) + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, size: int = -1, /) -> bytes:
        """Return the bytes of a chunk, which Parquet's reader asks for as a whole; raises OSError for any other."""
        chunk = self._chunks.get(self._place)
        if chunk is None or size != len(chunk):
            raise OSError("these bytes were not fetched")
        self._place += size
        return bytes(chunk)
