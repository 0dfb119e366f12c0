"""What is remembered of one sink, in one DuckDB file: what it acknowledged, what waits to be sent, what it refused, each sync.

    sync_state     what the sink holds of each customer, as it acknowledged; `is_active` is false for who was removed
    sync_outbox    the plan of the running sync; a customer leaves it by being acknowledged or refused
    rejected_rows  customers whom the sink refused, in its own words, until they are accepted
    opt_outs       customers who said no in the sink
    opt_outs_elsewhere, opt_out_readings   those who said no in other sinks, and when each of these was read
    sync_runs      every sync: what was planned and done, what lists were called, and why a limit was overridden
    sync_system    which system all of this is of, syncs apart, and since when

Whatever belongs together changes in one transaction, so a process may die at any moment: the next sync plans from what was acknowledged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from pipeline.activation.changes import Desired
from pipeline.activation.sinks.sink import Outcome, RowResult
from pipeline.errors import DataError, TransientError
from pipeline.lake.engines.duckdb import confine_connection, interruptible

MEMORY_LIMIT = "192MB"
"""Of the database during a sync: what it does not hold it leaves on the disk, so that memory does not grow with the customers."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS sync_state (
  customer_id VARCHAR PRIMARY KEY, remote_id VARCHAR, lists VARCHAR, fields VARCHAR, row_hash VARCHAR, version BIGINT, is_active BOOLEAN
);
CREATE TABLE IF NOT EXISTS sync_outbox (
  customer_id VARCHAR, operation VARCHAR, lists VARCHAR, fields VARCHAR, contacts VARCHAR, row_hash VARCHAR,
  content_hash VARCHAR
);
CREATE TABLE IF NOT EXISTS rejected_rows (
  customer_id VARCHAR PRIMARY KEY, code VARCHAR, message VARCHAR, content_hash VARCHAR, first_rejected_at TIMESTAMP, rejected_at TIMESTAMP,
  attempt_count BIGINT
);
CREATE TABLE IF NOT EXISTS opt_outs (customer_id VARCHAR PRIMARY KEY);
CREATE TABLE IF NOT EXISTS opt_outs_elsewhere (customer_id VARCHAR, sink VARCHAR);
CREATE TABLE IF NOT EXISTS opt_out_readings (sink VARCHAR, system VARCHAR, read_at TIMESTAMP);
CREATE TABLE IF NOT EXISTS sync_runs (
  started_at TIMESTAMP, ended_at TIMESTAMP, publication_id VARCHAR, mapping VARCHAR, is_full BOOLEAN, report VARCHAR,
  override_reason VARCHAR, titles VARCHAR
);
ALTER TABLE sync_runs ADD COLUMN IF NOT EXISTS titles VARCHAR;
CREATE TABLE IF NOT EXISTS sync_system (system VARCHAR, since TIMESTAMP);
"""
OF_CUSTOMERS = ("sync_state", "sync_outbox", "rejected_rows", "opt_outs", "opt_outs_elsewhere")
"""The tables that have rows of customers."""


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """What the sink acknowledged of one customer."""

    remote_id: str | None
    lists: frozenset[str]
    fields: Mapping[str, str]
    version: int


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One customer who waits to be sent, and what was acknowledged before, if anything."""

    desired: Desired
    acknowledged: Acknowledged | None


class Outbox:
    """The file of one sink; for one process at a time, which holds the sink's lock."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self._is_rehearsing = False
        connection.execute(SCHEMA)

    def rows(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Return what a query selects."""
        return self.connection.execute(query, dict(parameters or {})).fetchall()

    def count(self, query: str) -> int:
        """Return the one number that a query selects."""
        return int(self.rows(query)[0][0])

    def customer_ranges(self, table: str, size: int) -> Iterator[dict[str, str]]:
        """Yield the customers of a table in ranges of `size`: the id `after` which each begins, and its `last` one."""
        # Only the end of each range is looked for, in one narrow column: whole pages with their texts would be sorted for it.
        query = f"""
            SELECT max(customer_id) FROM (
              SELECT customer_id FROM {table} WHERE customer_id > $after ORDER BY customer_id LIMIT $size
            )
        """  # noqa: S608 - names of ours
        after = ""
        while (last := self.rows(query, {"after": after, "size": size})[0][0]) is not None:
            yield {"after": after, "last": last}
            after = last

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make all changes of the block, or none."""
        if self._is_rehearsing:
            yield
            return
        self.connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Undo all changes of the block once it ends."""
        self.connection.execute("BEGIN")
        self._is_rehearsing = True
        try:
            yield
        finally:
            self._is_rehearsing = False
            self.connection.execute("ROLLBACK")

    def is_of_another_system(self, system: str) -> bool:
        """Return whether what is remembered is of another system than the one with this digest."""
        return bool(self.rows("SELECT 1 FROM sync_system WHERE system <> $system", {"system": system}))

    def begin_anew(self, system: str, *, now: datetime) -> None:
        """Forget what another system acknowledged, refused and said; the syncs are kept. What comes from now on is of `system`."""
        with self.transaction():
            if self.is_of_another_system(system):
                for table in (*OF_CUSTOMERS, "opt_out_readings", "sync_system"):
                    self.connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours
            self.connection.execute(
                "INSERT INTO sync_system SELECT $system, $now WHERE NOT EXISTS (FROM sync_system)",
                {"system": system, "now": now.replace(tzinfo=None)},
            )

    def pending(self, after: str, limit: int) -> list[OutboxRow]:
        """Return the next customers who wait, in the order of their ids, beginning after `after`."""
        query = """
            SELECT o.customer_id, o.operation, o.lists, o.fields, o.contacts, s.remote_id, s.lists, s.fields, s.version
            FROM sync_outbox AS o LEFT JOIN sync_state AS s USING (customer_id)
            WHERE o.customer_id > $after ORDER BY o.customer_id LIMIT $limit
        """
        return [_outbox_row(row) for row in self.rows(query, {"after": after, "limit": limit})]

    def acknowledge(self, sent: Sequence[OutboxRow], results: Sequence[RowResult], *, now: datetime) -> None:
        """Take customers out of the outbox: note what the sink holds now of those it wrote, and why it refused the others."""
        written = {result.customer_id: result.remote_id for result in results if result.outcome is Outcome.WRITTEN}
        refused = [result for result in results if result.outcome is Outcome.REFUSED]
        desired = [row.desired for row in sent if row.desired.customer_id in written]
        done = pa.table(
            {
                "customer_id": [each.customer_id for each in desired],
                "remote_id": pa.array([written[each.customer_id] for each in desired], pa.string()),
            }
        )
        failed = pa.table(
            {name: pa.array([getattr(each, name) for each in refused], pa.string()) for name in ("customer_id", "code", "message")}
        )
        with self.transaction():
            self.connection.register("done", done)
            self.connection.register("failed", failed)
            self.connection.execute(_STATE_OF_WRITTEN)
            self.connection.execute("DELETE FROM rejected_rows WHERE customer_id IN (SELECT customer_id FROM done)")
            self.connection.execute(_REJECTED, {"now": now.replace(tzinfo=None)})
            self.connection.execute(
                "DELETE FROM sync_outbox WHERE customer_id IN (SELECT customer_id FROM done UNION ALL SELECT customer_id FROM failed)"
            )
        for name in ("done", "failed"):
            self.connection.unregister(name)


_STATE_OF_WRITTEN = """
INSERT INTO sync_state
SELECT o.customer_id, d.remote_id, o.lists, o.fields, o.row_hash, 1, o.operation <> 'remove'
FROM done AS d JOIN sync_outbox AS o USING (customer_id)
ON CONFLICT (customer_id) DO UPDATE SET
  remote_id = coalesce(excluded.remote_id, remote_id), lists = excluded.lists, fields = excluded.fields, row_hash = excluded.row_hash,
  version = version + 1, is_active = excluded.is_active
"""
_REJECTED = """
INSERT INTO rejected_rows
SELECT o.customer_id, f.code, f.message, o.content_hash, $now, $now, 1 FROM failed AS f JOIN sync_outbox AS o USING (customer_id)
ON CONFLICT (customer_id) DO UPDATE SET
  code = excluded.code, message = excluded.message, content_hash = excluded.content_hash, rejected_at = excluded.rejected_at,
  attempt_count = attempt_count + 1
"""


@contextmanager
def open_outbox(path: Path, *, folders: Sequence[Path] = (), memory_limit: str) -> Iterator[Outbox]:
    """Yield the outbox in the file at `path`, which may read Parquet below `folders`; raises TransientError where the disk refuses."""
    with outbox_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = duckdb.connect(path, config={"memory_limit": memory_limit, "preserve_insertion_order": False})
        try:
            confine_connection(connection, [path.parent, *folders])
            yield Outbox(connection)
        finally:
            connection.close()


@contextmanager
def outbox_errors(path: Path) -> Iterator[None]:
    """Raise what DuckDB says of the outbox as our errors, without its words: they quote values."""
    try:
        with interruptible():
            yield
    except (duckdb.IOException, OSError) as error:
        todo = "Wait for the other process, or mend the disk, then run again."
        raise TransientError(f"the sink's state cannot be opened or written: {type(error).__name__}", where=str(path), todo=todo) from None
    except duckdb.OutOfMemoryException:
        todo = "Free space on the disk of the lake, then run again."
        raise TransientError("the sink's state has no room to be worked on", where=str(path), todo=todo) from None
    except duckdb.Error as error:
        todo = "Move the file away: the next sync reads everything back from the sink."
        raise DataError(f"the sink's state cannot be used: {type(error).__name__}", where=str(path), todo=todo) from None


def _outbox_row(row: tuple[Any, ...]) -> OutboxRow:
    customer, operation, lists, fields, contacts, remote_id, old_lists, old_fields, version = row
    desired = Desired(customer, frozenset(json.loads(lists)), json.loads(fields), json.loads(contacts), is_removal=operation == "remove")
    known = None if version is None else Acknowledged(remote_id, frozenset(json.loads(old_lists)), json.loads(old_fields), version)
    return OutboxRow(desired, known)
