"""PostgreSQL as target: rows arrive by COPY, only what changed is merged, publishers take turns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import psycopg
import pyarrow as pa
from psycopg import sql
from psycopg.copy import QueuedLibpqWriter

from pipeline.definitions.company_sections import Target
from pipeline.errors import ConfigError, DataError, LockTimeout, TransientError
from pipeline.lake.tables import MONEY_DECIMALS, Kind
from pipeline.publication.targets.crm import CRM_TARGETS, HASHED_AUDIENCES
from pipeline.publication.targets.merge import merge_night
from pipeline.publication.targets.postgresql_connection import APPLICATION, open_connection
from pipeline.publication.targets.postgresql_grants import missing_target_grants
from pipeline.publication.targets.postgresql_text import copy_text
from pipeline.publication.targets.published_night import PublishedNight
from pipeline.publication.targets.sessions import TargetSession, quote_identifier
from pipeline.publication.targets.tables import OPTIONAL, TARGET_TABLES, TargetTable
from pipeline.publication.targets.target_state import STATE
from pipeline.tls import tls_error

LOCK_TIMEOUT = "600s"
TYPES = {
    Kind.TEXT: "text",
    Kind.INTEGER: "bigint",
    Kind.NUMBER: "double precision",
    Kind.MONEY: f"numeric(18,{MONEY_DECIMALS})",
    Kind.DATE: "date",
    Kind.INSTANT: "timestamp with time zone",
    Kind.FLAG: "boolean",
}


def publish_to_postgresql(uri: str, target: Target, night: PublishedNight) -> bool:
    """Bring the target's schema to `night` in one transaction; return False where it holds a later day.

    Raises TransientError where the connection fails, ConfigError where the server refuses a statement and
    DataError where it refuses a value; none of them holds what `uri` or a row says.
    """
    where = f"connection `{target.connection}`, schema `{target.schema}`"
    with _translate_postgresql_errors(where), open_connection(uri) as connection, _naming_missing_grants(connection, target, where):
        _wait_for_turn(connection, target)
        is_merged = merge_night(_PostgreSQLSession(connection, target), night)
        if is_merged:
            _commit(connection, where)
        else:
            connection.rollback()
    return is_merged


@contextmanager
def postgresql_session(uri: str, target: Target) -> Iterator[TargetSession]:
    """Yield one transaction in the target's schema, while no publisher is in it; it ends with the block."""
    where = f"connection `{target.connection}`, schema `{target.schema}`"
    with _translate_postgresql_errors(where), open_connection(uri) as connection, _naming_missing_grants(connection, target, where):
        _wait_for_turn(connection, target)
        yield _PostgreSQLSession(connection, target)
        _commit(connection, where)


def _wait_for_turn(connection: psycopg.Connection, target: Target) -> None:
    """Wait until no other publisher is in the target's schema, and make its tables the ones that names mean."""
    schema = target.schema
    path = ", ".join(sql.Identifier(each).as_string(connection) for each in (schema, target.audiences_schema))
    connection.execute("SELECT set_config('lock_timeout', %s, true), set_config('search_path', %s, true)", [LOCK_TIMEOUT, path])
    # A lock of our own, as tables that are not there yet cannot be locked; it ends with the transaction, however that ends.
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"{APPLICATION} {schema}"])
    _require_schema(connection, schema)


def _require_schema(connection: psycopg.Connection, schema: str) -> None:
    # IF NOT EXISTS would ask for the right to create even where there is nothing to create.
    if connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", [schema]).fetchone() is None:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))


def _commit(connection: psycopg.Connection, where: str) -> None:
    try:
        connection.commit()
    except psycopg.OperationalError:
        raise TransientError(
            "PostgreSQL did not confirm the commit: whether the night is in the database is unknown",
            where=where,
            todo="Run again: publishing a day twice is publishing it once.",
        ) from None


class _PostgreSQLSession:
    types: Mapping[Kind, str] = TYPES
    table_option = ""

    def __init__(self, connection: psycopg.Connection, target: Target) -> None:
        self._connection, self._target = connection, target

    def name_to_create(self, table: TargetTable) -> str:
        if table is not HASHED_AUDIENCES:
            return quote_identifier(table.name)
        _require_schema(self._connection, self._target.audiences_schema)
        return f"{quote_identifier(self._target.audiences_schema)}.{quote_identifier(table.name)}"

    def columns(self) -> Mapping[str, Sequence[str]]:
        query = """
            SELECT table_name::text, array_agg(column_name::text ORDER BY ordinal_position)
            FROM information_schema.columns WHERE table_schema = %s AND table_name <> %s OR table_schema = %s AND table_name = %s
            GROUP BY table_name
        """
        hashed = HASHED_AUDIENCES.name
        return dict(self._connection.execute(query, [self._target.schema, hashed, self._target.audiences_schema, hashed]).fetchall())

    def execute(self, statement: str) -> None:
        self._connection.execute(statement.encode())

    def count(self, statement: str) -> int:
        row = self._connection.execute(statement.encode()).fetchone()
        return int(row[0]) if row else 0

    def texts(self, statement: str) -> Iterator[str]:
        yield from (text for (text,) in self._connection.execute(statement.encode()))

    def write_mark(self) -> str:
        return next(self.texts("SELECT pg_current_xact_id()::text"))

    def untouched_count(self, table: TargetTable, condition: str, mark: str) -> int | None:
        # Each row knows the transaction that wrote it; a younger one than ours was somebody else's. Where ours is still to come, the
        # mark is of another server, from which the tables were restored.
        query = "SELECT count(*) FILTER (WHERE {}), count(*) FILTER (WHERE age(xmin) < age({mark}) OR age({mark}) < 0) FROM {}"
        mark_id = sql.SQL("{}::xid8::xid").format(sql.Literal(mark))
        parts = sql.SQL(condition), sql.Identifier(table.name)
        found = self._connection.execute(sql.SQL(query).format(*parts, mark=mark_id)).fetchone()
        return found[0] if found and not found[1] else None

    def load(self, table: TargetTable, batches: Iterable[pa.RecordBatch]) -> None:
        statement = sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table.name))
        # A thread sends what was written while the next rows are: else client and server would wait for each other in turn.
        with self._connection.cursor() as cursor, cursor.copy(statement, writer=QueuedLibpqWriter(cursor)) as copy:
            for batch in batches:
                if batch.num_rows:  # nothing at all would be the sign that all was sent
                    copy.write(copy_text(batch))

    def gather_statistics(self, table: TargetTable) -> None:
        # The planner takes a table that was just filled for an empty one, and would join it row by row.
        self._connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(table.name)))


@contextmanager
def _naming_missing_grants(connection: psycopg.Connection, target: Target, where: str) -> Iterator[None]:
    """Raise ConfigError with the statements to run where the server refuses the block for want of rights."""
    try:
        yield
    except psycopg.ProgrammingError:
        names = [table.name for table in (*TARGET_TABLES, STATE, *OPTIONAL, *CRM_TARGETS)]
        grants = missing_target_grants(connection, [target.schema, target.audiences_schema], names)
        if not grants:
            raise
        todo = f"Have the database's owner run, in that database: {' '.join(grants)}"
        raise ConfigError("the publish target's user lacks rights in the database", where=where, todo=todo) from None


@contextmanager
def _translate_postgresql_errors(where: str) -> Iterator[None]:
    """Raise our own errors for the driver's, whose texts may hold credentials or values."""
    try:
        yield
    except psycopg.errors.LockNotAvailable:
        raise LockTimeout("another publisher, or a reader's lock, held the tables for too long", where=where, todo="Run again.") from None
    except psycopg.ProgrammingError as error:
        raise ConfigError(
            f"PostgreSQL refused the night: {type(error).__name__}",
            where=where,
            todo="Check the connection string, and the role's rights to create and change tables in the schema.",
        ) from None
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        todo = "Nothing was changed. See the log of the server, which names the column."
        raise DataError(f"PostgreSQL refused a value: {type(error).__name__}", where=where, todo=todo) from None
    except psycopg.Error as error:
        if fault := tls_error("PostgreSQL could not be reached", error, where=where):
            raise fault from None
        raise TransientError(
            f"PostgreSQL could not be reached or broke off: {type(error).__name__}",
            where=where,
            todo="Nothing was changed. Check that the server runs, then run again.",
        ) from None
