"""The embedded target: one SQLite file in the lake."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow as pa

from pipeline.errors import DataError, TransientError
from pipeline.lake.tables import Kind
from pipeline.publication.targets.merge import PublishedNight, TargetSession, merge_night, quote_identifier
from pipeline.publication.targets.tables import TargetTable

LOCK_SECONDS = 60
# SQLite has no exact decimal and no date: their text is exact, and ISO days sort as text.
TYPES = {
    Kind.TEXT: "TEXT",
    Kind.INTEGER: "INTEGER",
    Kind.NUMBER: "REAL",
    Kind.MONEY: "TEXT",
    Kind.DATE: "TEXT",
    Kind.INSTANT: "TEXT",
    Kind.FLAG: "INTEGER",
}


def publish_to_sqlite(path: Path, night: PublishedNight) -> bool:
    """Bring the database at `path` to `night` in one transaction; return False where it holds a later day.

    Raises TransientError where the file is locked or the disk fails, DataError where the file is damaged.
    """
    with _translate_sqlite_errors(path), closing(sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        is_merged = merge_night(_SQLiteSession(connection), night)
        connection.execute("COMMIT" if is_merged else "ROLLBACK")
    return is_merged


@contextmanager
def sqlite_session(path: Path) -> Iterator[TargetSession]:
    """Yield one transaction in the database at `path`, in which what is deleted is overwritten; it ends with the block."""
    with _translate_sqlite_errors(path), closing(sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("BEGIN IMMEDIATE")
        yield _SQLiteSession(connection)
        connection.execute("COMMIT")


def compact_sqlite(path: Path) -> None:
    """Write the database at `path` anew, without what earlier deletions left in its pages."""
    with _translate_sqlite_errors(path), closing(sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)) as connection:
        connection.execute("VACUUM")


class _SQLiteSession:
    types: Mapping[Kind, str] = TYPES

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def columns(self) -> Mapping[str, Sequence[str]]:
        query = """
            SELECT stored.name, held.name FROM sqlite_master AS stored JOIN pragma_table_info(stored.name) AS held
            WHERE stored.type IN ('table', 'view') ORDER BY stored.name, held.cid
        """
        found: dict[str, list[str]] = {}
        for table, column in self._connection.execute(query):
            found.setdefault(table, []).append(column)
        return found

    def execute(self, statement: str) -> None:
        self._connection.execute(statement)

    def count(self, statement: str) -> int:
        return int(self._connection.execute(statement).fetchone()[0])

    def texts(self, statement: str) -> Iterator[str]:
        for (text,) in self._connection.execute(statement):
            yield text

    def load(self, table: TargetTable, batches: Iterable[pa.RecordBatch]) -> None:
        places = ", ".join("?" for _ in table.columns)
        statement = f"INSERT INTO {quote_identifier(table.name)} VALUES ({places})"  # noqa: S608 - a name that we declare
        for batch in batches:
            columns = [
                (values.cast(pa.string()) if TYPES[column.kind] == "TEXT" else values).to_pylist()
                for column, values in zip(table.columns, batch.columns, strict=True)
            ]
            self._connection.executemany(statement, zip(*columns, strict=True))


@contextmanager
def _translate_sqlite_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise TransientError(
            f"SQLite could not publish: {_sqlite_error_name(error)}",
            where=str(path),
            todo="Close what holds the file, or mend the disk, then run again.",
        ) from None
    except sqlite3.DatabaseError as error:
        raise DataError(
            f"SQLite refused the night: {_sqlite_error_name(error)}",
            where=str(path),
            todo="Move the file away if it is damaged, then publish again.",
        ) from None


def _sqlite_error_name(error: sqlite3.Error) -> str:
    return getattr(error, "sqlite_errorname", type(error).__name__)
