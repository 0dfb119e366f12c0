"""PostgreSQL as a source: one REPEATABLE READ transaction, rows streamed over COPY as Arrow batches.

With bound parameters the driver gathers the whole result in memory before the first row; over COPY it
streams, but COPY takes no parameters. So the bounds are bound once, to settings that end with the
transaction, and the query reads those.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from adbc_driver_manager import dbapi
from adbc_driver_manager._reader import AdbcRecordBatchReader  # its errors carry the SQLSTATE
from adbc_driver_postgresql.dbapi import connect

from pipeline.definitions.connections import redact_uri
from pipeline.errors import ConfigError, DataError, PipelineError, SchemaDrift, TransientError
from pipeline.ingestion.sources import SourceQuery, parameter_places, quote_name
from pipeline.ingestion.sources.postgresql_grants import missing_grants
from pipeline.spelling import printable_text
from pipeline.tls import tls_error

BATCH_BYTES = 4 * 1024 * 1024
STATEMENT_TIMEOUT = "2h"
LOCK_TIMEOUT = "1min"
_CONNECTION_DEFAULTS = {
    "connect_timeout": "30",
    # A firewall drops a connection without a word while a long query runs; this notices within minutes.
    "keepalives_idle": "60",
    "keepalives_interval": "10",
    "application_name": "customer_segments",
    # Arrow's; the driver would hand over what a database stores in another one as it is.
    "client_encoding": "UTF8",
}
_WRONG_SETTINGS = (
    "does not exist",
    "authentication failed",
    "no password supplied",
    "not permitted",
    "connection info",
    "URI",
    "connection option",
    "could not translate host name",
)
# Connections, conflicts of transactions, resources, locks, an operator's cancelling, the system, a transaction that was ended.
_TRANSIENT_STATES = ("08", "40", "53", "55", "57", "58", "25P")
# No such column, no such function or operator for its type, another type.
_DRIFT_STATES = ("42703", "42883", "42804")
# Permission denied, no such table.
_NOT_GRANTED_STATES = ("42501", "42P01")
_QUERY_STATES = ("42", "0A", "25", "26", "3F")


class PostgresqlSnapshot:
    """What one transaction sees of the database."""

    def __init__(self, connection: dbapi.Connection, where: str) -> None:
        self._connection, self._where = connection, where

    def schema(self, query: SourceQuery) -> pa.Schema:
        with self._cursor(query) as cursor:
            return pa.schema(
                [_exact_field(field) for field in cursor.adbc_execute_schema(_with_settings_for_parameters(query.select_from_rows()))]
            )

    def rows(self, query: SourceQuery) -> Generator[pa.RecordBatch, None, None]:
        bounds = [(f"segments.{name}", at.isoformat()) for name, at in query.parameters.items()]
        with self._cursor(query) as cursor:
            for bound in bounds:
                cursor.execute("SELECT set_config($1, $2, true)", bound)
                cursor.fetchone()
            cursor.execute(_with_settings_for_parameters(query))
            stream = cursor.fetch_arrow()
            with AdbcRecordBatchReader._import_from_c(stream.address) as reader:  # noqa: SLF001  (it has no public way in)
                yield from reader

    def reads_spans(self, query: SourceQuery) -> bool:  # noqa: ARG002 - of every query, where there is an index
        return True

    @contextmanager
    def _cursor(self, query: SourceQuery) -> Iterator[dbapi.Cursor]:
        try:
            with closing(self._connection.cursor()) as cursor:
                cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(BATCH_BYTES)})
                yield cursor
        except dbapi.Error as error:
            raise self._translated_error(error, query) from None

    def _translated_error(self, error: dbapi.Error, query: SourceQuery) -> PipelineError:
        # What lies in a schema that the role may not look into does not exist for it.
        if error.sqlstate in _NOT_GRANTED_STATES and (grants := missing_grants(self._connection, query)):
            what = f"sources/{query.file.name} reads what its database user may not read"
            return ConfigError(what, where=self._where, todo=f"Have the owner run, in that database: {' '.join(grants)}")
        return _translated_error(error, query, self._where)


@contextmanager
def open_postgresql(name: str, uri: str) -> Iterator[PostgresqlSnapshot]:
    """Yield one snapshot of the database behind connection `name`.

    Raises TransientError where the same call may succeed later, ConfigError where the connection itself is wrong.
    """
    where = f"connection `{name}` ({redact_uri(uri)})"
    try:
        connection = connect(_with_defaults(uri))
    except dbapi.Error as error:
        if fault := tls_error("the database could not be reached", error, where=where):
            raise fault from None
        if "permission denied for database" in str(error):
            database, user = urlsplit(uri).path.strip("/") or "DATABASE", urlsplit(uri).username or "USER"
            todo = f"Have its owner run: GRANT CONNECT ON DATABASE {quote_name(unquote(database))} TO {quote_name(unquote(user))};"
            raise ConfigError("the database user may not connect to the database", where=where, todo=printable_text(todo)) from None
        if any(words in str(error) for words in _WRONG_SETTINGS):
            todo = "Check its host, user, password, database and options."
            raise ConfigError("the database refused the connection", where=where, todo=todo) from None
        todo = "Run again; if it lasts, see whether the server is up."
        raise TransientError("the database could not be reached", where=where, todo=todo) from None
    try:
        _begin_snapshot(connection, where)
        yield PostgresqlSnapshot(connection, where)
    finally:
        # A broken connection cannot be closed, and what broke it is raised already.
        with suppress(dbapi.Error):
            connection.close()


def _begin_snapshot(connection: dbapi.Connection, where: str) -> None:
    """Begin the transaction that is the snapshot; timeouts that the server or the connection already sets are kept."""
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            # The author's casts from instants to dates and texts would follow the server's own zone.
            cursor.execute("SELECT set_config('TimeZone', 'UTC', true)")
            cursor.fetchone()
            for setting, limit in (("statement_timeout", STATEMENT_TIMEOUT), ("lock_timeout", LOCK_TIMEOUT)):
                cursor.execute("SELECT set_config($1, COALESCE(NULLIF(current_setting($1), '0'), $2), true)", (setting, limit))
                cursor.fetchone()
    except dbapi.Error as error:
        raise _transient_error(error, where) from None


def _with_defaults(uri: str) -> str:
    if not uri.startswith(("postgresql://", "postgres://")):
        return uri
    query = uri.partition("?")[2]
    missing = [f"{name}={value}" for name, value in _CONNECTION_DEFAULTS.items() if f"{name}=" not in query]
    return "&".join([f"{uri}{'' if query else '?'}", *missing]).replace("?&", "?")


def _with_settings_for_parameters(query: SourceQuery) -> str:
    """Return the text of `query` with each parameter replaced by the setting that holds its value."""
    text = query.text
    # From the end, so that the places before stay right.
    for start, end, name in reversed(parameter_places(text, query.dialect)):
        text = f"{text[:start]}(current_setting('segments.{name}')::timestamptz){text[end:]}"
    return text


def _exact_field(field: pa.Field) -> pa.Field:
    """Return a column as declared in the database: NUMERIC with precision and scale, MONEY not as an integer, as the driver has it."""
    facts = field.metadata or {}
    kind, modifier = facts.get(b"POSTGRESQL:type"), int(facts.get(b"POSTGRESQL:typmod", -1))
    if kind == b"money":
        return field.with_type(pa.opaque(pa.int64(), "money", "PostgreSQL"))
    if kind == b"numeric" and modifier >= 0:
        # Precision in the upper 16 bits and a signed scale in the lower 11, and the 4 bytes of a header are counted in.
        precision, scale = (modifier - 4) >> 16, (((modifier - 4) & 0x7FF) ^ 0x400) - 0x400
        return field.with_type(pa.decimal256(min(precision, 76), scale))
    return field


def _transient_error(error: dbapi.Error, where: str) -> TransientError:
    reasons = {"57014": "the query took too long", "55P03": "a lock was held for too long", None: "the connection broke"}
    what = reasons.get(error.sqlstate, f"the server gave up (SQLSTATE {error.sqlstate})")
    return TransientError(f"the source could not be read: {what}", where=where, todo="Nothing was stored. Run again.")


def _translated_error(error: dbapi.Error, query: SourceQuery, where: str) -> PipelineError:
    """Return our error for one of the database's: its words where they are about the query, only its code where they would quote a row."""
    state = error.sqlstate or ""
    if state.startswith(_TRANSIENT_STATES) or (not state and isinstance(error, dbapi.OperationalError)):
        return _transient_error(error, where)
    if state in _DRIFT_STATES:
        what = f"sources/{query.file.name} takes a column for another one than the source has: {_error_diagnosis(error)}"
        todo = "Edit the query, or have the source give the column as it did before."
        return SchemaDrift(printable_text(what), where=str(query.file), todo=todo)
    if state.startswith(_QUERY_STATES) and not _is_about_number(state, error):
        return ConfigError(
            f"sources/{query.file.name} cannot be run: {_error_diagnosis(error)}", where=str(query.file), todo="Edit the query."
        )
    return DataError(
        f"sources/{query.file.name} failed on a row: {_ROW_ERRORS.get(state, 'the database refused a value')} (SQLSTATE {state})",
        where=str(query.file),
        todo="Find the row in the source, or make the query bear it.",
    )


def _is_about_number(state: str, error: dbapi.Error) -> bool:
    """Return whether what PostgreSQL calls a feature that it does not support is a whole number made of NaN or infinity."""
    return state == "0A000" and "cannot convert" in _error_diagnosis(error)


_ROW_ERRORS = {
    "0A000": "a number is NaN or infinite, which no whole number can be",
    "22P02": "a text does not read as the type it is cast to",
    "22003": "a number is out of range",
    "22007": "a text is no date or time",
    "22008": "a date or time is out of range",
    "22012": "division by zero",
}


def _error_diagnosis(error: dbapi.Error) -> str:
    parts: dict[Any, bytes] = dict(error.details or [])
    known = [parts.get(b"PG_DIAG_MESSAGE_PRIMARY", b""), parts.get(b"PG_DIAG_MESSAGE_HINT", b"")]
    return "; ".join(part.decode("utf-8", "replace") for part in known if part) or f"SQLSTATE {error.sqlstate}"
