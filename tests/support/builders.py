"""Small tables for tests: state only the columns that matter."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from pipeline.definitions.company import Company
from pipeline.definitions.company_sections import Attribute, Source, Target
from pipeline.features import compute_features, compute_rollups
from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake, sorted_by
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMERS, ORDER_LINES, Table


def a_company(folder: Path, **overrides: Any) -> Company:
    facts: dict[str, Any] = {
        "folder": folder,
        "name": "Test company",
        "zone": ZoneInfo("Europe/Berlin"),
        "currency": "EUR",
        "first_day": date(2020, 1, 1),
        "last_day": None,
        "schedule": "0 4 * * *",
        "window_days": 365,
        "lookback_days": 3,
        "late_check_days": 30,
        "rejected_share_limit": 0.05,
        "source": Source(kind="files", folder=folder / "data"),
        "target": Target(),
        "attributes": (),
    }
    return Company(**{**facts, **overrides})


def an_attribute(column: Any, level: str = "demographic") -> Attribute:
    return Attribute(column, level)


def parsed(text: str) -> list[dict[str, str]]:
    """Read a table drawn with `|`: a header, then rows; empty cells are left out."""
    lines = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.strip().splitlines()]
    header, *rows = lines
    return [{name: cell for name, cell in zip(header, row, strict=True) if cell} for row in rows]


def an_order_line(number: int, **given: Any) -> dict[str, Any]:
    """Return one clean order line; `day` is its event day, `order_day` defaults to it."""
    day = _as_date(given["day"])
    line = {
        "day": day,
        "order_id": f"o-{given.get('customer_id')}-{day}",
        "line_number": number,
        "customer_id": "c1",
        "ordered_at": datetime(day.year, day.month, day.day, 12, tzinfo=UTC),
        "quantity": Decimal(1),
        "net_amount": Decimal(10),
        "discount_amount": Decimal(0),
        "product_id": None,
        "category": "unknown",
        "channel": "unknown",
        "line_kind": "order",
        "order_day": day,
    }
    line |= given
    line["day"], line["order_day"] = day, _as_date(line["order_day"])
    for name in ("quantity", "net_amount", "discount_amount"):
        line[name] = None if line[name] is None else Decimal(line[name])
    return line


def write_order_lines(lake: Lake, lines: list[dict[str, Any]], *, known_on: date) -> None:
    """Write clean order lines as versions known on one night."""
    by_day: dict[date, list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        by_day[line["day"]].append(line)
    for day, rows in by_day.items():
        write_rows(lake, ORDER_LINES, rows, day=day, known_on=known_on)


def write_rows(lake: Lake, table: Table, rows: list[dict[str, Any]], **partition: date) -> None:
    data = pa.Table.from_pylist([{name: row.get(name) for name in table.column_names} for row in rows], schema=table.schema)
    lake.write(table, sorted_by(data, table.key).to_batches(), **partition)


def write_customers(lake: Lake, company: Company, rows: list[dict[str, Any]], *, known_on: date) -> None:
    write_rows(lake, company.table(CUSTOMERS), [{"is_prospect": False, **row} for row in rows], known_on=known_on)


def features_by_customer(company: Company, lake: Lake, day: date, *, engine: Engine | None = None) -> dict[str, dict[str, Any]]:
    """Compute the night's rollups and features and return them by customer."""
    chosen = engine or DuckDBEngine(lake.store, memory_limit="1GB")
    compute_rollups(lake, chosen, day)
    compute_features(company, lake, chosen, day)
    if engine is None:
        chosen.close()
    return {row["customer_id"]: row for row in lake.read(company.table(CUSTOMER_FEATURES), day=day).to_pylist()}


def scored_features(r: int, f: int, m: int) -> dict[str, Any]:
    """Return features of a buyer who has these scores, by figures and frozen limits that give them: one step is one day, order or coin."""
    limits = {f"r_{score}_limit_days": 5 - score for score in range(2, 6)}
    limits |= {f"f_{score}_limit_count": score for score in range(2, 6)}
    figures = {"recency_days": 5 - r, "order_day_count": f, "lifetime_order_day_count": f, "spend_amount": Decimal(m)}
    scores = {"r_score": r, "f_score": f, "m_score": m, "fm_score": (f + m + 1) // 2}
    return {"is_prospect": False, **limits, **{f"m_{score}_limit_amount": Decimal(score) for score in range(2, 6)}, **figures, **scores}


def days_before(day: date, count: int) -> date:
    return day - timedelta(days=count)


def _as_date(value: date | str) -> date:
    return value if isinstance(value, date) else date.fromisoformat(value)
