"""Memberships of several sources come side by side in windows, however each source is cut into batches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pyarrow as pa
import pytest

from pipeline.segmentation.membership_windows import membership_windows

COLUMNS = ["customer_id", "scheme", "segment"]
# Beside letters of one byte some of more: their order is that of their bytes. No source has all customers.
OPEN = [("a", "rfm", "new"), ("a", "vip", "member"), ("b", "rfm", "lost"), ("d", "rfm", "new"), ("ı", "vip", "member")]
SEGMENTS = [("a", "rfm", "loyal"), ("b", "rfm", "lost"), ("c", "rfm", "new"), ("z", "rfm", "new"), ("ქ", "rfm", "new")]
MEMBERS = [("a", "big", "member"), ("a", "vip", "member"), ("z", "vip", "member")]


def batches(rows: list[tuple[str, str, str]], size: int, *, is_dictionary: bool) -> Iterator[pa.RecordBatch]:
    yield pa.RecordBatch.from_pylist([], schema=pa.schema([(name, pa.string()) for name in COLUMNS]))
    for start in range(0, len(rows), size):
        columns = [pa.array(column, pa.string()) for column in zip(*rows[start : start + size], strict=True)]
        yield pa.RecordBatch.from_arrays([column.dictionary_encode() if is_dictionary else column for column in columns], COLUMNS)


@pytest.mark.parametrize("is_dictionary", [True, False])
@pytest.mark.parametrize("sizes", list(product((1, 2, 9), repeat=3)))
def test_every_row_comes_once_and_equal_keys_are_equal_numbers_of_one_window(sizes: tuple[int, int, int], *, is_dictionary: bool) -> None:
    sources = (OPEN, SEGMENTS, MEMBERS)
    cut = [batches(rows, size, is_dictionary=is_dictionary) for rows, size in zip(sources, sizes, strict=True)]
    found: list[list[tuple[str, str, str]]] = [[], [], []]
    last = ("", "")
    for window in membership_windows(cut):
        told = []
        for place, rows in enumerate(window.rows):
            numbered = [column.to_pylist() for column in window.memberships(window.keys[place], window.segment_codes[place])]
            named = list(zip(*numbered, strict=True))
            assert named == [tuple(row.values()) for row in rows.select(COLUMNS).to_pylist()]
            assert sorted(window.keys[place]) == list(window.keys[place])
            found[place] += named
            told += [row[:2] for row in named]
        assert min(told) > last
        last = max(told)
    assert found == [*sources]
