"""SQL Server, Snowflake and BigQuery as sources: drivers that give Arrow, one declaration each of how their databases are asked.

SQL Server gives one snapshot of all queries. Snowflake and BigQuery have none over several statements: each query sees its own moment.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo

import pyarrow as pa

from pipeline.definitions.company_sections import Source
from pipeline.definitions.connections import redact_uri, split_address
from pipeline.errors import ConfigError, DataError, PipelineError, TransientError
from pipeline.ingestion.sources import SourceQuery
from pipeline.ingestion.sources.fitting_types import fitting_batch, fitting_schema
from pipeline.ingestion.sources.relayed import RelayedSnapshot, relaying
from pipeline.spelling import printable_text
from pipeline.tls import tls_error

BATCH_ROWS = 65_536
_EARLIEST, _LATEST = datetime(1753, 1, 1, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
_DATA_STATES = "22"  # of SQLSTATE: a value that cannot be cast, is out of range, or divides by zero


@dataclass(frozen=True, slots=True)
class ArrowDatabase:
    """How one kind of database is asked: `module` is its driver, in the `extra` of that name, `example` an address of such a database.

    `begin` are the statements that begin a session, in which `{zone}` is that of times without one. An instant is written as `instant`,
    or where times are those of a declared zone as `local`. `describe` gives the columns of a query that was not run.
    """

    title: str
    example: str
    extra: str
    module: str
    connect: Callable[[Any, str], Any]
    begin: Sequence[str]
    instant: str
    local: str
    describe: Callable[[Any, str], pa.Schema]
    read: Callable[[Any, str], Any]


def _connect_sql_server(driver: Any, uri: str) -> Any:  # noqa: ANN401 - drivers have no common type
    parts = urlsplit(uri)
    given = {
        "Server": f"{parts.hostname},{parts.port or 1433}",
        "Database": unquote(parts.path[1:]),
        "UID": unquote(parts.username or ""),
        "PWD": unquote(parts.password or ""),
        **dict(parse_qsl(parts.query)),
    }
    # In braces a value may hold what would end it; a brace in it is written twice.
    return driver.connect(";".join(f"{name}={{{value.replace('}', '}}')}}}" for name, value in given.items() if value), autocommit=False)


def _connect_bigquery(driver: Any, uri: str) -> Any:  # noqa: ANN401 - drivers have no common type
    parts, options = urlsplit(uri), dict(parse_qsl(urlsplit(uri).query))
    settings = {"project_id": parts.hostname or "", "dataset_id": parts.path[1:], "location": options.get("location", "")}
    if key_file := options.get("credentials"):
        settings |= {"auth_type": "adbc.bigquery.sql.auth_type.json_credential_file", "auth_credentials": key_file}
    return driver.connect(db_kwargs={f"adbc.bigquery.sql.{name}": value for name, value in settings.items() if value})


def _describe_sql_server(cursor: Any, text: str) -> pa.Schema:  # noqa: ANN401 - drivers have no common type
    # Not within another query, where SQL Server has no WITH: the rows are given up before the first one.
    cursor.execute(text)
    with closing(cursor.arrow_reader(1)) as reader:
        return reader.schema


def _read_sql_server(cursor: Any, text: str) -> Any:  # noqa: ANN401 - drivers have no common type
    cursor.execute(text)
    return cursor.arrow_reader(BATCH_ROWS)


def _describe_adbc(cursor: Any, text: str) -> pa.Schema:  # noqa: ANN401 - drivers have no common type
    return cursor.adbc_execute_schema(text)


def _read_adbc(cursor: Any, text: str) -> Any:  # noqa: ANN401 - drivers have no common type
    cursor.execute(text)
    return cursor.fetch_record_batch()


DATABASES: Mapping[str, ArrowDatabase] = {
    "mssql": ArrowDatabase(
        "SQL Server",
        "mssql://reader:password@host:1433/shop",
        "mssql",
        "mssql_python",
        _connect_sql_server,
        ("SET TRANSACTION ISOLATION LEVEL SNAPSHOT",),
        "CAST('{at}+00:00' AS DATETIMEOFFSET(6))",
        "CAST('{at}' AS DATETIME2(6))",
        _describe_sql_server,
        _read_sql_server,
    ),
    "snowflake": ArrowDatabase(
        "Snowflake",
        "snowflake://reader:password@account/SHOP/PUBLIC?warehouse=SMALL",
        "snowflake",
        "adbc_driver_snowflake.dbapi",
        lambda driver, uri: driver.connect(uri.removeprefix("snowflake://")),
        ("ALTER SESSION SET TIMEZONE = '{zone}'",),
        "CAST('{at} +00:00' AS TIMESTAMP_TZ)",
        "CAST('{at}' AS TIMESTAMP_NTZ)",
        _describe_adbc,
        _read_adbc,
    ),
    "bigquery": ArrowDatabase(
        "BigQuery",
        "bigquery://project/dataset?location=EU",
        "bigquery",
        "adbc_driver_bigquery.dbapi",
        _connect_bigquery,
        (),
        "TIMESTAMP '{at}+00:00'",
        "DATETIME '{at}'",
        _describe_adbc,
        _read_adbc,
    ),
}


class ArrowSession:
    """One connection of a driver; times without a zone are those of `zone`, where one is declared."""

    def __init__(self, database: ArrowDatabase, connection: Any, zone: str, where: str) -> None:  # noqa: ANN401 - as above
        self._database, self._connection, self._zone, self._where = database, connection, zone, where

    def literal(self, instant: datetime) -> str:
        at = min(max(instant, _EARLIEST), _LATEST)
        if not self._zone:
            return self._database.instant.format(at=f"{at:%Y-%m-%d %H:%M:%S.%f}")
        return self._database.local.format(at=f"{at.astimezone(ZoneInfo(self._zone)):%Y-%m-%d %H:%M:%S.%f}")

    def schema(self, text: str, query: SourceQuery) -> pa.Schema:
        with self._cursor(query) as cursor:
            return fitting_schema(self._database.describe(cursor, text), self._zone)

    def rows(self, text: str, query: SourceQuery) -> Generator[pa.RecordBatch, None, None]:
        with self._cursor(query, reads_rows=True) as cursor:
            for batch in self._database.read(cursor, text):
                yield fitting_batch(batch, self._zone, query)

    @contextmanager
    def _cursor(self, query: SourceQuery, *, reads_rows: bool = False) -> Iterator[Any]:
        try:
            with closing(self._connection.cursor()) as cursor:
                yield cursor
        except Exception as error:
            if not _is_driver_error(error):
                raise
            raise _translated_error(error, query, self._where, reads_rows=reads_rows) from None


@contextmanager
def open_arrow_database(source: Source, uri: str, staging: Path, *, memory_limit: str) -> Iterator[RelayedSnapshot]:
    """Yield the snapshot of the database behind the source's connection.

    Raises ConfigError where its driver is not installed or the connection is of another kind, TransientError where it cannot be reached.
    """
    database, where = DATABASES[source.kind], f"connection `{source.connection}` ({redact_uri(uri)})"
    split_address(uri, (source.kind,), database.title, database.example, where=where)
    driver = _driver_of(database)
    try:
        connection = database.connect(driver, uri)
        with closing(connection.cursor()) as cursor:
            for statement in database.begin:
                cursor.execute(statement.format(zone=source.zone or "UTC"))
    except Exception as error:
        if not _is_driver_error(error):
            raise
        what = f"{database.title} could not be reached"
        todo = "Check its host, user, password, database and options; if they are right, run again."
        raise tls_error(what, error, where=where) or TransientError(what, where=where, todo=todo) from None
    try:
        session = ArrowSession(database, connection, source.zone, where)
        with relaying(session, staging, memory_limit=memory_limit) as snapshot:
            yield snapshot
    finally:
        # A broken connection cannot be closed, and what broke it is raised already.
        with suppress(Exception):
            connection.close()


def _driver_of(database: ArrowDatabase) -> Any:  # noqa: ANN401 - drivers have no common type
    try:
        return import_module(database.module)
    except ModuleNotFoundError:
        todo = f"Install it beside the pipeline: pip install 'customer-segments[{database.extra}]'"
        raise ConfigError(f"the driver for {database.title} is not installed", where="[source] of company.toml", todo=todo) from None


def _is_driver_error(error: Exception) -> bool:
    """Return whether an error is one of a driver: all of them name their classes as PEP 249 does, and have no common one."""
    return any(kind.__name__ in ("Error", "DatabaseError", "InterfaceError") for kind in type(error).__mro__)


def _translated_error(error: Exception, query: SourceQuery, where: str, *, reads_rows: bool) -> PipelineError:
    """Return our error for a driver's: its words where they are about the query, and nothing of it where they would quote a row."""
    name, file = type(error).__name__, f"sources/{query.file.name}"
    if fault := tls_error("the source could not be read", error, where=where):
        return fault
    if name in ("OperationalError", "InterfaceError"):
        what = "the source could not be read: the connection broke, or the server gave up"
        return TransientError(what, where=where, todo="Nothing was stored. Run again.")
    # These databases also call a value wrong that a query casts in vain; once it was described, it is right in itself.
    is_about_value = reads_rows or str(getattr(error, "sqlstate", None) or "").startswith(_DATA_STATES)
    if name == "ProgrammingError" and not is_about_value:
        return ConfigError(f"{file} cannot be run: {printable_text(str(error))}", where=str(query.file), todo="Edit the query.")
    what = f"{file} failed on a row: the database refused a value ({name})"
    return DataError(what, where=str(query.file), todo="Find the row in the source, or make the query bear it.")
