"""Airflow as `make ui` serves it: api-server, scheduler and DAG processor as processes, driven over the REST API."""

from __future__ import annotations

import http
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

import psutil

from support.deployments import REPO, Deployment

DAG, BACKFILL, REFIT = (f"/api/v2/dags/{name}" for name in ("nightly_segments", "backfill_segments", "refit_clusters"))
LOCKED_TRIES = 10
RUN_SECONDS = 240
READING_SECONDS = 8
ENDED = {"success", "failed", "skipped", "upstream_failed"}
# Airflow's own place for what its processes load: tasks are forks of forks of the scheduler, and load nothing that it has.
LOCAL_SETTINGS = f"""
import sys
__all__ = []
if "scheduler" in sys.argv:
    sys.path.append({str(REPO / "tests")!r})
    from support.killing import load_steps
    load_steps()
"""


@contextmanager
def served(deployment: Deployment) -> Iterator[Interface]:
    """Serve an Airflow on a free port until the block ends; its files of DAGs are read once, and nights loaded once."""
    settings = deployment.home / "config" / "airflow_local_settings.py"
    if not settings.exists():  # it may have been served before
        deployment.configure("dag_processor", min_file_process_interval=3_600)
        settings.parent.mkdir()
        settings.write_text(LOCAL_SETTINGS)
    port = _free_port()
    command = [sys.executable, "-m", "local.serve_ui", *deployment.options, "--port", str(port)]
    environment = os.environ | {"PYTHONPATH": str(REPO)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        interface = Interface(process, port)
        try:
            interface.wait_until_served()
            yield interface
        finally:
            process.send_signal(signal.SIGINT)


@dataclass(slots=True)
class Interface:
    """A served Airflow, its address and what it said on standard error so far."""

    process: subprocess.Popen[str]
    port: int
    said: list[str] = field(default_factory=list)
    token: str = ""

    def wait_until_served(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if "Ctrl-C" in line:
                break
        self.log_in()
        self._wait_until_read()

    def log_in(self) -> None:
        """Log in, for what the interface takes to be a day."""
        password = next((line.split()[1] for line in self.said if "password" in line), None)
        assert password, "".join(self.said)
        self.token = ""
        self.token = self.call("POST", "/auth/token", {"username": "admin", "password": password})["access_token"]

    def cut_power(self) -> None:
        """End all its processes at once, as a machine does that loses power."""
        parent, suspended = psutil.Process(self.process.pid), set[psutil.Process]()
        # Else one would see the other end, and do something about it; one that is not suspended yet may start more.
        while running := {parent, *parent.children(recursive=True)} - suspended:
            for each in running:
                with suppress(psutil.NoSuchProcess):
                    each.suspend()
            suspended |= running
        for each in suspended:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(suspended)

    def _wait_until_read(self) -> None:
        """Wait until every file of DAGs was read: Airflow is healthy before."""
        files = {path.stem for path in (REPO / "dags").glob("*.py")}
        deadline = time.monotonic() + RUN_SECONDS
        while not files <= {each["dag_id"] for each in self.call("GET", "/api/v2/dags")["dags"]}:
            assert time.monotonic() < deadline, "".join(self.said)
            time.sleep(0.5)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None, *, is_repeatable: bool = False) -> dict[str, Any]:
        """Return what a call is answered with; what may be called twice is, where Airflow's SQLite is locked for a moment (500)."""
        for tries_left in reversed(range(LOCKED_TRIES if is_repeatable or method == "GET" else 1)):
            status, content = self._answer(method, path, body)
            if status != http.HTTPStatus.INTERNAL_SERVER_ERROR or not tries_left:
                break
            time.sleep(1)
        assert status < http.HTTPStatus.BAD_REQUEST, content
        return content

    def _answer(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        data = None if body is None else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with closing(connection):
            connection.request(method, path, data, headers)
            answer = connection.getresponse()
            text = answer.read()
        # A server that fails may answer in plain words.
        return answer.status, json.loads(text) if answer.status < http.HTTPStatus.INTERNAL_SERVER_ERROR else {"text": text.decode()}

    def trigger(self, conf: dict[str, Any], *, dag: str = DAG) -> str:
        return str(self.call("POST", f"{dag}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"])

    def runs(self, dag: str = DAG) -> dict[str, str]:
        """Return the state of every run of `dag` by id."""
        return {run["dag_run_id"]: run["state"] for run in self.call("GET", f"{dag}/dagRuns")["dag_runs"]}

    def is_running(self) -> bool:
        """Return whether a run of any DAG has not ended."""
        return bool(self.call("GET", "/api/v2/dags/~/dagRuns?state=queued&state=running&limit=1")["dag_runs"])

    def finished_runs(self, count: int, *, dag: str = DAG) -> dict[str, str]:
        """Return the state of every run of `dag` by id, once `count` have ended and no other is left."""
        is_finished = partial(_have_ended, count=count, ends={"success", "failed"})
        return self._awaited(f"{dag}/dagRuns", ("dag_runs", "dag_run_id"), is_finished)

    def decided(self, decision: str, day: date) -> dict[str, str]:
        """Ask for a refit of the night `day` that a person decides on, decide, and return the state of each of its tasks."""
        conf = {"day": day.isoformat(), "is_approval_asked": True}
        tasks = f"{REFIT}/dagRuns/{self.trigger(conf, dag=REFIT)}/taskInstances"
        listed = ("task_instances", "task_id")
        asked = self._awaited(tasks, listed, lambda states: states.get("approve") == "awaiting_input")
        # An answer before the scheduler has heard that the task waits would fail the task; no person is as quick.
        time.sleep(READING_SECONDS)
        self.call("PATCH", f"{tasks}/approve/-1/hitlDetails", {"chosen_options": [decision]})
        return self._awaited(tasks, listed, partial(_have_ended, count=len(asked), ends=ENDED))

    def drifted(self, day: date) -> dict[str, str]:
        """Renew the asset of drift as the night `day` does, and return the state of each task of the refit that this starts."""
        before = self.runs(REFIT)
        [asset] = self.call("GET", "/api/v2/assets?name_pattern=drift_of_clusters")["assets"]
        self.call("POST", "/api/v2/assets/events", {"asset_id": asset["id"], "extra": {"day": day.isoformat()}})
        runs = self.finished_runs(len(before) + 1, dag=REFIT)
        [started] = runs.keys() - before.keys()
        tasks = self.call("GET", f"{REFIT}/dagRuns/{started}/taskInstances")["task_instances"]
        return {task["task_id"]: task["state"] for task in tasks}

    def retry_now(self) -> None:
        """Let every task that waits to be tried again be tried at once, as "Clear" does for a person."""
        waiting = self.call("GET", "/api/v2/dags/~/dagRuns/~/taskInstances?state=up_for_retry")["task_instances"]
        for task in waiting:
            which = task["task_id"] if task["map_index"] < 0 else [task["task_id"], task["map_index"]]
            body = {"dry_run": False, "dag_run_id": task["dag_run_id"], "task_ids": [which], "only_failed": False}
            self.call("POST", f"/api/v2/dags/{task['dag_id']}/clearTaskInstances", body, is_repeatable=True)

    def _awaited(self, path: str, listed: tuple[str, str], is_so: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        """Return the states that `path` lists under a key, by the name that each goes by, once that is so."""
        key, name = listed
        deadline = time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            states = {each[name]: each["state"] for each in self.call("GET", path)[key]}
            if is_so(states):
                return states
            time.sleep(1)
        raise AssertionError(f"not so within {RUN_SECONDS} s: {states}")


def _have_ended(states: dict[str, str], *, count: int, ends: set[str]) -> bool:
    return len(states) == count and set(states.values()) <= ends


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
