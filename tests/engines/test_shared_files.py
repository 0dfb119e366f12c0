"""A table of one large file is read by several tasks of a cluster, and its rows are what one task gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sqlglot import exp, parse_one
from support.local_spark import SparkOver

from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.checksums import read_seal
from pipeline.lake.engines.duckdb import open_engine
from pipeline.lake.engines.spark import SparkEngine
from pipeline.lake.executors import reading_tasks
from pipeline.lake.lake import Lake
from pipeline.lake.tables import Column, Kind, Partition, Table

DAY, ROWS = date(2024, 3, 31), 250_000
COLUMNS = (Column("customer_id", Kind.TEXT, ""), Column("amount", Kind.INTEGER, ""))
TABLE = Table("large_table", "One file of several row groups.", COLUMNS, ("customer_id",), Partition.NIGHT)
ADDRESS = addresses.partition(TABLE, day=DAY)
SUMS = "SELECT COUNT(*) AS row_count, SUM(amount) AS amount, MAX(customer_id) AS last_id FROM large_table"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = Lake(tmp_path_factory.mktemp("shared") / "lake")
    amounts = pa.array(np.random.default_rng(1).integers(0, 1 << 60, ROWS) >> 20)
    rows = pa.table({"customer_id": [f"c{number:07}" for number in range(ROWS)], "amount": amounts}, TABLE.schema)
    lake.write(TABLE, rows.to_batches(), day=DAY, known_on=DAY)
    return lake


@pytest.fixture(autouse=True)
def _large_files_are_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading_tasks, "LARGE_FILE_BYTES", 1 << 18)
    monkeypatch.setattr(reading_tasks, "TASK_GROUPS", 1)


@pytest.fixture
def engine(lake: Lake, spark: SparkOver) -> Iterator[SparkEngine]:
    engine = spark(lake)
    engine.register(TABLE, [ADDRESS])
    yield engine
    engine._resources.close()


def query(text: str) -> exp.Query:
    statement = parse_one(text, dialect="duckdb")
    assert isinstance(statement, exp.Query)
    return statement


def test_several_tasks_give_the_rows_of_one_file(lake: Lake, engine: SparkEngine) -> None:
    from pyspark.sql.connect.functions import spark_partition_id

    tasks = engine.select(query("SELECT customer_id FROM large_table"), {}).groupBy(spark_partition_id()).count().collect()
    assert len(tasks) > 1
    assert sum(task["count"] for task in tasks) == ROWS
    with closing(open_engine(lake, memory_limit="1GB")) as one_machine:
        one_machine.register(TABLE, [ADDRESS])
        expected = one_machine.run(query(SUMS), {}).read_all().to_pylist()
    assert engine.run(query(SUMS), {}).read_all().to_pylist() == expected


def test_damage_in_one_row_group_is_told_with_its_file(lake: Lake, spark: SparkOver, tmp_path: Path) -> None:
    seal, content = read_seal(lake.store.local(ADDRESS)), bytearray(lake.store.read(ADDRESS))
    content[seal.ends[-1 - len(seal.names)] + 50] ^= 1  # of the last group
    damaged = Lake(tmp_path / "damaged")
    with damaged.store.stage(ADDRESS) as new:
        new.write_bytes(content)
    engine = spark(damaged)
    engine.register(TABLE, [ADDRESS])
    with pytest.raises(DataError, match="large_table is damaged: its checksum is wrong") as refused:
        engine.run(query(SUMS), {}).read_all()
    assert refused.value.where == damaged.store.where(ADDRESS)
    engine._resources.close()
