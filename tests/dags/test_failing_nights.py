"""What Airflow keeps of a night that fails: why, and no value of any customer."""

from __future__ import annotations

from pathlib import Path

from support.deployments import CANARY, Deployment, a_small_company


def test_airflow_keeps_no_value_of_a_night_that_fails(tmp_path: Path) -> None:
    company = a_small_company(tmp_path / "company")
    with (company / "data" / "orders.csv").open("a") as file:
        file.write(f"{CANARY}-bad,1,{CANARY}-0,2023-03-05 10:00:00,1.50,{CANARY}-wine\n")
    deployment = Deployment.of(company, tmp_path)
    run = deployment.run_night()
    assert run.returncode == 6, run.stderr
    assert "GateClosed" in run.stderr
    assert CANARY not in run.stdout + run.stderr
    assert CANARY.encode() not in deployment.everything_airflow_kept()
