"""Parquet files as rows: those of the source, and those that its other files are staged in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from duckdb import DuckDBPyConnection, DuckDBPyRelation

from pipeline.ingestion.sources.private_duckdb import pattern_of
from pipeline.ingestion.sources.text_rows import FILE_COLUMN


def read_parquet_files(connection: DuckDBPyConnection, paths: Iterable[Path], *, is_partitioned: bool) -> DuckDBPyRelation:
    """Return the rows of the files, stacked by column name, with the path of their file in FILE_COLUMN.

    Folders such as `year=2024` are columns of text where the files are partitioned by them.
    """
    names = ", ".join("'" + pattern_of(path).replace("'", "''") + "'" for path in paths)
    hive = f"hive_partitioning = {str(is_partitioned).lower()}, hive_types_autocast = false"
    options = f"filename = '{FILE_COLUMN}', union_by_name = true, {hive}"
    return connection.sql(f"SELECT * FROM read_parquet([{names}], {options})")  # noqa: S608 - our own paths, quoted
