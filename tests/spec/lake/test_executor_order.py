"""Rows that come in another order than was asked for end the writing of a file: its bytes would be others, and nobody would know."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.errors import TransientError
from pipeline.lake.executors.order import rows_in_order

NAMES = ["day", "customer_id"]


def batch(*rows: tuple[int, str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(
        [{"day": day, "customer_id": name} for day, name in rows], pa.schema({"day": pa.int64(), "customer_id": pa.string()})
    )


@pytest.mark.parametrize(
    "batches",
    [
        [],
        [batch()],
        [batch((1, "b"))],
        [batch((1, "a"), (1, "b"), (2, "a")), batch(), batch((2, "a"), (2, "\N{LATIN SMALL LETTER Y WITH DIAERESIS}"))],
        [batch((1, "z"), (1, "\N{GEORGIAN LETTER GHAN}"), (1, "\N{GRINNING FACE}"))],
    ],
)
def test_rows_in_order_pass(batches: list[pa.RecordBatch]) -> None:
    assert list(rows_in_order(iter(batches), NAMES)) == batches


@pytest.mark.parametrize(
    "batches",
    [
        [batch((2, "a"), (1, "a"))],
        [batch((1, "b"), (1, "a"))],
        [batch((1, "a"), (2, "b"), (2, "a"), (3, "a"))],
        [batch((1, "a"), (2, "b")), batch((2, "a"))],
        [batch((1, "a"), (2, "b")), batch(), batch((1, "c"))],
    ],
)
def test_the_first_row_out_of_order_is_refused(batches: list[pa.RecordBatch]) -> None:
    with pytest.raises(TransientError, match=r"^rows did not come in the order of day, customer_id"):
        list(rows_in_order(iter(batches), NAMES))
    assert list(rows_in_order(iter(batches), [])) == batches
