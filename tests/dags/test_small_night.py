"""A night through Airflow: what it stores, what its tasks pass on, and what Airflow keeps of it."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from support.airflow_forks import AirflowForks
from support.dag_runs import passed_on
from support.deployments import CANARY, LAST_DAY, Deployment
from support.nights import run_night, tree_bytes

from pipeline.lake.lake import Lake

Run = CompletedProcess[str]


@pytest.fixture(scope="module")
def small_night(airflow: AirflowForks, small: Deployment) -> Run:
    return airflow.run_night(small)


def test_a_night_through_airflow_has_the_bytes_of_one_without(small: Deployment, small_night: Run, tmp_path: Path) -> None:
    assert small_night.returncode == 0
    plain = Lake(tmp_path / "lake")
    run_night(small.company, plain, date.fromisoformat(LAST_DAY))
    folders = ("tables", "publications", "models", "reports")
    assert tree_bytes(Lake(small.lake), *folders) == tree_bytes(plain, *folders)


def test_tasks_pass_on_nothing_but_the_date(small: Deployment, small_night: Run) -> None:
    assert small_night.returncode == 0
    assert passed_on(small) == {("business_day", "return_value", f'"{LAST_DAY}"')}


def test_airflow_keeps_no_value_of_any_customer(small: Deployment, small_night: Run) -> None:
    # A favourite category is the name of a segment, and no value of any one customer.
    assert CANARY not in (small_night.stdout + small_night.stderr).replace(f"{CANARY}-wine", "")
    assert CANARY.encode() not in small.everything_airflow_kept()
