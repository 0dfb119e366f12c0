"""Every Parquet file of a lake, publications apart: tables, restatements, and whatever table comes next.

Files are found by walking the lake, not by a list of tables, so that none is forgotten. A raw file keeps digests of its rows, by
which the next night sees that a day is unchanged: they are computed anew for the rows that stay, or the night would take the
erasure for late data.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pyarrow as pa

from pipeline.errors import DataError
from pipeline.features import forget_caches
from pipeline.ingestion.versions import ROWS_DIGEST, facts_of_rows, facts_of_versions
from pipeline.lake.addresses import CACHES, ERASURES, LOCKS, PUBLICATIONS, STAGING
from pipeline.lake.engines.duckdb import DuckDBEngine, open_engine
from pipeline.lake.lake import Lake
from pipeline.lake.parquet import write_parquet
from pipeline.lake.tables import VERSION_COLUMNS, Column, Kind, Partition, Table
from pipeline.operations.erasure.rows import CustomerIds, customer_ids, open_checked, row_count, rows_of_others

log = logging.getLogger("pipeline.operations.erasure")
# Publications have a way of their own and caches are dropped; the rest holds no rows of customers that last.
ELSEWHERE = (PUBLICATIONS, STAGING, ERASURES, LOCKS, CACHES)


class TableFiles:
    """The files of all tables."""

    def __init__(self, lake: Lake, *, memory_limit: str) -> None:
        self._lake, self._memory_limit = lake, memory_limit
        self._unreadable: list[str] = []
        self._affected: list[str] = []

    def customer_ids(self) -> Iterator[pa.Array]:
        """Yield the ids that the files hold, with repetitions."""
        for address in self._addresses():
            with self._noting_unreadable(address):
                yield from customer_ids(open_checked(self._lake.local(address)))

    def count(self, ids: CustomerIds) -> dict[str, dict[str, int]]:
        """Count files and rows to remove, by table."""
        files, rows = Counter[str](), Counter[str]()
        self._affected, self._unreadable = [], []
        for address in self._addresses():
            count = 0
            with self._noting_unreadable(address):
                count = row_count(open_checked(self._lake.local(address)), ids)
            if count:
                self._affected.append(address)
                files[_table_folder(address)] += 1
                rows[_table_folder(address)] += count
        return {folder: {"files": files[folder], "rows": rows[folder]} for folder in files}

    def remove(self, ids: CustomerIds) -> None:
        """Write each of the counted files anew without the rows of `ids`, and drop the caches that were made of them.

        Raises DataError at the end where files cannot be read: nobody knows what they hold.
        """
        # Caches first: an interruption must not leave one that still holds what its files have lost.
        forget_caches(self._lake)
        with closing(open_engine(self._lake, memory_limit=self._memory_limit)) as engine:
            for address in self._affected:
                with self._noting_unreadable(address):
                    self._rewrite(address, ids, engine)
        if self._unreadable:
            raise DataError(
                f"files that may hold erased customers cannot be read: {len(self._unreadable)}",
                where=self._lake.where(self._unreadable[0]),
                todo="Remove them and run those days again with --reread; then run: segments erase --resume",
            )

    def _rewrite(self, address: str, ids: CustomerIds, engine: DuckDBEngine) -> None:
        with self._lake.reading(_table_folder(address), address) as path:
            file = open_checked(path)
            schema = file.schema_arrow.remove_metadata()
            manifest = self._lake.manifest(address)
            if "versions" in manifest:
                with self._lake.lock_event_days(_event_table(manifest["table"], schema)):
                    self._rewrite_event_days(address, ids, engine)
                return
            facts = {name: value for name, value in manifest.items() if name != "row_count"}
            if ROWS_DIGEST in facts:
                facts |= self._facts_of_remaining_rows(file, schema, ids, engine)
            self._lake.write_file(schema, rows_of_others(file, ids), address, facts)

    def _rewrite_event_days(self, address: str, ids: CustomerIds, engine: DuckDBEngine) -> None:
        """Write a file of event days anew: each version stays, with what is left of it and what is to be said of that."""
        file = open_checked(self._lake.local(address))
        table = _event_table(self._lake.manifest(address)["table"], file.schema_arrow)
        facts = {each.version: dict(each.facts) for each in self._lake.stored_in(table, address)}
        raw = [version for version, each in facts.items() if ROWS_DIGEST in each]
        if raw:
            with self._lake.private_folder() as private:
                staged = private / "rows.parquet"
                write_parquet(table.stored_schema, rows_of_others(file, ids), staged, {})
                for version, each in facts_of_versions(engine, table, staged, raw).items():
                    facts[version] |= each
        self._lake.write_month_file(table, address, rows_of_others(file, ids), facts)

    def _facts_of_remaining_rows(
        self,
        file: Any,  # noqa: ANN401 - pyarrow
        schema: pa.Schema,
        ids: CustomerIds,
        engine: DuckDBEngine,
    ) -> dict[str, str]:
        """Return what extraction would have noted of the rows that stay, so that the next night finds them unchanged."""
        with self._lake.private_folder() as private:
            staged = private / "rows.parquet"
            write_parquet(schema, rows_of_others(file, ids), staged, {})
            return facts_of_rows(engine, Table("rows_that_stay", "", _declared_columns(schema), (), Partition.SNAPSHOT), staged)

    @contextmanager
    def _noting_unreadable(self, address: str) -> Iterator[None]:
        """Note the file where it cannot be read, and go on: one damaged file must not keep an id in all the others."""
        try:
            yield
        except (DataError, pa.ArrowException, OSError, ValueError):
            self._unreadable.append(address)

    def _addresses(self) -> Iterator[str]:
        yield from (each for each in self._lake.list_addresses("", suffix=".parquet") if not each.startswith(ELSEWHERE))


def _table_folder(address: str) -> str:
    return "/".join(address.split("/")[:2])


def _event_table(name: str, schema: pa.Schema) -> Table:
    """Return a stored table of event days as it was declared when it was written."""
    version_columns = {column.name for column in VERSION_COLUMNS}
    return Table(
        name, "", tuple(column for column in _declared_columns(schema) if column.name not in version_columns), (), Partition.EVENT_DAY
    )


def _declared_columns(schema: pa.Schema) -> tuple[Column, ...]:
    """Return the columns of a stored file as they were declared when it was written: today's declaration may have others."""
    kinds = {kind.arrow: kind for kind in Kind}
    return tuple(Column(field.name, kinds[field.type], "") for field in schema)
