"""SQLite and DuckDB files are sources: read as of one moment, amounts to the cent, nothing written, nothing else to be read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.extractions import a_shop_folder, raw_lines, run_extract, write_query
from support.nights import tree_bytes

from pipeline.definitions.company import Company
from pipeline.definitions.company_sections import Source
from pipeline.errors import ConfigError, DataError, PipelineError, SchemaDrift, TransientError
from pipeline.lake.lake import Lake

DAY = date(2024, 3, 10)
TYPES = {"orders": {"paid": "DECIMAL(18,4)", "line": "BIGINT"}}
QUERY = """SELECT order_no AS order_id, line AS line_number, customer AS customer_id,
  CAST(sold_at AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS ordered_at, CAST(1 AS DECIMAL(18, 4)) AS quantity, paid AS net_amount
FROM orders WHERE CAST(sold_at AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' < $day_end"""
ORDERS = [("A1", 1, "c1", "2024-03-05 10:00:00", 19.99), ("A1", 2, "c1", "2024-03-05 10:00:00", 0.1 + 0.2)]


def a_shop(folder: Path, kind: str, types: Mapping[str, Mapping[str, str]] | None = None) -> Company:
    source = Source(kind=kind, file=folder / "shop.db", column_types=types)  # type: ignore[arg-type]
    company = a_shop_folder(folder / "shop", attributes=(), source=source)
    write_query(company.folder, "customers", "SELECT id AS customer_id FROM customers")
    write_query(company.folder, "order_lines", QUERY)
    return company


def write_sqlite(path: Path, *more: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE customers (id TEXT PRIMARY KEY)")
        database.execute("INSERT INTO customers VALUES ('c1')")
        database.execute("CREATE TABLE orders (order_no, line INTEGER, customer TEXT, sold_at TEXT, paid)")
        database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", ORDERS)
        for statement in more:
            database.execute(statement)


def write_duckdb(path: Path, *more: str) -> None:
    with duckdb.connect(path) as database:
        database.execute("CREATE TABLE customers AS SELECT 'c1' AS id")
        database.execute("CREATE TABLE orders (order_no TEXT, line BIGINT, customer TEXT, sold_at TEXT, paid DECIMAL(18, 2))")
        database.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?)", ORDERS)
        for statement in more:
            database.execute(statement)


@pytest.fixture
def sqlite(tmp_path: Path) -> Company:
    write_sqlite(tmp_path / "shop.db")
    return a_shop(tmp_path, "sqlite", TYPES)


def amounts(company: Company, lake: Lake) -> list[Decimal]:
    run_extract(company, lake, DAY)
    return sorted(row["net_amount"] for row in raw_lines(lake, date(2024, 3, 5), DAY))


def refusal(company: Company, lake: Lake) -> PipelineError:
    with pytest.raises(PipelineError) as refused:
        run_extract(company, lake, DAY)
    assert tree_bytes(lake, "tables", "staging") == {}
    assert refused.value.todo
    return refused.value


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
def test_amounts_are_read_to_the_cent_and_the_file_stays_as_it_is(tmp_path: Path, lake: Lake, kind: str) -> None:
    {"sqlite": write_sqlite, "duckdb": write_duckdb}[kind](tmp_path / "shop.db")
    company = a_shop(tmp_path, kind, TYPES)
    before = (tmp_path / "shop.db").read_bytes()
    assert amounts(company, lake) == [Decimal("0.3000"), Decimal("19.9900")]
    assert (tmp_path / "shop.db").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["shop.db"]


def test_money_that_is_text_in_one_row_and_a_number_in_the_next_is_read_alike(sqlite: Company, lake: Lake) -> None:
    assert sqlite.source.file
    with closing(sqlite3.connect(sqlite.source.file)) as database, database:
        for paid in ("1050.00", 95, None):
            database.execute("INSERT INTO orders VALUES ('A2', 1, 'c1', '2024-03-05 10:00:00', ?)", (paid,))
        assert {kind for (kind,) in database.execute("SELECT typeof(paid) FROM orders")} == {"real", "text", "integer", "null"}
    write_query(sqlite.folder, "order_lines", QUERY.replace("WHERE", "WHERE paid IS NOT NULL AND"))
    assert amounts(sqlite, lake) == [Decimal("0.3"), Decimal("19.99"), Decimal(95), Decimal(1050)]


def test_a_view_is_a_table_and_names_may_be_anything(tmp_path: Path, lake: Lake) -> None:
    write_sqlite(tmp_path / "shop.db", "CREATE VIEW \"orders / all\" AS SELECT *, x'00ff' AS token FROM orders")
    company = a_shop(tmp_path, "sqlite", {"orders / all": TYPES["orders"]})
    write_query(
        company.folder,
        "order_lines",
        QUERY.replace("FROM orders", 'FROM "orders / all" AS orders').replace("WHERE", "WHERE token = '00ff' AND"),
    )
    assert len(amounts(company, lake)) == 2


def test_rows_that_are_written_in_the_meantime_are_not_seen(tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sqlite(tmp_path / "shop.db", "PRAGMA user_version = 1")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as other:
        other.execute("PRAGMA journal_mode = WAL")
        company = a_shop(tmp_path, "sqlite", TYPES)
        from pipeline.ingestion.sources import sqlite as module

        read = module._read_table

        def reading_late(database: sqlite3.Connection, name: str, path: Path, **given: Any) -> Any:
            if name == "orders":  # customers are read by then
                other.execute("INSERT INTO orders SELECT 'A9', line, 'c9', sold_at, paid FROM orders")
                other.commit()
            return read(database, name, path, **given)

        monkeypatch.setattr(module, "_read_table", reading_late)
        assert len(amounts(company, lake)) == 2


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (
            "INSERT INTO orders VALUES ('A3', 1, 'c1', '2024-03-05', 'secret')",
            DataError,
            "shop.db, table orders: paid is no DECIMAL(18,4) in row 3",
        ),
        ("INSERT INTO orders VALUES ('A3', 1, 'c1', 'secret', 1)", DataError, "shop.db, table orders: sold_at is no TIMESTAMP in row 3"),
        ("ALTER TABLE orders RENAME COLUMN paid TO payed", ConfigError, "names `paid`, which no file has (did you mean `payed`?)"),
        ("ALTER TABLE orders RENAME COLUMN customer TO client", SchemaDrift, "names the column `customer`, which the source does not have"),
        ("ALTER TABLE orders RENAME TO order_lines", ConfigError, "names a table that the source does not have"),
        ("DROP TABLE customers", ConfigError, "the source has no table `customers`"),
    ],
)
def test_what_does_not_fit_is_named(sqlite: Company, lake: Lake, change: str, kind: type[PipelineError], words: str) -> None:
    assert sqlite.source.file
    with closing(sqlite3.connect(sqlite.source.file)) as database, database:
        database.execute(change)
    error = refusal(sqlite, lake)
    assert words in error.what
    assert isinstance(error, kind)
    assert "secret" not in f"{error.what} {error.todo}"


@pytest.mark.parametrize("kind", ["sqlite", "duckdb"])
@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda path: path.unlink(), ConfigError, "the source's file does not exist"),
        (lambda path: path.write_bytes(b"order,paid\n" * 999), DataError, "shop.db is no"),
        (lambda path: (path.unlink(), path.mkdir()), ConfigError, "the source's file does not exist"),
    ],
    ids=["gone", "text", "folder"],
)
def test_a_file_that_is_no_database_says_so(
    tmp_path: Path, lake: Lake, kind: str, make: Callable[[Path], object], error: type[PipelineError], words: str
) -> None:
    {"sqlite": write_sqlite, "duckdb": write_duckdb}[kind](tmp_path / "shop.db")
    make(tmp_path / "shop.db")
    found = refusal(a_shop(tmp_path, kind), lake)
    assert isinstance(found, error)
    assert words in found.what
    assert found.where.endswith("shop.db")


def test_a_locked_database_is_tried_again_later(sqlite: Company, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.ingestion.sources import sqlite as module

    monkeypatch.setattr(module, "_WAIT_SECONDS", 0.05)
    assert sqlite.source.file
    with closing(sqlite3.connect(sqlite.source.file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert isinstance(refusal(sqlite, lake), TransientError)


@pytest.mark.parametrize(
    ("query", "kind", "words"),
    [
        (QUERY.replace("orders", "order_lines"), ConfigError, "the source has no table `order_lines`"),
        (QUERY.replace("customer AS", "client AS"), SchemaDrift, "names the column `client`, which the source does not have"),
        (QUERY.replace("FROM orders", "FROM read_csv('/etc/passwd') AS orders"), ConfigError, "cannot be run"),
        ("DELETE FROM orders", ConfigError, "order_lines.sql is no SELECT"),
    ],
)
def test_a_query_over_a_duckdb_file_that_does_not_fit_says_so(
    tmp_path: Path, lake: Lake, query: str, kind: type[PipelineError], words: str
) -> None:
    write_duckdb(tmp_path / "shop.db")
    company = a_shop(tmp_path, "duckdb")
    write_query(company.folder, "order_lines", query)
    error = refusal(company, lake)
    assert words in error.what
    assert isinstance(error, kind)
