"""Spark: the same statements on a cluster, transpiled by sqlglot. Only the portable subset of SQL is used, so the rows are the same."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from functools import cached_property, reduce
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from sqlglot import exp

from pipeline.lake.engines import Files, Parameter, empty_select, parameter_names, parts_of, paths_by_condition
from pipeline.lake.store import Store
from pipeline.lake.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


class SparkEngine:
    """Runs statements over the files of `store` in a Spark session; the session stays the caller's."""

    keeps_order = False

    def __init__(self, session: SparkSession, store: Store) -> None:
        self.session, self._store = session, store
        self._resources = ExitStack()

    def register(self, table: Table, files: Files) -> None:
        parts = parts_of(self._store, files, self._folder)
        rows = [
            # The version of a row is in its columns; folder names such as `known=all` must not become columns as well.
            _with_nulls(self.session.read.option("recursiveFileLookup", "true").parquet(*map(str, paths)), table, lacking)
            .where(condition or "TRUE")
            .select(*(column.name for column in table.stored_columns))
            for (condition, lacking), paths in paths_by_condition(self._store, table, parts, "spark").items()
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

    @cached_property
    def _folder(self) -> Path:
        """A folder in the store, which executors reach as they reach its files."""
        return self._resources.enter_context(self._store.private_folder())

    def close(self) -> None:
        self._resources.close()
        for view in self.session.catalog.listTables():
            self.session.catalog.dropTempView(view.name)


def _with_nulls(rows: DataFrame, table: Table, lacking: frozenset[str]) -> DataFrame:
    kinds = {column.name: exp.DataType.build(column.kind.sql, dialect="duckdb").sql("spark") for column in table.columns}
    return rows.selectExpr("*", *(f"CAST(NULL AS {kinds[name]}) AS `{name}`" for name in sorted(lacking)))
