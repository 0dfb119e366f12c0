"""Engines: what runs our SQL over registered Parquet files. All give the same rows, so DuckDB can become Spark when data grow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from sqlglot import exp

from pipeline.lake.file_parts import FilePart
from pipeline.lake.later_columns import lacking_columns
from pipeline.lake.tables import Table
from pipeline.lake.version_parts import VersionParts

Parameter = date | datetime | int | float | str


class Engine(Protocol):
    """Holds registered tables and runs statements over them; statements are sqlglot trees in DuckDB's dialect.

    `keeps_order`: what is selected from a single file, and joined with nothing, comes in the order of the file's rows.
    """

    keeps_order: bool

    def register(self, table: Table, files: Sequence[Path] | VersionParts) -> None:
        """Make the rows of `files`, or of versions of event days, readable as `table.name`; no files make an empty table.

        EVENT_DAY tables have `event_day` and `known_on` beside their columns; what other runs make of their files goes unseen.
        """

    def define(self, table: Table, statement: exp.Query) -> None:
        """Make the rows of `statement`, over what is registered now, readable as `table.name`."""

    def materialize(self, table: Table, statement: exp.Query) -> None:
        """Work out the rows of `statement` once, and make them readable as `table.name`: for what several statements read."""

    def run(self, statement: exp.Query, parameters: Mapping[str, Parameter]) -> pa.RecordBatchReader:
        """Return the rows of `statement` as a stream, its `$name` parameters bound."""

    def close(self) -> None:
        """Release what the engine holds."""


def parts_of(files: Sequence[Path] | VersionParts, folder: Path) -> list[FilePart]:
    """Return `files` as parts: a path means all of its rows; versions are pinned by links below `folder`."""
    return files.pin(folder) if isinstance(files, VersionParts) else [FilePart(file) for file in files]


def paths_by_condition(table: Table, parts: Iterable[FilePart], dialect: str) -> dict[tuple[str, frozenset[str]], list[Path]]:
    """Group the files of `parts` by the condition on their rows, as SQL of `dialect`, and by the later columns of `table` that they lack.

    An empty condition means all rows.
    """
    together: dict[tuple[str, frozenset[str]], list[Path]] = {}
    for part in parts:
        lacking = lacking_columns(table, part.path, stored_path=part.stored_path)
        together.setdefault((part.condition.sql(dialect) if part.condition else "", lacking), []).append(part.path)
    return together


@lru_cache(maxsize=256)
def empty_select(table: Table, dialect: str) -> str:
    """Return a statement with the columns of `table` and no rows, as SQL of `dialect`."""
    columns = [exp.alias_(exp.cast(exp.null(), column.kind.sql, dialect="duckdb"), column.name) for column in table.stored_columns]
    return exp.select(*columns).where(exp.false()).sql(dialect)


def parameter_names(statement: exp.Query) -> set[str]:
    """Return the names of the `$name` parameters in `statement`."""
    return {node.name for node in statement.find_all(exp.Placeholder)}
