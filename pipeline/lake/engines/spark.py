"""Spark: the same statements on a cluster, over Spark Connect, transpiled by sqlglot. Only the portable subset of SQL is used.

Executors read the files of the lake by our reader and write them by our writer, so that files are verified when they are read, and have
the bytes that one machine gives them. Only what is small comes to this process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cached_property, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
from sqlglot import exp

from pipeline.errors import DataError, PipelineError
from pipeline.lake.engines import Files, Parameter, empty_select, parameter_names, parts_of, paths_by_condition, place_of
from pipeline.lake.engines.spark_errors import translating_spark_errors
from pipeline.lake.engines.spark_rows import SparkRows
from pipeline.lake.engines.spark_session import SparkConnection
from pipeline.lake.engines.spark_sql import spark_sql
from pipeline.lake.engines.spark_views import SparkView, needed_columns, order_of, table_names
from pipeline.lake.executors.exchange import Exchange, exchange_of
from pipeline.lake.executors.order import SortKey
from pipeline.lake.executors.reading import FileReader
from pipeline.lake.executors.reading_tasks import plan_reading_tasks
from pipeline.lake.executors.sorting import SortingWriter
from pipeline.lake.file_stamps import FileStamp, file_stamp
from pipeline.lake.store import Store
from pipeline.lake.tables import EVENT_DAY, KNOWN_ON, Table
from pipeline.lake.version_parts import VersionParts

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

ArrowFunction = Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]
# What a process takes of a statement. The largest answers that a night asks for are samples of customers, which models are fitted on.
MOST_ROWS = 1_000_000


class SparkEngine:
    """Runs statements over the files of `store` in a session on a cluster; executors must reach them under the paths that they have here.

    A table becomes a view of the session when a statement needs it, as only then it is known which of its columns are read.
    """

    keeps_order = False
    needs_slices = False  # a cluster has more memory than one machine, and spills

    def __init__(self, connection: SparkConnection, store: Store) -> None:
        self._connection, self._session, self._store = connection, connection.session, store
        self.exchange: Exchange = exchange_of(store)
        self._sent: dict[FileStamp, str | None] = {}
        self._resources = ExitStack()
        self._registered: dict[str, SparkView] = {}

    def register(self, table: Table, files: Files) -> None:
        parts = parts_of(self._store, files, self._folder if isinstance(files, VersionParts) else Path())
        self._registered[table.name] = SparkView(table, parts=tuple(parts))

    def define(self, table: Table, statement: exp.Query) -> None:
        self._registered[table.name] = SparkView(table, statement=statement)

    def materialize(self, table: Table, statement: exp.Query) -> None:
        rows = self.select(statement, {})
        with translating_spark_errors(statement, self._places_of(statement)):
            rows = rows.persist()
            rows.createOrReplaceTempView(table.name)
        self._resources.callback(self._release, rows)
        self._registered[table.name] = self._connection.views[table.name] = SparkView(table)

    def _release(self, rows: DataFrame) -> None:
        # What is wrong with the server is told by the statement that failed, not by what tidies up after it.
        with suppress(PipelineError), translating_spark_errors(exp.Select(), {}):
            rows.unpersist()

    def run(self, statement: exp.Query, parameters: Mapping[str, Parameter]) -> SparkRows:
        return SparkRows(self, statement, {name: parameters[name] for name in parameter_names(statement)})

    def select(self, statement: exp.Query, parameters: Mapping[str, Parameter]) -> DataFrame:
        """Return the rows of `statement` as Spark's plan, over what is registered now."""
        with translating_spark_errors(statement, self._places_of(statement)):
            self._make_views(statement)
            return self._session.sql(self._sql(statement), args=dict(parameters))

    def _sql(self, statement: exp.Query) -> str:
        columns = {name: [column.name for column in view.table.stored_columns] for name, view in self._registered.items()}
        return spark_sql(statement, columns, casts_to_nearest=self._connection.casts_to_nearest)

    def collect(self, rows: DataFrame, statement: exp.Query) -> pa.Table:
        """Return the rows of a plan; raises DataError where they are too many for a process."""
        pieces, count = [], 0
        with translating_spark_errors(statement, self._places_of(statement)):
            client = self._session.client
            for piece in client.to_table_as_iterator(cast("Any", rows)._plan.to_proto(client), {}):  # noqa: SLF001 - the public one takes all
                if isinstance(piece, pa.Table):
                    pieces.append(piece)
                    count += piece.num_rows
                    if count > MOST_ROWS:
                        what = f"a statement gives more than {MOST_ROWS:,} rows to the process that runs the night"
                        raise DataError(
                            what, todo="That is a fault of this program: report it, and run the night with SEGMENTS_ENGINE=duckdb."
                        )
            return pa.concat_tables(pieces) if pieces else rows.toArrow()

    def close(self) -> None:
        self._registered.clear()
        self._resources.close()
        self._connection.close()

    def _make_views(self, statement: exp.Query) -> None:
        """Make the views that `statement` reads: those of a table that was registered anew, or of which more columns are read now."""
        views = list(self._views_of(statement))
        statements = [statement, *(view.statement for view in views if view.statement)]
        anew: set[str] = set()
        for view in views:
            name = view.table.name
            if view.statement:
                if not self._is_made(view) or anew.intersection(table_names(view.statement)):
                    self._session.sql(self._sql(view.statement)).createOrReplaceTempView(name)
                    anew.add(name)
            elif view.parts is not None:
                columns = needed_columns(view.table, statements)
                if not self._is_made(view) or not columns.issubset(view.columns):
                    view.columns |= columns
                    self._rows_of(view).createOrReplaceTempView(name)
                    anew.add(name)
            self._connection.views[name] = view

    def _is_made(self, view: SparkView) -> bool:
        """Return whether the session's view of that name is this one: engines may share a session, and register other files."""
        return self._connection.views.get(view.table.name) is view

    def _views_of(self, statement: exp.Query) -> Iterator[SparkView]:
        """Yield what `statement` reads, each after what it reads itself."""
        done: set[str] = set()

        def visit(query: exp.Query) -> Iterator[SparkView]:
            for name in table_names(query):
                if name in self._registered and name not in done:
                    done.add(name)
                    view = self._registered[name]
                    if view.statement:
                        yield from visit(view.statement)
                    yield view

        yield from visit(statement)

    def _places_of(self, statement: exp.Query) -> dict[str, Sequence[str]]:
        views = [view for view in self._views_of(statement) if view.parts]
        return {view.table.name: [place_of(self._store, part) for part in view.parts or ()] for view in views}

    def _rows_of(self, view: SparkView) -> DataFrame:
        table, pieces = view.table, []
        names = [column.name for column in table.stored_columns if column.name in view.columns]
        address_of = {part.path: part.address or self._send(part.path) for part in view.parts or ()}
        for (condition, _), paths in paths_by_condition(self._store, table, view.parts or (), "spark").items():
            versions = {EVENT_DAY.name, KNOWN_ON.name} if condition else set()
            read = pa.schema([field for field in table.stored_schema if field.name in {*names, *versions}])
            tasks = plan_reading_tasks([(path, address_of[path]) for path in paths], self._connection.parallelism)
            reader = FileReader(self.exchange, table.name, read, tasks)
            rows = self._session.range(0, len(tasks), 1, len(tasks)).mapInArrow(reader, self._connection.spark_schema(read))
            pieces.append(rows.where(condition).select(*names) if condition else rows)
        return reduce(lambda left, right: left.unionAll(right), pieces) if pieces else self._session.sql(empty_select(table, "spark"))

    def _send(self, path: Path) -> str | None:
        """Return the address under which executors read a private file of this process; None where its path will do."""
        stamp = file_stamp(path)  # others may be written under the same path later
        if stamp not in self._sent:
            self._sent[stamp] = address = self.exchange.sent(path)
            if address:
                self._resources.callback(self._store.delete, address)
        return self._sent[stamp]

    @cached_property
    def _folder(self) -> Path:
        """A folder in the store, which executors reach as they reach its files."""
        return self._resources.enter_context(self._store.private_folder())

    def write(
        self,
        statement: exp.Query,
        parameters: Mapping[str, Parameter],
        writer: ArrowFunction,
        answer: pa.Schema,
        *,
        spread: Sequence[str] = (),
    ) -> pa.Table:
        """Have `writer` write the rows in executors, and return its answers, which have the columns of `answer`.

        Rows with equal values of the expressions `spread` come to one task, all to one where there are none; each task has its rows in
        the order that the statement asks for.
        """
        from pyspark.sql.connect.functions import expr

        order = order_of(statement)
        unordered = statement.copy()
        unordered.set("order", None)
        rows = self.select(unordered, parameters)
        with translating_spark_errors(statement, self._places_of(statement)):
            rows = rows.repartition(self._connection.parallelism, *map(expr, spread)) if spread else rows.repartition(1)
            if order and self._connection.sorts_rows:
                # Only within tasks: a total order would be found by a sample of the rows, which means to work out all of them twice.
                rows = rows.sortWithinPartitions(*map(_sort_column, order))
            elif order:
                writer = SortingWriter(writer, order)
            return self.collect(rows.mapInArrow(writer, self._connection.spark_schema(answer)), statement)


def _sort_column(key: SortKey) -> Column:
    """Return a key as Spark sorts by it, which by itself puts nulls first where DuckDB puts them last."""
    from pyspark.sql.connect.functions import col

    direction = "desc" if key.is_descending else "asc"
    return cast("Column", getattr(col(key.name), f"{direction}_nulls_{'first' if key.has_nulls_first else 'last'}")())
