"""The lists that a customer is on as one text of JSON: made column by column, as customers come in the order of their ids."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.publication.crm.staged_tables import SEGMENT_LISTS

Brackets = tuple[str, str]


def json_of_customers(batches: Iterable[pa.RecordBatch], columns: Sequence[str], brackets: Brackets) -> Iterator[pa.RecordBatch]:
    """Yield a row per customer: the id, and `columns` of all rows in their order as JSON between the two `brackets`.

    Of two columns the first is the key and the second its value. Rows are sorted by customer.
    """
    waiting: pa.RecordBatch | None = None
    for batch in batches:
        rows = pa.RecordBatch.from_arrays(
            [batch["customer_id"], pc.binary_join_element_wise(*(_json_texts(batch[name]) for name in columns), ":")],
            names=["customer_id", "text"],
        )
        rows = pa.concat_batches([waiting, rows]) if waiting is not None else rows
        # The last customer's rows may go on in the next batch.
        whole = _rows_before_last_customer(rows)
        if whole:
            yield _joined(rows.slice(0, whole), brackets)
        waiting = rows.slice(whole)
    if waiting is not None and waiting.num_rows:
        yield _joined(waiting, brackets)


def _json_texts(values: pa.Array) -> pa.Array:
    encoded = values.dictionary_encode()
    return pa.array([json.dumps(text, ensure_ascii=False) for text in encoded.dictionary.to_pylist()], pa.string()).take(encoded.indices)


def _starts(ids: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    """Return the place of each customer's first row."""
    is_other = pc.not_equal(ids.slice(1), ids.slice(0, max(len(ids) - 1, 0))).to_numpy(zero_copy_only=False)
    return np.concatenate([np.zeros(min(len(ids), 1), np.int32), np.flatnonzero(is_other).astype(np.int32) + 1])


def _rows_before_last_customer(rows: pa.RecordBatch) -> int:
    starts = _starts(rows["customer_id"])
    return int(starts[-1]) if len(starts) else 0


def _joined(rows: pa.RecordBatch, brackets: Brackets) -> pa.RecordBatch:
    starts = _starts(rows["customer_id"])
    lists = pa.ListArray.from_arrays(pa.array(np.append(starts, np.int32(rows.num_rows)), pa.int32()), rows["text"])
    opening, closing = brackets
    texts = pc.binary_join_element_wise(opening, pc.binary_join(lists, ","), closing, "")
    return pa.RecordBatch.from_arrays([rows["customer_id"].take(pa.array(starts)), texts], names=SEGMENT_LISTS.column_names)
