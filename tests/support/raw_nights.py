"""Raw partitions for tests of validation, written as extraction would, and what validation made of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from pipeline.definitions.company import Company
from pipeline.lake.lake import Lake
from pipeline.lake.tables import ORDER_LINES, RAW_CUSTOMERS, RAW_ORDER_LINES, RAW_PROSPECTS, REJECTED_ROWS, VALIDATION_RESULTS
from support.builders import write_rows

Row = dict[str, Any]
NIGHT = date(2024, 1, 2)


def a_raw_line(number: int, **given: Any) -> Row:
    """Return one raw order line without fault, of its own order, sold at noon of `day`."""
    day = given.pop("day", NIGHT)
    return {
        "order_id": f"o{number}",
        "line_number": 1,
        "customer_id": "c1",
        "ordered_at": datetime(day.year, day.month, day.day, 11, tzinfo=UTC),
        "quantity": Decimal(1),
        "net_amount": Decimal(10),
        "category": "tea",
    } | given


def write_raw(
    company: Company,
    lake: Lake,
    lines: Iterable[Row],
    *,
    day: date = NIGHT,
    known_on: date = NIGHT,
    customers: Iterable[Row] = ({"customer_id": "c1"},),
    prospects: Iterable[Row] | None = None,
) -> None:
    write_rows(lake, RAW_ORDER_LINES, list(lines), day=day, known_on=known_on)
    write_rows(lake, company.table(RAW_CUSTOMERS), list(customers), known_on=known_on)
    if prospects is not None:
        write_rows(lake, company.table(RAW_PROSPECTS), list(prospects), known_on=known_on)


def clean_lines(lake: Lake, *, day: date = NIGHT, known_on: date = NIGHT) -> list[Row]:
    return lake.read(ORDER_LINES, day=day, known_on=known_on).to_pylist()


def rejected(lake: Lake, *, night: date = NIGHT) -> list[Row]:
    return lake.read(REJECTED_ROWS, day=night).to_pylist()


def results(lake: Lake, *, night: date = NIGHT) -> dict[tuple[str, str], Row]:
    return {(row["source_table"], row["rule"]): row for row in lake.read(VALIDATION_RESULTS, day=night).to_pylist()}
