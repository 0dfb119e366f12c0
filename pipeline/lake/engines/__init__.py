"""Engines run our SQL over registered Parquet files; every engine gives the same answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from sqlglot import exp

from pipeline.lake.tables import Column, Kind, Partition, Table

Parameter = date | datetime | int | float | str
VERSION_COLUMNS = (Column("day", Kind.DATE, "Event day."), Column("known", Kind.DATE, "Night that knew it."))


class Engine(Protocol):
    """Holds registered tables and runs statements over them; statements are sqlglot trees in DuckDB's dialect."""

    def register(self, table: Table, paths: Sequence[Path]) -> None:
        """Make the rows of `paths` readable as `table.name`; no paths make an empty table.

        EVENT_DAY tables have `day` and `known` beside their columns.
        """

    def define(self, table: Table, statement: exp.Query) -> None:
        """Make the rows of `statement`, over what is registered now, readable as `table.name`."""

    def run(self, statement: exp.Query, parameters: Mapping[str, Parameter]) -> pa.RecordBatchReader:
        """Return the rows of `statement` as a stream, its `$name` parameters bound."""

    def close(self) -> None:
        """Release what the engine holds."""


def columns_of(table: Table) -> tuple[Column, ...]:
    """Return the columns that a registered table has."""
    return (*VERSION_COLUMNS, *table.columns) if table.partition is Partition.EVENT_DAY else table.columns


def empty_select(table: Table) -> exp.Select:
    """Return a statement with the columns of `table` and no rows."""
    columns = [exp.alias_(exp.cast(exp.null(), column.kind.sql, dialect="duckdb"), column.name) for column in columns_of(table)]
    return exp.select(*columns).where(exp.false())


def parameter_names(statement: exp.Query) -> set[str]:
    """Return the names of the `$name` parameters in `statement`."""
    return {node.name for node in statement.find_all(exp.Placeholder)}
