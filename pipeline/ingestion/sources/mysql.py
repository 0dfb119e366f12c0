"""MySQL and MariaDB as a source: one consistent read-only snapshot, rows streamed from the server.

DATETIME knows no time zone and TIMESTAMP is shown in that of the session. So the session has the zone that `time_zone` of [source] names,
and both are instants in it; without the key it is UTC, TIMESTAMP is an instant, and DATETIME is none.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.definitions.company_sections import Source
from pipeline.definitions.connections import MYSQL, redact_uri, split_address
from pipeline.errors import ConfigError, DataError, PipelineError, SchemaDrift, TransientError
from pipeline.ingestion.sources import SourceQuery
from pipeline.ingestion.sources.cell_texts import duration_text
from pipeline.ingestion.sources.query_columns import expression_text
from pipeline.ingestion.sources.relayed import RelayedSnapshot, relaying
from pipeline.spelling import did_you_mean, printable_text
from pipeline.tls import tls_error

try:
    import pymysql
    from pymysql.charset import charset_by_name
    from pymysql.constants import FIELD_TYPE
    from pymysql.cursors import SSCursor
except ModuleNotFoundError:
    raise ConfigError(
        "the driver for MySQL is not installed",
        where="[source] of company.toml",
        todo="Install it beside the pipeline: pip install 'customer-segments[mysql]'",
    ) from None

BATCH_ROWS = 10_000
_CHARSET = "utf8mb4"
_HOST_VERIFIED = "ssl_verify_identity"
_OPTIONS = ("unix_socket", "ssl_ca", "ssl_cert", "ssl_key", _HOST_VERIFIED, "charset")
_EARLIEST, _LATEST = datetime(1000, 1, 1, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
_UNKNOWN_ZONE = 1298
_WRONG_SETTINGS = (1044, 1045, 1049, 1130, 1251, 2005, 2059)
_TRANSIENT = (1040, 1053, 1205, 1213, 1317, 1927, 1969, 2002, 2003, 2006, 2013, 3024)
_DRIFT = (1054, 1305)
_QUERY = (1046, 1060, 1064, 1066, 1109, 1111, 1140, 1142, 1143, 1146, 1222, 1241, 1248, 1582, 4078)
_BATCH_SECONDS = 3600
_WHOLE = (FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.INT24, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG, FIELD_TYPE.YEAR)
_FIXED: Mapping[int, pa.DataType] = {
    **dict.fromkeys(_WHOLE, pa.int64()),
    FIELD_TYPE.FLOAT: pa.float64(),
    FIELD_TYPE.DOUBLE: pa.float64(),
    FIELD_TYPE.DATE: pa.date32(),
    FIELD_TYPE.NULL: pa.null(),
}
_DECIMALS = (FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL)
_MOST_DIGITS = 38


class MySQLSession:
    """One transaction of a server; `zone` is that of the session where one is declared."""

    def __init__(self, connection: Any, zone: str, where: str) -> None:  # noqa: ANN401 - the driver has no types
        self._connection, self._zone, self._where = connection, zone, where

    def literal(self, instant: datetime) -> str:
        local = min(max(instant, _EARLIEST), _LATEST).astimezone(ZoneInfo(self._zone) if self._zone else UTC)
        return f"TIMESTAMP'{local:%Y-%m-%d %H:%M:%S.%f}'" if local.year >= _EARLIEST.year else f"TIMESTAMP'{_EARLIEST:%Y-%m-%d %H:%M:%S}'"

    def schema(self, text: str, query: SourceQuery) -> pa.Schema:
        with self._cursor(f"{_around(text)} WHERE 1 = 0", query) as cursor:
            return pa.schema([self._field(column) for column in cursor.description])

    def rows(self, text: str, query: SourceQuery) -> Generator[pa.RecordBatch, None, None]:
        with self._cursor(_around(text), query) as cursor:
            schema = pa.schema([self._field(column) for column in cursor.description])
            while rows := cursor.fetchmany(BATCH_ROWS):
                yield self._batch(rows, schema, query)

    def _field(self, column: Sequence[Any]) -> pa.Field:
        name, kind, _, _, precision, scale, *_ = column
        if kind in (FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP):
            return pa.field(name, pa.timestamp("us", "UTC" if self._zone or kind == FIELD_TYPE.TIMESTAMP else None))
        if kind in _DECIMALS:
            return pa.field(name, pa.decimal128(min(max(precision, scale, 1), _MOST_DIGITS), scale))
        return pa.field(name, _FIXED.get(kind, pa.string()))

    def _batch(self, rows: Sequence[Sequence[Any]], schema: pa.Schema, query: SourceQuery) -> pa.RecordBatch:
        arrays = []
        for field, cells in zip(schema, zip(*rows, strict=True), strict=True):
            try:
                arrays.append(self._array(cells, field.type))
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
                raise _unfit_value(field, query) from None
        return pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _array(self, cells: Sequence[Any], kind: pa.DataType) -> pa.Array:
        if pa.types.is_timestamp(kind) and kind.tz:
            local = pa.array(cells, pa.timestamp("us"))
            return pc.assume_timezone(local, self._zone or "UTC", ambiguous="earliest", nonexistent="latest").cast(kind)
        if pa.types.is_string(kind):
            return pa.array([_cell_text(cell) for cell in cells], kind)
        return pa.array(cells, kind)

    @contextmanager
    def _cursor(self, text: str, query: SourceQuery) -> Iterator[SSCursor]:
        try:
            with closing(self._connection.cursor(SSCursor)) as cursor:
                cursor.execute(text)
                yield cursor
        except pymysql.MySQLError as error:
            raise _translated_error(error, query, self._where) from None


def _cell_text(cell: object) -> str | None:
    if isinstance(cell, bytes):
        return cell.hex()
    if isinstance(cell, timedelta):
        return duration_text(cell)
    return None if cell is None else str(cell)


def _unfit_value(field: pa.Field, query: SourceQuery) -> DataError:
    what = f"sources/{query.file.name} gives a value of {field.name} that no {field.type} can hold"
    if not pa.types.is_temporal(field.type):
        return DataError(what, where=str(query.file), todo="Find it in the source, then round, correct or empty it in the query.")
    given = expression_text(query.authored or query.text, query.dialect, field.name)
    todo = f"Find it in the source, or leave it out: NULLIF({given}, '0000-00-00')."
    return DataError(f"{what}, such as a date of zeros", where=str(query.file), todo=todo)


def _around(text: str) -> str:
    return f"SELECT * FROM (\n{text}\n) AS source"  # noqa: S608 - the company's own query, alone on its lines


@contextmanager
def open_mysql(source: Source, uri: str, staging: Path, *, memory_limit: str) -> Iterator[RelayedSnapshot]:
    """Yield one snapshot of the database behind the source's connection.

    Raises TransientError where the same call may succeed later, ConfigError where the connection itself is wrong.
    """
    where = f"connection `{source.connection}` ({redact_uri(uri)})"
    try:
        connection = pymysql.connect(**_connection_arguments(uri, where), connect_timeout=30, autocommit=False)
    except pymysql.MySQLError as error:
        raise _refused_connection(error, where) from None
    except OSError:  # not of the network, which the driver calls its own errors
        todo = "Correct ssl_ca, ssl_cert or ssl_key behind its address, and let the user that runs this read them."
        raise ConfigError("a certificate of the connection cannot be read", where=where, todo=todo) from None
    try:
        _begin_snapshot(connection, source.zone, where)
        with relaying(MySQLSession(connection, source.zone, where), staging, memory_limit=memory_limit) as snapshot:
            yield snapshot
    finally:
        # A broken connection cannot be closed, and what broke it is raised already.
        with suppress(pymysql.MySQLError):
            connection.close()


def _begin_snapshot(connection: Any, zone: str, where: str) -> None:  # noqa: ANN401 - the driver has no types
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute("SET SESSION time_zone = %s", ("+00:00" if zone in ("", "UTC") else zone,))
            # The server gives up on who is slow to read a row: a batch may wait for the disk.
            cursor.execute(f"SET SESSION net_write_timeout = {_BATCH_SECONDS}")
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    except pymysql.MySQLError as error:
        if error.args and error.args[0] == _UNKNOWN_ZONE:
            todo = "Load the zones into it: mysql_tzinfo_to_sql /usr/share/zoneinfo | mysql mysql"
            raise ConfigError(f"the server does not know the time zone `{zone}`", where=where, todo=todo) from None
        raise _refused_connection(error, where) from None


def _connection_arguments(uri: str, where: str) -> dict[str, Any]:
    parts = split_address(uri, MYSQL, "MySQL", "mysql://reader:password@host:3306/shop", where=where)
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if name := next((name for name in given if name not in _OPTIONS), ""):
        todo = f"There are: {', '.join(_OPTIONS)}."
        raise ConfigError(f"`{name}` is no option of the connection{did_you_mean(name, _OPTIONS)}", where=where, todo=todo)
    if name := next((name for name, value in given.items() if not value), ""):
        raise ConfigError(f"`{name}` of the connection has no value", where=where, todo="Write one, or leave the option out.")
    if (verified := given.pop(_HOST_VERIFIED, None)) and (verified not in ("true", "false") or "ssl_ca" not in given):
        todo = "Write true or false, and beside it `ssl_ca`: without that nothing is verified."
        raise ConfigError(f"`{_HOST_VERIFIED}` of the connection says nothing", where=where, todo=todo)
    if charset_by_name(given.get("charset", _CHARSET)) is None:
        raise ConfigError("`charset` of the connection is none that MySQL has", where=where, todo=f"Leave it out: it is {_CHARSET} then.")
    return {
        "host": parts.hostname or "localhost",
        "port": parts.port or 3306,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": unquote(parts.path[1:]) or None,
        "charset": _CHARSET,
        **given,
        # With `ssl_ca` alone the driver verifies nothing.
        **({"ssl_verify_cert": True, _HOST_VERIFIED: verified != "false"} if "ssl_ca" in given else {}),
    }


def _refused_connection(error: pymysql.MySQLError, where: str) -> PipelineError:
    if fault := tls_error("the database could not be reached", error, where=where, trust="`ssl_ca` behind its address"):
        return fault
    if error.args and error.args[0] in _WRONG_SETTINGS:
        todo = "Check its host, user, password, database and options."
        return ConfigError("the database refused the connection", where=where, todo=todo)
    return TransientError("the database could not be reached", where=where, todo="Run again; if it lasts, see whether the server is up.")


def _translated_error(error: pymysql.MySQLError, query: SourceQuery, where: str) -> PipelineError:
    """Return our error for one of the database's: its words where they are about the query, its number where they would quote a row."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    words, file = printable_text(str(error.args[-1])) if error.args else "", f"sources/{query.file.name}"
    if number in _TRANSIENT or isinstance(error, pymysql.err.InterfaceError):
        what = f"the source could not be read: the server gave up (error {number})"
        return TransientError(what, where=where, todo="Nothing was stored. Run again.")
    if number in _DRIFT:
        what = f"{file} takes a column for another one than the source has: {words}"
        return SchemaDrift(what, where=str(query.file), todo="Edit the query, or have the source give the column as it did before.")
    if number in _QUERY:
        return ConfigError(f"{file} cannot be run: {words}", where=str(query.file), todo="Edit the query.")
    what = f"{file} failed on a row: the database refused a value (error {number})"
    return DataError(what, where=str(query.file), todo="Find the row in the source, or make the query bear it.")
