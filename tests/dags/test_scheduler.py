"""`make ui` without make: api-server, scheduler and DAG processor as processes, driven over the REST API."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import pytest
from support.deployments import CANARY, REPO, Deployment, a_small_company
from support.receivers import JsonReceiver, json_receiver, otlp_receiver
from support.refit_nights import customers_of, write_features
from support.served_airflow import BACKFILL, DAG, REFIT, Interface, served

from pipeline.calendar import business_day
from pipeline.definitions.company import load_company
from pipeline.lake.lake import Lake
from pipeline.operations.steps import STEPS

OTHER_DAY = "2024-03-30"
CLUSTERED_DAY = date(2024, 2, 29)


@dataclass(frozen=True, slots=True)
class Evening:
    """What was seen of one served Airflow from start to stop."""

    deployment: Deployment
    health: dict[str, Any]
    states: dict[str, str]
    asked: str
    misspelt: str
    rejected: dict[str, str]
    models_after_rejection: list[str]
    approved: dict[str, str]
    drifted: dict[str, str]
    received: list[dict[str, Any]]
    gauges: dict[tuple[str, ...], float]
    listening: set[str]
    left_over: list[psutil.Process]
    exit_code: int


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evening]:
    folder = tmp_path_factory.mktemp("served")
    deployment = Deployment.of(a_small_company(folder / "company", last_day=None), folder)
    with (deployment.company / "company.toml").open("a") as file:
        # What is scheduled is yesterday, and its newest orders are years older.
        file.write('[gates]\noff = ["freshness"]\n[notify.team]\nkind = "webhook"\non = ["failed", "published"]\n')
    kinds = customers_of("regulars", "bargain hunters", "newcomers", each=60)
    write_features(Lake(deployment.lake), load_company(deployment.company), kinds, CLUSTERED_DAY)
    deployment.configure("metrics", otel_on=True)
    with json_receiver() as receiver, metrics_received() as gauges, served(deployment) as interface:
        # Kept by Airflow, as a person adds one in the interface: tasks ask the api-server for it.
        team = {"connection_id": "team", "conn_type": "http", "host": f"http://127.0.0.1:{receiver.port}/team"}
        interface.call("POST", "/api/v2/connections", team)
        yield _watched(interface, deployment, receiver, gauges)


@contextmanager
def metrics_received() -> Iterator[dict[tuple[str, ...], float]]:
    """Yield the gauges that what is started in the block sends by OpenTelemetry."""
    with otlp_receiver() as (port, gauges), pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"http://127.0.0.1:{port}/v1/metrics")
        yield gauges


def _watched(interface: Interface, deployment: Deployment, receiver: JsonReceiver, gauges: dict[tuple[str, ...], float]) -> Evening:
    health = interface.call("GET", "/api/v2/monitor/health")
    interface.trigger({"first_day": OTHER_DAY, "last_day": OTHER_DAY}, dag=BACKFILL)
    misspelt = interface.trigger({"dya": OTHER_DAY})
    for dag in (DAG, BACKFILL, REFIT):
        interface.call("PATCH", f"{dag}?update_mask=is_paused", {"is_paused": False})
    states = interface.finished_runs(3)
    assert set(interface.finished_runs(1, dag=BACKFILL).values()) == {"success"}
    (asked,) = (run for run in states if run != misspelt and not run.startswith("scheduled__"))
    rejected = interface.decided("Reject", CLUSTERED_DAY)
    models = _models(deployment)
    approved = interface.decided("Approve", CLUSTERED_DAY)
    drifted = interface.drifted(CLUSTERED_DAY)
    children = psutil.Process(interface.process.pid).children(recursive=True)
    listening = {address for child in children for address in _listening(child)}
    interface.process.send_signal(signal.SIGINT)
    exit_code = interface.process.wait(60)
    left_over = [child for child in children if child.is_running()]
    received = [content for path, _, content in receiver.posted if path == "/team"]
    return Evening(
        deployment, health, states, asked, misspelt, rejected, models, approved, drifted, received, gauges, listening, left_over, exit_code
    )


def _listening(process: psutil.Process) -> set[str]:
    """Return the addresses that a process listens on; one that has ended since listens on none."""
    with suppress(psutil.NoSuchProcess):
        return {each.laddr.ip for each in process.net_connections("inet") if each.status == psutil.CONN_LISTEN}
    return set()


def _models(deployment: Deployment) -> list[str]:
    return sorted(path.name for path in (deployment.lake / "models" / "behaviour_clusters").glob("*.json"))


def test_what_is_served_says_it_is_healthy(evening: Evening) -> None:
    assert {evening.health[part]["status"] for part in ("metadatabase", "scheduler", "dag_processor")} == {"healthy"}


def test_a_day_of_a_backfill_and_the_scheduled_run_succeed(evening: Evening) -> None:
    scheduled = [run for run in evening.states if run.startswith("scheduled__")]
    assert len(scheduled) == 1
    assert evening.states[scheduled[0]] == "success"
    assert evening.states[evening.asked] == "success"
    assert (evening.deployment.lake / "tables" / "customer_segments" / f"day={OTHER_DAY}").is_dir()


def test_a_misspelt_key_fails_the_run_and_the_log_says_which(evening: Evening) -> None:
    assert evening.states[evening.misspelt] == "failed"
    logs = evening.deployment.home / "logs" / "dag_id=nightly_segments" / f"run_id={evening.misspelt}"
    assert [path.name for path in logs.iterdir()] == ["task_id=business_day"]
    said = "".join(path.read_text() for path in logs.glob("*/attempt=*.log"))
    assert "unknown key `dya` (did you mean `day`?)" in said


def test_tasks_pass_on_nothing_but_their_dates(evening: Evening) -> None:
    with closing(sqlite3.connect(evening.deployment.home / "airflow.db")) as database:
        nights = "SELECT task_id, key, value FROM xcom WHERE task_id <> 'night' AND dag_id <> 'refit_clusters'"
        passed = set(database.execute(nights))
        scheduled = "SELECT data_interval_end FROM dag_run WHERE run_type = 'scheduled' AND dag_id = 'nightly_segments'"
        (ended,) = database.execute(scheduled).fetchone()
    scheduled_day = business_day(datetime.fromisoformat(ended).replace(tzinfo=UTC), ZoneInfo("Europe/Berlin"))
    days = {("business_day", "return_value", f'"{day}"') for day in (scheduled_day, OTHER_DAY)}
    assert passed == {*days, ("nights", "return_value", f'[{{"day": "{OTHER_DAY}"}}]')}


def test_airflow_keeps_no_value_of_any_customer_after_nights_under_a_scheduler(evening: Evening) -> None:
    assert CANARY.encode() not in evening.deployment.everything_airflow_kept()


def test_a_refit_that_a_person_rejects_changes_no_model(evening: Evening) -> None:
    assert evening.rejected["refit"] == "success"
    assert evening.rejected["promote"] == "skipped"
    assert evening.models_after_rejection == []


def test_a_refit_that_a_person_approves_is_promoted(evening: Evening) -> None:
    assert (evening.approved["approve"], evening.approved["promote"]) == ("success", "success")
    assert len(_models(evening.deployment)) == 1


def test_a_night_that_drifted_has_its_customers_clustered_anew(evening: Evening) -> None:
    ended = {"business_day": "success", "refit": "success", "next_task": "success", "promote": "success"}
    assert {name: evening.drifted[name] for name in ended} == ended
    with closing(sqlite3.connect(evening.deployment.home / "airflow.db")) as database:
        days = "SELECT value FROM xcom JOIN dag_run USING (run_id) WHERE task_id = 'business_day' AND run_type = 'asset_triggered'"
        assert database.execute(days).fetchall() == [(f'"{CLUSTERED_DAY}"',)]


def test_people_are_told_of_the_night_that_is_live_and_of_the_run_that_failed(evening: Evening) -> None:
    failed = {each["subject"]: each["lines"] for each in evening.received if each["occasion"] == "failed"}
    assert any("unknown key `dya`" in line for line in failed["Small: the run of nightly_segments failed in business_day"])
    published = [each["day"] for each in evening.received if each["occasion"] == "published"]
    assert len(published) == len(set(published)) > 0


def test_opentelemetry_gets_the_figures_of_the_newest_night_from_processes_that_end_with_their_tasks(evening: Evening) -> None:
    gauges = {(name.removeprefix("airflow.segments."), *values): value for (name, *values), value in evening.gauges.items()}
    assert gauges["live_rows", "customer_features"] == gauges["night_customers",] == 3
    assert gauges["newest_night_state", "live"] == 1
    assert all(gauges["step_seconds", step] > 0 for step in STEPS)
    assert gauges["newest_order_age_days",] > 365  # of the scheduled night, and not of the one of 2024 that ran beside it
    assert CANARY not in str(evening.gauges)


def test_every_port_is_on_loopback(evening: Evening) -> None:
    assert evening.listening == {"127.0.0.1"}


def test_stopping_leaves_no_process_behind(evening: Evening) -> None:
    assert evening.exit_code == 0
    assert evening.left_over == []


def test_a_port_in_use_is_named(small: Deployment, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "local.serve_ui", *Deployment.of(small.company, tmp_path).options, "--port", str(port)]
        run = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(REPO)}, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 3
    assert f"port {port} is taken" in run.stderr
