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
from pipeline.lake.remote_rows import RemoteRows
from pipeline.lake.store import Store
from pipeline.lake.tables import Table
from pipeline.lake.version_parts import VersionParts

Parameter = date | datetime | int | float | str
# Addresses in the lake, and paths of private files of this process.
Files = Sequence[str | Path] | VersionParts


class Engine(Protocol):
    """Holds registered tables and runs statements over them; statements are sqlglot trees in DuckDB's dialect.

    `keeps_order`: what is selected from a single file, and joined with nothing, comes in the order of the file's rows.
    `needs_slices`: a statement about every customer is run for some of them after the others, else it would not fit the memory.
    """

    keeps_order: bool
    needs_slices: bool

    def register(self, table: Table, files: Files) -> None:
        """Make the rows of `files`, or of versions of event days, readable as `table.name`; no files make an empty table.

        A file of the lake is named by its address, a private one of this process by its path.
        EVENT_DAY tables have `event_day` and `known_on` beside their columns; what other runs make of their files goes unseen.
        """

    def define(self, table: Table, statement: exp.Query) -> None:
        """Make the rows of `statement`, over what is registered now, readable as `table.name`."""

    def materialize(self, table: Table, statement: exp.Query) -> None:
        """Work out the rows of `statement` once, and make them readable as `table.name`: for what several statements read."""

    def run(self, statement: exp.Query, parameters: Mapping[str, Parameter]) -> pa.RecordBatchReader | RemoteRows:
        """Return the rows of `statement` as a stream, its `$name` parameters bound.

        On a cluster they are RemoteRows: given to the lake to write as they are, the executors write them, and none comes here. Read
        here, they are limited to what is small.
        """

    def close(self) -> None:
        """Release what the engine holds."""


def parts_of(store: Store, files: Files, folder: Path) -> list[FilePart]:
    """Return `files` as parts: a file means all of its rows; versions are pinned by links below `folder`."""
    if isinstance(files, VersionParts):
        return files.pin(folder)
    return [FilePart(file) if isinstance(file, Path) else FilePart(store.local(file), file) for file in files]


def place_of(store: Store, part: FilePart) -> str:
    """Return the place of a part's file, as messages name it."""
    return str(part.path) if part.address is None else store.where(part.address)


def paths_by_condition(store: Store, table: Table, parts: Iterable[FilePart], dialect: str) -> dict[tuple[str, frozenset[str]], list[Path]]:
    """Group the files of `parts` by the condition on their rows, as SQL of `dialect`, and by the later columns of `table` that they lack.

    An empty condition means all rows.
    """
    together: dict[tuple[str, frozenset[str]], list[Path]] = {}
    for part in parts:
        lacking = lacking_columns(table, part.path, where=place_of(store, part))
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
