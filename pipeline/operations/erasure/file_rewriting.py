"""One Parquet file of a lake's tables: how many rows of some customers it holds, and the same file without them.

A raw file keeps digests of its rows, by which the next night sees that a day is unchanged: they are computed anew for the rows that stay,
or the night would take the erasure for late data.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from pipeline.errors import DataError
from pipeline.ingestion.versions import ROWS_DIGEST, facts_of_rows, facts_of_versions
from pipeline.lake.engines.duckdb import open_engine
from pipeline.lake.lake import Lake
from pipeline.lake.parquet import write_parquet
from pipeline.lake.schema_versions import schema_version_in
from pipeline.lake.tables import VERSION_COLUMNS, Column, Kind, Partition, Table
from pipeline.operations.erasure.rows import CustomerIds, open_checked, row_count, rows_of_others

UNREADABLE = (DataError, pa.ArrowException, OSError, ValueError)


@dataclass(frozen=True, slots=True)
class FileRewriting:
    """Finds and removes rows of `ids` in files of `lake`, given by their addresses, by whichever process is sent it."""

    lake: Lake
    ids: CustomerIds
    memory_limit: str

    def count(self, address: str) -> int | None:
        """Return how many rows of a file are about the customers or name them; None where it cannot be read."""
        try:
            return row_count(open_checked(self.lake.local(address)), self.ids)
        except UNREADABLE:
            return None

    def rewrite(self, address: str) -> bool:
        """Write a file anew without the rows of the customers; return whether it could be read.

        Of a file of event days the caller holds the lock of its table. What is wrong with anything but the file is raised: nobody
        must be told to remove a file that is whole.
        """
        try:
            with self.lake.reading(table_folder(address), address):
                pass
        except UNREADABLE:
            return False
        self._rewrite(address)
        return True

    def _rewrite(self, address: str) -> None:
        lake, ids = self.lake, self.ids
        file = open_checked(lake.local(address))
        schema = file.schema_arrow.remove_metadata()
        manifest = lake.manifest(address)
        if "versions" in manifest:
            table = event_table(manifest["table"], schema)
            self._rewrite_event_days(address, replace(table, schema_version=schema_version_in(manifest)))
            return
        facts = {name: value for name, value in manifest.items() if name != "row_count"}
        if ROWS_DIGEST in facts:
            facts |= self._facts_of_remaining_rows(file, schema)
        lake.write_file(schema, rows_of_others(file, ids), address, facts)

    def _rewrite_event_days(self, address: str, table: Table) -> None:
        """Write a file of event days anew: each version stays, with what is left of it and what is to be said of that."""
        lake, ids = self.lake, self.ids
        file = open_checked(lake.local(address))
        facts = {each.version: dict(each.facts) for each in lake.stored_in(table, address)}
        raw = [version for version, each in facts.items() if ROWS_DIGEST in each]
        if raw:
            with closing(open_engine(lake, memory_limit=self.memory_limit)) as engine:
                staged = engine.folder / "rows.parquet"
                write_parquet(table.stored_schema, rows_of_others(file, ids), staged, {})
                for version, each in facts_of_versions(engine, table, staged, raw).items():
                    facts[version] |= each
        lake.write_month_file(table, address, rows_of_others(file, ids), facts)

    def _facts_of_remaining_rows(
        self,
        file: Any,  # noqa: ANN401 - pyarrow
        schema: pa.Schema,
    ) -> dict[str, str]:
        """Return what extraction would have noted of the rows that stay, so that the next night finds them unchanged."""
        with closing(open_engine(self.lake, memory_limit=self.memory_limit)) as engine:
            staged = engine.folder / "rows.parquet"
            write_parquet(schema, rows_of_others(file, self.ids), staged, {})
            return facts_of_rows(engine, Table("rows_that_stay", "", _declared_columns(schema), (), Partition.SNAPSHOT), staged)


def table_folder(address: str) -> str:
    """Return the folder of the table that the file at `address` belongs to, such as tables/order_lines."""
    return "/".join(address.split("/")[:2])


def event_table(name: str, schema: pa.Schema) -> Table:
    """Return a stored table of event days as it was declared when it was written."""
    version_columns = {column.name for column in VERSION_COLUMNS}
    return Table(
        name, "", tuple(column for column in _declared_columns(schema) if column.name not in version_columns), (), Partition.EVENT_DAY
    )


def _declared_columns(schema: pa.Schema) -> tuple[Column, ...]:
    """Return the columns of a stored file as they were declared when it was written: today's declaration may have others."""
    kinds = {kind.arrow: kind for kind in Kind}
    return tuple(Column(field.name, kinds[field.type], "") for field in schema)
