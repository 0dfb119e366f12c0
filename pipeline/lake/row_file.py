"""Rows in a private file: written by one process, and read back in the same order by this or another one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from pipeline.lake.disk import disk_errors

OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


@dataclass(frozen=True, slots=True)
class RowFile:
    """Rows of one schema at `path`; without any row there is no file."""

    path: Path
    schema: pa.Schema

    def write(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Write all rows; raises TransientError where the disk refuses."""
        writer: pa.RecordBatchStreamWriter | None = None
        try:
            for batch in batches:
                with disk_errors(self.path.parent, action="set rows aside"):
                    writer = writer or pa.ipc.new_stream(str(self.path), self.schema, options=OPTIONS)
                    writer.write_batch(batch)
        finally:
            if writer is not None:
                with disk_errors(self.path.parent, action="set rows aside"):
                    writer.close()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows; raises TransientError where the disk refuses."""
        if self.path.exists():
            with (
                disk_errors(self.path.parent, action="read rows set aside"),
                pa.OSFile(str(self.path)) as file,
                pa.ipc.open_stream(file) as stream,
            ):
                yield from stream
