"""What databases that nobody can start here are asked, by contract: the texts, the types, and what is said when something is wrong."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from support.builders import a_company

from pipeline.calendar import BEGINNING, END, Window, days_window
from pipeline.definitions.company_sections import Source
from pipeline.errors import ConfigError, DataError, PipelineError, TransientError
from pipeline.ingestion.day_totals import SourceRows
from pipeline.ingestion.erased.filter import SnapshotWithoutErased
from pipeline.ingestion.erased.hashes import ErasedIds
from pipeline.ingestion.reading import table_for_query
from pipeline.ingestion.sources import SourceQuery
from pipeline.ingestion.sources.arrow_databases import DATABASES, open_arrow_database
from pipeline.ingestion.sources.columns import column_faults
from pipeline.ingestion.sources.daily_totals import CountedDays, TotalsQuery
from pipeline.lake.tables import RAW_ORDER_LINES

BERLIN = ZoneInfo("Europe/Berlin")
DAY = date(2024, 3, 5)
URIS = {
    "mssql": "mssql://reader:p}w@db.example.com/shop?Encrypt=yes",
    "snowflake": "snowflake://reader:pw@account/SHOP/PUBLIC?warehouse=SMALL",
    "bigquery": "bigquery://project/dataset?location=EU&credentials=/run/key.json",
}
CONNECTED = {
    "mssql": (("Server={db.example.com,1433};Database={shop};UID={reader};PWD={p}}w};Encrypt={yes}",), {"autocommit": False}),
    "snowflake": (("reader:pw@account/SHOP/PUBLIC?warehouse=SMALL",), {}),
    "bigquery": (
        (),
        {
            "db_kwargs": {
                "adbc.bigquery.sql.project_id": "project",
                "adbc.bigquery.sql.dataset_id": "dataset",
                "adbc.bigquery.sql.location": "EU",
                "adbc.bigquery.sql.auth_type": "adbc.bigquery.sql.auth_type.json_credential_file",
                "adbc.bigquery.sql.auth_credentials": "/run/key.json",
            }
        },
    ),
}
BEGUN = {
    "mssql": ["SET TRANSACTION ISOLATION LEVEL SNAPSHOT"],
    "snowflake": ["ALTER SESSION SET TIMEZONE = 'UTC'"],
    "bigquery": [],
}
BOUNDS = {
    "mssql": "CAST('2024-03-04 23:00:00.000000+00:00' AS DATETIMEOFFSET(6))",
    "snowflake": "CAST('2024-03-04 23:00:00.000000 +00:00' AS TIMESTAMP_TZ)",
    "bigquery": "TIMESTAMP '2024-03-04 23:00:00.000000+00:00'",
}
LOCAL_BOUNDS = {
    "mssql": "CAST('2024-03-05 00:00:00.000000' AS DATETIME2(6))",
    "snowflake": "CAST('2024-03-05 00:00:00.000000' AS TIMESTAMP_NTZ)",
    "bigquery": "DATETIME '2024-03-05 00:00:00.000000'",
}
NOON = datetime(2024, 3, 5, 12, tzinfo=UTC)
LINES = pa.table(
    {
        "order_id": ["A1", "A2"],
        "line_number": pa.array([Decimal(1), Decimal(2)], pa.decimal128(38, 0)),
        "ordered_at": pa.array([NOON, NOON + timedelta(hours=12)], pa.timestamp("ns", "UTC")),
        "net_amount": pa.array([Decimal("19.990000000"), Decimal("0.010000000")], pa.decimal128(38, 9)),
    }
)
TEXT = "WITH a AS (SELECT 1 AS x) SELECT order_id, line_number, ordered_at, net_amount FROM a -- $day_end\nWHERE ordered_at >= $day_start"


class Error(Exception):
    """As PEP 249 names it."""


class ProgrammingError(Error):
    """A query that cannot be run."""


def _with_state(error: Exception, sqlstate: str) -> Exception:
    error.sqlstate = sqlstate  # type: ignore[attr-defined]
    return error


class Driver:
    """A driver that writes down what it is asked, and answers with the same rows."""

    def __init__(self, rows: pa.Table = LINES, error: Exception | None = None) -> None:
        self.rows, self.error, self.asked, self.given = rows, error, list[str](), list[Any]()

    def connect(self, *given: Any, **named: Any) -> Driver:
        self.given.append((given, named))
        return self

    def cursor(self) -> Driver:
        return self

    def execute(self, text: str) -> None:
        self.asked.append(text)
        if self.error and "SELECT" in text:
            raise self.error

    def adbc_execute_schema(self, text: str) -> pa.Schema:
        self.execute(text)
        return self.rows.schema

    def arrow_reader(self, _rows: int) -> pa.RecordBatchReader:
        return self.rows.to_reader()

    def fetch_record_batch(self) -> pa.RecordBatchReader:
        return self.rows.to_reader()

    def close(self) -> None:
        pass


def install(monkeypatch: pytest.MonkeyPatch, kind: str, driver: Driver) -> None:
    *parents, _ = DATABASES[kind].module.split(".")
    for parent in parents:
        monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
    module = ModuleType(DATABASES[kind].module)
    module.connect = driver.connect  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, DATABASES[kind].module, module)


def a_query(kind: str, text: str = TEXT, window: Window | None = None) -> SourceQuery:
    dialect = Source(kind=kind).dialect  # type: ignore[arg-type]
    return SourceQuery("order_lines", Path("sources/order_lines.sql"), dialect, text, window or days_window(DAY, DAY, BERLIN))


@pytest.fixture(params=sorted(DATABASES))
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def opened(kind: str, folder: Path, zone: str = "") -> Any:
    source = Source(kind=kind, connection="shop", zone=zone)  # type: ignore[arg-type]
    return open_arrow_database(source, URIS[kind], folder, memory_limit="200MB")


def test_a_database_is_connected_to_and_asked_in_its_own_words(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    install(monkeypatch, kind, driver)
    with opened(kind, tmp_path) as snapshot:
        found = list(snapshot.rows(a_query(kind)))
    assert driver.given == [CONNECTED[kind]]
    asked = TEXT.replace("$day_start", BOUNDS[kind])
    assert driver.asked == [*BEGUN[kind], asked, asked]  # its columns, then its rows
    assert found[0].schema.types == [pa.string(), pa.int64(), pa.timestamp("us", "UTC"), pa.decimal128(38, 4)]
    assert found[0].to_pylist()[0] == {"order_id": "A1", "line_number": 1, "ordered_at": NOON, "net_amount": Decimal("19.9900")}


def test_what_is_made_around_a_query_is_worked_out_here(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    install(monkeypatch, kind, driver)
    query = a_query(kind)
    with opened(kind, tmp_path) as snapshot:
        wanted = query.select_from_rows(["order_id"], '"ordered_at" >= $day_start AND "ordered_at" < $day_end')
        assert [row for batch in snapshot.rows(wanted) for row in batch.to_pylist()] == [{"order_id": "A1"}]
        totals = TotalsQuery(query, RAW_ORDER_LINES, LINES.column_names, BERLIN, by_customer=False)
        [counted] = totals.of(CountedDays([], None, DAY), is_one_pass=not snapshot.reads_spans(query))
        [total] = [row for batch in snapshot.rows(counted) for row in batch.to_pylist()]
    assert (total["event_day"], total["row_count"], total["net_amount"]) == (date(2024, 3, 6), 1, "0.0100")
    assert "event_day" not in " ".join(driver.asked)


def test_erased_customers_are_neither_read_nor_counted(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = LINES.append_column("customer_id", pa.array(["c1", "c2"]))
    install(monkeypatch, kind, Driver(lines))
    key = b"key"
    query, days = a_query(kind), CountedDays([], None, DAY)
    with opened(kind, tmp_path) as snapshot:
        left = SnapshotWithoutErased(snapshot, ErasedIds(key, [ErasedIds(key, ()).hash_of("c2")]))
        rows = [row for batch in left.rows(query.select_from_rows(["customer_id"])) for row in batch.to_pylist()]
        totals = {
            each: SourceRows(each, query, RAW_ORDER_LINES, lines.column_names, by_customer=True).totals(days, BERLIN)
            for each in (snapshot, left)
        }
    assert rows == [{"customer_id": "c1"}]
    assert list(totals[snapshot]) == [date(2024, 3, 6)]  # of c2, the day after
    assert totals[left] == {}


def test_a_night_has_each_query_described_once(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    install(monkeypatch, kind, driver)
    query = a_query(kind)
    with opened(kind, tmp_path) as snapshot:
        names = snapshot.schema(query).names
        list(snapshot.rows(query.select_from_rows()))
        totals = TotalsQuery(query, RAW_ORDER_LINES, names, BERLIN, by_customer=False)
        for counted in totals.of(CountedDays([], None, DAY), is_one_pass=False):
            list(snapshot.rows(counted))
    own, later = TEXT.replace("$day_start", BOUNDS[kind]), driver.asked[-1]
    assert driver.asked == [*BEGUN[kind], own, own, later]  # its columns, its rows, the rows after the night


def test_times_without_a_zone_are_those_of_the_declared_one(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = LINES.set_column(2, "ordered_at", pa.array([datetime(2024, 3, 5, 13), None], pa.timestamp("us")))  # noqa: DTZ001 - that it has none
    driver = Driver(local)
    install(monkeypatch, kind, driver)
    with opened(kind, tmp_path, "Europe/Berlin") as snapshot:
        rows = [row for batch in snapshot.rows(a_query(kind)) for row in batch.to_pylist()]
    assert [row["ordered_at"] for row in rows] == [NOON, None]
    assert LOCAL_BOUNDS[kind] in driver.asked[-1]
    with opened(kind, tmp_path) as snapshot:
        [fault] = column_faults(
            table_for_query(a_company(tmp_path), "order_lines").only(("ordered_at",)), snapshot.schema(a_query(kind)), a_query(kind), BERLIN
        )
    assert 'declare `time_zone = "Europe/Berlin"` under [source]' in fault.remedy


def test_an_amount_that_would_be_rounded_is_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fine = LINES.set_column(3, "net_amount", pa.array([Decimal("0.00001"), None], pa.decimal128(38, 9)))
    install(monkeypatch, kind, Driver(fine))
    with opened(kind, tmp_path) as snapshot, pytest.raises(DataError, match="more than 4 decimals"):
        list(snapshot.rows(a_query(kind).select_from_rows()))


@pytest.mark.parametrize(
    ("error", "refused", "words"),
    [
        (ProgrammingError("Invalid object name 'ordrs'"), ConfigError, "cannot be run: Invalid object name 'ordrs'"),
        (Error("secret"), DataError, "the database refused a value"),
        (_with_state(ProgrammingError("Numeric value 'secret' is not recognized"), "22018"), DataError, "the database refused a value"),
        (type("OperationalError", (Error,), {})("secret"), TransientError, "the connection broke"),
    ],
    ids=["query", "row", "value", "connection"],
)
def test_an_error_of_the_driver_is_told_without_a_row(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, refused: type[PipelineError], words: str
) -> None:
    install(monkeypatch, kind, Driver(error=error))
    with opened(kind, tmp_path) as snapshot, pytest.raises(refused) as found:
        snapshot.schema(a_query(kind))
    assert words in found.value.what
    assert "secret" not in found.value.what


def test_an_error_at_a_row_shows_nothing_of_it(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    install(monkeypatch, kind, driver)
    with opened(kind, tmp_path) as snapshot:
        snapshot.schema(a_query(kind))
        driver.error = ProgrammingError("Bad int64 value: secret")
        with pytest.raises(DataError) as found:
            list(snapshot.rows(a_query(kind).select_from_rows()))
    assert "secret" not in str(found.value)
    assert "the database refused a value" in found.value.what


def test_a_driver_that_is_not_installed_says_which_extra_has_it(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, DATABASES[kind].module.split(".")[0], None)
    with pytest.raises(ConfigError) as found, opened(kind, tmp_path):
        pass
    assert f"pip install 'customer-segments[{kind}]'" in found.value.todo


@pytest.mark.parametrize("address", ["mysql://x@y/z", "{kind}://u:s3cret@host:s3cret/z", "{kind}://u:s3cret@[host/z", "s3cret"])
def test_what_is_no_address_of_the_database_is_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    install(monkeypatch, kind, Driver())
    source, uri = Source(kind=kind, connection="shop"), address.format(kind=kind)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="is no address of") as refused, open_arrow_database(source, uri, tmp_path, memory_limit="200MB"):
        pass
    assert f"{kind}://" in refused.value.todo
    assert "s3cret" not in str(refused.value)


def test_bounds_beyond_every_calendar_are_ones_that_the_database_knows(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver()
    install(monkeypatch, kind, driver)
    with opened(kind, tmp_path) as snapshot:
        snapshot.schema(a_query(kind, "SELECT 1 AS x WHERE a >= $day_start AND a < $day_end", Window(BEGINNING, END)))
    assert "1753-01-01 00:00:00" in driver.asked[-1]
    assert "9999-12-30 00:00:00" in driver.asked[-1]
