"""What Airflow keeps of a night that fails: why, and no value of any customer."""

from __future__ import annotations

from pathlib import Path

import pytest
from deployments import CANARY, Deployment, a_small_company

FAILURES = {
    "a cell that is no number": (f"{CANARY}-bad,1,{CANARY}-0,2024-03-05 10:00:00,{CANARY},{CANARY}-wine\n", 4, "DataError"),
    "rows set aside": (f"{CANARY}-bad,1,{CANARY}-0,2023-03-05 10:00:00,1.50,{CANARY}-wine\n", 6, "GateClosed"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("airflow")


@pytest.mark.parametrize(("line", "code", "error"), FAILURES.values(), ids=FAILURES)
def test_airflow_keeps_no_value_of_a_night_that_fails(tmp_path: Path, home: Path, line: str, code: int, error: str) -> None:
    company = a_small_company(tmp_path / "company")
    with (company / "data" / "orders.csv").open("a") as file:
        file.write(line)
    deployment = Deployment(company, tmp_path / "lake", home)
    run = deployment.run_night()
    assert run.returncode == code, run.stderr
    assert error in run.stderr
    assert CANARY not in run.stdout + run.stderr
    assert CANARY.encode() not in deployment.everything_airflow_kept()
