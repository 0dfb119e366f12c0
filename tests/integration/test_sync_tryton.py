"""Syncs to a real Tryton on PostgreSQL: what a salesperson sees there in the morning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.crm_publications import Person, publish_people, write_crm_company
from support.receivers import free_port
from support.sync_crashes import sync_under_kills
from support.tryton import Tryton, make_template, running_tryton

from pipeline.activation.sync import SyncReport
from pipeline.errors import ConfigError, GateClosed, TransientError
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers
from pipeline.operations.sync import rejected_rows, sync_sinks

SINK = 'kind = "tryton"\nconnection = "crm"\n[settings]\nopt_out_category = "Do not contact"\n'
ROOT = "Customer segments"
ACTIVE, AT_RISK, VIP = (f"{ROOT} / {rest}" for rest in ("Lifecycle / Active", "Lifecycle / At risk", "Audiences / Vip"))
FIRST, SECOND, THIRD = (date(2024, 3, day) for day in (1, 2, 3))


@pytest.fixture(scope="module")
def template(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(postgres, tmp_path_factory.mktemp("tryton"))


@pytest.fixture(scope="module")
def server(postgres: str, template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tryton]:
    """Return one server for all tests, whose parties each test tells apart by the start of their codes."""
    with running_tryton(postgres, template, tmp_path_factory.mktemp("server")) as running:
        running.call("model.party.category.create", [{"name": "Do not contact"}, {"name": "Golf"}])
        yield running


@pytest.fixture
def crm(server: Tryton) -> Iterator[Tryton]:
    """Return the server without parties, and without categories of ours."""
    if parties := server.call("model.party.party.search", [], context={"active_test": False}):
        server.call("model.party.party.delete", parties)
    ours = [
        [
            "OR",
            ["name", "=", ROOT],
            ["parent", "child_of", server.call("model.party.category.search", [["name", "=", ROOT]]), "parent"],
        ]
    ]
    if categories := server.call("model.party.category.search", ours):
        server.call("model.party.category.delete", categories)
    yield server
    if server.process is None:
        server.start()


@pytest.fixture
def deployment(crm: Tryton, tmp_path: Path) -> Deployment:
    company = write_crm_company(tmp_path / "company", tryton=SINK)
    return Deployment.of(company, tmp_path / "lake", connections=lambda _: crm.address)


def sync(deployment: Deployment, **options: Any) -> SyncReport:
    [report] = sync_sinks(deployment, **options)
    return report


def test_a_salesperson_sees_segments_audiences_and_the_next_action(crm: Tryton, deployment: Deployment) -> None:
    people = [
        Person("ayşe", {"lifecycle": "at_risk"}, ("vip",), action="At risk", name="Ayşe İğdır 😀", email="ayse@example.org"),
        Person("nino", name="ნინო"),
        Person("no", is_consenting=False, name="No"),
    ]
    publish_people(deployment.lake, people)
    report = sync(deployment)
    assert (report.plan.added_count, report.written_count, report.refused_count) == (2, 2, 0)
    parties = crm.parties()
    assert set(parties) == {"ayşe", "nino"}
    assert parties["ayşe"]["name"] == "Ayşe İğdır 😀"
    assert parties["ayşe"]["email"] == "ayse@example.org"
    assert parties["ayşe"]["categories"] == [VIP, AT_RISK]
    assert parties["ayşe"]["notes"] == ["Next action: At risk\nWhy: buys every week"]
    assert (parties["nino"]["name"], parties["nino"]["categories"], parties["nino"]["notes"]) == ("ნინო", [ACTIVE], [])
    again = sync(deployment)
    assert (again.plan.count, again.written_count) == (0, 0)
    publish_people(deployment.lake, [replace(people[0], action="Champions"), *people[1:]], day=SECOND)
    assert sync(deployment).written_count == 1
    assert crm.parties()["ayşe"]["notes"] == ["Next action: Champions\nWhy: buys every week"]


def test_only_what_is_ours_is_touched_and_what_others_did_to_it_is_healed(crm: Tryton, deployment: Deployment) -> None:
    golf = crm.call("model.party.category.search", [["name", "=", "Golf"]])
    [by_hand] = crm.call("model.party.party.create", [{"code": "ann", "name": "Ann, as sales know her", "categories": [["add", golf]]}])
    crm.call("model.ir.note.create", [{"resource": f"party.party,{by_hand}", "message": "Likes tea."}])
    publish_people(deployment.lake, [Person("ann", action="Active", name="ANN"), Person("bob", name="Bob")])
    sync(deployment)
    ann = crm.parties()["ann"]
    assert (ann["id"], ann["name"], ann["categories"]) == (by_hand, "Ann, as sales know her", [ACTIVE, "Golf"])
    assert ann["notes"] == ["Likes tea.", "Next action: Active\nWhy: buys every week"]
    # A colleague takes our category away, and puts a stranger into it.
    [active] = crm.call("model.party.category.search", [["rec_name", "=", ACTIVE]])
    crm.call("model.party.party.write", [by_hand], {"categories": [["remove", [active]]]})
    crm.call("model.party.party.create", [{"code": "stranger", "name": "Stranger", "categories": [["add", [active, *golf]]]}])
    report = sync(deployment)
    assert report.plan.healed_count == 2
    parties = crm.parties()
    assert (parties["ann"]["categories"], parties["stranger"]["categories"]) == ([ACTIVE, "Golf"], ["Golf"])
    # Ann moves; consent is withdrawn by Bob.
    publish_people(deployment.lake, [Person("ann", {"lifecycle": "at_risk"}), Person("bob", is_consenting=False)], day=SECOND)
    sync(deployment)
    parties = crm.parties()
    assert (parties["ann"]["categories"], parties["ann"]["notes"]) == ([AT_RISK, "Golf"], ["Likes tea."])
    assert (parties["bob"]["name"], parties["bob"]["categories"]) == ("Bob", [])


def test_an_opt_out_made_there_is_kept_until_it_is_taken_back_there(crm: Tryton, deployment: Deployment) -> None:
    publish_people(deployment.lake, [Person("ann", action="Active"), Person("bob")])
    sync(deployment)
    no = crm.call("model.party.category.search", [["name", "=", "Do not contact"]])
    ann = crm.parties()["ann"]["id"]
    crm.call("model.party.party.write", [ann], {"categories": [["add", no]]})
    for day in (SECOND, THIRD):
        publish_people(deployment.lake, [Person("ann", {"lifecycle": "at_risk"}, ("vip",), action=str(day)), Person("bob")], day=day)
        assert sync(deployment).plan.opted_out_count == 1
        assert (crm.parties()["ann"]["categories"], crm.parties()["ann"]["notes"]) == (["Do not contact"], [])
    crm.call("model.party.party.write", [ann], {"categories": [["remove", no]]})
    sync(deployment)
    assert crm.parties()["ann"]["categories"] == [VIP, AT_RISK]


def test_a_refused_customer_holds_nobody_up_and_is_tried_again_when_it_changes(deployment: Deployment) -> None:
    # Two codes that differ only in white space at the end are one to Tryton, which strips them: the second is refused.
    people = [*(Person(f"c{number:03}") for number in range(30)), Person("c007 ")]
    publish_people(deployment.lake, people)
    report = sync(deployment)
    assert (report.written_count, report.refused) == (30, {"UserError": 1})
    [(sink, customer, code, message, _, attempts)] = rejected_rows(deployment)
    assert (sink, customer, code, attempts) == ("tryton", "c007 ", "UserError", "1")
    assert "must be unique" in message
    assert (sync(deployment).plan.count, sync(deployment).plan.waiting_count) == (0, 1)
    publish_people(deployment.lake, [*people[:-1], replace(people[-1], action="Active")], day=SECOND)
    assert sync(deployment).refused == {"UserError": 1}
    assert [row[-1] for row in rejected_rows(deployment)] == ["2"]


def test_more_removals_than_the_limit_stop_the_sync_until_a_person_overrides_it(crm: Tryton, deployment: Deployment) -> None:
    publish_people(deployment.lake, [Person(f"c{number:02}") for number in range(20)])
    sync(deployment)
    left = [Person(f"c{number:02}", is_member=number < 10) for number in range(20)]
    publish_people(deployment.lake, left, day=SECOND)
    with pytest.raises(GateClosed, match="10 of 20 customers would be removed"):
        sync(deployment)
    assert sum(bool(party["categories"]) for party in crm.parties().values()) == 20
    assert sync(deployment, is_dry_run=True).plan.removed_count == 10
    sync(deployment, override_reason="shop closed")
    assert sum(bool(party["categories"]) for party in crm.parties().values()) == 10


def test_an_erased_customer_is_gone_there_and_nothing_is_remembered(crm: Tryton, deployment: Deployment) -> None:
    publish_people(deployment.lake, [Person("canary-7f3a51", name="Zoë", action="Active"), Person("bob")])
    sync(deployment)
    receipt = erase_customers(deployment, ["canary-7f3a51"])
    assert receipt.removed["sinks/tryton"]["rows"] == 1
    assert set(crm.parties()) == {"bob"}
    states = [path.read_bytes() for path in (deployment.lake.root / "sync").rglob("*") if path.is_file()]
    assert states
    assert not any(b"canary-7f3a51" in content or "Zoë".encode() in content for content in states)
    report = sync(deployment)
    assert (report.plan.count, set(crm.parties())) == (0, {"bob"})


def test_a_wrong_password_and_a_crm_out_of_reach_are_told_apart(crm: Tryton, deployment: Deployment) -> None:
    publish_people(deployment.lake, [Person("ann")])
    with pytest.raises(ConfigError, match=r"does not (let us in|know)"):
        sync(replace(deployment, connections=lambda _: crm.address.replace("tryton-admin", "wrong")))
    waited: list[float] = []
    nobody = crm.address.replace(f":{crm.port}/", f":{free_port()}/")
    with pytest.raises(TransientError, match="cannot be reached"):
        next(sync_sinks(replace(deployment, connections=lambda _: nobody), sleep=waited.append))
    assert len(waited) == 7
    assert all(min(2**place, 30) <= pause <= min(2**place + 1, 30) for place, pause in enumerate(waited))
    assert sync(deployment).written_count == 1


def test_kills_of_client_and_crm_leave_no_difference_and_no_duplicate(crm: Tryton, deployment: Deployment, tmp_path: Path) -> None:
    people = [Person(f"c{number:04}", {"lifecycle": ("active", "at_risk")[number % 2]}, action="Go") for number in range(1000)]
    publish_people(deployment.lake, people)
    sync_under_kills(deployment, crm, tmp_path, clients=2, crms=1, seed=17)
    found = crm.parties()
    assert len(found) == len(crm.call("model.party.party.search", [], context={"active_test": False})) == len(people)
    expected = {"active": [ACTIVE], "at_risk": [AT_RISK]}
    assert {code: party["categories"] for code, party in found.items()} == {
        one.customer_id: expected[one.segments["lifecycle"]] for one in people
    }
    assert all(len(party["notes"]) == 1 for party in found.values())
    again = sync(deployment)
    assert (again.plan.count, again.written_count) == (0, 0)


def test_a_note_that_is_there_twice_becomes_one(crm: Tryton, deployment: Deployment) -> None:
    publish_people(deployment.lake, [Person("ann", action="Active")])
    sync(deployment)
    ann = crm.parties()["ann"]
    # As a call leaves behind that was carried out after all, long after its connection broke.
    crm.call("model.ir.note.create", [{"resource": f"party.party,{ann['id']}", "message": ann["notes"][0]}])
    assert sync(deployment).plan.healed_count == 1
    assert crm.parties()["ann"]["notes"] == ann["notes"]
