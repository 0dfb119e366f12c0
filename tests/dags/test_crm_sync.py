from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from support.airflow_forks import AirflowForks
from support.dag_runs import Facts, passed_on
from support.deployments import CANARY, LAST_DAY, REPO, Deployment, a_small_company
from support.nights import run_night
from support.receivers import datagram_receiver

from pipeline.lake.lake import Lake

FILE = REPO / "dags" / "crm_sync.py"
SCRIPT = Path(__file__).with_name("run_dag.py")


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
def datagrams(synced: Deployment) -> Iterator[list[str]]:
    """Return what StatsD received so far, with tags as InfluxDB has them."""
    with datagram_receiver() as (port, received):
        synced.configure("metrics", statsd_on=True, statsd_host="127.0.0.1", statsd_port=port, statsd_influxdb_enabled=True)
        yield received


@pytest.fixture(scope="module")
def facts(airflow: AirflowForks, synced: Deployment, datagrams: list[str], tmp_path_factory: pytest.TempPathFactory) -> Facts:
    del datagrams  # received from here on
    return airflow.run_script(SCRIPT, synced, tmp_path_factory.mktemp("facts") / "facts.json", "crm_sync", "run")


def test_a_run_syncs_each_sink_in_a_task_of_its_own(synced: Deployment, facts: Facts) -> None:
    assert facts["states"] == [["sync_one", "success", 0], ["sync_one", "success", 1]]
    for name in ("mail", "post"):
        members = [path.read_text() for path in (synced.lake / "sync" / name / "files").glob("*/members.csv")]
        assert sum(text.count(CANARY) for text in members) == 3


def test_how_each_sync_ended_is_sent_with_the_tags_that_the_backend_has(facts: Facts, datagrams: list[str]) -> None:
    assert facts["states"]
    ours = [datagram.removeprefix("airflow.") for datagram in datagrams if datagram.startswith("airflow.segments.")]
    assert {"segments.sync_state,sink=mail,state=done:1|g", "segments.sync_state,sink=post,state=failed:0|g"} <= set(ours)
    assert "segments.sync_planned_customers,sink=post,change=added:3|g" in ours
    assert "segments.sync_customers,sink=mail,outcome=written:3|g" in ours
    assert CANARY not in "".join(datagrams)


def test_it_starts_when_a_night_is_live_and_retries_what_may_pass(facts: Facts) -> None:
    assert facts["schedule"] == ["customer_segments"]
    assert (facts["max_active_runs"], facts["catchup"]) == (1, False)
    [task] = facts["tasks"]
    assert task["mapped"] == {"sink": ["mail", "post"]}
    assert task["retries"] > 0
    assert task["timeout_seconds"] > 0
    assert task["owner"] == "segments"
    assert task["doc"]


def test_a_company_without_sinks_has_no_schedule(airflow: AirflowForks, small: Deployment, tmp_path: Path) -> None:
    assert airflow.run_script(SCRIPT, small, tmp_path / "facts.json", "crm_sync")["schedule"] is None


def test_the_file_is_under_sixty_lines() -> None:
    assert len(FILE.read_text().splitlines()) < 60


def test_airflow_keeps_no_customer(synced: Deployment, facts: Facts) -> None:
    assert facts["states"]
    assert CANARY.encode() not in synced.everything_airflow_kept()
    assert passed_on(synced) == set()
