"""Law 4: every raw row is in the clean table or among the rejected ones, and money adds up exactly, whatever the rows."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.builders import a_company, write_rows
from support.nights import tree_bytes

from pipeline.ingestion.validate import validate_sources
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMERS, ORDER_LINES, RAW_CUSTOMERS, RAW_ORDER_LINES, RAW_PROSPECTS, REJECTED_ROWS

NIGHT = date(2024, 3, 31)  # a day of 23 hours in Berlin
DAYS = [NIGHT - timedelta(days=back) for back in (40, 2, 1, 0)]
LIMIT = Decimal("99999999999999.9999")
Rows = list[dict[str, Any]]

texts = (
    st.none()
    | st.sampled_from(["", " ", "a", "b", "a ", "A", "\u0131", "🫖", "a\0", "\u202eא"])
    | st.text(st.characters(codec="utf-8"), max_size=4)
)
ids = st.sampled_from(["a", "b", "c", "d"]) | texts
amounts = st.none() | st.sampled_from([Decimal(0), Decimal("-0.0001"), LIMIT, -LIMIT]) | st.decimals(-LIMIT, LIMIT, places=4)
any_time = st.datetimes(timezones=st.just(UTC))
this_night = st.integers(-30, 30).map(lambda hours: datetime(2024, 3, 31, tzinfo=UTC) + timedelta(hours=hours))
instants = st.none() | any_time | this_night
lines = st.fixed_dictionaries(
    {
        "order_id": ids,
        "line_number": st.none() | st.integers(1, 2) | st.integers(-(2**63), 2**63 - 1),
        "customer_id": ids,
        "ordered_at": instants,
        "quantity": amounts,
        "net_amount": amounts,
        "discount_amount": amounts,
        "product_id": texts,
        "category": texts,
        "channel": texts,
        "is_cancelled": st.none() | st.booleans(),
        "refunded_order_day": st.none() | st.dates() | st.sampled_from(DAYS),
        "currency": st.sampled_from([None, "EUR", "EUR", "USD", ""]),
    }
)
sound_line = {
    "line_number": 1,
    "customer_id": "a",
    "ordered_at": datetime(2024, 3, 30, 12, tzinfo=UTC),
    "quantity": Decimal(1),
    "net_amount": Decimal("0.1"),
}
nearly_sound = st.builds(
    lambda base, changed: {**base, **changed}, st.just(sound_line), st.fixed_dictionaries({"order_id": st.sampled_from("abcdef")})
)
order_lines = st.lists(lines | nearly_sound, max_size=12)
people = st.lists(st.fixed_dictionaries({"customer_id": ids, "created_at": instants}), max_size=8)


def write_sources(lake: Lake, days: list[Rows], customers: Rows, prospects: Rows) -> None:
    for day, rows in zip(DAYS, days, strict=True):
        write_rows(lake, RAW_ORDER_LINES, rows, day=day, known_on=NIGHT)
    write_rows(lake, RAW_CUSTOMERS, [{"customer_id": "always here"}, *customers], known_on=NIGHT)
    write_rows(lake, RAW_PROSPECTS, prospects, known_on=NIGHT)


def validated(root: Path, days: list[Rows], customers: Rows, prospects: Rows, *, batch_rows: int) -> Lake:
    lake = Lake(root)
    write_sources(lake, days, customers, prospects)
    validate_sources(a_company(root, rejected_share_limit=1.0), lake, NIGHT, batch_rows=batch_rows)
    return lake


def fingerprints(rows: Iterable[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    """Return how often each row occurs, by what validation must not change."""
    return Counter(
        (row["order_id"], row["line_number"], row["customer_id"], _money(row["quantity"]), _money(row["net_amount"])) for row in rows
    )


def _money(value: Decimal | str | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def rejected(lake: Lake, table: str, day: date | None) -> Rows:
    rows = lake.read(REJECTED_ROWS, day=NIGHT).to_pylist()
    return [json.loads(row["row"]) for row in rows if (row["source_table"], row["source_day"]) == (table, day)]


def total(rows: Iterable[dict[str, Any]]) -> Decimal:
    return sum((Decimal(row["net_amount"]) for row in rows if row["net_amount"] is not None), Decimal(0))


@settings(max_examples=8, deadline=None, derandomize=True)
@given(days=st.tuples(order_lines, order_lines, order_lines, order_lines), customers=people, prospects=people)
def test_every_row_is_clean_or_rejected_and_money_adds_up_exactly(days: tuple[Rows, ...], customers: Rows, prospects: Rows) -> None:
    with tempfile.TemporaryDirectory() as folder:
        lake = validated(Path(folder), list(days), customers, prospects, batch_rows=250_000)
        for day, raw in zip(DAYS, days, strict=True):
            clean = lake.read(ORDER_LINES, day=day, known_on=NIGHT).to_pylist()
            aside = rejected(lake, "raw_order_lines", day)
            assert fingerprints(raw) == fingerprints(clean) + fingerprints(aside)
            assert total(raw) == total(clean) + total(aside)
            assert all(row[name] is not None for row in clean for name in ("customer_id", "net_amount", "line_kind", "order_day"))
        stored = lake.read(CUSTOMERS, known_on=NIGHT)["customer_id"].to_pylist()
        kept = {
            name: Counter(row["customer_id"] for row in raw) - Counter(row["customer_id"] for row in rejected(lake, name, None))
            for name, raw in (("raw_customers", [{"customer_id": "always here"}, *customers]), ("raw_prospects", prospects))
        }
        assert stored == sorted(kept["raw_customers"] | kept["raw_prospects"])


@settings(max_examples=4, deadline=None, derandomize=True)
@given(days=st.tuples(order_lines, order_lines, order_lines, order_lines), customers=people, prospects=people, seed=st.integers(0, 99))
def test_neither_row_order_nor_batch_size_changes_a_byte(days: tuple[Rows, ...], customers: Rows, prospects: Rows, seed: int) -> None:
    shuffle = Random(seed).sample
    with tempfile.TemporaryDirectory() as folder:
        plain = validated(Path(folder) / "plain", list(days), customers, prospects, batch_rows=250_000)
        shuffled = [shuffle(rows, len(rows)) for rows in days]
        other = validated(
            Path(folder) / "other",
            shuffled,
            shuffle(customers, len(customers)),
            shuffle(prospects, len(prospects)),
            batch_rows=2 + seed % 6,
        )
        outputs = ("tables/order_lines", "tables/customers", "tables/rejected_rows", "tables/validation_results", "reports")
        assert tree_bytes(other, *outputs) == tree_bytes(plain, *outputs)
