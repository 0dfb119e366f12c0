"""What a night reads from a real PostgreSQL: the same as from files, of one moment, and nothing it must not."""

from __future__ import annotations

import json
import logging
import traceback
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import product
from operator import itemgetter
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
import pyarrow as pa
import pytest
from support.extractions import (
    Shop,
    a_customer,
    a_line,
    a_shop_folder,
    an_attribute,
    from_postgresql,
    insert_rows,
    load_database,
    local,
    order_ids,
    raw_lines,
    run_extract,
    when_logged,
    write_files,
    write_query,
)
from support.nights import tree_bytes

from pipeline.definitions.company import Company
from pipeline.errors import ConfigError, DataError, PipelineError, SchemaDrift, TransientError
from pipeline.ingestion.validate import validate_sources
from pipeline.lake.lake import Lake
from pipeline.lake.tables import LATE_DAYS, MISDATED_DAYS, RAW_CUSTOMERS, RAW_ORDER_LINES, REJECTED_ROWS, Column, Kind

DAY = date(2024, 3, 31)
LINES_SQL = "SELECT order_id, line AS line_number, customer_id, sold_at AS ordered_at, pieces AS quantity, paid AS net_amount FROM lines"
NAMES = [
    "\u0131stanbul", "\u0130stanbul", "ISTANBUL", "\u10e5\u10d0\u10e0\u10d7", "\u1ca5\u1c90\u1ca0\u1c97", "e\u0301", "\u00e9",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\u202eright", "", " ", 'a;b\n"c"\\N', "$day_start", None,
]  # fmt: skip


def a_shop() -> Shop:
    """Return rows at every edge that could tell two databases apart."""
    edges = [
        a_line(1, "2024-03-30 23:59:59.999999"), a_line(2, "2024-03-31 00:00"), a_line(3, "2024-03-31 01:59:59.999999"),
        a_line(4, "2024-03-31 03:00"), a_line(5, "2024-03-31 23:59:59.999999"), a_line(6, "2024-04-01 00:00"),
        a_line(7, datetime(2023, 10, 29, 0, 30, tzinfo=UTC)), a_line(8, datetime(2023, 10, 29, 1, 30, 0, 123456, tzinfo=UTC)),
        a_line(9, None), a_line(10, local("2022-02-28 12:00"), refund_of=date(2020, 2, 29), cancelled=True, currency="EUR"),
        a_line(11, datetime(1, 1, 1, tzinfo=UTC)), a_line(12, datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), cancelled=False),
    ]  # fmt: skip
    amounts = ["0", "0.01", "-0.01", "9999999999.99", "-9999999999.99", "1234.50"]
    money = [a_line(f"m{n}", "2024-03-29 10:00", paid=Decimal(paid), pieces=Decimal("-0.001"), discount=Decimal("12345.6789"))
             for n, paid in enumerate(amounts)]  # fmt: skip
    text = [a_line(f"t{n}", "2024-03-29 10:00", customer_id=name, product=name, category=name) for n, name in enumerate(NAMES)]
    people = [a_customer(n, name=name, income=Decimal(n) / 4, born=date(1900, 2, 28), joined=local("2024-03-31 23:59:59.999999"))
              for n, name in enumerate(NAMES)]  # fmt: skip
    return Shop([*people, a_customer("late", joined=local("2024-04-01 00:00"))], [*edges, *money, *text])


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return from_postgresql(tmp_path / "shop")


def refusal(company: Company, lake: Lake, uri: str) -> PipelineError:
    """Return the error of a night that must leave nothing behind."""
    with pytest.raises(PipelineError) as refused:
        run_extract(company, lake, DAY, uri)
    assert tree_bytes(lake, "tables", "staging") == {}
    return refused.value


def shown(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def test_one_company_gives_the_same_bytes_from_files_and_from_postgresql(postgres_uri: str, tmp_path: Path) -> None:
    shop, late = a_shop(), a_line("late", "2024-03-30 08:00", category="\u0131")
    company, lakes = a_shop_folder(tmp_path / "shop"), [Lake(tmp_path / "files"), Lake(tmp_path / "postgresql")]
    write_files(company, shop)
    run_extract(company, lakes[0], DAY)
    write_files(company, Shop(shop.customers, [late, *shop.lines]))
    run_extract(company, lakes[0], date(2024, 4, 1))

    company = from_postgresql(tmp_path / "shop")
    load_database(postgres_uri, shop)
    run_extract(company, lakes[1], DAY, postgres_uri)
    with psycopg.connect(postgres_uri) as connection:
        insert_rows(connection, "lines", [late])
    run_extract(company, lakes[1], date(2024, 4, 1), postgres_uri)

    first, second = (tree_bytes(lake, "tables") for lake in lakes)
    assert first == second
    assert order_ids(lakes[1], DAY, DAY) == ["o2", "o3", "o4", "o5"]
    assert order_ids(lakes[1], date.min, DAY) == ["o11", "o9"]
    assert raw_lines(lakes[1], DAY, DAY)[0]["channel"] == "$day_end"
    customers = lakes[1].read(company.table(RAW_CUSTOMERS), known_on=DAY)
    assert set(customers["nickname"].to_pylist()) == set(NAMES)
    assert "clate" not in customers["customer_id"].to_pylist()


def test_nights_of_one_bulk_load_equal_nights_read_one_by_one(postgres_uri: str, company: Company, tmp_path: Path) -> None:
    load_database(postgres_uri, Shop([], [a_line(n, f"2024-03-{n:02} 12:00") for n in (26, 27, 29, 30, 31)]))
    bulk, nightly = Lake(tmp_path / "bulk"), Lake(tmp_path / "nightly")
    run_extract(company, bulk, DAY, postgres_uri)
    for day in range(26, 32):
        run_extract(company, nightly, date(2024, 3, day), postgres_uri)
    for day in range(26, 32):
        assert order_ids(bulk, date(2024, 3, day), DAY) == order_ids(nightly, date(2024, 3, day), DAY)
    assert [version.known_on.day for version in nightly.versions(RAW_ORDER_LINES)] == list(range(26, 32))


def test_all_tables_are_read_at_one_moment(postgres_uri: str, company: Company, lake: Lake) -> None:
    load_database(postgres_uri, Shop([a_customer(1)], [a_line(1, "2024-03-30 12:00")]))

    def a_sale_to_a_new_customer() -> None:
        with psycopg.connect(postgres_uri) as connection:
            insert_rows(connection, "customers", [a_customer(2)])
            insert_rows(connection, "lines", [a_line(2, "2024-03-30 12:00", customer_id="c2")])
            connection.execute("DELETE FROM lines WHERE order_id = 'o1'")

    with when_logged("raw_customers: 1 rows read", a_sale_to_a_new_customer):
        run_extract(company, lake, DAY, postgres_uri)
    assert order_ids(lake, date(2024, 3, 30), DAY) == ["o1"]
    run_extract(company, lake, DAY, postgres_uri, reread=True)
    assert order_ids(lake, date(2024, 3, 30), DAY) == ["o2"]
    assert lake.read(company.table(RAW_CUSTOMERS), known_on=DAY)["customer_id"].to_pylist() == ["c1", "c2"]


@pytest.mark.parametrize("days", [30, 5])  # with 5, the day found by its turn is compared beside those that the night before found
def test_late_days_are_the_same_from_files_and_from_postgresql(postgres_uri: str, tmp_path: Path, days: int) -> None:
    lines = [a_line(number, f"2024-03-{number:02} 12:00") for number in range(1, 21)]
    mended = [*lines[:7], *lines[8:], a_line(50, "2024-03-04 23:59", paid=Decimal("-0.10")), a_line(51, "2024-03-05 00:00", paid=None)]
    lakes = [Lake(tmp_path / kind) for kind in ("files", "postgresql")]
    company = a_shop_folder(tmp_path / "shop", first_day=date(2024, 3, 1), late_check_days=days)
    for lake in lakes:
        write_files(company, Shop([], lines))
        run_extract(company, lake, date(2024, 3, 20))
    write_files(company, Shop([], mended))
    load_database(postgres_uri, Shop([], mended))
    database = from_postgresql(tmp_path / "shop", first_day=date(2024, 3, 1), late_check_days=days)
    for night in (DAY, date(2024, 4, 1)):
        run_extract(company, lakes[0], night)
        run_extract(database, lakes[1], night, postgres_uri)
    assert tree_bytes(lakes[1], "tables") == tree_bytes(lakes[0], "tables")
    assert [row["event_day"].day for row in lakes[1].read(LATE_DAYS, day=date(2024, 4, 1)).to_pylist()] == [4, 5, 8]


@pytest.mark.parametrize("setting", ["DateStyle = 'German'", "TimeZone = 'Asia/Tokyo'", "extra_float_digits = 0"])
def test_no_day_is_called_late_for_how_a_database_writes_its_values(postgres_uri: str, tmp_path: Path, lake: Lake, setting: str) -> None:
    company = from_postgresql(tmp_path / "shop", first_day=date(2024, 3, 1), late_check_days=10**4)
    days = ["infinity", "-infinity", "0044-03-15 BC", "20000-01-01", "0024-01-06"]
    odd = [a_line(f"r{n}", "2024-03-10 12:00:00.100000") for n in range(len(days))]
    load_database(postgres_uri, Shop([], [*a_shop().lines, *odd]))
    with psycopg.connect(postgres_uri) as connection:
        connection.execute("ALTER TABLE lines ALTER product TYPE char(20), ALTER paid TYPE numeric, ALTER pieces TYPE numeric(30, 3)")
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET {setting}")  # type: ignore[arg-type]
        for n, day in enumerate(days):
            connection.execute("UPDATE lines SET refund_of = %s::date WHERE order_id = %s", [day, f"or{n}"])
    for day in (DAY, date(2024, 4, 9)):
        run_extract(company, lake, day, postgres_uri)
    assert not lake.has(LATE_DAYS, day=date(2024, 4, 9))
    with psycopg.connect(postgres_uri) as connection:
        connection.execute("UPDATE lines SET cancelled = true WHERE order_id = 'ot3'")
    run_extract(company, lake, date(2024, 4, 10), postgres_uri)
    assert lake.read(LATE_DAYS, day=date(2024, 4, 10))["event_day"].to_pylist() == [date(2024, 3, 29)]


def test_rows_that_no_night_reads_are_counted_alike_in_files_and_in_postgresql(postgres_uri: str, tmp_path: Path) -> None:
    files, database = (make(tmp_path / "shop", first_day=date(2024, 3, 1)) for make in (a_shop_folder, from_postgresql))
    lines = [*a_shop().lines, a_line("far", datetime(2042, 1, 6, tzinfo=UTC))]
    write_files(files, Shop([], lines))
    load_database(postgres_uri, Shop([], lines))
    lakes = [Lake(tmp_path / kind) for kind in ("files", "postgresql")]
    for day in (DAY, date(2024, 4, 1)):
        run_extract(files, lakes[0], day)
        run_extract(database, lakes[1], day, postgres_uri)
    [found, same] = [lake.read(MISDATED_DAYS, day=date(2024, 4, 1)) for lake in lakes]
    assert found == same
    assert [str(day) for day in found["event_day"].to_pylist()][::4] == ["0001-01-02", "2042-01-06"]
    with psycopg.connect(postgres_uri) as connection:
        connection.execute(
            "UPDATE lines SET sold_at = CASE order_id WHEN 'o1' THEN '-infinity' ELSE 'infinity' END::timestamptz WHERE order_id < 'o2'"
        )
    write_query(database.folder, "order_lines", LINES_SQL)  # which has no bounds of its own
    run_extract(database, lakes[1], date(2024, 4, 1), postgres_uri, reread=True)
    days = [str(day) for day in lakes[1].read(MISDATED_DAYS, day=date(2024, 4, 1))["event_day"].to_pylist()]
    assert (days[0], days[-1]) == ("0001-01-02", "9999-12-31")


def test_a_database_that_stores_other_characters_has_the_same_checksums(postgres: str, tmp_path: Path, lake: Lake) -> None:
    company = from_postgresql(tmp_path / "shop", first_day=date(2024, 3, 1))
    uri = urlunsplit(urlsplit(postgres)._replace(path="/latin"))
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        load_database(uri, Shop([], [a_line(1, "2024-03-10 12:00", category="K\u00e4se")]))
        for day in (date(2024, 3, 20), DAY):
            run_extract(company, lake, day, uri)
        server.execute("DROP DATABASE latin WITH (FORCE)")
    assert not lake.has(LATE_DAYS, day=DAY)


def test_a_column_renamed_in_the_database_is_named(postgres_uri: str, company: Company, lake: Lake) -> None:
    load_database(postgres_uri, Shop([], []))
    with psycopg.connect(postgres_uri) as connection:
        connection.execute("ALTER TABLE lines RENAME customer_id TO custmer_id")
    error = refusal(company, lake, postgres_uri)
    assert isinstance(error, SchemaDrift)
    assert 'column "customer_id" does not exist; Perhaps you meant to reference the column "lines.custmer_id"' in error.what
    write_query(company.folder, "order_lines", LINES_SQL.replace("customer_id", "custmer_id"))
    assert refusal(company, lake, postgres_uri).what == "order_lines lacks customer_id (did you mean `custmer_id`?)"


DRIFTS = {
    "money": ("ALTER TABLE lines ALTER paid TYPE money", "order_lines.net_amount is money, declared exact decimal"),
    "float": ("ALTER TABLE lines ALTER paid TYPE float8", "order_lines.net_amount is DOUBLE, declared exact decimal"),
    "scale": ("ALTER TABLE lines ALTER paid TYPE numeric(20,6)", "order_lines.net_amount is DECIMAL(20,6), declared exact decimal"),
    "naive": ("ALTER TABLE lines ALTER sold_at TYPE timestamp", "order_lines.ordered_at is TIMESTAMP without a time zone, declared"),
    "day": ("ALTER TABLE lines ALTER sold_at TYPE date", "order_lines.ordered_at is DATE, declared instant"),
    "key": ("ALTER TABLE lines ALTER customer_id TYPE bigint USING NULL", "order_lines.customer_id is a whole number (int64), declared"),
    "uuid": ("ALTER TABLE lines ALTER customer_id TYPE uuid USING NULL", "order_lines.customer_id is extension<arrow.uuid>, declared text"),
    "numeric": ("ALTER TABLE lines ALTER line TYPE numeric(9,0)", "order_lines.line_number is DECIMAL(9,0), declared whole number"),
}


@pytest.mark.parametrize("drift", DRIFTS)
def test_a_column_retyped_in_the_database_is_refused(postgres_uri: str, company: Company, lake: Lake, drift: str) -> None:
    statement, message = DRIFTS[drift]
    load_database(postgres_uri, Shop([], []))
    write_query(company.folder, "order_lines", LINES_SQL)
    with psycopg.connect(postgres_uri) as connection:
        connection.execute(statement)  # type: ignore[arg-type]
    error = refusal(company, lake, postgres_uri)
    assert isinstance(error, SchemaDrift)
    assert error.what.startswith(message)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE lines ALTER line TYPE smallint",
        "ALTER TABLE lines ALTER line TYPE bigint",
        "ALTER TABLE lines ALTER paid TYPE numeric",
        "ALTER TABLE lines ALTER paid TYPE numeric(18,1)",
        "ALTER TABLE lines ALTER paid TYPE numeric(40,4)",
        "ALTER TABLE lines ALTER paid TYPE integer",
        "ALTER TABLE lines ALTER order_id TYPE varchar(20)",
        "CREATE TYPE ids AS ENUM ('o1'); ALTER TABLE lines ALTER order_id TYPE ids USING order_id::ids",
        "ALTER TABLE lines ALTER sold_at TYPE timestamptz(3)",
    ],
)
def test_types_that_convert_exactly_give_the_same_bytes(postgres_uri: str, company: Company, tmp_path: Path, statement: str) -> None:
    write_query(company.folder, "order_lines", LINES_SQL)
    load_database(postgres_uri, Shop([], [a_line(1, "2024-03-30 12:00", paid=Decimal(7))]))
    lakes = [Lake(tmp_path / "before"), Lake(tmp_path / "after")]
    run_extract(company, lakes[0], DAY, postgres_uri)
    with psycopg.connect(postgres_uri) as connection:
        connection.execute(statement)  # type: ignore[arg-type]
    run_extract(company, lakes[1], DAY, postgres_uri)
    assert tree_bytes(lakes[0], "tables") == tree_bytes(lakes[1], "tables")


@pytest.mark.parametrize(("amount", "is_stored"), {"12.3400000": True, "12.34001": False, "-99999999999999.9999": True,
                                                   "100000000000000": False, "900000000000000": False}.items())  # fmt: skip
def test_decimals_of_unknown_scale_are_stored_when_they_fit_and_never_rounded(
    postgres_uri: str, company: Company, lake: Lake, amount: str, is_stored: bool
) -> None:
    load_database(postgres_uri, Shop([], [a_line(1, "2024-03-30 12:00")]))
    write_query(company.folder, "order_lines", LINES_SQL.replace("paid AS", f"'{amount}'::numeric AS"))
    if is_stored:
        run_extract(company, lake, DAY, postgres_uri)
        assert raw_lines(lake, date(2024, 3, 30), DAY)[0]["net_amount"] == Decimal(amount)
    else:
        error = refusal(company, lake, postgres_uri)
        assert isinstance(error, SchemaDrift)
        assert amount not in shown(error)


def test_amounts_that_are_not_finite_are_set_aside_with_their_rows_and_their_day_is_not_late(
    postgres_uri: str, tmp_path: Path, lake: Lake
) -> None:
    stored = {"pieces": "quantity", "paid": "net_amount", "discount": "discount_amount"}
    cells = list(product(stored, ("NaN", "Infinity", "-Infinity")))
    company = from_postgresql(tmp_path / "shop", first_day=date(2024, 3, 1), rejected_share_limit=1.0)
    lines = [a_line(n, "2024-03-10 12:00") for n in range(len(cells) + 2)]
    load_database(postgres_uri, Shop([a_customer(1, income=Decimal(1))], lines))
    with psycopg.connect(postgres_uri) as connection:
        connection.execute("ALTER TABLE lines ALTER pieces TYPE numeric, ALTER paid TYPE numeric, ALTER discount TYPE numeric")
        for n, (column, word) in enumerate(cells):
            connection.execute(f"UPDATE lines SET {column} = '{word}' WHERE order_id = 'o{n}'")  # type: ignore[arg-type]
    run_extract(company, lake, date(2024, 3, 10), postgres_uri)
    validate_sources(company, lake, date(2024, 3, 10))
    rejected = lake.read(REJECTED_ROWS, day=date(2024, 3, 10)).to_pylist()
    rows = sorted((json.loads(row["row"]) for row in rejected), key=itemgetter("order_id"))
    assert {row["rule"] for row in rejected} == {"numbers_are_finite"}
    assert [row["order_id"] for row in rows] == [f"o{n}" for n in range(len(cells))]
    assert [row[stored[column]] for row, (column, _) in zip(rows, cells, strict=True)] == [word for _, word in cells]
    run_extract(company, lake, date(2024, 3, 12), postgres_uri)  # which reads the day again, and finds it as it was
    assert [version.known_on for version in lake.versions(RAW_ORDER_LINES) if version.day == date(2024, 3, 10)] == [date(2024, 3, 10)]
    run_extract(company, lake, date(2024, 3, 20), postgres_uri)
    assert not lake.has(LATE_DAYS, day=date(2024, 3, 20))


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_an_attribute_that_is_not_finite_is_set_aside_with_its_person(postgres_uri: str, tmp_path: Path, lake: Lake, word: str) -> None:
    company = from_postgresql(tmp_path / "shop", rejected_share_limit=1.0)
    load_database(postgres_uri, Shop([a_customer(1, income=Decimal(1)), a_customer(2)], [a_line(1, "2024-03-30 12:00")]))
    people = "SELECT id AS customer_id, joined AS created_at, name AS nickname, {}::numeric AS income, born FROM customers"
    write_query(company.folder, "customers", people.format(f"CASE id WHEN 'c2' THEN '{word}' ELSE '1' END"))
    write_query(company.folder, "prospects", f"SELECT 'p1' AS customer_id, '{word}'::numeric AS income")
    run_extract(company, lake, DAY, postgres_uri)
    validate_sources(company, lake, DAY)
    rejected = [(json.loads(row["row"]), row["rule"]) for row in lake.read(REJECTED_ROWS, day=DAY).to_pylist()]
    assert [(row["customer_id"], row["income"], rule) for row, rule in rejected] == [
        ("c2", word, "numbers_are_finite"),
        ("p1", word, "numbers_are_finite"),
    ]


def test_a_number_of_any_kind_becomes_the_nearest_double(postgres_uri: str, tmp_path: Path, lake: Lake) -> None:
    names = ("exact", "fixed", "whole", "short")
    company = from_postgresql(tmp_path / "shop", attributes=tuple(an_attribute(Column(name, Kind.NUMBER, "A number.")) for name in names))
    load_database(postgres_uri, Shop([], []))
    given = "123456.789 AS exact, 0.1::numeric(30,20) AS fixed, 3 AS whole, 0.5::real AS short"
    write_query(company.folder, "customers", f"SELECT 'c' AS customer_id, {given}")
    run_extract(company, lake, DAY, postgres_uri)
    [row] = lake.read(company.table(RAW_CUSTOMERS), known_on=DAY).select(names).to_pylist()
    assert row == {"exact": 123456.789, "fixed": 0.1, "whole": 3.0, "short": 0.5}


def test_infinite_days_are_kept_for_validation(postgres_uri: str, company: Company, lake: Lake) -> None:
    load_database(postgres_uri, Shop([], [a_line(n, "2024-03-30 12:00") for n in range(3)]))
    given = "'-infinity'::timestamptz AS created_at, '' AS nickname, 0 AS income, 'infinity'::date AS born"
    write_query(company.folder, "customers", f"SELECT 'c' AS customer_id, {given}")
    with psycopg.connect(postgres_uri) as connection:
        for order, at in {"o1": "-infinity", "o2": "infinity"}.items():
            connection.execute("UPDATE lines SET sold_at = %s::timestamptz WHERE order_id = %s", [at, order])
    run_extract(company, lake, DAY, postgres_uri)
    assert order_ids(lake, date(2024, 3, 30), DAY) == ["o0"]
    born = lake.read(company.table(RAW_CUSTOMERS), known_on=DAY)["born"].cast(pa.int32()).to_pylist()
    assert abs(born[0]) > 2_000_000_000


@pytest.mark.parametrize(
    ("day", "rule"),
    [
        ("infinity", "refunded_order_day_is_not_before_1900"),  # the driver counts past the largest number of days
        ("20000-01-01", "refunded_order_day_is_not_after_the_line"),
        ("-infinity", "refunded_order_day_is_not_before_1900"),
        ("0044-03-15 BC", "refunded_order_day_is_not_before_1900"),
    ],
)
def test_a_refund_of_a_day_that_no_calendar_holds_is_set_aside_by_name(
    postgres_uri: str, tmp_path: Path, lake: Lake, day: str, rule: str
) -> None:
    company = from_postgresql(tmp_path / "shop", rejected_share_limit=1.0)
    load_database(postgres_uri, Shop([a_customer(1, income=Decimal(1))], [a_line(1, "2024-03-30 12:00", paid=Decimal(-1))]))
    with psycopg.connect(postgres_uri) as connection:
        connection.execute("UPDATE lines SET refund_of = %s::date", [day])
    run_extract(company, lake, DAY, postgres_uri)
    validate_sources(company, lake, DAY)
    assert lake.read(REJECTED_ROWS, day=DAY)["rule"].to_pylist() == [rule]


def test_what_is_sold_while_older_days_are_counted_is_not_called_late(postgres_uri: str, tmp_path: Path, lake: Lake) -> None:
    company = from_postgresql(tmp_path / "shop", first_day=date(2024, 3, 1))
    load_database(postgres_uri, Shop([], [a_line(1, "2024-03-05 12:00")]))
    run_extract(company, lake, date(2024, 3, 30), postgres_uri)

    def a_late_sale() -> None:
        with psycopg.connect(postgres_uri) as connection:
            insert_rows(connection, "lines", [a_line(2, "2024-03-05 12:00")])

    with when_logged("raw_order_lines: 0 rows read", a_late_sale):
        run_extract(company, lake, DAY, postgres_uri)
    assert not lake.has(LATE_DAYS, day=DAY)
    run_extract(company, lake, DAY, postgres_uri, reread=True)
    assert lake.read(LATE_DAYS, day=DAY)["event_day"].to_pylist() == [date(2024, 3, 5)]


@pytest.mark.parametrize(
    ("query", "kind", "words"),
    [
        ("SELECT name::int::text AS customer_id FROM customers", DataError, "a text does not read as the type it is cast to"),
        ("SELECT (1 / (income - income))::text AS customer_id FROM customers", DataError, "division by zero"),
        ("SELECT name::timestamptz::text AS customer_id FROM customers", DataError, "a text is no date or time"),
        ("SELECT ('NaN'::numeric)::bigint::text AS customer_id FROM customers", DataError, "a number is NaN or infinite"),
        ("SELECT ('Infinity'::float8)::bigint::text AS customer_id FROM customers", DataError, "a number is out of range"),
        ("SELECT raise_it(name) AS customer_id FROM customers", DataError, "the database refused a value (SQLSTATE P0001)"),
        ("SELECT idd AS customer_id FROM customers", SchemaDrift, 'column "idd" does not exist'),
        ("SELECT sum(name) AS customer_id FROM customers", SchemaDrift, "function sum(text) does not exist"),
        ("SELECT id AS customer_id FROM customers WHERE income > 'a'::text", SchemaDrift, "operator does not exist"),
        ("SELECT id AS customer_id FROM custommers", ConfigError, 'relation "custommers" does not exist'),
        ("SELEC id", ConfigError, "syntax error at or near"),
        ("INSERT INTO customers (id) VALUES ('x') RETURNING id AS customer_id", ConfigError, "syntax error"),
        ("SELECT write_it() AS customer_id", ConfigError, "cannot execute INSERT in a read-only transaction"),
        ("SELECT id AS customer_id, id AS customer_id FROM customers", ConfigError, "two columns named customer_id"),
        ("TRUNCATE customers", ConfigError, "syntax error"),
    ],
)
def test_a_query_that_fails_says_why_and_never_quotes_a_row(
    postgres_uri: str, tmp_path: Path, lake: Lake, query: str, kind: type[PipelineError], words: str
) -> None:
    company = from_postgresql(tmp_path / "shop", attributes=())
    load_database(postgres_uri, Shop([a_customer(1, name="s3cret", income=Decimal(5))], []))
    with psycopg.connect(postgres_uri) as connection:
        connection.execute("CREATE FUNCTION raise_it(t text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''%'', t; END'")
        connection.execute("CREATE FUNCTION write_it() RETURNS text LANGUAGE sql AS $$INSERT INTO customers VALUES ('x') RETURNING id$$")
    write_query(company.folder, "customers", query)
    error = refusal(company, lake, postgres_uri)
    assert type(error) is kind
    assert words in error.what
    assert "s3cret" not in shown(error)
    with psycopg.connect(postgres_uri) as connection:
        assert connection.execute("SELECT count(*) FROM customers").fetchone() == (1,)


def test_the_window_is_bound_and_never_part_of_the_text(postgres_uri: str, company: Company, lake: Lake) -> None:
    load_database(postgres_uri, Shop([], [a_line(1, "2024-03-30 12:00")]))
    query = """/* $day_end /* $day_start */ */
    SELECT 'o' || $q$$day_start$q$ AS order_id, 1 AS line_number, E'\\'$day_end' AS customer_id,
    $day_end - INTERVAL '1 us' AS ordered_at, 1 AS quantity, 1 AS net_amount WHERE $day_start <$day_end; -- $day_end"""
    write_query(company.folder, "order_lines", query)
    run_extract(company, lake, DAY, postgres_uri)
    [row] = raw_lines(lake, DAY, DAY)
    assert (row["order_id"], row["customer_id"]) == ("o$day_start", "'$day_end")
    assert row["ordered_at"] == local("2024-03-31 23:59:59.999999")


# Connections


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (("@/", "@127.0.0.1:1/"), TransientError, "the database could not be reached"),
        (("/test", "/no_such"), ConfigError, "the database refused the connection"),
        (("postgres:@", "nobody:@"), ConfigError, "the database refused the connection"),
        (("host=", "hots="), ConfigError, "the database refused the connection"),
        (("postgresql://", "mysql://"), ConfigError, "the database refused the connection"),
    ],
)
def test_a_connection_that_fails_is_named_without_its_password(
    postgres_uri: str, company: Company, lake: Lake, change: tuple[str, str], kind: type[PipelineError], words: str
) -> None:
    uri = postgres_uri.replace(*change).replace(":@", ":s3cret@")
    if "127.0.0.1" in uri:
        uri = uri.partition("?")[0]
    error = refusal(company, lake, uri)
    assert type(error) is kind
    assert error.what == words
    assert "connection `shop`" in error.where
    assert "s3cret" not in shown(error)


def options(uri: str, setting: str) -> str:
    return f"{uri}&options={quote(f'-c {setting}')}"


def test_a_query_slower_than_its_limit_may_be_tried_again(postgres_uri: str, company: Company, lake: Lake) -> None:
    load_database(postgres_uri, Shop([], [a_line(1, "2024-03-30 12:00")]))
    write_query(company.folder, "order_lines", f"{LINES_SQL}, pg_sleep(5) AS nap")
    error = refusal(company, lake, options(postgres_uri, "statement_timeout=100"))
    assert type(error) is TransientError
    assert error.what == "the source could not be read: the query took too long"


def test_a_table_locked_for_too_long_may_be_tried_again(postgres_uri: str, company: Company, lake: Lake) -> None:
    load_database(postgres_uri, Shop([], []))
    with psycopg.connect(postgres_uri) as connection:
        connection.execute("LOCK TABLE lines")
        error = refusal(company, lake, options(postgres_uri, "lock_timeout=100"))
    assert type(error) is TransientError
    assert error.what == "the source could not be read: a lock was held for too long"


def test_every_query_has_a_time_limit(postgres_uri: str, company: Company, lake: Lake) -> None:
    load_database(postgres_uri, Shop([], []))
    names = ("statement_timeout", "lock_timeout", "transaction_isolation", "transaction_read_only")
    settings = " || ".join(f"current_setting('{name}')" for name in names)
    write_query(company.folder, "customers", f"SELECT {settings} AS customer_id, '' AS nickname, 0 AS income, CURRENT_DATE AS born")
    run_extract(company, lake, DAY, postgres_uri)
    assert lake.read(company.table(RAW_CUSTOMERS), known_on=DAY)["customer_id"].to_pylist() == ["2h1minrepeatable readon"]


def test_no_value_of_a_customer_is_logged(postgres_uri: str, company: Company, lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    load_database(postgres_uri, Shop([a_customer("s3cret", name="s3cret")], [a_line("s3cret", "2024-03-30 12:00")]))
    with caplog.at_level(logging.DEBUG):
        run_extract(company, lake, DAY, postgres_uri)
    assert "raw_order_lines: 1 rows read" in caplog.text
    assert "s3cret" not in caplog.text


def test_dates_that_postgresql_calls_infinite_are_rejected_with_their_rows(company: Company, lake: Lake, postgres_uri: str) -> None:
    everybody = (
        "SELECT id AS customer_id, joined AS created_at, name AS nickname, CAST(income AS DECIMAL(18, 4)) AS income, born FROM customers"
    )
    write_query(company.folder, "customers", everybody)
    people = [a_customer(n, name="x") for n in ("good", "always", "never", "old", "late", "soon", "ago")]
    load_database(postgres_uri, Shop(people, [a_line(1, "2024-03-30 12:00", customer_id="cgood")]))
    with psycopg.connect(postgres_uri) as connection:
        for name, born in (("always", "infinity"), ("never", "-infinity"), ("old", "0044-03-15 BC"), ("late", "19802-05-01")):
            connection.execute("UPDATE customers SET born = %s::date WHERE id = %s", [born, f"c{name}"])
        for name, joined in (("soon", "infinity"), ("ago", "-infinity")):
            connection.execute("UPDATE customers SET joined = %s::timestamptz WHERE id = %s", [joined, f"c{name}"])
    run_extract(company, lake, DAY, postgres_uri)
    validate_sources(replace(company, rejected_share_limit=1.0), lake, DAY)
    rejected = lake.read(REJECTED_ROWS, day=DAY).to_pylist()
    found = {json.loads(row["row"])["customer_id"]: row["rule"] for row in rejected}
    assert {name: found.pop(f"c{name}") for name in ("always", "never", "old", "late")} == dict.fromkeys(
        ("always", "never", "old", "late"), "dates_are_in_the_calendar"
    )
    # The driver adds 30 years to what PostgreSQL counts, so that infinity wraps round: it is rejected all the same.
    assert found == {"csoon": "created_at_is_in_the_common_era", "cago": "created_at_is_in_the_common_era"}
