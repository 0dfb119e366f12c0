"""Whether rows come in the order that was asked for: files are written by it, and a server that does not keep it says nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import TransientError


def rows_in_order(batches: Iterator[pa.RecordBatch], names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield `batches`, whose rows ascend by the columns `names`; raises TransientError at the first batch that does not."""
    last: tuple[object, ...] | None = None
    for batch in batches:
        if batch.num_rows and names:
            keys = [batch.column(name) for name in names]
            first = tuple(key[0].as_py() for key in keys)
            if (last is not None and first < last) or not _ascends(keys):
                what = f"rows did not come in the order of {', '.join(names)}, which the server was asked for"
                raise TransientError(what, todo="Use a server that is Apache Spark, or SEGMENTS_ENGINE=duckdb.")
            last = tuple(key[-1].as_py() for key in keys)
        yield batch


def _ascends(keys: Sequence[pa.Array]) -> bool:
    undecided = None
    for key in keys:
        before, after = key.slice(0, len(key) - 1), key.slice(1)
        falls, stays = pc.greater(before, after), pc.equal(before, after)
        if pc.any(falls if undecided is None else pc.and_(falls, undecided)).as_py():
            return False
        undecided = stays if undecided is None else pc.and_(stays, undecided)
        if not pc.any(undecided).as_py():
            return True
    return True
