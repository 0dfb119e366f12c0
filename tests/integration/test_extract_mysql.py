"""What a night reads from a real MariaDB, and what it says when it cannot."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from support.certificates import LAST, LONG_AGO, Authority
from support.extractions import a_shop_folder, raw_lines, write_query
from support.nights import tree_bytes

pymysql = pytest.importorskip("pymysql", reason="the extra `mysql` is not installed")
from support.mariadb import INSTALL, SERVER, running_mariadb  # noqa: E402

from pipeline.definitions.company import Company  # noqa: E402
from pipeline.definitions.company_sections import Source  # noqa: E402
from pipeline.errors import ConfigError, DataError, PipelineError, SchemaDrift, TransientError  # noqa: E402
from pipeline.ingestion.extract import extract  # noqa: E402
from pipeline.lake.lake import Lake  # noqa: E402
from pipeline.lake.tables import LATE_DAYS, RAW_CUSTOMERS, RAW_ORDER_LINES  # noqa: E402

pytestmark = pytest.mark.skipif(not (SERVER and INSTALL), reason="needs MariaDB: apt-get install mariadb-server")
DAY = date(2024, 3, 10)
TABLES = """
CREATE TABLE customers
  (id INT PRIMARY KEY, joined TIMESTAMP NULL, name VARCHAR(40) CHARACTER SET utf8mb4, income DECIMAL(12, 2), born DATE);
CREATE TABLE orders
  (id BIGINT UNSIGNED PRIMARY KEY, customer INT, sold_at DATETIME(6), pieces DECIMAL(10, 3), paid DECIMAL(12, 2), rate DOUBLE,
  is_void TINYINT(1), status ENUM('open', 'void'), token BINARY(2));
INSERT INTO customers VALUES (1, '2024-01-01 00:30:00', 'Zoë 😀', 100.10, '2000-02-29'), (2, NULL, NULL, NULL, NULL);
INSERT INTO orders VALUES
  (1, 1, '2024-03-05 23:30:00', 1.5, 19.99, 0.1, 0, 'open', x'00ff'),
  (2, 2, '2024-03-06 00:30:00.123456', 2, 9999999999.99, NULL, NULL, NULL, NULL),
  (3, 2, '2024-03-10 23:59:59', -1, -5.25, NULL, 1, 'void', NULL);
"""


class Certificate:
    """What a server shows, and who is trusted by those who ask."""

    def __init__(self, folder: Path) -> None:
        self.trusted, self.unknown = Authority.of(folder / "trusted"), Authority.of(folder / "unknown", name="Somebody else")
        self.files = folder / "server.pem", folder / "server.key"

    def show(self, signer: Authority, host: str, *, until: datetime = LAST) -> None:
        for file, written in zip(self.files, signer.write_certificate(host, until=until), strict=True):
            written.replace(file)


CUSTOMERS = "SELECT CAST(id AS CHAR) AS customer_id, joined AS created_at, name AS nickname, income, born FROM customers"
ORDER_LINES = """
-- 100 % of what was sold; `$day_start` here is no parameter
SELECT CAST(id AS CHAR) AS order_id, 1 AS line_number, CAST(customer AS CHAR) AS customer_id, sold_at AS ordered_at, pieces AS quantity,
  paid AS net_amount, is_void = 1 AS is_cancelled, status AS category, token AS channel
FROM orders WHERE sold_at >= $day_start AND sold_at < $day_end AND 'a%' LIKE 'a%'
"""
_NUMBERS = count(1)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Return the certificate that the server shows, which a test writes anew for FLUSH SSL to read."""
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def server(certificate: Certificate) -> Iterator[Path]:
    certificate.show(certificate.trusted, "localhost")
    with running_mariadb(f"--ssl-cert={certificate.files[0]}", f"--ssl-key={certificate.files[1]}") as socket:
        yield socket


@pytest.fixture
def uri(server: Path) -> Iterator[str]:
    """Return the address of a database that only this test uses."""
    name = f"test_{next(_NUMBERS)}"
    run(server, "", f"CREATE DATABASE {name}")
    run(server, name, *TABLES.strip().rstrip(";").split(";\n"))
    yield f"mysql://root@localhost/{name}?unix_socket={server}"
    run(server, "", f"DROP DATABASE {name}")


@pytest.fixture
def shop(tmp_path: Path) -> Company:
    company = a_shop_folder(tmp_path / "shop", source=Source(kind="mysql", connection="shop", zone="UTC"))
    write_query(company.folder, "customers", CUSTOMERS)
    write_query(company.folder, "order_lines", ORDER_LINES)
    return company


def run(socket: Path | str, database: str, *statements: str) -> None:
    with closing(pymysql.connect(unix_socket=str(socket), user="root", database=database or None, charset="utf8mb4")) as connection:
        with connection.cursor() as cursor:
            for statement in ["SET time_zone = '+00:00'", *statements]:
                cursor.execute(statement)
        connection.commit()


def change(uri: str, *statements: str) -> None:
    database, _, socket = uri.removeprefix("mysql://root@localhost/").partition("?unix_socket=")
    run(socket, database, *statements)


def read(company: Company, lake: Lake, uri: str, day: date = DAY) -> None:
    extract(company, lake, day, connections=lambda _: uri)


def refusal(company: Company, lake: Lake, uri: str) -> PipelineError:
    with pytest.raises(PipelineError) as refused:
        read(company, lake, uri)
    assert tree_bytes(lake, "tables", "staging") == {}
    assert refused.value.todo
    assert "root@" not in f"{refused.value.what} {refused.value.where}"
    return refused.value


def lines_of(lake: Lake) -> dict[str, dict[str, Any]]:
    days = {version.day for version in lake.versions(RAW_ORDER_LINES)}
    return {row["order_id"]: row for day in days for row in raw_lines(lake, day, DAY)}


def test_every_kind_of_value_is_read_exactly(shop: Company, lake: Lake, uri: str) -> None:
    read(shop, lake, uri)
    lines = lines_of(lake)
    assert lines.keys() == {"1", "2"}  # 3 is of the next day in Berlin
    first, second = lines["1"], lines["2"]
    assert (first["quantity"], first["net_amount"], first["is_cancelled"]) == (Decimal("1.5"), Decimal("19.99"), False)
    assert (first["category"], first["channel"], second["is_cancelled"]) == ("open", "00ff", None)
    assert first["ordered_at"] == datetime(2024, 3, 5, 23, 30, tzinfo=UTC)
    assert (second["ordered_at"], second["net_amount"]) == (datetime(2024, 3, 6, 0, 30, 0, 123456, tzinfo=UTC), Decimal("9999999999.99"))
    customers = {row["customer_id"]: row for row in lake.read(shop.table(RAW_CUSTOMERS), known_on=DAY).to_pylist()}
    assert customers["1"]["created_at"] == datetime(2024, 1, 1, 0, 30, tzinfo=UTC)
    assert (customers["1"]["nickname"], customers["1"]["income"], customers["1"]["born"]) == (
        "Zoë 😀",
        Decimal("100.10"),
        date(2000, 2, 29),
    )
    assert customers["2"]["created_at"] is None


def test_times_are_those_of_the_declared_zone(shop: Company, lake: Lake, uri: str) -> None:
    berlin = replace(shop, source=replace(shop.source, zone="Europe/Berlin"))
    error = refusal(berlin, lake, uri)
    assert isinstance(error, ConfigError)  # nobody loaded the zones into this server
    assert error.what == "the server does not know the time zone `Europe/Berlin`"
    assert "mysql_tzinfo_to_sql" in error.todo
    change(
        uri,
        "REPLACE INTO mysql.time_zone (Time_zone_id, Use_leap_seconds) VALUES (900, 'N')",
        "REPLACE INTO mysql.time_zone_name (Name, Time_zone_id) VALUES ('Europe/Berlin', 900)",
        "REPLACE INTO mysql.time_zone_transition_type (Time_zone_id, Transition_type_id, `Offset`, Is_DST, Abbreviation)"
        " VALUES (900, 0, 3600, 0, 'CET')",
        "REPLACE INTO mysql.time_zone_transition (Time_zone_id, Transition_time, Transition_type_id) VALUES (900, 0, 0)",
    )
    read(berlin, lake, uri)
    lines = lines_of(lake)
    assert lines.keys() == {"1", "2", "3"}
    assert lines["3"]["ordered_at"] == datetime(2024, 3, 10, 22, 59, 59, tzinfo=UTC)
    customers = {row["customer_id"]: row for row in lake.read(shop.table(RAW_CUSTOMERS), known_on=DAY).to_pylist()}
    assert customers["1"]["created_at"] == datetime(2024, 1, 1, 0, 30, tzinfo=UTC)


def test_a_time_without_a_zone_says_what_to_declare(shop: Company, lake: Lake, uri: str) -> None:
    error = refusal(replace(shop, source=replace(shop.source, zone="")), lake, uri)
    assert isinstance(error, SchemaDrift)
    assert 'declare `time_zone = "Europe/Berlin"` under [source] of company.toml' in error.what


def test_a_cast_to_write_is_one_of_mysql(shop: Company, lake: Lake, uri: str) -> None:
    write_query(
        shop.folder, "order_lines", ORDER_LINES.replace("CAST(id AS CHAR) AS order_id", "id AS order_id").replace("paid AS", "rate AS")
    )
    what = refusal(shop, lake, uri).what
    assert "write `CAST(id AS CHAR) AS order_id`" in what
    assert "write `CAST(rate AS DECIMAL(18,4)) AS net_amount`" in what


def test_late_rows_are_counted_and_the_night_after_reads_its_days(shop: Company, lake: Lake, uri: str) -> None:
    read(shop, lake, uri)
    change(uri, "INSERT INTO orders (id, customer, sold_at, pieces, paid) VALUES (9, 1, '2024-03-06 12:00:00', 1, 7)")
    read(shop, lake, uri, date(2024, 3, 11))
    assert "3" in {row["order_id"] for row in raw_lines(lake, date(2024, 3, 11), date(2024, 3, 11))}
    [late] = lake.read(LATE_DAYS, day=date(2024, 3, 11)).to_pylist()
    assert late["event_day"] == date(2024, 3, 6)


def test_rows_that_are_written_in_the_meantime_are_not_seen(shop: Company, lake: Lake, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.ingestion.sources import mysql

    begin = mysql._begin_snapshot

    def beginning_early(*given: Any) -> None:
        begin(*given)
        change(uri, "INSERT INTO orders (id, customer, sold_at, pieces, paid) VALUES (9, 1, '2024-03-06 12:00:00', 1, 7)")

    monkeypatch.setattr(mysql, "_begin_snapshot", beginning_early)
    read(shop, lake, uri)
    assert lines_of(lake).keys() == {"1", "2"}


@pytest.mark.parametrize(
    ("old", "new", "kind", "words"),
    [
        ("FROM orders", "FROM order_lines", ConfigError, "order_lines' doesn't exist"),
        ("paid AS", "payed AS", SchemaDrift, "Unknown column 'payed'"),
        ("FROM orders", "FRM orders", ConfigError, "cannot be run"),
        ("sold_at AS", "CAST('0000-00-00' AS DATE) AS", SchemaDrift, "ordered_at"),
    ],
)
def test_a_query_that_does_not_fit_says_so(
    shop: Company, lake: Lake, uri: str, old: str, new: str, kind: type[PipelineError], words: str
) -> None:
    write_query(shop.folder, "order_lines", ORDER_LINES.replace(old, new))
    error = refusal(shop, lake, uri)
    assert isinstance(error, kind)
    assert words in error.what


def test_a_date_of_zeros_is_named(shop: Company, lake: Lake, uri: str) -> None:
    change(uri, "SET sql_mode = ''", "UPDATE customers SET born = '0000-00-00' WHERE id = 2")
    error = refusal(shop, lake, uri)
    assert isinstance(error, DataError)
    assert "gives a value of born" in error.what
    assert "NULLIF(born, '0000-00-00')" in error.todo
    write_query(shop.folder, "customers", CUSTOMERS.replace("born", "GREATEST(born, born) AS born"))
    assert "NULLIF(GREATEST(born, born), '0000-00-00')" in refusal(shop, lake, uri).todo


def test_a_time_has_two_digits_for_hours_and_its_sign(shop: Company, lake: Lake, uri: str) -> None:
    times = "CASE id WHEN 1 THEN CAST('09:05:00.5' AS TIME(6)) ELSE CAST('-00:59:59' AS TIME(6)) END AS category"
    write_query(shop.folder, "order_lines", ORDER_LINES.replace("status AS category", times))
    read(shop, lake, uri)
    assert {row["category"] for row in lines_of(lake).values()} == {"09:05:00.500000", "-00:59:59"}


def test_a_number_that_is_too_large_is_no_date_of_zeros(shop: Company, lake: Lake, uri: str) -> None:
    write_query(shop.folder, "order_lines", ORDER_LINES.replace("1 AS line_number", "18446744073709551615 AS line_number"))
    error = refusal(shop, lake, uri)
    assert isinstance(error, DataError)
    assert error.what == "sources/order_lines.sql gives a value of line_number that no int64 can hold"
    assert "0000" not in error.todo


@pytest.mark.parametrize(
    ("change_of_uri", "kind", "words"),
    [
        (lambda uri: uri.replace("root@", "nobody:secret@"), ConfigError, "the database refused the connection"),
        (lambda uri: uri.replace("/test_", "/nowhere_"), ConfigError, "the database refused the connection"),
        (lambda uri: uri + ".gone", TransientError, "the database could not be reached"),
        (lambda uri: uri.replace("mysql://", "postgresql://"), ConfigError, "the connection is no address of MySQL"),
        (lambda uri: uri.replace("localhost", "localhost:secret"), ConfigError, "the connection is no address of MySQL"),
        (lambda uri: uri + "&ssl_ca=/nowhere.pem", ConfigError, "a certificate of the connection cannot be read"),
        (lambda uri: uri + "&ssl_ca=", ConfigError, "`ssl_ca` of the connection has no value"),
        (lambda uri: uri + "&ssl_verify_identity=true", ConfigError, "`ssl_verify_identity` of the connection says nothing"),
        (lambda uri: uri + "&ssl_ca=/x.pem&ssl_verify_identity=no", ConfigError, "`ssl_verify_identity` of the connection says nothing"),
        (lambda uri: uri + "&charset=klingon", ConfigError, "`charset` of the connection is none that MySQL has"),
        (lambda uri: uri.replace("unix_socket", "unix_sockets"), ConfigError, "`unix_sockets` is no option of the connection"),
    ],
    ids=["user", "database", "socket", "scheme", "port", "certificate", "no value", "host alone", "neither", "charset", "option"],
)
def test_a_connection_that_is_wrong_says_so(
    shop: Company, lake: Lake, uri: str, change_of_uri: Any, kind: type[PipelineError], words: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the driver leaves the socket open that nobody answered
        error = refusal(shop, lake, change_of_uri(uri))
        gc.collect()
    assert isinstance(error, kind)
    assert words in error.what
    assert "secret" not in f"{error.what} {error.where} {error.todo}"


CERTIFICATES = {
    "expired": ("trusted", "localhost", LONG_AGO, "its certificate has expired"),
    "of another host": ("trusted", "db.example.com", LAST, "its certificate is of another host"),
    "of an unknown signer": ("unknown", "localhost", LAST, "its certificate is signed by nobody whom this machine trusts"),
}


@pytest.mark.parametrize(("signer", "host", "until", "words"), CERTIFICATES.values(), ids=CERTIFICATES)
def test_a_server_is_let_in_by_a_valid_certificate_of_its_host_alone(
    shop: Company, lake: Lake, uri: str, server: Path, certificate: Certificate, signer: str, host: str, until: datetime, words: str
) -> None:
    trusting = f"{uri}&ssl_ca={certificate.trusted.file}"
    certificate.show(getattr(certificate, signer), host, until=until)
    run(server, "", "FLUSH SSL")
    error = refusal(shop, lake, trusting)
    assert isinstance(error, PipelineError)
    assert error.what == f"the database could not be reached: {words}"
    if "host" in words:
        read(shop, lake, f"{trusting}&ssl_verify_identity=false")
    certificate.show(certificate.trusted, "localhost")
    run(server, "", "FLUSH SSL")
    read(shop, lake, trusting)
