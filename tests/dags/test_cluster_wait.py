"""A night on a cluster waits for it without a worker, and takes one slot of a pool."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.airflow_forks import AirflowForks
from support.dag_runs import Facts, facts_of
from support.deployments import Deployment, a_small_company


@pytest.fixture(scope="module")
def facts(airflow: AirflowForks, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    folder = tmp_path_factory.mktemp("cluster-wait")
    deployment = Deployment.of(a_small_company(folder / "company", last_day=None), folder)
    settings = {"SEGMENTS_ENGINE": "spark", "SPARK_REMOTE": "sc://127.0.0.1:9", "SEGMENTS_POOL": "nights"}
    script, found = Path(__file__).with_name("wait_for_cluster.py"), folder / "facts.json"
    run = airflow.run(str(script), str(found), environment=deployment.environment() | settings)
    assert "s3cret" not in run.stdout + run.stderr
    return facts_of(run, found)


def test_the_first_step_waits_for_the_cluster(facts: Facts) -> None:
    assert facts["upstream"]["wait_for_cluster"] == []
    assert "wait_for_cluster" in facts["upstream"]["extract"]
    assert "wait_for_cluster" not in facts["upstream"]["validate"]


def test_every_task_of_a_night_is_of_the_pool(facts: Facts) -> None:
    assert facts["pools"] == ["nights"]


def test_the_triggerer_wakes_the_task_again_and_learns_no_secret(facts: Facts) -> None:
    assert facts["deferred"]["method"] == "look"
    assert 50 < facts["deferred"]["seconds"] <= 60
    assert "s3cret" not in facts["deferred"]["trigger"]
    assert facts["resumed"] is None


def test_after_three_hours_it_gives_up_and_does_not_begin_to_wait_again(facts: Facts) -> None:
    assert facts["gave_up"] == ["TransientError", "no Spark Connect server has answered for 3:00:00"]
    assert facts["retries"] == 0
