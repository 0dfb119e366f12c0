"""What a night's statements cost on a Spark cluster beside DuckDB, and whether the files are the same to the byte.

CPU seconds are those of every process that takes part: of the cluster's by what Linux says of them, of DuckDB's by its own.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, closing
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from generate import LAST_DAY
from lakes import company, engine, linked_lake
from measure import Result, cost

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from local.spark_cluster import FOR_MILLIONS_OF_ROWS, SparkCluster, running_cluster
from pipeline.features import compute_features, compute_rollups
from pipeline.features.rollup_set import ROLLUPS
from pipeline.lake.engines.spark import SparkEngine
from pipeline.lake.engines.spark_session import connect, disconnect
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES

ROLLUPS_BAR, FEATURES_BAR = 8.0, 12.0
TICKS = os.sysconf("SC_CLK_TCK")
Step = Callable[[Lake, SparkEngine], None]


def results(lake: Lake, scratch: Path) -> list[Result]:
    """Return what rollups and features of a first night cost on a cluster whose Java is warm, as a share of DuckDB's."""
    with TemporaryDirectory(dir=scratch) as folder, _cluster_in(Path(folder) / "cluster") as cluster:
        by_duckdb, by_spark, warming = (_lines_of(lake, Path(folder) / name) for name in ("duckdb", "spark", "warming"))
        connection = connect(cluster.remote)
        for step in (_rollups, _features):  # what Java has seen before costs half
            with closing(SparkEngine(connection, warming.store)) as spark:
                step(warming, spark)
            connection = connect(cluster.remote)
        found = []
        for name, step, bar in (("rollups", _rollups, ROLLUPS_BAR), ("features", _features, FEATURES_BAR)):
            with closing(SparkEngine(connection, by_spark.store)) as spark:
                ours = _cluster_cost(cluster, partial(step, by_spark, spark))
            connection = connect(cluster.remote)
            reference = cost(partial(_by_duckdb, step, by_duckdb)).cpu_seconds
            found.append(Result(f"{name} of a first night on Spark / on DuckDB", ours, reference, bar=bar))
        connection.close()
        disconnect(cluster.remote)
        different = _different_files(by_duckdb, by_spark)
        found.append(Result("files that differ between the two, of all", len(different), len(_digests(by_spark)), "files", bar=0))
    return found


def _cluster_in(folder: Path) -> AbstractContextManager[SparkCluster]:
    """Return a cluster as one for many rows is: Java compiles what it runs often as well as it can."""
    return running_cluster(folder, memory="3g", tuning=FOR_MILLIONS_OF_ROWS)


def _lines_of(lake: Lake, folder: Path) -> Lake:
    """Return a lake with the lines and customers of another, and nothing that is computed from them."""
    new = linked_lake(lake, folder)
    for table in ROLLUPS:
        shutil.rmtree(new.root / "tables" / table.name, ignore_errors=True)
    return new


def _rollups(lake: Lake, spark: SparkEngine) -> None:
    compute_rollups(lake, spark, LAST_DAY)


def _features(lake: Lake, spark: SparkEngine) -> None:
    compute_features(company(), lake, spark, LAST_DAY)


def _by_duckdb(step: Step, lake: Lake) -> None:
    with engine(lake) as opened:
        step(lake, opened)  # type: ignore[arg-type]


def _cluster_cost(cluster: SparkCluster, work: Callable[[], None]) -> float:
    """Return the CPU seconds that `work` takes in this process, in those of the cluster, and in all that these have started."""
    before = _ticks(cluster)
    work()
    return sum(now - before.get(process, 0) for process, now in _ticks(cluster).items()) / TICKS


def _ticks(cluster: SparkCluster) -> dict[int, int]:
    """Return the CPU time so far of the processes, and of those of their children that have ended, by their ids."""
    sessions = {process.pid for process in cluster.processes.values()}
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # Session and the four times of proc(5), counted from the state. Groups would not do: Python's workers have one of their own.
        if int(fields[3]) in sessions or stat.parent.name == str(os.getpid()):
            found[int(stat.parent.name)] = sum(map(int, fields[11:15]))
    return found


def _digests(lake: Lake) -> dict[str, str]:
    names = [table.name for table in (*ROLLUPS, CUSTOMER_FEATURES)]
    folders: Iterable[Path] = (lake.root / "tables" / name for name in names)
    paths = [path for folder in (*folders, lake.root / "states") for path in folder.rglob("*.parquet")]
    return {str(path.relative_to(lake.root)): sha256(path.read_bytes()).hexdigest() for path in paths}


def _different_files(one: Lake, other: Lake) -> list[str]:
    ours, theirs = _digests(one), _digests(other)
    return [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
