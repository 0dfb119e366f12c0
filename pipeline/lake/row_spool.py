"""A spool of rows on disk: any number of rows, in the memory of one batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pyarrow as pa

from pipeline.lake.disk import disk_errors
from pipeline.lake.row_file import OPTIONS, RowFile
from pipeline.lake.store import Store


class RowSpool:
    """Takes batches of one schema and returns them in the same order.

    Nothing is on disk before the first batch, nor after the block for which the spool is entered.
    """

    def __init__(self, store: Store, schema: pa.Schema) -> None:
        """Spool to a private folder of `store`."""
        self._store, self._schema = store, schema
        self._resources = ExitStack()
        self._path: Path | None = None
        self._writer: pa.RecordBatchStreamWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def append(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Add `batches` at the end; raises TransientError where the disk refuses."""
        with disk_errors(self._store.where(), action="set rows aside"):
            for batch in batches:
                if self._writer is None:
                    self._path = self._resources.enter_context(self._store.private_folder()) / "rows.arrows"
                    self._writer = self._resources.enter_context(pa.ipc.new_stream(str(self._path), self._schema, options=OPTIONS))
                self._writer.write_batch(batch)

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all batches; none can be added afterwards. Raises TransientError where the disk refuses."""
        if self._writer is not None and self._path is not None:
            with disk_errors(self._store.where(), action="set rows aside"):
                self._writer.close()
            yield from RowFile(self._path, self._schema).batches()
