"""`make run` without make: the DAG in one process, by the launcher that people use."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from datetime import date
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from support.deployments import CANARY, DEMO, LAST_DAY, REPO, Deployment
from support.nights import run_night, tree_bytes

from pipeline.definitions.company import load_company
from pipeline.lake.lake import Lake
from pipeline.operations.steps import STEPS

Run = CompletedProcess[str]
PROGRESS = re.compile(r"\[\d/6\] \w+ .+|      \S.*")


@pytest.fixture(scope="module")
def small_night(small: Deployment) -> Run:
    return small.run_night()


def test_the_demo_night_ends_published_with_its_summary(demo: Deployment, demo_night: Run) -> None:
    assert demo_night.returncode == 0, demo_night.stderr
    assert (demo.lake / "current" / "customer_segments.parquet").is_file()
    assert load_company(DEMO).name in demo_night.stdout


def test_the_demos_first_night_leaves_few_files(demo: Deployment, demo_night: Run) -> None:
    """Its orders are of three years: a file per event day and table would be thousands."""
    assert demo_night.returncode == 0, demo_night.stderr
    files = [path for path in demo.lake.rglob("*") if path.is_file()]
    assert len(files) <= 220, sorted({path.relative_to(demo.lake).parts[:2] for path in files})


def test_a_night_through_airflow_has_the_bytes_of_one_without(small: Deployment, small_night: Run, tmp_path: Path) -> None:
    assert small_night.returncode == 0
    plain = Lake(tmp_path / "lake")
    run_night(small.company, plain, date.fromisoformat(LAST_DAY))
    folders = ("tables", "publications", "models", "reports")
    assert tree_bytes(Lake(small.lake), *folders) == tree_bytes(plain, *folders)


def test_every_step_is_announced_and_timed_and_airflow_is_not_heard(small_night: Run) -> None:
    assert small_night.returncode == 0, small_night.stderr
    lines = small_night.stderr.splitlines()
    assert [line for line in lines if not PROGRESS.fullmatch(line)] == []
    assert [line for line in lines[1:] if line.startswith("[")] == [f"[{n}/6] {step} {LAST_DAY}" for n, step in enumerate(STEPS, 1)]
    for step in STEPS:
        assert any(re.fullmatch(rf"      {step} took \d+\.\d s", line) for line in lines)


def test_airflows_log_has_each_line_of_ours_once_with_its_fields(small: Deployment, small_night: Run) -> None:
    assert small_night.returncode == 0
    log = (small.home / "logs" / f"night-{LAST_DAY}.log").read_text()
    [line] = [line for line in log.splitlines() if "raw_order_lines: 9 rows read" in line]
    assert "[pipeline.ingestion.extract]" in line
    assert {f"day={LAST_DAY}", "step=extract", "table=raw_order_lines", "rows=9"} <= set(line.split())


def test_tasks_pass_on_nothing_but_the_date(small: Deployment, small_night: Run) -> None:
    assert small_night.returncode == 0
    with closing(sqlite3.connect(small.home / "airflow.db")) as database:
        passed = set(database.execute("SELECT task_id, key, value FROM xcom"))
    assert passed == {("business_day", "return_value", f'"{LAST_DAY}"')}


def test_airflow_keeps_no_value_of_any_customer(small: Deployment, small_night: Run) -> None:
    # A favourite category is the name of a segment, and no value of any one customer.
    assert CANARY not in (small_night.stdout + small_night.stderr).replace(f"{CANARY}-wine", "")
    assert CANARY.encode() not in small.everything_airflow_kept()


def test_a_day_that_is_none_is_refused_before_anything_starts(small: Deployment) -> None:
    run = small.run_night("--day", "2024-02-30")
    assert run.returncode == 3
    assert run.stderr.splitlines()[0] == "ConfigError: `2024-02-30` is no day"


def test_state_and_secrets_of_the_local_airflow_are_its_owners_alone(small: Deployment) -> None:
    names = ("api_auth__jwt_secret", "api__secret_key", "core__fernet_key")
    secrets = [small.environment()[f"AIRFLOW__{name.upper()}"] for name in names]
    assert len(set(secrets)) == 3
    assert min(map(len, secrets[:2])) >= 64
    assert secrets == [(small.home / name).read_text() for name in names]
    assert small.home.stat().st_mode & 0o777 == 0o700
    assert {(small.home / name).stat().st_mode & 0o777 for name in names} == {0o600}


def test_settings_of_another_airflow_are_not_inherited(small: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", "/elsewhere")
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", "elsewhere.Backend")
    environment = small.environment()
    assert environment["AIRFLOW__CORE__DAGS_FOLDER"] == str(REPO / "dags")
    assert "AIRFLOW__SECRETS__BACKEND" not in environment
    assert environment["PATH"] == os.environ["PATH"]
