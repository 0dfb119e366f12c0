"""What is published can be read by the tools people use, with the same rows and types in each."""

from __future__ import annotations

from datetime import date

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession
from support.nights import run_night, write_shop

from pipeline.lake.lake import Lake
from pipeline.lake.tables import PUBLISHED_TABLES, Table

EVE, NIGHT = date(2024, 3, 30), date(2024, 3, 31)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("readers")
    orders = [f"o{n},1,c{n % 9},2024-03-{n % 28 + 1:02} 10:00:00,1,{n}.5,ზ" for n in range(1, 60)]
    # Two kinds of customers, so that there are clusters: who comes often for little, and who came once for much.
    orders += [f"f{n},1,f{n % 150},2024-03-{n % 25 + 1:02} 10:00:00,1,{4 + n % 3}.5,a" for n in range(1_650)]
    orders += [f"r{n},1,r{n},2024-03-{n % 20 + 1:02} 10:00:00,1,{300 + n % 40}.5,b" for n in range(150)]
    shoppers = [f"{kind}{n}" for kind in "fr" for n in range(150)]
    lake = Lake(folder / "lake")
    run_night(write_shop(folder / "shop", orders, customers=["c1", *shoppers]), lake, EVE, until="segment")
    run_night(write_shop(folder / "shop", orders, customers=["c1", "ğı", *shoppers]), lake, NIGHT)
    return lake


@pytest.mark.parametrize("table", PUBLISHED_TABLES, ids=lambda table: table.name)
def test_every_reader_sees_the_same_rows(lake: Lake, spark_session: SparkSession, table: Table) -> None:
    path = lake.root / "current" / f"{table.name}.parquet"
    columns = ["day", *table.column_names, *(column.name for column in table.published_columns)]
    expected = [tuple(row.values()) for row in pq.read_table(path).to_pylist()]
    assert expected
    assert pq.read_schema(path).names == columns
    assert pl.read_parquet(path).rows() == expected
    assert duckdb.execute("SELECT * FROM read_parquet(?)", [str(path)]).fetchall() == expected
    assert [tuple(row) for row in spark_session.read.parquet(str(path)).orderBy(*table.key).collect()] == expected
    read = pd.read_parquet(path, dtype_backend="pyarrow")
    assert list(read.columns) == columns
    assert [tuple(None if value is pd.NA else value for value in row) for row in read.itertuples(index=False, name=None)] == expected


@pytest.mark.parametrize("table", PUBLISHED_TABLES, ids=lambda table: table.name)
def test_the_history_folder_reads_as_one_table(lake: Lake, spark_session: SparkSession, table: Table) -> None:
    folder = lake.root / "tables" / table.name
    counts = {day: pq.read_metadata(lake.path(table, day=day)).num_rows for day in (EVE, NIGHT)}
    rows = sum(counts.values())
    assert len(pd.read_parquet(folder)) == rows
    assert pl.scan_parquet(folder / "**/*.parquet").collect().height == rows
    found = duckdb.execute("SELECT COUNT(*), MIN(day) FROM read_parquet(?)", [f"{folder}/*/*.parquet"]).fetchall()
    assert found == [(rows, min(day for day, count in counts.items() if count))]
    assert spark_session.read.parquet(str(folder)).count() == rows
