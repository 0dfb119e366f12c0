from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from support.crm_publications import Person, publish_people, write_crm_company
from typer.testing import CliRunner, Result

from pipeline.activation.outbox import open_outbox
from pipeline.cli import app
from pipeline.lake.addresses import sync_state
from pipeline.lake.lake import Lake

PEOPLE = [Person(f"canary-{number:02}") for number in range(20)]


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    company = write_crm_company(tmp_path / "company", post='kind = "files"\n')
    publish_people(Lake(tmp_path / "lake"), PEOPLE)
    return ["--company", str(company), "--lake", str(tmp_path / "lake")]


def ran(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["sync", *arguments])


def gauge_lines(options: list[str], name: str) -> list[str]:
    """Return labels and values of a metric, as `segments status` tells them."""
    lines = CliRunner().invoke(app, ["status", *options, "--prometheus"]).stdout.splitlines()
    return [line.removeprefix(f"segments_{name}") for line in lines if line.startswith(f"segments_{name}{{")]


@pytest.mark.usefixtures("own_logging")
def test_a_dry_run_tells_the_plan_and_a_sync_what_was_done_without_a_customer(options: list[str], tmp_path: Path) -> None:
    planned = ran(*options, "--dry-run")
    assert "post: 20 to add, 0 to change, 0 to remove; nothing was written" in planned.stdout
    assert not (tmp_path / "lake" / "sync" / "post" / "files").exists()
    done = json.loads(ran(*options, "--json").stdout)
    assert [(sink["sink"], sink["written_count"], sink["plan"]["added_count"]) for sink in done["sinks"]] == [("post", 20, 20)]
    assert done["sinks"][0]["plan"]["lists"] == [{"list_name": "lifecycle.active", "entered_count": 20, "left_count": 0}]
    assert ran(*options, "--rejected").stdout == "sink,customer_id,code,message,first_rejected_at,attempt_count\n"
    assert "canary" not in planned.output + json.dumps(done)


@pytest.mark.usefixtures("own_logging")
def test_a_limit_is_overridden_with_a_reason_alone_which_is_kept(options: list[str], tmp_path: Path) -> None:
    ran(*options)
    synced = gauge_lines(options, "synced_until_timestamp_seconds")
    assert '{sink="post",outcome="written"} 20' in gauge_lines(options, "sync_customers")
    publish_people(Lake(tmp_path / "lake"), [Person(one.customer_id, is_member=False) for one in PEOPLE], day=date(2024, 3, 2))
    stopped = ran(*options)
    assert stopped.exception.exit_code == 6  # type: ignore[union-attr]
    assert "20 of 20 customers would be removed" in str(stopped.exception)
    again = f"segments sync --sink post --company {tmp_path / 'company'} --lake {tmp_path / 'lake'}"
    assert f"{again} --dry-run" in str(stopped.exception)
    assert f"{again} --override-limits --reason" in str(stopped.exception)
    assert "post: 0 to add, 0 to change, 20 to remove; nothing was written" in stopped.stdout
    assert "lifecycle.active      0     20" in stopped.stdout
    assert '{sink="post",state="stopped"} 1' in gauge_lines(options, "sync_state")
    assert '{sink="post",change="removed"} 20' in gauge_lines(options, "sync_planned_customers")
    assert gauge_lines(options, "synced_until_timestamp_seconds") == synced
    assert ran(*options, "--override-limits").exception.exit_code == 3  # type: ignore[union-attr]
    overridden = ran(*options, "--override-limits", "--reason", "closed for good")
    assert "20 to remove; 20 written" in " ".join(overridden.stdout.split())
    assert "limits were overridden: closed for good" in overridden.stdout
    assert [line.rpartition("=")[2] for line in gauge_lines(options, "sync_state")] == ['"done"} 1', '"stopped"} 0', '"failed"} 0']
    with open_outbox(tmp_path / "lake" / sync_state("post"), memory_limit="200MB") as outbox:
        assert outbox.rows("SELECT override_reason FROM sync_runs ORDER BY started_at") == [(None,), ("closed for good",)]
