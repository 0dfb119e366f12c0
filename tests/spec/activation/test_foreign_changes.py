"""What people change in the sink by hand: on our lists it is put right, everything else stays; and lists that are called otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.crm_publications import Person, publish_people, write_crm_company
from support.crm_stubs import HubSpotStub, MailchimpStub, Stub, serving

from pipeline.activation.sinks import hubspot_lists
from pipeline.activation.sync import SyncReport
from pipeline.operations.deployment import Deployment
from pipeline.operations.sync import sync_sinks

SECOND = date(2024, 3, 2)
CROWD = [Person(f"c{number:02}", {"lifecycle": "active"}, ("vip",), name="Ann", email=f"c{number}@example.org") for number in range(12)]
HUBSPOT = 'kind = "hubspot"\nconnection = "crm"\n[fields]\nemail = "email"\n'
MAILCHIMP = 'kind = "mailchimp"\nconnection = "crm"\nschemes = []\n[settings]\nlist_id = "l1"\n'
VIP, ACTIVE = "Segments: Vip (vip)", "Segments: Active (lifecycle.active)"


@pytest.fixture
def hubspot() -> Iterator[HubSpotStub]:
    stub = HubSpotStub()
    with serving(stub):
        yield stub


@pytest.fixture
def mailchimp() -> Iterator[MailchimpStub]:
    stub = MailchimpStub()
    with serving(stub):
        yield stub


def a_deployment(folder: Path, stub: Stub, toml: str) -> Deployment:
    return Deployment.of(write_crm_company(folder / "company", crm=toml), folder / "lake", connections=lambda _: stub.address)


def sync(deployment: Deployment, **options: Any) -> SyncReport:
    [report] = sync_sinks(deployment, sleep=lambda _: None, **options)
    return report


def calls(stub: Stub, method: str, part: str) -> list[str]:
    return [path for done, path, _, _ in stub.requests if done == method and part in path]


@pytest.fixture
def synced(tmp_path: Path, hubspot: HubSpotStub) -> Deployment:
    """Return a deployment whose twelve customers are in HubSpot, beside a list and contacts that are not ours."""
    hubspot.contacts |= {"1": {"email": "sales@example.org"}, "2": {"email": "boss@example.org"}}
    hubspot.add_list("Newsletter", "1", "2")
    deployment = a_deployment(tmp_path, hubspot, HUBSPOT)
    publish_people(deployment.lake, CROWD)
    assert sync(deployment).written_count == 12
    return deployment


@pytest.mark.parametrize("most_single_reads", [0, 500])
def test_memberships_that_hubspot_users_changed_are_put_right(
    synced: Deployment, hubspot: HubSpotStub, monkeypatch: pytest.MonkeyPatch, most_single_reads: int
) -> None:
    monkeypatch.setattr(hubspot_lists, "MOST_SINGLE_READS", most_single_reads)
    monkeypatch.setattr(hubspot_lists, "MEMBERS_PAGE", 5)
    hubspot.lists_page = 1
    newsletter, vip = hubspot.list_called("Newsletter"), hubspot.list_called(VIP)
    newsletter.add(hubspot.record_of("c03"))
    vip.difference_update({hubspot.record_of("c00"), hubspot.record_of("c07")})
    vip.add("1")
    hubspot.list_called(ACTIVE).clear()
    before = len(calls(hubspot, "PUT", "add-and-remove"))
    report = sync(synced, is_full=True)
    assert (report.plan.healed_count, report.written_count, report.plan.removed_count) == (12, 12, 0)
    members = hubspot.named_members()
    everybody = {each.customer_id for each in CROWD}
    # A contact without our key is none of ours: nobody knows whether it may be there.
    assert (members[VIP], members[ACTIVE]) == (everybody | {""}, everybody)
    assert hubspot.list_called("Newsletter") == {"1", "2", hubspot.record_of("c03")}
    assert len(calls(hubspot, "PUT", "add-and-remove")) - before == 2
    again = sync(synced, is_full=True)
    assert (again.plan.count, again.plan.healed_count) == (0, 0)


def test_a_customer_whom_somebody_put_on_a_list_of_ours_is_taken_off(synced: Deployment, hubspot: HubSpotStub) -> None:
    hubspot.contacts["77"] = {"segments_customer_id": "stranger", "email": "stranger@example.org"}
    hubspot.list_called(VIP).add("77")
    report = sync(synced, is_full=True)
    assert (report.plan.removed_count, report.written_count) == (1, 1)
    assert "77" not in hubspot.list_called(VIP)
    assert hubspot.contacts["77"]["email"] == "stranger@example.org"


def test_a_night_reads_back_whom_it_changes_and_writes_only_what_differs(synced: Deployment, hubspot: HubSpotStub) -> None:
    hubspot.list_called(VIP).discard(hubspot.record_of("c00"))
    changed = [Person("c00", {"lifecycle": "at_risk"}, ("vip",), name="Ann", email="c0@example.org"), *CROWD[1:]]
    publish_people(synced.lake, changed, day=SECOND)
    before = len(hubspot.requests)
    assert sync(synced).written_count == 1
    assert "c00" in hubspot.named_members()[VIP]
    assert hubspot.named_members()["Segments: At risk (lifecycle.at_risk)"] == {"c00"}
    done = [path for _, path, _, _ in hubspot.requests[before:]]
    assert sum("/lists/records/" in path for path in done) == 1
    assert not any(path.endswith("/memberships") and "/records/" not in path for path in done)


def test_a_contact_is_read_back_where_the_mapping_changed_in_the_same_sync(synced: Deployment, hubspot: HubSpotStub) -> None:
    hubspot.list_called(VIP).discard(hubspot.record_of("c00"))
    company = synced.company.folder / "sinks" / "crm.toml"
    company.write_text('consent = "not refused"\nreconcile_days = 7\naudiences = ["vip"]\n' + company.read_text())
    sync(synced, is_full=True)
    assert hubspot.named_members()[VIP] == {each.customer_id for each in CROWD}


@pytest.mark.usefixtures("synced")
def test_a_list_of_hubspot_is_renamed_where_its_title_changed(tmp_path: Path, hubspot: HubSpotStub) -> None:
    records = set(hubspot.list_called(VIP))
    renamed = a_deployment(tmp_path, hubspot, f'{HUBSPOT}[titles]\nvip = "Best / dearest"\n')
    assert sync(renamed, is_dry_run=True).plan.count == 0
    assert VIP in hubspot.lists.values()
    report = sync(renamed)
    assert (report.plan.count, report.is_full) == (0, True)
    assert hubspot.list_called("Segments: Best - dearest (vip)") == records
    assert VIP not in hubspot.lists.values()
    done = len(hubspot.requests)
    assert sync(renamed).is_full is False
    assert not [path for _, path, _, _ in hubspot.requests[done:] if "/lists" in path]


@pytest.mark.usefixtures("synced")
def test_a_list_that_is_ours_no_more_is_emptied_whatever_it_was_called(tmp_path: Path, hubspot: HubSpotStub) -> None:
    less = a_deployment(tmp_path, hubspot, f"audiences = []\n{HUBSPOT}")
    reports = sync_sinks(less, sleep=lambda _: None, override_reason="no audiences there")
    assert next(reports).plan.changed_count == 12
    assert ACTIVE in hubspot.named_members()
    assert VIP not in hubspot.named_members()


def test_tags_of_mailchimp_that_people_changed_are_put_right(tmp_path: Path, mailchimp: MailchimpStub) -> None:
    deployment = a_deployment(tmp_path, mailchimp, MAILCHIMP)
    publish_people(deployment.lake, CROWD)
    sync(deployment)
    mailchimp.add("stranger@example.org", tags=("seg: Audiences / Vip", "golf"), CUSTOMERID="stranger")
    for email, tags in (("c0@example.org", ["golf"]), ("c1@example.org", ["seg: Audiences / Vip", "seg: Audiences / Old"])):
        [member] = [each for each in mailchimp.members.values() if each["email_address"] == email]
        member["tags"] = [{"id": 0, "name": tag} for tag in tags]
    mailchimp.tags[90] = "seg: Audiences / Old"
    report = sync(deployment, is_full=True)
    assert report.plan.healed_count == 3
    assert mailchimp.tags_of("c0@example.org") == {"golf", "seg: Audiences / Vip"}
    assert mailchimp.tags_of("c1@example.org") == {"seg: Audiences / Vip"}
    assert mailchimp.tags_of("stranger@example.org") == {"golf"}


def test_a_tag_of_mailchimp_follows_its_title_in_the_next_sync(tmp_path: Path, mailchimp: MailchimpStub) -> None:
    deployment = a_deployment(tmp_path, mailchimp, MAILCHIMP)
    publish_people(deployment.lake, CROWD)
    sync(deployment)
    titled = MAILCHIMP.replace("[settings]", '[titles]\nvip = "En değerliler"\n[settings]')
    renamed = a_deployment(tmp_path, mailchimp, titled)
    report = sync(renamed)
    # Everybody is changed, and no limit stands in the way: the same people are on the same lists.
    assert (report.is_full, report.plan.healed_changed_count, report.written_count) == (True, 12, 12)
    assert {tag for each in CROWD for tag in mailchimp.tags_of(each.email or "")} == {"seg: Audiences / En değerliler"}
    again = sync(renamed)
    assert (again.plan.count, again.is_full) == (0, False)


def test_a_sync_that_broke_off_renames_in_the_next_one(tmp_path: Path, mailchimp: MailchimpStub) -> None:
    deployment = a_deployment(tmp_path, mailchimp, MAILCHIMP)
    publish_people(deployment.lake, CROWD)
    sync(deployment)
    renamed = a_deployment(tmp_path, mailchimp, MAILCHIMP.replace("[settings]", '[titles]\nvip = "Best"\n[settings]'))
    with pytest.raises(ZeroDivisionError):
        sync(renamed, progress=lambda _, done, __: 1 // bool(done) and None)
    assert sync(renamed).written_count == 12
    assert {tag for each in CROWD for tag in mailchimp.tags_of(each.email or "")} == {"seg: Audiences / Best"}


def test_a_list_whose_prefix_has_a_slash_is_renamed(tmp_path: Path, hubspot: HubSpotStub) -> None:
    settings = '[settings]\nlist_prefix = "A/B"\n'
    publish_people(a_deployment(tmp_path, hubspot, f"{HUBSPOT}{settings}").lake, CROWD)
    sync(a_deployment(tmp_path, hubspot, f"{HUBSPOT}{settings}"))
    sync(a_deployment(tmp_path, hubspot, f'{HUBSPOT}[titles]\nvip = "Best"\n{settings}'))
    assert sorted(hubspot.lists.values()) == ["A-B: Active (lifecycle.active)", "A-B: Best (vip)"]
