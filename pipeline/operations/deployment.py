"""What a process works with: one company, its lake, its connections and its limits; made once per command or task.

Only this module and `definitions.connections` read the environment. Everything else is handed what it works on, so that a test,
a command and a task do the same, and no setting acts from afar.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.calendar import business_day
from pipeline.definitions.company import Company, load_company
from pipeline.definitions.connections import catalog_properties, connection_uri
from pipeline.definitions.fields import printable_value
from pipeline.definitions.settings import is_memory_size
from pipeline.errors import ConfigError
from pipeline.lake.limits import MEMORY_LIMIT, MOST_WORKERS, WORKER_BYTES, cpu_count, memory_bytes
from pipeline.operations.bucket_deployment import is_bucket, open_bucket, versions_expire_days

# Airflow reads every DAG file again each half minute, and with it this module: what takes long to import is imported when used.
if TYPE_CHECKING:
    from pipeline.lake.engines import Engine
    from pipeline.lake.lake import Lake
    from pipeline.lake.workers import Workers

Connections = Callable[[str], str]
Catalogs = Callable[[str], Mapping[str, str]]
ENGINES = ("duckdb", "spark")
AIRFLOW_SETTINGS = ("AIRFLOW_HOME", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN")


@dataclass(frozen=True, slots=True)
class Deployment:
    """One company, its lake, the addresses of its databases and catalogues by name, and what a step may take: memory, processes, a cluster.

    `spark_remote` is the address of the cluster whose engine runs the statements of nights; None is DuckDB, within this process.
    A lake in a bucket that keeps old versions of objects removes them so many days later.
    """

    company: Company
    lake: Lake
    connections: Connections = connection_uri
    memory_limit: str = MEMORY_LIMIT
    catalogs: Catalogs = catalog_properties
    worker_count: int = 1
    versions_expire_days: int | None = None
    spark_remote: str | None = None

    @classmethod
    def of(cls, company: Path, lake: Path | str, *, connections: Connections = connection_uri) -> Deployment:
        """Return the deployment of the company in this folder and the lake at this place, within the limits that the environment sets.

        Raises ConfigError where the company's files or the limits are not valid, or the lake is another company's.
        """
        return cls.of_company(load_company(company), lake, connections=connections)

    @classmethod
    def of_company(cls, company: Company, lake: Path | str, *, connections: Connections = connection_uri) -> Deployment:
        """Return the same of a company that was read already."""
        from pipeline.definitions.owner import require_owner
        from pipeline.lake.spared_imports import spare_pandas

        spare_pandas()
        memory_limit = memory_limit_of_environment()
        deployment = cls(
            company,
            open_lake(lake, connections=connections),
            connections,
            memory_limit,
            worker_count=worker_count_of_environment(memory_limit),
            versions_expire_days=versions_expire_days(os.environ),
            spark_remote=spark_remote_of_environment(),
        )
        require_owner(deployment.lake, deployment.company)
        return deployment

    @classmethod
    def from_environment(cls, *, connections: Connections = connection_uri) -> Deployment:
        """Return the deployment that SEGMENTS_COMPANY and SEGMENTS_LAKE name; raises ConfigError where one of them is not set."""
        return cls.of(Path(_setting("SEGMENTS_COMPANY")), _setting("SEGMENTS_LAKE"), connections=connections)

    def day_or_last(self, day: date | None, *, now: datetime) -> date:
        """Return the day, else the company's `last_day`, else the last one that is over at the instant `now`."""
        return day or self.company.last_day or business_day(now, self.company.zone)

    def day_or_newest(self, day: date | None) -> date:
        """Return the day, else the company's `last_day`, else the newest night of the lake; raises ConfigError where there is none."""
        from pipeline.lake.tables import CUSTOMER_SEGMENTS

        chosen = day or self.company.last_day or max(self.lake.nights(CUSTOMER_SEGMENTS), default=None)
        if chosen is None:
            raise ConfigError("no night was run yet", where=self.lake.where(), todo="Run one: segments run --day YYYY-MM-DD.")
        return chosen

    @contextmanager
    def engine(self) -> Iterator[Engine]:
        """Yield an engine over the lake for the time of the block: the one that SEGMENTS_ENGINE names.

        Raises ConfigError where the cluster cannot run our code, TransientError where it cannot be reached.
        """
        with closing(self._opened_engine()) as engine:
            yield engine

    @contextmanager
    def engine_in_process(self, engine: Engine) -> Iterator[Engine]:
        """Yield `engine` where it runs in this process, else DuckDB: for what is worked out in memory, of every customer.

        What a cluster gives to a process is limited; DuckDB reads a few columns of files that are there already.
        """
        if self.spark_remote is None:
            yield engine
        else:
            with closing(self._local_engine()) as local:
                yield local

    def _local_engine(self) -> Engine:
        from pipeline.lake.engines.duckdb import open_engine

        return open_engine(self.lake, memory_limit=self.memory_limit)

    def _opened_engine(self) -> Engine:
        if self.spark_remote is None:
            return self._local_engine()
        from pipeline.lake.engines.spark import SparkEngine
        from pipeline.lake.engines.spark_session import connect

        return SparkEngine(connect(self.spark_remote), self.lake.store)

    @contextmanager
    def workers(self) -> Iterator[Workers]:
        """Yield what does work by partition for the time of the block: processes on this machine, or executors of the cluster.

        Raises what `engine` does.
        """
        from pipeline.lake.workers import WorkerProcesses

        with closing(WorkerProcesses(self.worker_count)) as processes:
            if self.spark_remote is None:
                yield processes
            else:
                from pipeline.lake.engines.spark_workers import SparkWorkers

                with closing(SparkWorkers(self.spark_remote, self.lake.store, processes)) as workers:
                    yield workers


def company_of_environment() -> Company:
    """Return the company that SEGMENTS_COMPANY names: all that a schedule needs, without the lake."""
    return load_company(Path(_setting("SEGMENTS_COMPANY")))


def lake_of_environment() -> Lake:
    """Return the lake that SEGMENTS_LAKE names: all that showing its pages needs."""
    return open_lake(_setting("SEGMENTS_LAKE"))


def open_lake(place: Path | str, *, connections: Connections = connection_uri) -> Lake:
    """Return the lake in a folder, or in a bucket at an address such as s3://bucket/prefix.

    How long its users wait for each other is set by SEGMENTS_LOCK_SECONDS. Raises ConfigError where that or the address is not valid.
    """
    from pipeline.lake.lake import LOCK_SECONDS, Lake

    text = os.environ.get("SEGMENTS_LOCK_SECONDS", str(LOCK_SECONDS))
    try:
        seconds = float(text)
    except ValueError:
        # Refused below as a number out of range is: no comparison with it holds.
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        what = f"SEGMENTS_LOCK_SECONDS is {printable_value(text)}, which is no number of seconds"
        raise ConfigError(what, where="environment variable SEGMENTS_LOCK_SECONDS", todo="Write seconds, such as 600, or unset it.")
    if is_bucket(place):
        return Lake(open_bucket(str(place), os.environ, connections), lock_seconds=seconds)
    return Lake(Path(place), lock_seconds=seconds)


def open_owned_lake(company: Path, place: Path | str) -> Lake:
    """Return the lake of a company at a place, of whatever format, to be copied; raises ConfigError where it is another company's."""
    from pipeline.definitions.owner import require_company

    lake = open_lake(place)
    require_company(lake, load_company(company))
    return lake


def open_readable_lake(place: Path | str) -> Lake:
    """Return the lake at a place, whichever company's it is; raises ConfigError where another version of the program has to read it."""
    from pipeline.definitions.lake_claim import read_claim, require_format

    lake = open_lake(place)
    require_format(lake, read_claim(lake))
    return lake


def memory_limit_of_environment() -> str:
    """Return how much memory an engine may take, as DuckDB writes sizes: SEGMENTS_MEMORY_LIMIT; raises ConfigError where it is none."""
    text = os.environ.get("SEGMENTS_MEMORY_LIMIT", MEMORY_LIMIT)
    if not is_memory_size(text):
        what = f"SEGMENTS_MEMORY_LIMIT is {printable_value(text)}, which is no size of memory"
        raise ConfigError(what, where="environment variable SEGMENTS_MEMORY_LIMIT", todo="Write a size such as 3GB or 800MB, or unset it.")
    return text


def worker_count_of_environment(memory_limit: str) -> int:
    """Return how many processes a step may use side by side: SEGMENTS_WORKERS; raises ConfigError where it is no number of them.

    By default as many as there are processors, and as `memory_limit` has room for.
    """
    text = os.environ.get("SEGMENTS_WORKERS")
    if text is None:
        return max(1, min(cpu_count(), memory_bytes(memory_limit) // WORKER_BYTES))
    if not (text.isdecimal() and 1 <= int(text) <= MOST_WORKERS):
        what = f"SEGMENTS_WORKERS is {printable_value(text)}, which is no number of processes from 1 to {MOST_WORKERS}"
        raise ConfigError(what, where="environment variable SEGMENTS_WORKERS", todo="Write a number such as 4, or unset it.")
    return int(text)


def spark_remote_of_environment() -> str | None:
    """Return the address of the cluster that SPARK_REMOTE names where SEGMENTS_ENGINE is `spark`; None for DuckDB.

    Raises ConfigError where there is no such engine, or no address.
    """
    engine = os.environ.get("SEGMENTS_ENGINE") or "duckdb"
    if engine not in ENGINES:
        what = f"SEGMENTS_ENGINE is {printable_value(engine)}, which is no engine"
        raise ConfigError(what, where="environment variable SEGMENTS_ENGINE", todo=f"Write {' or '.join(ENGINES)}, or unset it.")
    if engine == "duckdb":
        return None
    remote = os.environ.get("SPARK_REMOTE")
    if not remote:
        todo = "Set it to the cluster's Spark Connect server, as sc://host:15002, or unset SEGMENTS_ENGINE."
        raise ConfigError("SEGMENTS_ENGINE is spark, and SPARK_REMOTE is not set", where="environment variable SPARK_REMOTE", todo=todo)
    return remote


def pool_of_environment() -> str | None:
    """Return the pool of Airflow that tasks of nights take their slots from, one per night: SEGMENTS_POOL; None for Airflow's own."""
    return os.environ.get("SEGMENTS_POOL") or None


def is_airflow_configured() -> bool:
    """Return whether the environment says where an Airflow keeps its state; without it Airflow's commands would make a new one."""
    return any(name in os.environ for name in AIRFLOW_SETTINGS)


def _setting(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise ConfigError(f"{name} is not set", where="environment", todo="Set it to a folder, and start this, or Airflow, again.")
    return value
