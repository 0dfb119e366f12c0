from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.deployments import CANARY, LAST_DAY, Deployment, a_small_company
from support.nights import run_night

from pipeline.lake.lake import Lake

SCRIPT = Path(__file__).with_name("run_sync.py")
Facts = dict[str, Any]


@pytest.fixture(scope="module")
def synced(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Return a company with two sinks and one published night; nothing was synced yet."""
    folder = tmp_path_factory.mktemp("synced")
    company = a_small_company(folder / "company")
    (company / "company.toml").write_text((company / "company.toml").read_text().replace("[source]", "[crm]\n[source]", 1))
    (company / "sinks").mkdir()
    for name in ("mail", "post"):
        (company / "sinks" / f"{name}.toml").write_text('kind = "files"\nschemes = ["lifecycle"]\n')
    deployment = Deployment.of(company, folder)
    run_night(deployment.company, Lake(deployment.lake), date.fromisoformat(LAST_DAY))
    return deployment


@pytest.fixture(scope="module")
def facts(synced: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    return ran(synced, tmp_path_factory.mktemp("facts") / "facts.json", "run")


def ran(deployment: Deployment, found: Path, *options: str) -> Facts:
    command = [sys.executable, str(SCRIPT), str(found), *options]
    run = subprocess.run(command, env=deployment.environment(), capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stderr
    assert CANARY not in run.stdout + run.stderr
    described: Facts = json.loads(found.read_text())
    return described


def test_a_run_syncs_each_sink_in_a_task_of_its_own(synced: Deployment, facts: Facts) -> None:
    assert facts["states"] == [["sync_one", "success", 0], ["sync_one", "success", 1]]
    for name in ("mail", "post"):
        members = [path.read_text() for path in (synced.lake / "sync" / name / "files").glob("*/members.csv")]
        assert sum(text.count(CANARY) for text in members) == 3


def test_it_starts_when_a_night_is_live_and_retries_what_may_pass(facts: Facts) -> None:
    assert (facts["schedule"], facts["sinks"]) == (["customer_segments"], ["mail", "post"])
    assert facts["max_active_runs"] == 1
    assert facts["retries"] > 0
    assert facts["timeout_seconds"] > 0


def test_airflow_keeps_no_customer(synced: Deployment, facts: Facts) -> None:
    assert facts["states"]
    assert CANARY.encode() not in synced.everything_airflow_kept()
    with closing(sqlite3.connect(synced.home / "airflow.db")) as database:
        assert database.execute("SELECT count(*) FROM xcom").fetchone() == (0,)
