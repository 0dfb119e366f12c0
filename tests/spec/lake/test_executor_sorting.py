"""An executor sorts the rows of its task itself where the server does not, whatever fits its memory."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta

import pyarrow as pa
import pytest

from pipeline.lake.executors import sorting
from pipeline.lake.executors.order import SortKey, rows_in_order
from pipeline.lake.executors.sorting import SortingWriter, sorted_rows

ORDER = (SortKey("day"), SortKey("customer_id"))
SCHEMA = pa.schema({"day": pa.date32(), "customer_id": pa.string(), "amount": pa.decimal128(18, 4), "seen_at": pa.timestamp("us", "UTC")})
LETTERS = ("a", "Z", "\N{LATIN SMALL LETTER Y WITH DIAERESIS}", "\N{GEORGIAN LETTER GHAN}", "\N{GRINNING FACE}")


def shuffled(count: int) -> pa.Table:
    """Return rows with keys of their own on a few days, in no order."""
    numbers = random.Random(7).sample(range(count), count)
    rows = [{"day": date(9999, 12, 31) - timedelta(number % 7), "customer_id": f"{LETTERS[number % 5]}{number}"} for number in numbers]
    return pa.Table.from_pylist(rows, SCHEMA)


@pytest.mark.parametrize("run_bytes", [1, 4_000, 1 << 20], ids=["a run for each batch", "several runs", "one run"])
def test_rows_come_in_the_order_of_their_keys(run_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "BATCH_ROWS", 30)
    rows = shuffled(1_000)
    found = list(rows_in_order(sorted_rows(iter(rows.to_batches(77)), ORDER, run_bytes=run_bytes), ORDER))
    assert pa.Table.from_batches(found) == rows.sort_by([(key.name, "ascending") for key in ORDER])
    assert max(batch.num_rows for batch in found) <= 30


@pytest.mark.parametrize("run_bytes", [1, 4_000, 1 << 20], ids=["a run for each batch", "several runs", "one run"])
@pytest.mark.parametrize("has_nulls_first", [True, False])
@pytest.mark.parametrize("is_descending", [True, False])
def test_nulls_go_where_each_key_says(run_bytes: int, has_nulls_first: bool, is_descending: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "BATCH_ROWS", 30)
    category, channel = SortKey("category", is_descending, has_nulls_first), SortKey("channel", has_nulls_first=not has_nulls_first)
    order = (category, channel, SortKey("number"))
    rows = pa.table(
        {
            "category": [None if number % 5 == 0 else f"c{number % 7}" for number in range(600)],
            "channel": [None if number % 3 == 0 else f"w{number % 4}" for number in range(600)],
            "number": [number * 7919 % 600 for number in range(600)],
        }
    )
    found = list(rows_in_order(sorted_rows(iter(rows.to_batches(77)), order, run_bytes=run_bytes), order))
    assert pa.Table.from_batches(found).sort_by("number") == rows.sort_by("number")


def test_no_rows_stay_no_rows() -> None:
    assert list(sorted_rows(iter([]), ORDER)) == []


def test_a_run_that_ends_with_its_batch_is_merged_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "BATCH_ROWS", 10)
    later, sooner = shuffled(40).sort_by("customer_id").slice(20), shuffled(40).sort_by("customer_id").slice(0, 20)
    batches = [piece for rows in (later, sooner) for piece in rows.combine_chunks().to_batches()]
    found = pa.Table.from_batches(list(sorted_rows(iter(batches), [SortKey("customer_id")], run_bytes=1)))
    assert found == shuffled(40).sort_by("customer_id")


def test_a_writer_is_given_what_it_was_promised() -> None:
    def first_ids(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from (batch.select(["customer_id"]).slice(0, 1) for batch in batches)

    [found] = SortingWriter(first_ids, [SortKey("customer_id")])(iter(shuffled(50).to_batches(10)))
    assert found.column(0).to_pylist() == ["Z1"]
