"""Row groups to bytes, beside whoever makes the next ones: encoding and compressing take as long as reading, sorting and digesting."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

# Below, starting a thread takes longer than encoding.
ROWS_WORTH_THREAD = 16_384
# The next group is made while one is encoded: wide rows take a lot of memory, so no more than these two are in it.
MOST_AHEAD = 1


class RowGroupWriter:
    """Writes row groups into one Parquet file in the order in which they come, large ones in a thread of its own."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._thread: ThreadPoolExecutor | None = None
        self._ahead: deque[Future[None]] = deque()

    def write(self, rows: pa.Table) -> None:
        """Write `rows` as one row group, now or soon; raises what an earlier group failed with."""
        if self._thread is None:
            if rows.num_rows < ROWS_WORTH_THREAD:
                self._encode(rows)
                return
            self._thread = ThreadPoolExecutor(1, "row-groups")
        if len(self._ahead) == MOST_AHEAD:
            self._ahead.popleft().result()
        self._ahead.append(self._thread.submit(self._encode, rows))

    def add_metadata(self, metadata: Mapping[bytes, bytes]) -> None:
        """Note `metadata` for the footer."""
        self.finish()
        self._writer.add_key_value_metadata(metadata)

    def finish(self) -> None:
        """Return once every row group is written; raises what one failed with."""
        while self._ahead:
            self._ahead.popleft().result()

    def close(self) -> None:
        """Let the thread go; groups that still wait are given up."""
        if self._thread is not None:
            self._thread.shutdown(cancel_futures=True)

    def _encode(self, rows: pa.Table) -> None:
        self._writer.write_table(rows, row_group_size=max(rows.num_rows, 1))


@contextmanager
def open_row_group_writer(path: Path, schema: pa.Schema, **settings: object) -> Iterator[RowGroupWriter]:
    """Yield a writer of the Parquet file `path`; at the end of the block, all that it was given is in the file."""
    with pq.ParquetWriter(path, schema, **settings) as file:
        writer = RowGroupWriter(file)
        try:
            yield writer
            writer.finish()
        finally:
            writer.close()
