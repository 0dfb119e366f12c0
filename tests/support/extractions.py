"""A small company whose source tables live in Parquet files or in PostgreSQL, read by the same queries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from pipeline.definitions.company import Company
from pipeline.definitions.company_sections import Source
from pipeline.ingestion.extract import extract
from pipeline.lake.lake import Lake
from pipeline.lake.tables import RAW_ORDER_LINES, Column, Kind, Table
from support.builders import a_company, an_attribute

BERLIN = ZoneInfo("Europe/Berlin")
CUSTOMERS_SQL = """
SELECT id AS customer_id, joined AS created_at, name AS nickname, CAST(income AS DECIMAL(18, 4)) AS income, born
FROM customers
WHERE joined IS NULL OR joined < $day_end; -- known by the end of $day_end
"""
ORDER_LINES_SQL = """
-- $day_start is a parameter only outside comments
SELECT
  order_id, line AS line_number, customer_id, sold_at AS ordered_at, pieces AS quantity, paid AS net_amount,
  discount AS discount_amount, product AS product_id, category, '$day_end' AS channel, cancelled AS is_cancelled,
  refund_of AS refunded_order_day, currency
FROM lines
WHERE (sold_at >= $day_start AND sold_at < $day_end) OR sold_at IS NULL
"""
CUSTOMERS = pa.schema(
    [
        ("id", pa.string()),
        ("joined", pa.timestamp("us", "UTC")),
        ("name", pa.string()),
        ("income", pa.decimal128(12, 2)),
        ("born", pa.date32()),
    ]
)
LINES = pa.schema(
    [
        ("order_id", pa.string()),
        ("line", pa.int32()),
        ("customer_id", pa.string()),
        ("sold_at", pa.timestamp("us", "UTC")),
        ("pieces", pa.decimal128(10, 3)),
        ("paid", pa.decimal128(12, 2)),
        ("discount", pa.decimal128(9, 4)),
        ("product", pa.string()),
        ("category", pa.string()),
        ("cancelled", pa.bool_()),
        ("refund_of", pa.date32()),
        ("currency", pa.string()),
    ]
)
SCHEMAS = {"customers": CUSTOMERS, "lines": LINES}
ATTRIBUTES = (
    an_attribute(Column("nickname", Kind.TEXT, "What people call them.", pii=True)),
    an_attribute(Column("income", Kind.MONEY, "Yearly income.")),
    an_attribute(Column("born", Kind.DATE, "Day of birth.")),
)
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Shop:
    """The rows of the source's two tables."""

    customers: Rows
    lines: Rows

    def tables(self) -> dict[str, Rows]:
        return {"customers": self.customers, "lines": self.lines}


def local(text: str, *, fold: int = 0) -> datetime:
    """Return the instant of a local time in Berlin."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN, fold=fold).astimezone(UTC)


def a_customer(number: int | str, **given: Any) -> dict[str, Any]:
    return {"id": f"c{number}", "joined": None, "name": None, "income": None, "born": None, **given}


def a_line(order: int | str, at: str | datetime | None, **given: Any) -> dict[str, Any]:
    empty = dict.fromkeys(LINES.names)
    sold_at = local(at) if isinstance(at, str) else at
    return {
        **empty,
        "order_id": f"o{order}",
        "line": 1,
        "customer_id": "c1",
        "sold_at": sold_at,
        "pieces": Decimal(1),
        "paid": Decimal("9.99"),
        **given,
    }


def a_shop_folder(folder: Path, **overrides: Any) -> Company:
    """Write the queries of the shop and return it as a company that reads files."""
    for name, text in {"customers": CUSTOMERS_SQL, "order_lines": ORDER_LINES_SQL}.items():
        write_query(folder, name, text)
    (folder / "data").mkdir(exist_ok=True)
    return a_company(folder, **{"attributes": ATTRIBUTES, "zone": BERLIN, **overrides})


def write_query(folder: Path, name: str, text: str) -> None:
    path = folder / "sources" / f"{name}.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def write_files(company: Company, shop: Shop) -> None:
    assert company.source.folder
    for name, rows in shop.tables().items():
        pq.write_table(pa.Table.from_pylist(rows, SCHEMAS[name]), company.source.folder / f"{name}.parquet")


def from_postgresql(company_folder: Path, **overrides: Any) -> Company:
    """Return the same company with its source in PostgreSQL."""
    return a_shop_folder(company_folder, source=Source(kind="postgresql", connection="shop"), **overrides)


def load_database(uri: str, shop: Shop) -> None:
    """Create the source tables with the types of the files, and fill them."""
    with psycopg.connect(uri) as connection:
        for name, rows in shop.tables().items():
            types = [f"{field.name} {_sql_type(field.type)}" for field in SCHEMAS[name]]
            connection.execute(f"CREATE TABLE {name} ({', '.join(types)})")  # type: ignore[arg-type]
            insert_rows(connection, name, rows)


def insert_rows(connection: psycopg.Connection[Any], table: str, rows: Rows) -> None:
    columns = SCHEMAS[table].names
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns)))
    with connection.cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row([row[name] for name in columns])


def run_extract(company: Company, lake: Lake, day: date, uri: str = "", **options: Any) -> None:
    def connections(name: str) -> str:
        assert name == "shop"
        return uri

    extract(company, lake, day, connections=connections, **options)


def raw_lines(lake: Lake, day: date, known_on: date, table: Table = RAW_ORDER_LINES) -> Rows:
    """Return the rows of the version of `day` that night `known_on` goes by."""
    [version] = [each for each in lake.versions_known(table, through=day, known_on=known_on) if each.day == day]
    rows: Rows = lake.read(table, day=day, known_on=version.known_on).to_pylist()
    return rows


def order_ids(lake: Lake, day: date, known_on: date) -> list[str]:
    return [row["order_id"] for row in raw_lines(lake, day, known_on)]


@contextmanager
def when_logged(text: str, act: Any) -> Iterator[None]:
    """Call `act` once, when extract logs a line that contains `text`."""
    import logging

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if text in record.getMessage() and acts:
                acts.pop()()

    acts = [act]
    logger, listener = logging.getLogger("pipeline.ingestion.extract"), Listener(logging.INFO)
    before = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(listener)
        logger.setLevel(before)
    assert not acts, f"nothing logged {text!r}"


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"numeric({kind.precision},{kind.scale})"
    return {
        pa.string(): "text",
        pa.int32(): "integer",
        pa.bool_(): "boolean",
        pa.date32(): "date",
        pa.timestamp("us", "UTC"): "timestamptz",
    }[kind]
