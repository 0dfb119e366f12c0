"""A night on a cluster waits for it without a worker, and takes one slot of a pool."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.deployments import Deployment, a_small_company


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("cluster-wait")
    deployment = Deployment.of(a_small_company(folder / "company", last_day=None), folder)
    settings = {"SEGMENTS_ENGINE": "spark", "SPARK_REMOTE": "sc://127.0.0.1:9", "SEGMENTS_POOL": "nights"}
    command = [sys.executable, str(Path(__file__).with_name("wait_for_cluster.py")), str(folder / "facts.json")]
    run = subprocess.run(command, env=deployment.environment() | settings, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr[-3_000:]
    assert "s3cret" not in run.stdout + run.stderr
    found: dict[str, Any] = json.loads((folder / "facts.json").read_text())
    return found


def test_the_first_step_waits_for_the_cluster(facts: dict[str, Any]) -> None:
    assert facts["upstream"]["wait_for_cluster"] == []
    assert "wait_for_cluster" in facts["upstream"]["extract"]
    assert "wait_for_cluster" not in facts["upstream"]["validate"]


def test_every_task_of_a_night_is_of_the_pool(facts: dict[str, Any]) -> None:
    assert facts["pools"] == ["nights"]


def test_the_triggerer_wakes_the_task_again_and_learns_no_secret(facts: dict[str, Any]) -> None:
    assert facts["deferred"]["method"] == "look"
    assert 50 < facts["deferred"]["seconds"] <= 60
    assert "s3cret" not in facts["deferred"]["trigger"]
    assert facts["resumed"] is None


def test_after_three_hours_it_gives_up_and_does_not_begin_to_wait_again(facts: dict[str, Any]) -> None:
    assert facts["gave_up"] == ["TransientError", "no Spark Connect server has answered for 3:00:00"]
    assert facts["retries"] == 0
