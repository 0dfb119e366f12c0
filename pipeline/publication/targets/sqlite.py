"""The embedded target: one SQLite file in the lake."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import ConfigError, DataError, TransientError
from pipeline.lake.tables import MONEY_DECIMALS, Kind
from pipeline.publication.targets.merge import merge_night
from pipeline.publication.targets.published_night import PublishedNight
from pipeline.publication.targets.sessions import TargetSession, quote_identifier
from pipeline.publication.targets.tables import TargetTable

LOCK_SECONDS = 60
# The layout of the file, noted in it; raised when types change, so that no file of an earlier layout is filled in another way.
LAYOUT = 1
# SQLite has no exact decimal. As NUMERIC an amount is an integer or a 64-bit float, so that it compares and adds up as a number;
# as text, 95.00 would be more than 500. It has no date either, but ISO days compare as text.
TYPES = {
    Kind.TEXT: "TEXT",
    Kind.INTEGER: "INTEGER",
    Kind.NUMBER: "REAL",
    Kind.MONEY: f"NUMERIC(18,{MONEY_DECIMALS})",
    Kind.DATE: "TEXT",
    Kind.INSTANT: "TEXT",
    Kind.FLAG: "INTEGER",
}


def publish_to_sqlite(path: Path, night: PublishedNight) -> bool:
    """Bring the database at `path` to `night` in one transaction; return False where it holds a later day.

    Raises TransientError where the file is locked or the disk fails, DataError where the file is damaged.
    """
    with _translate_sqlite_errors(path), closing(sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)) as connection:
        # At once with the right to write: SQLite refuses it, without waiting, to a transaction that has begun by reading while another
        # wrote.
        connection.execute("BEGIN IMMEDIATE")
        _require_layout(connection, path)
        is_merged = merge_night(_SQLiteSession(connection), night)
        connection.execute("COMMIT" if is_merged else "ROLLBACK")
    return is_merged


def _require_layout(connection: sqlite3.Connection, path: Path) -> None:
    """Note the layout in an empty file; raise ConfigError where tables were made by an earlier one."""
    (layout,) = connection.execute("PRAGMA user_version").fetchone()
    (table_count,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if table_count and layout != LAYOUT:
        raise ConfigError(
            "the database was written by an earlier version, which stored amounts as text",
            where=str(path),
            todo="Move the file away, then publish again: segments run --day YYYY-MM-DD writes it anew.",
        )
    connection.execute(f"PRAGMA user_version = {LAYOUT}")


@contextmanager
def sqlite_session(path: Path) -> Iterator[TargetSession]:
    """Yield one transaction in the database at `path`, in which what is deleted is overwritten; it ends with the block."""
    with _translate_sqlite_errors(path), closing(sqlite3.connect(path, timeout=LOCK_SECONDS, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = ON")
        # The ids to be forgotten are staged, and must not lie in a temporary file meanwhile.
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
    # Rows lie in their key's own tree: one look-up finds them, and staging them in the order of the key appends.
    table_option = " WITHOUT ROWID"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def name_to_create(self, table: TargetTable) -> str:
        return quote_identifier(table.name)

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

    def gather_statistics(self, table: TargetTable) -> None:
        """Leave it to SQLite, whose plans go by keys."""

    def write_mark(self) -> str:
        # Each transaction that writes adds one, whoever makes it; this one does at its end.
        return str(self._change_count() + 1)

    def untouched_count(self, table: TargetTable, condition: str, mark: str) -> int | None:
        # With a log beside the file the count stands still.
        (mode,) = self._connection.execute("PRAGMA journal_mode").fetchone()
        if mode == "wal" or mark != str(self._change_count()):
            return None
        return self.count(f"SELECT count(*) FROM {quote_identifier(table.name)} WHERE {condition}")  # noqa: S608 - names that we declare

    def _change_count(self) -> int:
        """Return how often the file was changed by transactions that are over: a number in its header, before any page of ours."""
        (_, _, path) = self._connection.execute("PRAGMA database_list").fetchone()
        with Path(path).open("rb") as file:
            return int.from_bytes(file.read(100)[24:28], "big")

    def load(self, table: TargetTable, batches: Iterable[pa.RecordBatch]) -> None:
        places = ", ".join("?" for _ in table.columns)
        statement = f"INSERT INTO {quote_identifier(table.name)} VALUES ({places})"  # noqa: S608 - a name that we declare
        for batch in batches:
            columns = [_python_values(values, column.kind) for column, values in zip(table.columns, batch.columns, strict=True)]
            self._connection.executemany(statement, zip(*columns, strict=True))


def _python_values(values: pa.Array, kind: Kind) -> list[Any]:
    """Return values as SQLite takes them; of text each is made once, as schemes, segments and days repeat in every other row."""
    if kind in (Kind.INTEGER, Kind.NUMBER, Kind.FLAG):
        return list(values.to_pylist())
    encoded = values.cast(pa.string()).dictionary_encode()
    texts: list[str | None] = [*encoded.dictionary.to_pylist(), None]
    return [texts[index] for index in pc.fill_null(encoded.indices, len(texts) - 1).to_pylist()]


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
