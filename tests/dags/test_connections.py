"""Connections of a night: kept by Airflow, or asked for by name."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.airflow_forks import AirflowForks
from support.deployments import CANARY, LAST_DAY, Deployment

SECRET = f"{CANARY}-password"
UNREACHABLE = f"postgresql://segments:{SECRET}@127.0.0.1:1/crm"
KEEP = """
import sys
from airflow import settings
from airflow.models import Connection
from airflow.utils.db import initdb
initdb()
session = settings.Session()
session.add(Connection(conn_id=sys.argv[1], uri=sys.argv[2]))
session.commit()
"""


@pytest.fixture
def with_database_target(small: Deployment, tmp_path: Path) -> Deployment:
    company = tmp_path / "company"
    shutil.copytree(small.company, company)
    with (company / "company.toml").open("a") as file:
        file.write('\n[publish]\nkind = "postgresql"\nconnection = "crm"\n')
    return Deployment.of(company, tmp_path)


def keep_connection(airflow: AirflowForks, deployment: Deployment, name: str, uri: str) -> None:
    """Add a connection to Airflow's database, which encrypts it."""
    script = deployment.lake.with_name("keep_connection.py")
    script.write_text(KEEP)
    kept = airflow.run(str(script), name, uri, environment=deployment.environment())
    assert kept.returncode == 0, kept.stderr


def test_a_connection_kept_by_airflow_serves_and_its_password_stays_secret(airflow: AirflowForks, with_database_target: Deployment) -> None:
    keep_connection(airflow, with_database_target, "crm", UNREACHABLE)
    run = airflow.run_night(with_database_target)
    assert run.returncode == 7, run.stderr
    what, where, todo = run.stderr.splitlines()[-3:]
    assert what.startswith("TransientError: ")
    assert where.startswith("  where: ")
    assert todo.startswith("  next:  ")
    assert "Traceback" not in run.stderr
    assert SECRET not in run.stdout + run.stderr
    assert SECRET.encode() not in with_database_target.everything_airflow_kept()


def test_a_connection_that_nobody_knows_is_asked_for_by_name(airflow: AirflowForks, with_database_target: Deployment) -> None:
    run = airflow.run_night(with_database_target)
    assert run.returncode == 3, run.stderr
    assert "SEGMENTS_CONNECTION_CRM" in run.stderr
    assert "Airflow connection `crm`" in run.stderr
    assert not (with_database_target.lake / "current").exists()
    log = (with_database_target.home / "logs" / f"night-{LAST_DAY}.log").read_text()
    told = [line for line in log.splitlines() if "[pipeline.airflow]" in line and "[error" in line]
    assert [said in line for said, line in zip(("ConfigError: ", "where: ", "next: "), told, strict=True)] == [True] * 3
