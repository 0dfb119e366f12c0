"""`make run` without make: the DAG in one process, by the launcher that people use."""

from __future__ import annotations

import os
import re
from subprocess import CompletedProcess

import pytest
from support.deployments import DEMO, REPO, Deployment

from pipeline.definitions.company import load_company
from pipeline.operations.steps import STEPS

Run = CompletedProcess[str]
DEMO_DAY = load_company(DEMO).last_day
PROGRESS = re.compile(r"\[\d/6\] \w+ .+|      \S.*")


def test_the_demo_night_ends_published_with_its_summary(demo: Deployment, demo_night: Run) -> None:
    assert demo_night.returncode == 0, demo_night.stderr
    assert (demo.lake / "current" / "customer_segments.parquet").is_file()
    assert load_company(DEMO).name in demo_night.stdout


def test_the_demos_first_night_leaves_few_files(demo: Deployment, demo_night: Run) -> None:
    """Its orders are of three years: a file per event day and table would be thousands."""
    assert demo_night.returncode == 0, demo_night.stderr
    files = [path for path in demo.lake.rglob("*") if path.is_file()]
    assert len(files) <= 220, sorted({path.relative_to(demo.lake).parts[:2] for path in files})


def test_every_step_is_announced_and_timed_and_airflow_is_not_heard(demo_night: Run) -> None:
    assert demo_night.returncode == 0, demo_night.stderr
    lines = demo_night.stderr.splitlines()
    assert [line for line in lines if not PROGRESS.fullmatch(line)] == []
    assert [line for line in lines[1:] if line.startswith("[")] == [f"[{n}/6] {step} {DEMO_DAY}" for n, step in enumerate(STEPS, 1)]
    for step in STEPS:
        assert any(re.fullmatch(rf"      {step} took \d+\.\d s", line) for line in lines)


def test_airflows_log_has_each_line_of_ours_once_with_its_fields(demo: Deployment, demo_night: Run) -> None:
    assert demo_night.returncode == 0
    log = (demo.home / "logs" / f"night-{DEMO_DAY}.log").read_text()
    [line] = [line for line in log.splitlines() if re.search(r"raw_order_lines: [\d,]+ rows read", line)]
    assert "[pipeline.ingestion.extract]" in line
    assert {f"day={DEMO_DAY}", "step=extract", "table=raw_order_lines"} <= set(line.split())
    assert re.search(r" rows=\d{5,}\b", line)


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
