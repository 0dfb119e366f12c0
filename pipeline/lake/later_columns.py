"""Columns that an event got after files of it were written: these files lack them, and their rows have no value there.

What a file has beyond the declaration is not read. A column that a file has in another type, or a part of the key that it lacks, is
refused: nothing that could be read would be right.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import ConfigError
from pipeline.lake.damage import table_folder
from pipeline.lake.file_stamps import FileStamp, file_stamp
from pipeline.lake.tables import RAW_PREFIX, Column, Kind, Table


def lacking_columns(table: Table, path: Path, *, where: str) -> frozenset[str]:
    """Return the later columns of `table` that the file at `path` lacks; `where` is its place, as messages name it.

    Raises ConfigError where the file does not fit the declaration, FileNotFoundError where it is gone.
    """
    return _lacking(table, _schema(path, file_stamp(path)), where) if table.later_columns else frozenset()


def with_later_columns(table: Table, rows: pa.Table, *, where: str) -> pa.Table:
    """Return rows of a file, at the place `where`, in the stored columns of `table`; raises ConfigError as `lacking_columns` does."""
    if rows.schema.equals(table.stored_schema):
        return rows
    lacking = _lacking(table, rows.schema, where)
    columns = [
        pa.nulls(rows.num_rows, column.kind.arrow) if column.name in lacking else rows[column.name] for column in table.stored_columns
    ]
    return pa.table(columns, schema=table.stored_schema)


@lru_cache(maxsize=20_000)
def _schema(path: Path, stamp: FileStamp) -> pa.Schema:  # noqa: ARG001 - the stamp tells a file from the one that replaced it
    return pq.read_schema(path)


def _lacking(table: Table, schema: pa.Schema, where: str) -> frozenset[str]:
    later = {column.name for column in table.columns if column.name in table.later_columns}
    for column in table.stored_columns:
        if column.name not in schema.names:
            if column.name not in later:
                raise _refusal(table, column, "lack it", where)
        elif schema.field(column.name).type != column.kind.arrow:
            stored = schema.field(column.name).type
            raise _refusal(table, column, f"have it as {next((each.words for each in Kind if each.arrow == stored), str(stored))}", where)
    return frozenset(later.difference(schema.names))


def _refusal(table: Table, column: Column, have: str, where: str) -> ConfigError:
    event = table.name.removeprefix(RAW_PREFIX)
    return ConfigError(
        f"`{event}.{column.name}` is declared as {column.kind.words}, but days that were read before {have}",
        where=table_folder(where),
        todo="Give the column another name in company.toml and in the query: the days read before stay as they are. Or move the folders "
        f"{RAW_PREFIX}{event} and {event} out of lake/tables, then run the night again: it reads the whole history of the event.",
    )
