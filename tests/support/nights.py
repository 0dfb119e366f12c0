"""Whole nights for tests: the same step functions that Airflow calls."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any
from unittest import mock

from pipeline.definitions.gate_limits import GATES
from pipeline.lake.lake import Lake
from pipeline.lake.tables import ALL_TABLES, Partition
from pipeline.operations.deployment import Deployment
from pipeline.operations.night import Night
from pipeline.operations.steps import STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator

SHOP = """
name = "Shop"
time_zone = "Europe/Berlin"
currency = "EUR"
first_day = 2024-01-01
"""
NO_GATES = f"[gates]\noff = {json.dumps(GATES)}\n"

CUSTOMERS_SQL = "SELECT CAST(id AS VARCHAR) AS customer_id FROM customers"
ORDER_LINES_SQL = """
SELECT
  order_id,
  CAST(line AS BIGINT) AS line_number,
  CAST(customer AS VARCHAR) AS customer_id,
  CAST(sold_at AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS ordered_at,
  CAST(pieces AS DECIMAL(18, 4)) AS quantity,
  CAST(paid AS DECIMAL(18, 4)) AS net_amount,
  category
FROM orders
"""


def write_shop(folder: Path, orders: list[str], *, customers: list[str], settings: str = "") -> Path:
    """Write a company folder of two CSV files; an order is `order_id,line,customer,sold_at,pieces,paid,category`."""
    for name, text in {
        "company.toml": SHOP + settings,
        "sources/customers.sql": CUSTOMERS_SQL,
        "sources/order_lines.sql": ORDER_LINES_SQL,
        "data/customers.csv": "\n".join(["id", *customers]) + "\n",
        "data/orders.csv": "\n".join(["order_id,line,customer,sold_at,pieces,paid,category", *orders]) + "\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def run_night(company: Path, lake: Lake, day: date, *, until: str = "publish") -> None:
    """Run the steps of one night, up to and including `until`."""
    night = night_of(company, lake, day)
    for name, step in STEPS.items():
        step(night)
        if name == until:
            return


def night_of(company: Path, lake: Lake, day: date, known_on: date | None = None) -> Night:
    """Return the night of `day`, by the company's files and the limits of the environment as they are now."""
    return Night.of(Deployment.of(company, lake.root), day, known_on)


@contextmanager
def night_environment(company: Path, lake: Lake) -> Iterator[None]:
    """Name company and lake to a command that is run in the block."""
    with mock.patch.dict(os.environ, {"SEGMENTS_COMPANY": str(company), "SEGMENTS_LAKE": str(lake.root)}):
        yield


def tree_bytes(lake: Lake, *folders: str) -> Mapping[str, bytes]:
    """Return the bytes of every file below the given folders of the lake; where it is, which commands on pages say, as `LAKE`."""
    paths = [path for folder in folders for path in sorted((lake.root / folder).rglob("*")) if path.is_file()]
    root = quote(str(lake.root.resolve())).encode()
    return {
        str(path.relative_to(lake.root)): path.read_bytes().replace(root, b"LAKE") if path.suffix == ".html" else path.read_bytes()
        for path in paths
    }


def content_of(lake: Lake, *folders: str) -> Mapping[str, object]:
    """Return the bytes of every file below the folders, but of event days the rows of each version.

    Which versions share a file depends on when a month was compacted; what each of them says does not.
    """
    event_tables = [table for table in ALL_TABLES if table.partition is Partition.EVENT_DAY]
    names = {table.name for table in event_tables}
    content: dict[str, Any] = {name: found for name, found in tree_bytes(lake, *folders).items() if name.split("/")[1] not in names}
    for table in event_tables:
        for version, rows in lake.rows(table, lake.versions(table)):
            content.setdefault(f"{table.name} of {version.day} known on {version.known_on}", []).extend(rows.to_pylist())
    return content
