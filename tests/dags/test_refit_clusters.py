from __future__ import annotations

import json
from datetime import date, timedelta
from inspect import signature
from pathlib import Path

import pytest
from support.airflow_forks import AirflowForks
from support.dag_runs import Facts
from support.deployments import REPO, Deployment
from support.nights import write_shop
from support.refit_nights import customers_of, measure_drift, noise_of, segment_night, write_features

from pipeline.definitions.company import load_company
from pipeline.lake.lake import Lake
from pipeline.operations import refits

FILE = REPO / "dags" / "refit_clusters.py"
SCRIPT = Path(__file__).with_name("run_refit.py")
DAY = date(2024, 3, 31)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Return a lake with the features of two nights: one with kinds of customers, one without."""
    folder = tmp_path_factory.mktemp("refits")
    deployment = Deployment.of(folder / "company", folder)
    write_shop(deployment.company, [], customers=[])
    company, lake = load_company(deployment.company), Lake(deployment.lake)
    write_features(lake, company, customers_of("regulars", "bargain hunters", "newcomers", each=60), DAY)
    write_features(lake, company, noise_of(300), DAY + timedelta(days=30))
    return deployment


@pytest.fixture(scope="module")
def facts(airflow: AirflowForks, town: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """Return what the DAG is, and how a run for each of the two nights ended, one after the other."""
    runs = [json.dumps({"day": day.isoformat()}) for day in (DAY, DAY + timedelta(days=30))]
    models = town.lake / "models" / "behaviour_clusters"
    return airflow.run_script(SCRIPT, town, tmp_path_factory.mktemp("facts") / "facts.json", str(models), *runs)


def test_a_run_fits_judges_and_promotes_without_asking_anybody(facts: Facts) -> None:
    ended = {"business_day": "success", "refit": "success", "next_task": "success", "promote": "success", "refit_predictions": "success"}
    assert facts["runs"][0]["states"] == {**ended, "told": "skipped", "approve": "skipped"}
    assert list(facts["runs"][0]["models"]) == [f"{DAY + timedelta(days=31)}.json"]


def test_a_person_can_be_asked_between_judging_and_promoting(facts: Facts) -> None:
    assert facts["is_approval_asked"] is False
    assert facts["upstream"]["approve"] == ["told"]
    assert facts["upstream"]["promote"] == ["approve", "business_day", "next_task"]


def test_promoting_takes_every_parameter_of_the_run_so_that_an_approval_counts(facts: Facts) -> None:
    assert set(facts["params"]) == {"day", "is_approval_asked", "override_reason"}
    assert set(facts["params"]) - {"day"} <= set(signature(refits.promote).parameters)


def test_it_runs_every_month_and_on_drift_one_at_a_time_and_parses_without_a_warning(facts: Facts) -> None:
    assert (facts["schedule"], facts["assets"]) == ("0 12 1 * *", ["drift_of_clusters"])
    assert (facts["max_active_runs"], facts["catchup"], facts["warnings"]) == (1, False, [])
    assert all(retries > 0 for name, retries in facts["retries"].items() if name != "approve")


def test_a_candidate_that_is_refused_fails_the_run_and_the_model_stays(facts: Facts) -> None:
    promoted, refused = facts["runs"]
    assert (refused["states"]["refit"], refused["states"]["promote"]) == ("success", "failed")
    assert refused["models"] == promoted["models"]


def test_a_live_night_that_drifted_says_so_with_its_day_and_another_says_nothing(airflow: AirflowForks, tmp_path: Path) -> None:
    later = DAY + timedelta(days=30)
    deployment = Deployment.of(tmp_path / "company", tmp_path)
    write_shop(deployment.company, [], customers=[], settings=f"last_day = {later}\n")
    write_drifting_nights(deployment, later)
    script, database = SCRIPT.with_name("run_drift.py"), deployment.home / "airflow.db"
    found = tmp_path / "asked.json"
    before, once_live = airflow.run_script(script, deployment, found, str(database), later.isoformat(), str(deployment.lake))
    assert before == {"state": "skipped", "events": []}
    assert once_live == {"state": "success", "events": [{"day": later.isoformat()}]}


def write_drifting_nights(deployment: Deployment, later: date) -> None:
    """Write two nights; on the later one there are other kinds of customers."""
    company, lake = load_company(deployment.company), Lake(deployment.lake)
    for day, kinds in ((DAY, ("regulars", "bargain hunters")), (later, ("newcomers", "sleepers"))):
        write_features(lake, company, customers_of(*kinds, each=60), day)
        segment_night(lake, company, day)
        measure_drift(lake, company, day)


def test_the_file_is_under_sixty_lines() -> None:
    assert len(FILE.read_text().splitlines()) < 60
