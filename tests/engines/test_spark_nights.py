"""Nights on a Spark cluster leave the very files that DuckDB leaves, whatever happens to the cluster or to the run meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlglot import exp, parse_one
from support.local_spark import SparkOver
from support.nights import run_night, tree_bytes

from local.spark_cluster import SparkCluster
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.features import compute_rollups
from pipeline.lake.engines import spark as spark_module
from pipeline.lake.engines import spark_executors, spark_session
from pipeline.lake.engines.spark_session import SparkConnection, connect, open_session, versions_at
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    CUSTOMER_DAY_CATEGORIES,
    CUSTOMER_DAYS,
    ORDER_LINES,
)
from pipeline.operations.conformance.made_up_company import ERASED, NIGHTS, write_made_up_company
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure import table_files
from pipeline.operations.erasure.rows import CustomerIds
from pipeline.operations.erasure.table_files import TableFiles
from pipeline.operations.night import Night
from pipeline.operations.steps import STEPS

# The first test waits for a cluster to start, and for a whole night on it: minutes, where others work on the machine.
pytestmark = pytest.mark.timeout(1800)
ROLLUPS = (CUSTOMER_DAYS, CUSTOMER_DAY_CATEGORIES)
FILES = ("tables", "states", "publications", "judgements", "models")


@dataclass(frozen=True)
class SparkNights:
    """A shop, the lake that DuckDB made of its nights, and one that a cluster made of them."""

    shop: Path
    remote: str
    duckdb: Lake
    spark: Lake

    def run(self, lake: Lake, day: date) -> None:
        night = Night.of(replace(Deployment.of(self.shop, lake.root), spark_remote=self.remote), day)
        for step in STEPS.values():
            step(night)

    def roll_up(self, lake: Lake, *, is_on_spark: bool = True) -> None:
        """Roll up the last night alone: a step's other statements take Spark ten times as long."""
        deployment = Deployment.of(self.shop, lake.root)
        with replace(deployment, spark_remote=self.remote if is_on_spark else None).engine() as engine:
            compute_rollups(lake, engine, NIGHTS[1])

    def unrolled(self, folder: Path) -> Lake:
        """Return a lake with the lines of the last night, and nothing that is computed from them."""
        lake = Lake(folder / "lake")
        for name in ("tables/raw_order_lines", "tables/raw_customers", "tables/order_lines", "tables/customers", "extractions"):
            if (self.duckdb.root / name).exists():
                shutil.copytree(self.duckdb.root / name, lake.root / name)
        return lake


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory, cluster: SparkCluster) -> SparkNights:
    folder = tmp_path_factory.mktemp("nights")
    found = SparkNights(write_made_up_company(folder / "shop"), cluster.remote, Lake(folder / "duckdb"), Lake(folder / "spark"))
    run_night(found.shop, found.duckdb, NIGHTS[0])
    shutil.copytree(found.duckdb.root, found.spark.root, symlinks=True)
    run_night(found.shop, found.duckdb, NIGHTS[1])
    found.run(found.spark, NIGHTS[1])
    return found


def test_every_file_of_a_night_has_the_bytes_that_duckdb_gives_it(nights: SparkNights) -> None:
    expected, found = (tree_bytes(lake, *FILES) for lake in (nights.duckdb, nights.spark))
    assert [name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)] == []
    assert sum(name.startswith("tables/customer_days/") for name in found) >= 12
    for table in ("audience_members", "audience_moves", "segment_moves", "customer_next_actions", "customer_segment_intervals"):
        assert any(name.startswith(f"tables/{table}/") for name in found), table


def test_a_run_of_the_same_night_again_leaves_its_bytes(nights: SparkNights) -> None:
    before = tree_bytes(nights.spark, *FILES)
    nights.roll_up(nights.spark)
    assert tree_bytes(nights.spark, *FILES) == before


def test_executors_erase_from_raw_files_to_the_bytes_of_one_process(
    nights: SparkNights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raw files say what their rows are, for the next night to know them again: that is worked out anew of the rows that stay."""
    monkeypatch.setattr(table_files, "BYTES_WORTH_WORKERS", 0)
    alone, beside = (Lake(tmp_path / name) for name in ("alone", "beside"))
    for lake in (alone, beside):
        for name in ("raw_order_lines", "raw_customers"):
            shutil.copytree(nights.duckdb.root / "tables" / name, lake.root / "tables" / name)
    before, found = tree_bytes(alone, "tables"), []
    for lake, remote in ((alone, None), (beside, nights.remote)):
        with replace(Deployment.of(nights.shop, lake.root), spark_remote=remote).workers() as workers:
            files, ids = TableFiles(lake, memory_limit="500MB", workers=workers), CustomerIds.of(ERASED)
            found.append(files.count(ids))
            files.remove(ids)
    assert found[0] == found[1]
    assert {*found[0]} == {"tables/raw_order_lines", "tables/raw_customers"}
    assert tree_bytes(alone, "tables") == tree_bytes(beside, "tables") != before


def test_what_spark_compiles_of_statements_writes_the_same_bytes(
    nights: SparkNights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As clusters do unless somebody says otherwise; the one of the tests runs statements as they are planned."""
    monkeypatch.setattr(spark_session, "_idle", {})
    compiling = {"spark.sql.codegen.wholeStage": "true", "spark.sql.codegen.factoryMode": "CODEGEN_ONLY"}
    monkeypatch.setattr(spark_session, "SETTINGS", {**spark_session.SETTINGS, **compiling})
    lake = nights.unrolled(tmp_path)
    nights.roll_up(lake)
    spark_session.disconnect(nights.remote)
    assert same_rollups(nights, lake)


def test_a_worker_that_is_killed_while_rollups_run_changes_nothing(nights: SparkNights, cluster: SparkCluster, tmp_path: Path) -> None:
    if not cluster.processes:
        pytest.skip("the cluster is somebody else's")
    lake = nights.unrolled(tmp_path)
    with once_a_file_is_being_written(lake, lambda: cluster.kill("worker-1")) as was_killed:
        nights.roll_up(lake)
    assert was_killed()
    assert cluster.restart_ended() == ["worker-1"]
    assert cluster.restart_ended() == []
    assert same_rollups(nights, lake)


def test_a_driver_that_is_killed_leaves_nothing_half_done(nights: SparkNights, tmp_path: Path) -> None:
    lake = nights.unrolled(tmp_path)
    environment = {**os.environ, "SEGMENTS_ENGINE": "spark", "SPARK_REMOTE": nights.remote}
    program = "import sys; from pipeline.cli import main; main()"
    command = [sys.executable, "-c", program, "run", "--company", nights.shop, "--lake", lake.root, "--day", NIGHTS[1]]
    with (tmp_path / "log").open("wb") as log:
        driver = subprocess.Popen([*map(str, command)], env=environment, stdout=log, stderr=log)
        with once_a_file_is_being_written(lake, driver.kill) as was_killed:
            assert driver.wait(300) == -signal.SIGKILL
    assert was_killed()
    nights.roll_up(lake)
    assert same_rollups(nights, lake)
    assert not [path for path in (lake.root / "staging").glob("*") if path.is_dir()]


def same_rollups(nights: SparkNights, lake: Lake) -> bool:
    """Return whether the rollups are those that DuckDB makes of the same lines at once."""
    there = nights.unrolled(lake.root.parent / "by_duckdb")
    nights.roll_up(there, is_on_spark=False)
    found, expected = (tree_bytes(each, *(f"tables/{table.name}" for table in ROLLUPS)) for each in (lake, there))
    return len(found) > 20 and found == expected


@contextmanager
def once_a_file_is_being_written(lake: Lake, act: Any) -> Iterator[Any]:
    """Call `act` as soon as an executor has begun a file in the block; yields a function that says whether it was called."""
    called, ended = threading.Event(), threading.Event()

    def watch() -> None:
        while not ended.is_set():
            with suppress(FileNotFoundError):  # a private folder is gone while it is looked through
                if any(len(path.stem) == 32 for path in (lake.root / "staging").rglob("*.parquet")):
                    act()
                    called.set()
                    return
            time.sleep(0.002)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield called.is_set
    finally:
        ended.set()
        thread.join()


def test_a_flipped_bit_is_found_by_the_executor_that_reads_it(nights: SparkNights, spark: SparkOver, tmp_path: Path) -> None:
    lake = nights.unrolled(tmp_path)
    path = next((lake.root / "tables" / "order_lines").rglob("*.parquet"))
    content = bytearray(path.read_bytes())
    content[40] ^= 1  # in the first column, which is `event_day`
    path.write_bytes(content)
    engine = spark(lake)
    engine.register(ORDER_LINES, lake.parts(ORDER_LINES, lake.versions(ORDER_LINES)))
    intact, flipped = (parse_one(f"SELECT COUNT({name}) AS n FROM order_lines", into=exp.Select) for name in ("net_amount", "event_day"))
    assert engine.run(intact, {}).read_all()["n"][0].as_py() > 900
    with pytest.raises(DataError) as refused:
        engine.run(flipped, {}).read_all()
    assert refused.value.what == "order_lines is damaged: its checksum is wrong, or another version of this program wrote it"
    assert "order_lines/month=" in refused.value.where
    assert "segments run --reread" in refused.value.todo


def test_only_a_few_rows_come_to_the_process_that_runs_the_night(
    nights: SparkNights, spark: SparkOver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spark_module, "MOST_ROWS", 100)
    engine = spark(nights.spark)
    engine.register(ORDER_LINES, nights.spark.parts(ORDER_LINES, nights.spark.versions(ORDER_LINES)))
    few, many = (parse_one(f"SELECT order_id FROM order_lines LIMIT {count}", into=exp.Select) for count in (100, 101))
    assert engine.run(few, {}).read_all().num_rows == 100
    with pytest.raises(DataError, match="more than 100 rows"):
        engine.run(many, {}).read_all()


def test_executors_read_the_columns_that_a_statement_names_and_no_others(nights: SparkNights, spark: SparkOver) -> None:
    engine = spark(nights.spark)
    engine.register(CUSTOMER_DAYS, nights.spark.parts(CUSTOMER_DAYS, nights.spark.versions(CUSTOMER_DAYS)))
    assert engine.run(parse_one("SELECT COUNT(*) AS rows FROM customer_days", into=exp.Select), {}).read_all()["rows"][0].as_py() > 500
    view = engine._registered[CUSTOMER_DAYS.name]
    assert len(view.columns) == 1
    engine.run(parse_one("SELECT MAX(line_count) AS m FROM (SELECT line_count FROM customer_days) AS c", into=exp.Select), {}).read_all()
    assert view.columns == {*view.columns, "line_count"}
    assert len(view.columns) == 2
    engine.run(parse_one("SELECT COUNT(*) AS n FROM (SELECT * FROM customer_days) AS c", into=exp.Select), {}).read_all()
    assert view.columns == {column.name for column in CUSTOMER_DAYS.stored_columns}


def test_executors_run_the_code_that_is_sent_to_them(cluster: SparkCluster) -> None:
    versions = versions_at(cluster.remote)
    assert versions["spark"].split(".")[0] == "4"
    assert {"python", "pyarrow"} <= versions.keys()
    assert versions["code"].endswith(".zip")


@pytest.mark.parametrize("name", ["python", "pyarrow"])
def test_executors_of_other_versions_are_refused(cluster: SparkCluster, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    found = spark_executors.installed_versions()
    monkeypatch.setattr(spark_executors, "installed_versions", lambda: {**found, name: "1.2"})
    monkeypatch.setattr(spark_session, "_idle", {})
    with pytest.raises(ConfigError) as refused:
        connect(cluster.remote)
    assert refused.value.where == "environment variable SPARK_REMOTE"  # not what it says: a token may be in it
    assert refused.value.what == f"executors of Spark have {name} {found[name]} instead of 1.2: files would not be the same"
    assert f"{name}==1.2" in refused.value.todo


def test_spark_keeps_the_order_of_rows_and_finds_the_nearest_double(cluster: SparkCluster) -> None:
    """Else executors would sort rows themselves, and read doubles from texts, which costs more."""
    connection = connect(cluster.remote)
    assert connection.sorts_rows
    assert connection.casts_to_nearest
    connection.close()


def test_an_older_server_is_refused(cluster: SparkCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_session, "OLDEST_SERVER", (5, 0))
    monkeypatch.setattr(spark_session, "_idle", {})
    with pytest.raises(ConfigError, match="is Spark 4"):
        connect(cluster.remote)


def test_a_session_that_the_server_no_longer_knows_is_not_taken_again(cluster: SparkCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_session, "_idle", {})
    forgotten = SparkConnection(cluster.remote, open_session(cluster.remote, {}))
    forgotten.close()
    forgotten.session.stop()
    found = connect(cluster.remote)
    assert found is not forgotten
    assert found.session.conf.get("spark.sql.session.timeZone") == "UTC"
    found.session.stop()


def test_an_amount_out_of_range_is_told_of_without_its_value(nights: SparkNights, spark: SparkOver) -> None:
    engine = spark(nights.spark)
    engine.register(ORDER_LINES, nights.spark.parts(ORDER_LINES, nights.spark.versions(ORDER_LINES)))
    query = parse_one("SELECT CAST(SUM(net_amount * 1000000000000) AS DECIMAL(18, 4)) AS net_amount FROM order_lines", read="duckdb")
    with pytest.raises(PipelineError) as refused:
        engine.run(query, {}).read_all()
    assert refused.value.what.startswith("net_amount of order_lines up to 2024-03-31 adds up to more than")
