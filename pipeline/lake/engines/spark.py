"""Spark: the same statements on a cluster, transpiled by sqlglot. Only the portable subset of SQL is used, so the rows are the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from sqlglot import exp

from pipeline.lake.engines import Parameter, empty_select, parameter_names, parts_of, paths_by_condition
from pipeline.lake.staging import private_folder
from pipeline.lake.tables import Table
from pipeline.lake.version_parts import VersionParts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class SparkEngine:
    """Runs statements in a Spark session; the session stays the caller's."""

    keeps_order = False

    def __init__(self, session: SparkSession) -> None:
        self.session = session
        self._resources = ExitStack()
        self._folders: dict[Path, Path] = {}

    def register(self, table: Table, files: Sequence[Path] | VersionParts) -> None:
        folder = self._private_folder(files.root) if isinstance(files, VersionParts) else Path()
        rows = [
            # The version of a row is in its columns; folder names such as `known=all` must not become columns as well.
            _with_nulls(self.session.read.option("recursiveFileLookup", "true").parquet(*map(str, paths)), table, lacking)
            .where(condition or "TRUE")
            .select(*(column.name for column in table.stored_columns))
            for (condition, lacking), paths in paths_by_condition(table, parts_of(files, folder), "spark").items()
        ]
        whole = reduce(lambda left, right: left.unionAll(right), rows) if rows else self.session.sql(empty_select(table, "spark"))
        whole.createOrReplaceTempView(table.name)

    def define(self, table: Table, statement: exp.Query) -> None:
        self.session.sql(statement.sql("spark")).createOrReplaceTempView(table.name)

    def materialize(self, table: Table, statement: exp.Query) -> None:
        rows = self.session.sql(statement.sql("spark")).persist()
        self._resources.callback(rows.unpersist)
        rows.createOrReplaceTempView(table.name)

    def run(self, statement: exp.Query, parameters: Mapping[str, Parameter]) -> pa.RecordBatchReader:
        used = {name: parameters[name] for name in parameter_names(statement)}
        return self.session.sql(statement.sql("spark"), args=used).toArrow().to_reader()

    def _private_folder(self, root: Path) -> Path:
        """Return a folder in the lake at `root`, which executors reach as they reach its files."""
        if root not in self._folders:
            self._folders[root] = self._resources.enter_context(private_folder(root))
        return self._folders[root]

    def close(self) -> None:
        self._resources.close()
        for view in self.session.catalog.listTables():
            self.session.catalog.dropTempView(view.name)


def _with_nulls(rows: DataFrame, table: Table, lacking: frozenset[str]) -> DataFrame:
    kinds = {column.name: exp.DataType.build(column.kind.sql, dialect="duckdb").sql("spark") for column in table.columns}
    return rows.selectExpr("*", *(f"CAST(NULL AS {kinds[name]}) AS `{name}`" for name in sorted(lacking)))
