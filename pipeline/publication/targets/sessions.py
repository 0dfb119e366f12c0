"""One open transaction in a database target, and how tables are made and filled in it; both databases share this."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.lake.tables import Kind
from pipeline.publication.targets.tables import TargetTable


class TargetSession(Protocol):
    """One open transaction in a target; nothing is seen by others before it is committed."""

    types: Mapping[Kind, str]
    table_option: str  # what the database needs to hear after the columns of a table

    def name_to_create(self, table: TargetTable) -> str:
        """Return the quoted name under which `table` is made; a schema that it has to itself is there afterwards."""

    def columns(self) -> Mapping[str, Sequence[str]]:
        """Return the column names, in order, of every table that exists."""

    def execute(self, statement: str) -> None:
        """Run one statement that returns nothing."""

    def count(self, statement: str) -> int:
        """Return the number that `statement` selects."""

    def texts(self, statement: str) -> Iterator[str]:
        """Yield the values of the one text column that `statement` selects."""

    def write_mark(self) -> str:
        """Return what `untouched_count` compares with once the transaction is over."""

    def untouched_count(self, table: TargetTable, condition: str, mark: str) -> int | None:
        """Return how many rows of `table` meet the condition; None where somebody wrote rows since the transaction of which `mark` is."""

    def load(self, table: TargetTable, batches: Iterable[pa.RecordBatch]) -> None:
        """Add rows to `table`, which nobody else fills; batches have its columns."""

    def gather_statistics(self, table: TargetTable) -> None:
        """Tell the planner what `table` holds, where it does not find out by itself before the table is joined."""


def create_table(session: TargetSession, table: TargetTable, found: Mapping[str, Sequence[str]]) -> None:
    """Make `table` where it is not among the tables `found`; raise ConfigError where it is, with other columns than declared."""
    if table.name not in found:
        session.execute(f"CREATE TABLE {session.name_to_create(table)} {_columns_definition(table, session)}")
    elif list(found[table.name]) != table.column_names:
        raise ConfigError(
            f"the table {table.name} of the database target has other columns than declared",
            where=table.name,
            todo="Alter or drop it, then publish again.",
        )


def load_table(session: TargetSession, table: TargetTable, batches: Iterable[pa.RecordBatch]) -> None:
    """Fill a new temporary table with `batches`, which have its columns."""
    session.execute(f"CREATE TEMPORARY TABLE {quote_identifier(table.name)} {_columns_definition(table, session)}")
    session.load(table, batches)
    session.gather_statistics(table)


def _columns_definition(table: TargetTable, session: TargetSession) -> str:
    columns = [
        f"{quote_identifier(column.name)} {session.types[column.kind]}{' NOT NULL' if column.required or column.name in table.key else ''}"
        for column in table.columns
    ]
    key = ", ".join(quote_identifier(name) for name in table.key)
    return f"({', '.join(columns)}, PRIMARY KEY ({key})){session.table_option}"


def quote_identifier(name: str) -> str:
    """Return `name` as a quoted identifier of standard SQL."""
    return '"' + name.replace('"', '""') + '"'
