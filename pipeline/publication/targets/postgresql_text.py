"""Rows as the text that PostgreSQL's COPY takes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

COPY_ESCAPES = (("\\", r"\\"), ("\t", r"\t"), ("\n", r"\n"), ("\r", r"\r"))


def copy_text(batch: pa.RecordBatch) -> memoryview:
    r"""Return the rows of `batch` in PostgreSQL's text format: a line each, tabs between, `\N` for no value."""
    # By Arrow, a column at a time, and its own bytes: rows that Python holds one by one take several times as long.
    *columns, last = (_column_copy_text(column) for column in batch.columns)
    lines = pc.binary_join_element_wise(*columns, pc.binary_join_element_wise(last, "\n", ""), "\t")
    _, ends, text = lines.buffers()
    places = np.frombuffer(ends, np.int32, len(lines) + 1, lines.offset * 4)
    return memoryview(text or b"")[places[0] : places[-1]]


def _column_copy_text(values: pa.Array) -> pa.Array:
    if not pa.types.is_string(values.type):
        return pc.fill_null(values.cast(pa.string()), r"\N")
    # Most texts repeat: each is escaped once.
    encoded = values.dictionary_encode()
    is_repetitive = len(encoded.dictionary) * 2 < len(values)
    text = encoded.dictionary if is_repetitive else values
    for character, escape in COPY_ESCAPES:
        text = pc.replace_substring(text, character, escape)
    return pc.fill_null(text.take(encoded.indices) if is_repetitive else text, r"\N")
