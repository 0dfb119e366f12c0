"""Runs Airflow's web interface, scheduler and DAG processor from the checkout, on loopback, until told to stop."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

from local import airflow_home
from local.ports import LOOPBACK, require_free_port
from pipeline.definitions.company import load_company
from pipeline.errors import PipelineError, TransientError

# Logs are read from the disk, so the scheduler need not serve them on a port of its own.
COMPONENTS = {"api-server": (), "scheduler": ("--skip-serve-logs",), "dag-processor": ()}
HEALTHY_PARTS = ("metadatabase", "scheduler", "dag_processor")
START_SECONDS = 180
STOP_SECONDS = 20
Processes = dict[str, subprocess.Popen[bytes]]


def main() -> int:
    """Serve until SIGINT or SIGTERM and return the exit code."""
    arguments = _read_arguments()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    running: Processes = {}
    try:
        _serve_components(arguments, running, stopped)
    except PipelineError as error:
        _write_line(f"{type(error).__name__}: {error}")
        return error.exit_code
    finally:
        _stop_components(running)
    return 0


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--company", type=Path, required=True, help="the company's folder")
    parser.add_argument("--lake", required=True, help="where tables are kept: a folder, or s3://BUCKET/PREFIX")
    parser.add_argument("--port", type=int, default=8080, help="port of the web interface, on loopback")
    parser.add_argument("--home", type=Path, default=airflow_home.HOME, help="where Airflow keeps its own state")
    return parser.parse_args()


def _serve_components(arguments: argparse.Namespace, running: Processes, stopped: threading.Event) -> None:
    load_company(arguments.company)
    require_free_port(arguments.port, command="make ui PORT=8090")
    logs = arguments.home / "logs"
    environment = airflow_home.airflow_environment(company=arguments.company, lake=arguments.lake, home=arguments.home, port=arguments.port)
    user, password = airflow_home.read_login(arguments.home)
    _write_line(f"starting Airflow, about half a minute; what it says is in {os.path.relpath(logs)}")
    if _start_component(logs / "migrate.log", environment, "db", "migrate").wait() != 0:
        raise _component_ended("migrate", logs)
    for name, options in COMPONENTS.items():
        settings = airflow_home.INTERFACE_SETTINGS if name == "api-server" else {}
        running[name] = _start_component(logs / f"{name}.log", environment | settings, name, *options)
    _wait_until_healthy(arguments.port, running, logs, stopped)
    if not stopped.is_set():
        address = f"http://{LOOPBACK}:{arguments.port}"
        login = f"  user      {user}\n  password  {password}\n"
        _write_line(f"\n{address}\n{login}\nThe morning page: {address}/plugin/morning-page\n\nCtrl-C stops it.")
    while not stopped.wait(1):
        _require_running(running, logs)


def _start_component(log: Path, environment: dict[str, str], *command: str) -> subprocess.Popen[bytes]:
    """Start an Airflow command as leader of a session of its own, so that Ctrl-C reaches us alone."""
    log.parent.mkdir(parents=True, exist_ok=True)
    full = [sys.executable, "-m", "airflow", *command]
    with log.open("ab") as file:
        return subprocess.Popen(full, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)  # noqa: S603


def _wait_until_healthy(port: int, running: Processes, logs: Path, stopped: threading.Event) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not stopped.wait(0.5) and not _is_healthy(port):
        _require_running(running, logs)
        if time.monotonic() > deadline:
            raise TransientError(f"Airflow was not healthy within {START_SECONDS} s", where=str(logs), todo="Read what it says there.")


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/api/v2/monitor/health")
        health = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
    return all(health.get(part, {}).get("status") == "healthy" for part in HEALTHY_PARTS)


def _require_running(running: Processes, logs: Path) -> None:
    for name, process in running.items():
        if process.poll() is not None:
            raise _component_ended(name, logs)


def _component_ended(name: str, logs: Path) -> TransientError:
    return TransientError(f"Airflow's {name} ended", where=str(logs / f"{name}.log"), todo="Read the end of that file.")


def _stop_components(running: Processes) -> None:
    """End every component within STOP_SECONDS, then kill whatever it started: Airflow leaves children behind."""
    for process in running.values():
        process.terminate()
    deadline = time.monotonic() + STOP_SECONDS
    for process in running.values():
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _write_line(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
