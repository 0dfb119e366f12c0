"""Rows that come in another order than was asked for end the writing of a file: its bytes would be others, and nobody would know."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.errors import TransientError
from pipeline.lake.executors.order import SortKey, rows_in_order

DAY, CUSTOMER = SortKey("day"), SortKey("customer_id")
NULLS_LAST = (DAY, CUSTOMER)
NULLS_FIRST = (DAY, SortKey("customer_id", has_nulls_first=True))
DESCENDING = (SortKey("day", is_descending=True), SortKey("customer_id", is_descending=True))


def batch(*rows: tuple[int | None, str | None]) -> pa.RecordBatch:
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
    assert list(rows_in_order(iter(batches), NULLS_LAST)) == batches


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
        list(rows_in_order(iter(batches), NULLS_LAST))
    assert list(rows_in_order(iter(batches), [])) == batches


@pytest.mark.parametrize(
    ("order", "rows"),
    [
        (NULLS_LAST, [(1, "a"), (1, None), (1, None), (2, "a"), (None, "a"), (None, None)]),
        (NULLS_FIRST, [(1, None), (1, None), (1, "a"), (2, None), (2, "a"), (None, "a")]),
        (DESCENDING, [(2, "a"), (1, "b"), (1, "a"), (1, None), (None, "b"), (None, None)]),
    ],
)
@pytest.mark.parametrize("batch_rows", [1, 2, 6])
def test_nulls_go_where_the_order_puts_them(order: tuple[SortKey, ...], rows: list[tuple[int | None, str | None]], batch_rows: int) -> None:
    def in_batches(rows: list[tuple[int | None, str | None]]) -> list[pa.RecordBatch]:
        return [batch(*rows[start : start + batch_rows]) for start in range(0, len(rows), batch_rows)]

    assert list(rows_in_order(iter(in_batches(rows)), order)) == in_batches(rows)
    for place in range(len(rows) - 1):
        swapped = [*rows[:place], rows[place + 1], rows[place], *rows[place + 2 :]]
        if swapped != rows:
            with pytest.raises(TransientError):
                list(rows_in_order(iter(in_batches(swapped)), order))
