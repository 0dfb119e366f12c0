"""Writes the clean tables of a made-up shop into a lake, the same bytes for the same options."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa

from pipeline.lake.lake import Lake, Version
from pipeline.lake.tables import CUSTOMERS, ORDER_LINES

SQL = Path(__file__).parent / "sql"
LAST_DAY = date(2024, 12, 16)
LINES_PER_ORDER = 2.85
REFUND_SHARE = 0.0285  # of orders, one line each: 1 % of lines
BLOCK_LINES = 2_000_000
BATCH_ROWS = 131_072
UNIFORM = "CREATE MACRO uniform(who, which, seed) AS HASH(who, which, seed) / 18446744073709551616.0"
CUSTOMERS_QUERY = """
SELECT FORMAT('C{:08d}', range) AS customer_id, CAST($first_day AS TIMESTAMP) AT TIME ZONE 'UTC' AS created_at, FALSE AS is_prospect
FROM RANGE($customers)
"""


@dataclass(frozen=True, slots=True)
class Shop:
    """How much there is; the last day is always the same, so that a longer history begins earlier."""

    lines: int
    customers: int
    days: int
    seed: int = 1

    @property
    def first_day(self) -> date:
        return LAST_DAY - timedelta(days=self.days - 1)


def write_shop(shop: Shop, lake: Lake) -> int:
    """Write the order lines of each day, and a snapshot of the customers; return the number of lines."""
    lake.root.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=lake.root) as scratch, closing(orders_of(shop, Path(scratch))) as orders:
        _write_customers(shop, lake, orders)
        return sum(_write_lines(shop, lake, orders, *block) for block in blocks(shop))


def orders_of(shop: Shop, scratch: Path) -> duckdb.DuckDBPyConnection:
    """Return a database file's connection whose table `orders` holds every order and refund."""
    connection = duckdb.connect(scratch / "shop.duckdb", config={"memory_limit": "3GB", "temp_directory": str(scratch / "spill")})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(UNIFORM)
    parameters = {
        "seed": shop.seed,
        "customers": shop.customers,
        "days": shop.days,
        "first_day": shop.first_day,
        "orders": shop.lines / LINES_PER_ORDER,
        "refund_share": REFUND_SHARE,
    }
    connection.execute(f"CREATE TABLE orders AS {(SQL / 'orders.sql').read_text('utf-8')}", parameters)
    return connection


def _write_customers(shop: Shop, lake: Lake, orders: duckdb.DuckDBPyConnection) -> None:
    found = orders.sql(CUSTOMERS_QUERY, params={"first_day": shop.first_day, "customers": shop.customers})
    lake.write(CUSTOMERS, found.to_arrow_reader(BATCH_ROWS), known_on=LAST_DAY)


def _write_lines(shop: Shop, lake: Lake, orders: duckdb.DuckDBPyConnection, from_day: int, to_day: int) -> int:
    parameters = {"first_day": shop.first_day, "from_day": from_day, "to_day": to_day}
    lines: pa.RecordBatchReader = orders.sql((SQL / "order_lines.sql").read_text("utf-8"), params=parameters).to_arrow_reader(BATCH_ROWS)
    days = [shop.first_day + timedelta(days=offset) for offset in range(from_day, to_day + 1)]
    return sum(lake.write_event_days(ORDER_LINES, lines, {Version(day, day): {} for day in days}).values())


def blocks(shop: Shop) -> Iterator[tuple[int, int]]:
    """Yield first and last day of stretches that fit into memory."""
    size = max(1, BLOCK_LINES * shop.days // shop.lines)
    for start in range(0, shop.days, size):
        yield start, min(start + size, shop.days) - 1


def main() -> None:
    """Generate what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lake", type=Path, help="folder of the lake")
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--customers", type=int, default=50_000)
    parser.add_argument("--days", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    print(f"{write_shop(Shop(asked.lines, asked.customers, asked.days, asked.seed), Lake(asked.lake)):,} lines")


if __name__ == "__main__":
    main()
