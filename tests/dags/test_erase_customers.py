from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from support.airflow_forks import AirflowForks
from support.dag_runs import Facts, passed_on
from support.deployments import CANARY, LAST_DAY, REPO, Deployment, a_small_company
from support.nights import run_night
from support.traces import traces

from pipeline.lake.lake import Lake

FILE = REPO / "dags" / "erase_customers.py"
SCRIPT = Path(__file__).with_name("run_dag.py")


def a_company_with_a_list(folder: Path, *listed: str) -> Path:
    company = a_small_company(folder)
    (company / "sources" / "erasures.sql").write_text("SELECT id AS customer_id FROM forgotten")
    (company / "data" / "forgotten.csv").write_text("\n".join(["id", *listed]) + "\n")
    return company


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    folder = tmp_path_factory.mktemp("listing")
    deployment = Deployment.of(a_company_with_a_list(folder / "company", f"{CANARY}-0", f"{CANARY}-1", f"{CANARY}-2"), folder)
    run_night(deployment.company, Lake(deployment.lake), date.fromisoformat(LAST_DAY))
    return deployment


@pytest.fixture(scope="module")
def facts(airflow: AirflowForks, listing: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """Return what the DAG is, after one run of it in a lake of one night whose customers are all listed."""
    return airflow.run_script(SCRIPT, listing, tmp_path_factory.mktemp("facts") / "facts.json", "erase_customers", "run")


def test_a_run_erases_everybody_on_the_list(listing: Deployment, facts: Facts) -> None:
    assert facts["states"] == [["business_day", "success", -1], ["erase", "success", -1]]
    # A favourite category is the name of a segment, and outlives its customers; nothing else of theirs does.
    for value in (*(f"{CANARY}-{number}" for number in range(3)), f"{CANARY}-o", f"{CANARY}-town"):
        assert traces(Lake(listing.lake), value) == set()
    receipt = json.loads((listing.lake / "erasures" / "receipts" / "000001.json").read_text())
    assert len(receipt["customers"]) == 3


def test_airflow_keeps_no_id_and_passes_on_nothing_but_the_date(listing: Deployment, facts: Facts) -> None:
    assert facts["states"]
    assert CANARY.encode() not in listing.everything_airflow_kept()
    assert passed_on(listing) == {("business_day", "return_value", f'"{LAST_DAY}"')}


def test_it_runs_every_noon_one_at_a_time_and_retries_what_may_pass(facts: Facts) -> None:
    assert facts["schedule"] == "0 12 * * *"
    assert (facts["max_active_runs"], facts["catchup"]) == (1, False)
    assert all(task["retries"] > 0 and task["timeout_seconds"] and task["owner"] == "segments" and task["doc"] for task in facts["tasks"])


def test_a_company_without_a_list_has_no_schedule(airflow: AirflowForks, small: Deployment, tmp_path: Path) -> None:
    assert airflow.run_script(SCRIPT, small, tmp_path / "facts.json", "erase_customers")["schedule"] is None


def test_the_file_is_under_sixty_lines() -> None:
    assert len(FILE.read_text().splitlines()) < 60
