from __future__ import annotations

import json
import subprocess
import sys
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from support.airflow_forks import AirflowForks
from support.deployments import REPO, Deployment, a_small_company

from pipeline.lake.tables import PUBLISHED_TABLES
from pipeline.operations.steps import STEPS

DAG_FILES = [REPO / "dags" / f"{name}.py" for name in ("nightly_segments", "backfill_segments")]
A_DATE = {"default": None, "type": ["null", "string"], "format": "date"}
Facts = dict[str, Any]


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    folder = tmp_path_factory.mktemp("facts")
    found, ongoing = folder / "facts.json", Deployment.of(a_small_company(folder / "company", last_day=None), folder)
    script = Path(__file__).with_name("describe_dag.py")
    command = [sys.executable, str(script), str(found)]
    run = subprocess.run(command, env=ongoing.environment(), capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    described: Facts = json.loads(found.read_text())
    return described


def test_the_folder_holds_these_dags_and_imports_without_errors(facts: Facts) -> None:
    assert facts["import_errors"] == {}
    assert facts["dag_ids"] == ["backfill_segments", "check_published", "crm_sync", "erase_customers", "nightly_segments", "refit_clusters"]


def test_airflow_parses_the_files_of_dags_and_nothing_beside_them(facts: Facts) -> None:
    assert facts["parsed_files"] == [f"{name}.py" for name in facts["dag_ids"]]


def test_parsing_warns_of_nothing(facts: Facts) -> None:
    assert facts["warnings"] == []


def test_parsing_takes_under_a_second_and_loads_no_engine(facts: Facts) -> None:
    assert facts["parse_seconds"] < 1
    assert facts["heavy_modules"] == []


@pytest.mark.parametrize("file", DAG_FILES, ids=lambda path: path.name)
def test_a_dag_file_is_under_sixty_lines(file: Path) -> None:
    assert len(file.read_text().splitlines()) < 60


def test_tasks_run_in_the_order_of_the_steps(facts: Facts) -> None:
    upstream = {name: set(task["upstream"]) - {"business_day"} for name, task in facts["tasks"].items()}
    assert upstream.pop("business_day") == set()
    assert upstream.pop("ask_refit") == {"publish"}
    steps = list(STEPS)
    assert list(upstream) == steps
    assert upstream == {step: set(steps[place - 1 : place]) for place, step in enumerate(steps)}


def test_every_task_has_retries_a_time_limit_an_owner_and_words(facts: Facts) -> None:
    for task in facts["tasks"].values():
        assert task["retries"] > 0
        assert task["retry_seconds"] >= 60
        assert 0 < task["timeout_seconds"] <= 4 * 3600
        assert task["owner"] != "airflow"
        assert task["doc"]


def test_only_what_may_pass_by_itself_is_retried(facts: Facts) -> None:
    retried = {name for name, action in facts["retries"].items() if action == "retry"}
    assert retried == {"TransientError", "LockTimeout"}
    assert {action for name, action in facts["retries"].items() if name not in retried} == {"fail"}


def test_a_backfill_tries_again_where_its_waiting_died_and_not_where_the_night_failed(facts: Facts) -> None:
    assert facts["backfill"]["retries"] > 0
    assert facts["backfill"]["after_a_failed_night"] == "fail"


def test_publishing_renews_one_asset_per_published_table_and_drift_one_of_its_own(facts: Facts) -> None:
    outlets = {name: task["outlets"] for name, task in facts["tasks"].items() if task["outlets"]}
    assert outlets == {"publish": [table.name for table in PUBLISHED_TABLES], "ask_refit": ["drift_of_clusters"]}


def test_nights_follow_each_other_and_none_is_made_up(facts: Facts) -> None:
    assert facts["max_active_runs"] == 1
    assert facts["catchup"] is False
    assert facts["timetable"] == "CronDataIntervalTimetable"


def test_every_parameter_of_a_run_is_a_keyword_of_a_step(facts: Facts) -> None:
    keywords = {name for step in STEPS.values() for name in list(signature(step).parameters)[1:]}
    assert set(facts["params"]) == {"day", "known"} | keywords


def test_a_run_may_be_given_dates_and_whether_to_read_again(facts: Facts) -> None:
    dates = {name: param for name, param in facts["params"].items() if param.get("format") == "date"}
    assert dates == {"day": A_DATE, "known": A_DATE, "since": A_DATE}
    assert facts["params"]["reread"] == {"default": False, "type": "boolean"}


def test_a_backfill_takes_the_company_s_own_days_and_runs_the_nightly_dag(facts: Facts) -> None:
    backfill = facts["backfill"]
    assert backfill["triggers"] == "nightly_segments"
    assert [backfill["params"][name] for name in ("first_day", "last_day")] == [{"type": "string", "format": "date"}] * 2
    assert backfill["max_active_runs"] == 1
    assert backfill["tags"] == ["backfill", "segments"]
    assert "whatever time zone the browser shows" in backfill["doc"]


def test_the_dag_says_what_it_is(facts: Facts) -> None:
    assert facts["tags"] == ["nightly", "segments"]
    assert "last whole local day" in facts["doc"]


@pytest.mark.parametrize("folder", [None, "nowhere"])
def test_without_a_company_the_import_error_says_what_to_set(airflow: AirflowForks, small: Deployment, folder: str | None) -> None:
    run = airflow.run(str(REPO / "dags" / "nightly_segments.py"), environment=small.environment() | {"SEGMENTS_COMPANY": folder or ""})
    assert run.returncode == 1
    assert "ConfigError" in run.stderr
    assert "SEGMENTS_COMPANY" in run.stderr
