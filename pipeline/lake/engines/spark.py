"""Spark: the same statements on a cluster, transpiled by sqlglot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
from sqlglot import exp

from pipeline.lake.engines import Parameter, columns_of, empty_select, parameter_names
from pipeline.lake.tables import Table

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


class SparkEngine:
    """Runs statements in a Spark session; the session stays the caller's."""

    def __init__(self, session: SparkSession) -> None:
        self.session = session

    def register(self, table: Table, paths: Sequence[Path]) -> None:
        if paths:
            root = next(parent for parent in paths[0].parents if "=" not in parent.name)
            rows = self.session.read.option("basePath", str(root)).parquet(*(str(path) for path in paths))
        else:
            rows = self.session.sql(empty_select(table).sql("spark"))
        rows.select(*(column.name for column in columns_of(table))).createOrReplaceTempView(table.name)

    def define(self, table: Table, statement: exp.Query) -> None:
        self.session.sql(statement.sql("spark")).createOrReplaceTempView(table.name)

    def run(self, statement: exp.Query, parameters: Mapping[str, Parameter]) -> pa.RecordBatchReader:
        used = {name: parameters[name] for name in parameter_names(statement)}
        return self.session.sql(statement.sql("spark"), args=used).toArrow().to_reader()

    def close(self) -> None:
        for view in self.session.catalog.listTables():
            self.session.catalog.dropTempView(view.name)
