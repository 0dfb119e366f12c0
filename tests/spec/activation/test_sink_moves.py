"""A sink that is pointed at another system: nothing that the old one acknowledged counts there."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.crm_publications import Person, publish_people, write_crm_company
from support.crm_stubs import HubSpotStub, MailchimpStub, ReceiverStub, Stub, serving

from pipeline.activation.outbox import open_outbox
from pipeline.activation.sync import SyncReport
from pipeline.lake import addresses
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers
from pipeline.operations.sync import rejected_rows, sync_sinks

SECOND = date(2024, 3, 2)
CROWD = [Person(f"c{number:02}", {"lifecycle": "active"}, ("vip",), name="Ann", email=f"c{number}@example.org") for number in range(20)]
LEAVER = Person("leaver", {"lifecycle": "active"}, ("vip",), name="Lea", email="lea@example.org")
FILES = 'kind = "files"\nconnection = "{}"\nschemes = []\n'
HUBSPOT = 'kind = "hubspot"\nconnection = "{}"\n'
WEBHOOK = 'kind = "webhook"\nconnection = "{}"\n'
MAILCHIMP = 'kind = "mailchimp"\nconnection = "mail"\nschemes = []\n[settings]\nlist_id = "{}"\n'


@pytest.fixture
def stubs() -> Iterator[dict[str, Stub]]:
    """Return servers by the name of the connection that leads there."""
    found: dict[str, Stub] = {"old": HubSpotStub(), "new": HubSpotStub(), "mail": MailchimpStub(), "hook": ReceiverStub()}
    with ExitStack() as stack:
        for stub in found.values():
            stack.enter_context(serving(stub))
        yield found


def a_deployment(folder: Path, toml: str, stubs: dict[str, Stub] | None = None) -> Deployment:
    company = write_crm_company(folder / "company", crm=toml)
    return Deployment.of(company, folder / "lake", connections=lambda name: stubs[name].address if stubs else f"file://{folder / name}")


def sync(deployment: Deployment, **options: Any) -> SyncReport:
    [report] = sync_sinks(deployment, sleep=lambda _: None, **options)
    return report


def members(folder: Path) -> list[str]:
    [path] = folder.rglob("members.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return [row["customer_id"] for row in csv.DictReader(file)]


def contacts(stub: Stub) -> set[str]:
    assert isinstance(stub, HubSpotStub)
    return {held["segments_customer_id"] for held in stub.contacts.values()}


def state(deployment: Deployment, query: str) -> list[tuple[Any, ...]]:
    with open_outbox(deployment.lake.local(addresses.sync_state("crm")), memory_limit="1GB") as outbox:
        return outbox.rows(query)


def test_another_folder_gets_everybody_and_the_old_one_stays_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    deployment = a_deployment(tmp_path, FILES.format("old"))
    publish_people(deployment.lake, [*CROWD, LEAVER])
    sync(deployment)
    publish_people(deployment.lake, CROWD, day=SECOND)
    moved = a_deployment(tmp_path, FILES.format("new"))
    report = sync(moved)
    # Nobody is removed or changed in a system that holds nobody, so no limit stands in the way.
    assert (report.plan.managed_count, report.plan.added_count, report.plan.changed_count, report.plan.removed_count) == (0, 20, 0, 0)
    assert members(tmp_path / "new") == [each.customer_id for each in CROWD]
    assert members(tmp_path / "old") == [*(each.customer_id for each in CROWD), "leaver"]
    [told] = [each.message for each in caplog.records if "another system" in each.message]
    assert told.startswith("crm is another system now")
    assert "21 customers" in told
    assert sync(moved).plan.count == 0
    assert state(moved, "SELECT count(*) FROM sync_runs") == [(3,)]


def test_a_dry_run_of_a_mistyped_connection_forgets_nothing(tmp_path: Path) -> None:
    deployment = a_deployment(tmp_path, FILES.format("old"))
    publish_people(deployment.lake, CROWD)
    sync(deployment)
    before = state(deployment, "FROM sync_state ORDER BY customer_id")
    assert sync(a_deployment(tmp_path, FILES.format("odl")), is_dry_run=True).plan.added_count == 20
    assert state(deployment, "FROM sync_state ORDER BY customer_id") == before
    assert sync(a_deployment(tmp_path, FILES.format("old"))).plan.count == 0


def test_another_account_is_read_back_and_gets_everybody(tmp_path: Path, stubs: dict[str, Stub]) -> None:
    deployment = a_deployment(tmp_path, HUBSPOT.format("old"), stubs)
    publish_people(deployment.lake, [*CROWD, LEAVER, Person("bad", email="no address")])
    sync(deployment)
    assert len(list(rejected_rows(deployment))) == 1
    publish_people(deployment.lake, CROWD, day=SECOND)
    old = contacts(stubs["old"])
    calls = len(stubs["old"].requests)
    moved = a_deployment(tmp_path, HUBSPOT.format("new"), stubs)
    report = sync(moved)
    assert (report.is_full, report.plan.added_count, report.plan.removed_count, report.written_count) == (True, 20, 0, 20)
    assert contacts(stubs["new"]) == {each.customer_id for each in CROWD}
    assert (contacts(stubs["old"]), len(stubs["old"].requests)) == (old, calls)
    assert list(rejected_rows(moved)) == []
    assert sync(moved).plan.count == 0
    assert sync(moved).is_full is False


def test_what_is_there_already_is_not_written_again(tmp_path: Path, stubs: dict[str, Stub]) -> None:
    for name in ("old", "new", "old"):
        deployment = a_deployment(tmp_path, HUBSPOT.format(name), stubs)
        publish_people(deployment.lake, CROWD)
        report = sync(deployment)
    assert (report.plan.added_count, report.written_count, report.unchanged_count) == (20, 0, 20)
    assert isinstance(stubs["old"], HubSpotStub)
    assert len(stubs["old"].contacts) == 20


def test_another_kind_begins_anew(tmp_path: Path, stubs: dict[str, Stub]) -> None:
    deployment = a_deployment(tmp_path, HUBSPOT.format("old"), stubs)
    publish_people(deployment.lake, CROWD)
    sync(deployment)
    assert sync(a_deployment(tmp_path, WEBHOOK.format("hook"), stubs)).written_count == 20


def test_another_list_of_the_same_account_begins_anew(tmp_path: Path, stubs: dict[str, Stub]) -> None:
    deployment = a_deployment(tmp_path, MAILCHIMP.format("l1"), stubs)
    publish_people(deployment.lake, CROWD)
    sync(deployment)
    assert isinstance(stubs["mail"], MailchimpStub)
    stubs["mail"].members.clear()
    report = sync(a_deployment(tmp_path, MAILCHIMP.format("l2"), stubs))
    assert (report.is_full, report.written_count, len(stubs["mail"].members)) == (True, 20, 20)


def test_settings_in_another_order_are_the_same_system(tmp_path: Path, stubs: dict[str, Stub], caplog: pytest.LogCaptureFixture) -> None:
    settings = ['list_id = "l1"', 'tag_prefix = "Ours"']
    for lines in (settings, settings[::-1]):
        deployment = a_deployment(tmp_path, MAILCHIMP.partition("list_id")[0] + "\n".join(lines) + "\n", stubs)
        publish_people(deployment.lake, CROWD[:2])
        sync(deployment)
    assert "another" not in caplog.text
    assert len(state(deployment, "SELECT DISTINCT system FROM sync_system")) == 1


def test_a_sync_that_is_killed_before_it_ends_goes_on_where_it_was(tmp_path: Path, stubs: dict[str, Stub]) -> None:
    deployment = a_deployment(tmp_path, WEBHOOK.format("hook"), stubs)
    publish_people(deployment.lake, CROWD)
    with pytest.raises(ZeroDivisionError):
        sync(deployment, progress=lambda _, done, __: 1 // (1 - bool(done)) and None)
    # As after a kill: the run itself was never noted.
    state(deployment, "DELETE FROM sync_runs")
    assert sync(deployment).plan.count == 0


def test_nobody_is_erased_by_the_key_of_another_system(tmp_path: Path, stubs: dict[str, Stub], caplog: pytest.LogCaptureFixture) -> None:
    deployment = a_deployment(tmp_path, HUBSPOT.format("old"), stubs)
    publish_people(deployment.lake, [LEAVER])
    sync(deployment)
    stranger = Person("stranger", email="stranger@example.org")
    other = a_deployment(tmp_path / "other", HUBSPOT.format("new"), stubs)
    publish_people(other.lake, [stranger])
    sync(other)
    assert isinstance(stubs["old"], HubSpotStub)
    assert isinstance(stubs["new"], HubSpotStub)
    assert set(stubs["old"].contacts) == set(stubs["new"].contacts)  # the same keys, of different people
    erase_customers(a_deployment(tmp_path, HUBSPOT.format("new"), stubs), ["leaver"])
    assert contacts(stubs["new"]) == {"stranger"}
    assert any("crm was another system before" in each.message for each in caplog.records)
    assert state(deployment, "FROM sync_state") == []


def test_an_opt_out_made_in_another_account_does_not_hold_in_this_one(tmp_path: Path, stubs: dict[str, Stub]) -> None:
    deployment = a_deployment(tmp_path, HUBSPOT.format("old"), stubs)
    publish_people(deployment.lake, CROWD)
    sync(deployment)
    assert isinstance(stubs["old"], HubSpotStub)
    next(iter(stubs["old"].contacts.values()))["hs_email_optout"] = "true"
    assert sync(deployment).plan.opted_out_count == 1
    report = sync(a_deployment(tmp_path, HUBSPOT.format("new"), stubs))
    assert (report.plan.opted_out_count, report.plan.added_count) == (0, 20)


def test_limits_still_hold_where_the_new_account_has_others_on_our_lists(tmp_path: Path, stubs: dict[str, Stub]) -> None:
    other = a_deployment(tmp_path / "other", HUBSPOT.format("new"), stubs)
    publish_people(other.lake, [replace(each, customer_id=f"x{each.customer_id}") for each in CROWD])
    sync(other)
    deployment = a_deployment(tmp_path, HUBSPOT.format("old"), stubs)
    publish_people(deployment.lake, CROWD)
    sync(deployment)
    reports = sync_sinks(a_deployment(tmp_path, HUBSPOT.format("new"), stubs), sleep=lambda _: None)
    stopped = next(reports)
    assert (stopped.is_stopped, stopped.plan.removed_count) == (True, 20)
    assert len(contacts(stubs["new"])) == 20
