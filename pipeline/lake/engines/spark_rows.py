"""The rows of a statement on Spark: read here where they are few, else written as files by executors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from pipeline.errors import TransientError
from pipeline.lake.disk import disk_errors
from pipeline.lake.engines import Parameter
from pipeline.lake.engines.spark_views import order_of
from pipeline.lake.event_days import MonthFile, Version, month_of
from pipeline.lake.executors.writing import WRITTEN, WRITTEN_VERSIONS, FileWriter, MonthFileWriter
from pipeline.lake.parquet import write_parquet
from pipeline.lake.remote_rows import MonthFilePlan, RemoteRows, WrittenMonthFile
from pipeline.lake.tables import EVENT_DAY, KNOWN_ON, Table

if TYPE_CHECKING:
    from pipeline.lake.engines.spark import SparkEngine

# By numbers: TRUNC to the month goes through nanoseconds on Sail, which end in 2262; intervals that are open end in 9999.
FILE_OF_EVENT_DAY = (f"YEAR({EVENT_DAY.name})", f"MONTH({EVENT_DAY.name})", KNOWN_ON.name)


class SparkRows(RemoteRows):
    """The rows of a statement on Spark, worked out whenever they are read or written."""

    def __init__(self, engine: SparkEngine, statement: exp.Query, parameters: Mapping[str, Parameter]) -> None:
        self._engine, self._statement, self._parameters = engine, statement, parameters

    def read_all(self) -> pa.Table:
        return self._engine.collect(self._engine.select(self._statement, self._parameters), self._statement)

    def write_file(self, schema: pa.Schema, path: Path, manifest: Mapping[str, Any]) -> int:
        exchange = self._engine.exchange
        with disk_errors(path.parent, path=path), exchange.receiving(path.parent) as place:
            writer = FileWriter(exchange, place, schema, dict(manifest), order_of(self._statement))
            answers = self._engine.write(self._statement, self._parameters, writer, WRITTEN).to_pylist()
            if not answers:  # a statement that Spark knows to be empty beforehand has no task that could write
                return write_parquet(schema, self, path, manifest)
            if len(answers) > 1:
                raise _several_writers(len(answers))
            exchange.take(answers[0]["name"], path)
            return int(answers[0]["row_count"])

    def write_month_files(self, table: Table, plans: Sequence[MonthFilePlan], folder: Path) -> Mapping[MonthFile, WrittenMonthFile]:
        files = {(plan.file.month, plan.file.known_on): plan.file for plan in plans}
        exchange, names = self._engine.exchange, dict[MonthFile, str]()
        counts: dict[MonthFile, dict[Version, int]] = {}
        with exchange.receiving(folder) as place:
            writer = MonthFileWriter(exchange, place, table, plans, order_of(self._statement))
            answers = self._engine.write(self._statement, self._parameters, writer, WRITTEN_VERSIONS, spread=FILE_OF_EVENT_DAY)
            for answer in answers.to_pylist():
                version = Version(answer["day"], answer["known_on"])
                file = files[month_of(version.day), version.known_on]
                if names.setdefault(file, answer["name"]) != answer["name"]:
                    raise _several_writers(2)
                counts.setdefault(file, {})[version] = answer["row_count"]
            paths = {file: folder / Path(name).name for file, name in names.items()}
            for file, name in names.items():
                exchange.take(name, paths[file])
        return {file: WrittenMonthFile(paths[file], found) for file, found in counts.items()}


def _several_writers(count: int) -> TransientError:
    what = f"Spark gave the rows of one file to {count} tasks, which no file can be made of"
    return TransientError(what, todo="Run that again; if it stays so, use another Spark server, or SEGMENTS_ENGINE=duckdb.")
