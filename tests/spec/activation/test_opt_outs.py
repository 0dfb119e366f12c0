"""An opt-out made in one sink: it holds in the others, unless a sink goes by its own alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.crm_publications import Person, publish_people, write_crm_company
from support.crm_stubs import HubSpotStub, MailchimpStub, serving

from pipeline.activation.opt_outs import gather_opted_out, note_opt_outs
from pipeline.activation.outbox import open_outbox
from pipeline.activation.sync import SyncReport
from pipeline.errors import TransientError
from pipeline.lake import addresses
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers
from pipeline.operations.sync import sync_sinks

SECOND = date(2024, 3, 2)
NOBODY = "http://:secret@127.0.0.1:9"
CROWD = [Person(f"c{number:02}", {"lifecycle": "active"}, ("vip",), name="Ann", email=f"c{number}@example.org") for number in range(8)]
HUBSPOT = 'kind = "hubspot"\nconnection = "crm"\n'
MAILCHIMP = 'kind = "mailchimp"\nconnection = "mail"\nschemes = []\n[settings]\nlist_id = "l1"\n'
VIP = "Segments: Vip (vip)"


@dataclass
class Office:
    """A company with two sinks; `addresses` are those of its connections."""

    folder: Path
    addresses: dict[str, str]
    crm: HubSpotStub
    mail: MailchimpStub

    def deployment(self, **sinks: str) -> Deployment:
        company = write_crm_company(self.folder / "company", **({"crm": HUBSPOT, "mail": MAILCHIMP} | sinks))
        return Deployment.of(company, self.folder / "lake", connections=lambda name: self.addresses[name])

    def unsubscribe(self, email: str, status: str = "unsubscribed") -> None:
        [member] = [each for each in self.mail.members.values() if each["email_address"] == email]
        member["status"] = status


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    crm, mail = HubSpotStub(), MailchimpStub()
    with ExitStack() as stack:
        for stub in (crm, mail):
            stack.enter_context(serving(stub))
        yield Office(tmp_path, {"crm": crm.address, "mail": mail.address}, crm, mail)


def sync(deployment: Deployment, **options: Any) -> dict[str, SyncReport]:
    return {report.sink: report for report in sync_sinks(deployment, sleep=lambda _: None, **options)}


def test_who_unsubscribed_in_mailchimp_leaves_hubspot_in_the_same_sync(office: Office) -> None:
    deployment = office.deployment()
    publish_people(deployment.lake, CROWD)
    sync(deployment)
    office.unsubscribe("c0@example.org")
    office.unsubscribe("c1@example.org", "cleaned")
    # `crm` is synced before `mail`: it asks for itself.
    report = sync(deployment)["crm"]
    assert (report.plan.opted_out_count, report.plan.opted_out_elsewhere_count, report.plan.removed_count) == (0, 2, 2)
    assert office.crm.named_members()[VIP] == {f"c{number:02}" for number in range(2, 8)}
    office.unsubscribe("c0@example.org", "subscribed")
    assert sync(deployment)["crm"].plan.added_count == 1
    assert "c00" in office.crm.named_members()[VIP]


def test_who_opted_out_in_hubspot_loses_the_tags_of_mailchimp_and_stays_subscribed_as_they_are(office: Office) -> None:
    deployment = office.deployment()
    publish_people(deployment.lake, CROWD)
    sync(deployment)
    office.crm.contacts[office.crm.record_of("c03")]["hs_email_optout"] = "true"
    reports = sync(deployment)
    assert (reports["crm"].plan.opted_out_count, reports["mail"].plan.opted_out_elsewhere_count) == (1, 1)
    assert office.mail.tags_of("c3@example.org") == set()
    [member] = [each for each in office.mail.members.values() if each["email_address"] == "c3@example.org"]
    assert member["status"] == "subscribed"


def test_a_sink_may_go_by_its_own_opt_outs_alone(office: Office) -> None:
    deployment = office.deployment(crm=f'opt_outs = "own"\n{HUBSPOT}')
    publish_people(deployment.lake, CROWD)
    sync(deployment)
    office.unsubscribe("c0@example.org")
    report = sync(deployment)["crm"]
    assert (report.plan.count, report.plan.opted_out_elsewhere_count) == (0, 0)
    # Asked to respect all of them from now on, and then not to any more.
    assert sync(office.deployment())["crm"].plan.removed_count == 1
    assert sync(office.deployment(crm=f'opt_outs = "own"\n{HUBSPOT}'))["crm"].plan.added_count == 1


def test_a_sink_out_of_reach_is_gone_by_as_it_was_read_last(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    deployment = office.deployment()
    publish_people(deployment.lake, CROWD)
    sync(deployment)
    office.unsubscribe("c0@example.org")
    sync(deployment)
    there, office.addresses["mail"] = office.addresses["mail"], NOBODY
    publish_people(deployment.lake, [*CROWD, Person("new", {"lifecycle": "active"}, email="new@example.org")], day=SECOND)
    report = sync(deployment, sink="crm")["crm"]
    assert (report.plan.added_count, report.plan.opted_out_elsewhere_count) == (1, 1)
    assert "c00" not in office.crm.named_members()[VIP]
    [told] = [each.message for each in caplog.records if "who opted out in mail cannot be read" in each.message]
    assert "c00" not in told
    office.addresses["mail"] = there
    office.unsubscribe("c0@example.org", "subscribed")
    assert sync(deployment, sink="crm")["crm"].plan.added_count == 1


def test_nothing_is_sent_while_nobody_knows_who_opted_out(office: Office) -> None:
    there, office.addresses["mail"] = office.addresses["mail"], NOBODY
    deployment = office.deployment()
    publish_people(deployment.lake, CROWD)
    with pytest.raises(TransientError, match="who opted out in mail cannot be read, and never was") as refused:
        sync(deployment, sink="crm")
    assert 'opt_outs = "own"' in refused.value.todo
    assert office.crm.contacts == {}
    assert sync(office.deployment(crm=f'opt_outs = "own"\n{HUBSPOT}'), sink="crm")["crm"].written_count == 8
    office.addresses["mail"] = there
    # Another account was never read, whatever is known of the old one.
    sync(office.deployment())
    office.addresses["mail2"] = NOBODY
    with pytest.raises(TransientError, match="never was"):
        sync(office.deployment(mail=MAILCHIMP.replace('"mail"', '"mail2"')), sink="crm")


def test_a_sink_without_opt_outs_is_not_asked(office: Office) -> None:
    deployment = office.deployment(mail='kind = "webhook"\nconnection = "nowhere"\n')
    publish_people(deployment.lake, CROWD)
    assert sync(deployment, sink="crm")["crm"].written_count == 8


def test_a_sink_that_is_gone_from_the_company_counts_no_more(office: Office) -> None:
    deployment = office.deployment()
    publish_people(deployment.lake, CROWD)
    sync(deployment)
    office.unsubscribe("c0@example.org")
    sync(deployment)
    (office.folder / "company" / "sinks" / "mail.toml").unlink()
    assert sync(deployment)["crm"].plan.added_count == 1


def test_an_erased_customer_is_forgotten_among_the_opt_outs_of_others(office: Office) -> None:
    deployment = office.deployment()
    publish_people(deployment.lake, CROWD)
    sync(deployment)
    office.unsubscribe("c0@example.org")
    sync(deployment)
    erase_customers(deployment, ["c00"])
    state = deployment.lake.local(addresses.sync_state("crm"))
    with open_outbox(state, memory_limit="1GB") as outbox:
        assert outbox.rows("FROM opt_outs_elsewhere") == []
    assert b"c00" not in state.read_bytes()


def test_a_dry_run_remembers_no_opt_outs(office: Office) -> None:
    deployment = office.deployment()
    publish_people(deployment.lake, CROWD)
    sync(deployment)
    office.unsubscribe("c0@example.org")
    assert sync(deployment, is_dry_run=True)["crm"].plan.removed_count == 1
    with open_outbox(deployment.lake.local(addresses.sync_state("crm")), memory_limit="1GB") as outbox:
        assert outbox.rows("FROM opt_outs_elsewhere") == []


def test_who_is_merged_takes_the_opt_out_along(tmp_path: Path) -> None:
    with open_outbox(tmp_path / "state.duckdb", memory_limit="1GB") as outbox:
        merged = pa.table({"customer_id": ["old", "left"], "survivor_id": ["left", "left"]})
        outbox.connection.register("customer_survivors", merged)
        outbox.connection.execute("CREATE TEMP TABLE survivors AS FROM customer_survivors")
        note_opt_outs(outbox, ["old", "other"])
        gather_opted_out(outbox)
        assert outbox.rows("FROM opted_out ORDER BY ALL") == [("left",), ("old",), ("other",)]
