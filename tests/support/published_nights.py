"""Nights ready to be published, and what readers of a lake and of its SQLite target see."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from pipeline.definitions.company import Company
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    CLUSTER_PROFILES,
    CUSTOMER_FEATURES,
    CUSTOMER_NEXT_ACTIONS,
    CUSTOMER_PREDICTIONS,
    CUSTOMER_SEGMENTS,
    SEGMENT_MOVES,
    SEGMENT_PROFILES,
    SEGMENT_STRATEGIES,
    Kind,
    Table,
)
from support.builders import write_rows

SCHEME = "rfm"
TARGET_TABLES = (
    "customer_segments",
    "customer_segment_history",
    "customer_profiles",
    "customer_next_actions",
    "customer_predictions",
    "segment_strategies",
    "segment_moves",
    "segment_profiles",
    "cluster_profiles",
    "publications",
)
FILLING = {Kind.TEXT: "text", Kind.INTEGER: 1, Kind.NUMBER: 0.5, Kind.MONEY: Decimal("0.1"), Kind.DATE: date(2024, 1, 1), Kind.FLAG: False}


def write_night(lake: Lake, company: Company, day: date, segments: dict[str, str]) -> None:
    """Write the published tables of a night in which each customer has one segment, one is new and one segment has a card."""
    features = company.table(CUSTOMER_FEATURES)
    sizes = Counter(segments.values())
    write_rows(lake, features, [a_row(features, customer_id=customer) for customer in segments], day=day)
    write_rows(lake, CUSTOMER_PREDICTIONS, [a_row(CUSTOMER_PREDICTIONS, customer_id=customer) for customer in segments], day=day)
    write_memberships(lake, day, {(customer, SCHEME): segment for customer, segment in segments.items()})
    profiles = [a_row(SEGMENT_PROFILES, scheme=SCHEME, segment=segment, customer_count=size) for segment, size in sizes.items()]
    write_rows(lake, SEGMENT_PROFILES, profiles, day=day)
    write_rows(lake, CLUSTER_PROFILES, [a_row(CLUSTER_PROFILES, scheme=SCHEME, segment=segment) for segment in sizes], day=day)
    first = [{"customer_id": customer, "scheme": SCHEME, "segment": segment} for customer, segment in segments.items()][:1]
    for table in (SEGMENT_MOVES, SEGMENT_STRATEGIES, CUSTOMER_NEXT_ACTIONS):
        write_rows(lake, table, [a_row(table, **row) for row in first], day=day)


def write_memberships(lake: Lake, day: date, segments: dict[tuple[str, str], str], *, evidence: str | None = "r_score=5") -> None:
    rows = [
        {"customer_id": customer, "scheme": scheme, "segment": segment, "evidence": evidence}
        for (customer, scheme), segment in segments.items()
    ]
    write_rows(lake, CUSTOMER_SEGMENTS, rows, day=day)


def a_row(table: Table, **given: Any) -> dict[str, Any]:
    """Return a row of `table` with every required column filled."""
    return {column.name: FILLING[column.kind] for column in table.columns if column.required} | given


def no_connections(name: str) -> str:
    raise AssertionError(f"nothing asks for the connection {name}")


def published_segments(lake: Lake) -> dict[str, str]:
    """Return what a reader of one fixed path sees."""
    import pyarrow.parquet as pq

    rows = pq.read_table(lake.root / "current" / "customer_segments.parquet").to_pylist()
    return {row["customer_id"]: row["segment"] for row in rows}


def published_files(lake: Lake) -> dict[str, bytes]:
    """Return the bytes behind `current`, or nothing where nothing was published."""
    link = lake.root / "current"
    return {path.name: path.read_bytes() for path in sorted(link.iterdir())} if link.exists() else {}


def manifest(lake: Lake) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((lake.root / "current" / "manifest.json").read_text("utf-8"))
    return content


def publications(lake: Lake) -> set[str]:
    return {path.name for path in (lake.root / "publications").iterdir()}


def target_rows(path: Path) -> dict[str, list[Any]]:
    """Return every row of the SQLite target, sorted, amounts as PostgreSQL writes them; nothing where it has no tables."""
    with closing(sqlite3.connect(path)) as connection:
        found = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        return {name: sorted(_rows_of(connection, name), key=repr) for name in TARGET_TABLES if name in found}


def _rows_of(connection: sqlite3.Connection, table: str) -> list[Any]:
    columns = [
        f"CASE WHEN {name} IS NOT NULL THEN printf('%.4f', {name}) END" if kind.startswith("NUMERIC") else f'"{name}"'
        for _, name, kind, *_ in connection.execute(f'PRAGMA table_info("{table}")')
    ]
    return connection.execute(f'SELECT {", ".join(columns)} FROM "{table}"').fetchall()
