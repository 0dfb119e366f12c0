"""What Airflow keeps of a night that fails: why, and no value of any customer."""

from __future__ import annotations

from pathlib import Path

from support.airflow_forks import AirflowForks
from support.deployments import CANARY, Deployment, a_small_company
from support.receivers import json_receiver


def test_airflow_keeps_no_value_of_a_night_that_fails_and_people_are_told_none(airflow: AirflowForks, tmp_path: Path) -> None:
    company = a_small_company(tmp_path / "company")
    with (company / "data" / "orders.csv").open("a") as file:
        file.write(f"{CANARY}-bad,1,{CANARY}-0,2023-03-05 10:00:00,1.50,{CANARY}-wine\n")
    with (company / "company.toml").open("a") as file:
        file.write('[notify.team]\nkind = "webhook"\non = ["held_back"]\n')
    deployment = Deployment.of(company, tmp_path)
    with json_receiver() as receiver:
        run = airflow.run_night(deployment, SEGMENTS_CONNECTION_TEAM=f"http://127.0.0.1:{receiver.port}/")
    assert run.returncode == 6, run.stderr
    assert "GateClosed" in run.stderr
    assert CANARY not in run.stdout + run.stderr
    assert CANARY.encode() not in deployment.everything_airflow_kept()
    [(_, _, told)] = receiver.posted
    assert (told["occasion"], told["day"]) == ("held_back", "2024-03-31")
    assert CANARY not in str(told)
