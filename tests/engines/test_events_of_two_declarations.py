"""Days of an event that were read before a column was declared: unknown there, on both engines."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlglot import exp, parse_one
from support.builders import write_rows
from support.local_spark import SparkOver

from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import Column, EventType, Kind

OLD, NEW = date(2024, 3, 1), date(2024, 4, 2)
LATER = (
    Column("name", Kind.TEXT, ""),
    Column("count", Kind.INTEGER, ""),
    Column("score", Kind.NUMBER, ""),
    Column("cost", Kind.MONEY, ""),
    Column("is_open", Kind.FLAG, ""),
    Column("due_date", Kind.DATE, ""),
    Column("closed_at", Kind.INSTANT, ""),
)
BEFORE = EventType(
    "tickets", "Tickets", "", ("ticket_id",), Column("opened_at", Kind.INSTANT, "", required=True), (Column("ticket_id", Kind.TEXT, ""),)
)
AFTER = replace(BEFORE, columns=(*BEFORE.columns, *LATER))
NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
GIVEN = {"name": "n", "count": 7, "score": 0.5, "cost": Decimal("1.2500"), "is_open": True, "due_date": NEW, "closed_at": NOON}


def rows_of(engine: Engine, lake: Lake) -> list[dict[str, Any]]:
    engine.register(AFTER.table, lake.parts(AFTER.table, lake.versions(AFTER.table)))
    query = parse_one("SELECT * FROM tickets ORDER BY ticket_id", into=exp.Select, read="duckdb")
    rows: list[dict[str, Any]] = engine.run(query, {}).read_all().to_pylist()
    return rows


def test_both_engines_read_old_and_new_files_alike(tmp_path: Path, spark: SparkOver) -> None:
    lake = Lake(tmp_path / "lake")
    write_rows(lake, BEFORE.table, [{"ticket_id": "a", "customer_id": "c", "opened_at": NOON}], day=OLD, known_on=NEW)
    write_rows(lake, AFTER.table, [{"ticket_id": "b", "customer_id": "c", "opened_at": NOON, **GIVEN}], day=NEW, known_on=NEW)
    with closing(DuckDBEngine(lake.store)) as engine:
        found = rows_of(engine, lake)
    assert [{name: row[name] for name in GIVEN} for row in found] == [dict.fromkeys(GIVEN), GIVEN]
    assert [{**row, "opened_at": row["opened_at"].astimezone(UTC)} for row in rows_of(spark(lake), lake)] == found
