"""New companies made of small files, without a terminal."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.onboarding.layouts import layout_of
from pipeline.onboarding.layouts.layout import TablePart, TableReading
from pipeline.onboarding.new_company import NewCompany, make_company
from pipeline.onboarding.questions import Settings
from pipeline.onboarding.table_sample import TableSample

EXPORTS = Path(__file__).resolve().parents[1] / "spec" / "onboarding" / "exports"
ANSWERS = {"time_zone": "Europe/Berlin", "currency": "EUR"}
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def init(folder: Path, files: Mapping[str, str | bytes], settings: Mapping[str, str] | None = None, *, now: datetime = NOW) -> NewCompany:
    """Write `files` beside the company `folder`, then make the company of them; questions that stay open are an error."""
    paths = []
    for name, content in files.items():
        path = folder.parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        paths.append(path)
    return make_company(folder, paths, Settings(dict(settings or {})), ask=None, command="segments init shop", now=now)


def parquet(columns: Mapping[str, Sequence[object]]) -> bytes:
    """Return a file whose columns have types of their own."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({name: list(values) for name, values in columns.items()}), sink)
    return bytes(sink.getvalue())


def export(name: str) -> str:
    """Return a made-up export."""
    return (EXPORTS / name).read_text("utf-8")


def lines_of(made: NewCompany) -> list[dict[str, Any]]:
    """Return the order lines in the order of their key."""
    rows = made.read["order_lines"].rows
    return list(rows.sort_by([("order_id", "ascending"), ("line_number", "ascending")]).to_pylist())


def net_by_order(made: NewCompany) -> dict[str, Decimal]:
    """Return what was paid for each order that counts, less what was given back."""
    found: dict[str, Decimal] = {}
    for line in lines_of(made):
        if not line["is_cancelled"]:
            found[line["order_id"]] = found.get(line["order_id"], Decimal()) + line["net_amount"]
    return found


def people_of(made: NewCompany) -> dict[str, dict[str, Any]]:
    """Return the customers by id."""
    return {row["customer_id"]: row for row in made.read["customers"].rows.to_pylist()}


def part_of(
    columns: Mapping[str, list[str | None]], settings: Mapping[str, str] | None = None, *, currency: str = "EUR"
) -> tuple[TablePart, TableReading]:
    """Return what a table of text gives a company, and what was found while it was read."""
    sample = TableSample(
        "orders", pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}), (Path("orders.csv"),)
    )
    chosen = Settings(dict(settings or {}))
    layout = layout_of(sample, chosen)
    reading = TableReading(sample, chosen, zone="Europe/Berlin", currency=currency)
    return layout.read(reading), reading


def columns_of(text: str) -> dict[str, list[str | None]]:
    """Return the columns of a CSV file; an empty cell is none."""
    names, *rows = csv.reader(text.splitlines())
    return {name: [cell or None for cell in cells] for name, cells in zip(names, zip(*rows, strict=True), strict=True)}


def query_lines(
    columns: Mapping[str, list[str | None]],
    settings: Mapping[str, str] | None = None,
    *,
    currency: str = "EUR",
    later: Mapping[str, list[str | None]] | None = None,
) -> list[dict[str, Any]]:
    """Return the lines that a table of text gives by its own SQL, or those of a `later` one by the same."""
    part, reading = part_of(columns, settings, currency=currency)
    rows = pa.table({name: pa.array(values, pa.string()) for name, values in later.items()}) if later else reading.sample.rows
    with duckdb.connect() as connection:
        connection.sql("SET TimeZone = 'UTC'")
        connection.register("orders", rows)
        return list(
            connection.sql(f"WITH {part.lines} SELECT * FROM orders_lines ORDER BY order_id, line_number").to_arrow_table().to_pylist()
        )
