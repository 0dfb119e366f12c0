"""Files, webhook, HubSpot and Mailchimp: what arrives there, and what becomes of every way in which they fail."""

from __future__ import annotations

import csv
import hmac
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.crm_publications import Person, publish_people, publish_tables, write_crm_company
from support.crm_stubs import HubSpotStub, MailchimpStub, ReceiverStub, Stub, serving

from pipeline.activation.sinks import open_sink
from pipeline.activation.sinks.http import HttpClient
from pipeline.activation.sinks.sink import Ambiguous, Change
from pipeline.activation.sync import SyncReport
from pipeline.definitions.definition_files import Definition
from pipeline.definitions.sinks import read_sink
from pipeline.errors import ConfigError, DataError, TransientError
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers, finish_erasures
from pipeline.operations.sync import rejected_rows, sync_sinks

SECOND = date(2024, 3, 2)
ANN = Person("ann", {"lifecycle": "active"}, ("vip",), action="Active", name="Ann", email="ann@example.org")
BOB = Person("bob", {"lifecycle": "at_risk"}, name="Bob", email="bob@example.org")


@pytest.fixture
def waited() -> list[float]:
    return []


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


@pytest.fixture
def receiver() -> Iterator[ReceiverStub]:
    stub = ReceiverStub()
    with serving(stub):
        yield stub


def a_deployment(folder: Path, stub: Stub | None = None, **sinks: str) -> Deployment:
    address = stub.address if stub else ""
    return Deployment.of(write_crm_company(folder / "company", **sinks), folder / "lake", connections=lambda _: address)


def sync(deployment: Deployment, waited: list[float] | None = None, **options: Any) -> SyncReport:
    [report] = sync_sinks(deployment, sleep=(waited if waited is not None else []).append, **options)
    return report


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_files_tell_members_and_who_was_added_and_removed(tmp_path: Path) -> None:
    deployment = a_deployment(tmp_path, files='kind = "files"\naudiences = ["vip"]\nschemes = []\n')
    nino = Person("nino", audiences=("vip",), name="=ნინო", email="nino@example.org")
    publish_people(deployment.lake, [ANN, BOB, nino])
    assert sync(deployment).written_count == 2
    [vip] = (deployment.lake.root / "sync" / "files" / "files").iterdir()
    assert [(row["customer_id"], row["email"], row["name"]) for row in lines(vip / "members.csv")] == [
        ("ann", "ann@example.org", "Ann"),
        ("nino", "nino@example.org", "'=ნინო"),
    ]
    publish_people(deployment.lake, [replace(ANN, audiences=()), replace(BOB, audiences=("vip",)), nino], day=SECOND)
    sync(deployment)
    assert [row["customer_id"] for row in lines(vip / "members.csv")] == ["bob", "nino"]
    [added, first], [removed] = (sorted(vip.glob(f"*-{kind}.csv"), reverse=True) for kind in ("added", "removed"))
    assert [row["customer_id"] for row in lines(first)] == ["ann", "nino"]
    assert [row["customer_id"] for row in lines(added)] == ["bob"]
    assert [(row["customer_id"], row["email"]) for row in lines(removed)] == [("ann", "ann@example.org")]
    erase_customers(deployment, ["nino"])
    assert not any("nino" in path.read_text() for path in vip.iterdir())
    assert [row["customer_id"] for row in lines(vip / "members.csv")] == ["bob"]


def test_files_tell_ids_apart_that_a_spreadsheet_would_run_and_erase_the_one_alone(tmp_path: Path) -> None:
    deployment = a_deployment(tmp_path, files='kind = "files"\naudiences = ["vip"]\nschemes = []\n')
    people = [replace(ANN, customer_id=name, email=f"{number}@example.org") for number, name in enumerate(("=1+1", "'=1+1", "ann"))]
    publish_people(deployment.lake, people)
    sync(deployment)
    [vip] = (deployment.lake.root / "sync" / "files" / "files").iterdir()
    erase_customers(deployment, ["'=1+1"])
    for path in vip.iterdir():
        assert [(row["customer_id"], row["email"]) for row in lines(path)] == [("'=1+1", "0@example.org"), ("ann", "2@example.org")]


def test_a_customer_with_two_rows_of_contacts_is_written_once(tmp_path: Path) -> None:
    deployment = a_deployment(tmp_path, files='kind = "files"\naudiences = ["vip"]\nschemes = []\n')
    publish_people(deployment.lake, [ANN, replace(ANN, customer_id="ann ", is_member=False, email="zoe@example.org")])
    assert sync(deployment).written_count == 1
    [members] = (deployment.lake.root / "sync").rglob("members.csv")
    assert [row["email"] for row in lines(members)] == ["ann@example.org"]


@pytest.mark.parametrize("retry_after", ["0", "Wed, 21 Oct 2015 07:28:00 GMT", "60"])
def test_a_sink_that_asks_to_wait_for_ever_ends_the_sync(tmp_path: Path, receiver: ReceiverStub, retry_after: str) -> None:
    deployment = a_deployment(tmp_path, receiver, crm='kind = "webhook"\nconnection = "hook"\n')
    publish_people(deployment.lake, [ANN])
    receiver.troubles = [(429, {"Retry-After": retry_after}, False)] * 200
    waited: list[float] = []
    with pytest.raises(TransientError, match="asks to come back later"):
        sync(deployment, waited)
    assert 800 < sum(waited) <= 900
    assert min(waited) >= 1


@pytest.mark.parametrize(
    ("host", "base"), [("h", "http://h/x"), ("h:80", "http://h:80/x"), ("[::1]", "http://[::1]/x"), ("[::1]:8069", "http://[::1]:8069/x")]
)
def test_an_address_keeps_its_host_and_port_and_loses_its_login(host: str, base: str) -> None:
    client = HttpClient(f"http://ann:secret@{host}/x/", where="sinks/crm.toml")
    assert (client.base, client.user, client.password) == (base, "ann", "secret")


@pytest.mark.parametrize("address", ["https://[::1/x", "ftp://h/x", "h"])
def test_an_address_that_cannot_be_one_is_refused_in_words(address: str) -> None:
    with pytest.raises(ConfigError, match="no address of HTTP"):
        HttpClient(address, where="sinks/crm.toml")


def test_an_answer_that_cannot_be_unpacked_is_no_receipt(receiver: ReceiverStub) -> None:
    receiver.troubles = [(200, {"Content-Encoding": "gzip"}, False)]
    client = HttpClient(receiver.address, where="sinks/crm.toml")
    with pytest.raises(Ambiguous, match="DecodingError"):
        client.call("POST", "/")


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308])
def test_an_answer_from_elsewhere_is_no_receipt(tmp_path: Path, receiver: ReceiverStub, status: int) -> None:
    deployment = a_deployment(tmp_path, receiver, crm='kind = "webhook"\nconnection = "hook"\n')
    publish_people(deployment.lake, [ANN])
    receiver.troubles = [(status, {"Location": "https://elsewhere.example.org/"}, False)] * 20
    with pytest.raises(ConfigError, match="the sink is elsewhere") as refused:
        sync(deployment)
    assert "Write" in refused.value.todo
    assert receiver.seen == {}
    receiver.troubles = []
    assert sync(deployment).written_count == 1


def test_a_webhook_is_signed_and_the_same_change_has_the_same_key(
    tmp_path: Path, receiver: ReceiverStub, waited: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    deployment = a_deployment(tmp_path, receiver, crm='kind = "webhook"\nconnection = "hook"\n')
    receiver.refused = {"bob"}
    publish_people(deployment.lake, [ANN, BOB])
    # The receiver acted, and its answer was lost: the event comes again, and is known by its key.
    receiver.troubles = [(500, {}, True), (503, {"Retry-After": "7"}, False)]
    report = sync(deployment, waited)
    assert (report.written_count, report.refused) == (1, {"HTTP 422": 1})
    assert 7 in waited
    assert "127.0.0.1" not in caplog.text
    [event] = receiver.seen.values()
    assert event["events"] == [{"event": "entered", "list": "lifecycle.active"}, {"event": "entered", "list": "vip"}]
    _, _, headers, body = next(each for each in receiver.requests if b'"ann"' in each[3])
    expected = hmac.new(b"secret", f"{headers['X-Segments-Timestamp']}.".encode() + body, sha256).hexdigest()
    assert headers["X-Segments-Signature"] == f"sha256={expected}"
    assert [row[:4] for row in rejected_rows(deployment)] == [("crm", "bob", "HTTP 422", '{"message": "unknown customer"}')]
    receiver.refused = set()
    publish_people(deployment.lake, [replace(ANN, is_consenting=False), replace(BOB, action="At risk")], day=SECOND)
    assert sync(deployment).written_count == 2
    [left] = [each for each in receiver.seen.values() if each["customer_id"] == "ann" and each is not event]
    assert [each["event"] for each in left["events"]] == ["left", "left"]
    assert list(rejected_rows(deployment)) == []
    # Ann agrees again: another event of the same content, with another key.
    publish_people(deployment.lake, [ANN, replace(BOB, action="At risk")], day=date(2024, 3, 3))
    sync(deployment)
    assert sum(each["events"] == event["events"] and each["customer_id"] == "ann" for each in receiver.seen.values()) == 2


def test_an_erasure_stays_open_while_the_sink_is_away_and_holds_up_no_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.activation.forgetting.sleep", lambda _: None)
    company, receiver = write_crm_company(tmp_path / "company", hook='kind = "webhook"\nconnection = "hook"\n'), ReceiverStub()
    deployment = Deployment.of(company, tmp_path / "lake", connections=lambda _: receiver.address)
    publish_people(deployment.lake, [ANN, BOB])
    with serving(receiver):
        sync(deployment)
    with pytest.raises(TransientError, match="the sink hook did not erase them") as refused:
        erase_customers(deployment, ["ann"])
    assert "segments erase --resume" in refused.value.todo
    assert finish_erasures(deployment, are_sinks_required=False) == []
    with serving(receiver):
        [receipt] = finish_erasures(deployment)
    assert receipt.removed["sinks/hook"]["rows"] == 1
    assert [each["customer_id"] for each in receiver.seen.values() if each.get("event") == "erased"] == ["ann"]
    assert finish_erasures(deployment) == []


HUBSPOT = 'kind = "hubspot"\nconnection = "hubspot"\n[fields]\nemail = "email"\nfirstname = "name"\nsegments_action = "next_action_title"\n'


def test_hubspot_has_contacts_with_their_lists_and_refuses_single_ones(tmp_path: Path, hubspot: HubSpotStub, waited: list[float]) -> None:
    deployment = a_deployment(tmp_path, hubspot, hubspot=HUBSPOT)
    crowd = [Person(f"c{number:03}", email=f"c{number}@example.org") for number in range(150)]
    bad = Person("bad", email="no address")
    publish_people(deployment.lake, [ANN, BOB, bad, *crowd])
    hubspot.troubles = [(429, {"Retry-After": "3"}, False)]
    report = sync(deployment, waited)
    assert waited == [3]
    assert (report.written_count, report.refused) == (152, {"VALIDATION_ERROR": 1})
    assert [row[1:4] for row in rejected_rows(deployment)] == [("bad", "VALIDATION_ERROR", "Property values were not valid: email")]
    members = hubspot.named_members()
    assert (members["Segments: Vip (vip)"], members["Segments: At risk (lifecycle.at_risk)"]) == ({"ann"}, {"bob"})
    assert members["Segments: Active (lifecycle.active)"] == {"ann", *(one.customer_id for one in crowd)}
    [ann] = [held for held in hubspot.contacts.values() if held["segments_customer_id"] == "ann"]
    assert (ann["email"], ann["firstname"], ann["segments_action"]) == ("ann@example.org", "Ann", "Active")
    assert (sync(deployment).plan.count, sync(deployment).plan.waiting_count) == (0, 1)
    # The address is mended at the source: nothing else of the customer changed.
    publish_people(deployment.lake, [ANN, BOB, replace(bad, email="bad@example.org"), *crowd], day=SECOND)
    assert sync(deployment).written_count == 1
    assert list(rejected_rows(deployment)) == []


def test_hubspot_is_changed_where_it_differs_and_an_opt_out_there_counts(tmp_path: Path, hubspot: HubSpotStub) -> None:
    deployment = a_deployment(tmp_path, hubspot, hubspot=HUBSPOT)
    publish_people(deployment.lake, [ANN, BOB])
    sync(deployment)
    people = {held["segments_customer_id"]: held for held in hubspot.contacts.values()}
    people["ann"]["firstname"] = "Annie, as she signs"
    people["ann"]["segments_action"] = "typed over by hand"
    people["bob"]["hs_email_optout"] = "true"
    # The server carries the first calls out, and fails to say so.
    hubspot.troubles = [(500, {}, True)] * 2
    report = sync(deployment, is_full=True)
    assert (report.plan.opted_out_count, report.plan.removed_count, report.plan.healed_count) == (1, 1, 1)
    assert (people["ann"]["firstname"], people["ann"]["segments_action"]) == ("Annie, as she signs", "Active")
    assert set(hubspot.named_members()) == {"Segments: Active (lifecycle.active)", "Segments: Vip (vip)"}
    erase_customers(deployment, ["ann"])
    assert [held["segments_customer_id"] for held in hubspot.contacts.values()] == ["bob"]


MAILCHIMP = 'kind = "mailchimp"\nconnection = "mailchimp"\nschemes = []\n[settings]\nlist_id = "l1"\n'


def test_mailchimp_gets_who_agreed_and_tells_refusals_inside_a_success(tmp_path: Path, mailchimp: MailchimpStub) -> None:
    deployment = a_deployment(tmp_path, mailchimp, mailchimp=MAILCHIMP)
    mailchimp.add("ann@example.org", tags=("golf",), FNAME="Ann, by hand")
    eve = Person("eve", audiences=("vip",), email="eve@example.org", is_consenting=None)
    bad, silent = Person("bad", audiences=("vip",), email="nowhere"), Person("silent", audiences=("vip",))
    new = Person("new", audiences=("vip",), name="Ayşe 😀", email="new@example.org")
    publish_people(deployment.lake, [ANN, BOB, eve, bad, silent, new])
    report = sync(deployment)
    assert report.refused == {"ERROR_GENERIC": 1, "no_email": 1}
    assert {member["email_address"] for member in mailchimp.members.values()} == {"ann@example.org", "new@example.org"}
    assert mailchimp.tags_of("ann@example.org") == {"golf", "seg: Audiences / Vip"}
    by_email = {member["email_address"]: member["merge_fields"] for member in mailchimp.members.values()}
    assert by_email == {
        "ann@example.org": {"FNAME": "Ann, by hand", "CUSTOMERID": "ann"},
        "new@example.org": {"FNAME": "Ayşe 😀", "CUSTOMERID": "new"},
    }
    for member in mailchimp.members.values():
        if member["email_address"] == "new@example.org":
            member["status"] = "unsubscribed"
    report = sync(deployment)
    assert (report.plan.opted_out_count, report.plan.waiting_count) == (1, 2)
    assert mailchimp.tags_of("new@example.org") == set()
    publish_people(deployment.lake, [replace(ANN, audiences=()), new], day=SECOND)
    sync(deployment)
    assert mailchimp.tags_of("ann@example.org") == {"golf"}
    erase_customers(deployment, ["new"])
    assert {member["email_address"] for member in mailchimp.members.values()} == {"ann@example.org"}


def test_a_server_that_fails_for_one_customer_refuses_that_one_alone(tmp_path: Path, hubspot: HubSpotStub, waited: list[float]) -> None:
    deployment = a_deployment(tmp_path, hubspot, hubspot=HUBSPOT)
    answered = hubspot.answer

    def answer(method: str, path: str, query: dict[str, list[str]], content: Any) -> tuple[int, Any]:
        if path.endswith("upsert") and any(each["id"] == "poison" for each in content["inputs"]):
            return 500, {"message": "Internal Server Error"}
        return answered(method, path, query, content)

    hubspot.answer = answer  # type: ignore[method-assign]
    publish_people(deployment.lake, [ANN, BOB, Person("poison", email="p@example.org")])
    report = sync(deployment, waited)
    assert (report.written_count, report.refused) == (2, {"HTTP 500": 1})
    assert len(waited) >= 7


def test_who_is_refused_because_an_earlier_call_came_through_late_is_read_back_and_found(tmp_path: Path, hubspot: HubSpotStub) -> None:
    deployment = a_deployment(tmp_path, hubspot, hubspot=HUBSPOT)
    answered = hubspot.answer

    def answer(method: str, path: str, query: dict[str, list[str]], content: Any) -> tuple[int, Any]:
        if path.endswith("upsert") and not hubspot.contacts:
            answered(method, path, query, content)
            return 409, {"message": "a contact with this value exists"}
        return answered(method, path, query, content)

    hubspot.answer = answer  # type: ignore[method-assign]
    publish_people(deployment.lake, [ANN])
    report = sync(deployment)
    assert (report.written_count, report.refused_count, len(hubspot.contacts)) == (1, 0, 1)


def test_a_sink_that_fails_does_not_hold_up_the_next_one(tmp_path: Path, receiver: ReceiverStub) -> None:
    sinks = {"broken": 'kind = "webhook"\nconnection = "hook"\n[settings]\nx = "y"\n', "post": 'kind = "files"\n'}
    deployment = a_deployment(tmp_path, receiver, **sinks)
    publish_people(deployment.lake, [ANN])
    reports = sync_sinks(deployment)
    assert next(reports).sink == "post"
    with pytest.raises(ConfigError, match=r"settings\.x"):
        next(reports)


def test_a_publication_without_tables_for_a_crm_says_what_to_add(tmp_path: Path) -> None:
    deployment = a_deployment(tmp_path, files='kind = "files"\n')
    publish_tables(deployment.lake, SECOND, {"customer_segments": pa.table({"customer_id": ["ann"]})})
    with pytest.raises(ConfigError) as refused:
        sync(deployment)
    assert "Add [crm] to company.toml" in refused.value.todo


def test_a_server_that_fails_for_everybody_stops_the_sync_and_refuses_few(tmp_path: Path, hubspot: HubSpotStub) -> None:
    deployment = a_deployment(tmp_path, hubspot, hubspot=HUBSPOT)
    answered = hubspot.answer
    hubspot.answer = lambda *call: (502, {}) if call[1].endswith("upsert") else answered(*call)  # type: ignore[method-assign]
    publish_people(deployment.lake, [Person(f"c{number:03}", email=f"c{number}@example.org") for number in range(22)])
    with pytest.raises(TransientError, match="HTTP 502"):
        sync(deployment)
    assert list(rejected_rows(deployment)) == []


def test_too_many_refusals_fail_the_sync_after_everything_else_was_written(tmp_path: Path, receiver: ReceiverStub) -> None:
    deployment = a_deployment(tmp_path, receiver, hook='kind = "webhook"\nconnection = "hook"\n')
    people = [Person(f"c{number:02}") for number in range(12)]
    receiver.refused = {one.customer_id for one in people[:6]}
    publish_people(deployment.lake, people)
    with pytest.raises(DataError, match="hook refused 6 of 12 customers"):
        sync(deployment)
    assert len(receiver.seen) == 6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('kind = "trytn"\n', "did you mean `tryton`"),
        ('kind = "files"\nschemes = ["lifecycl"]\n', "did you mean `lifecycle`"),
        ('kind = "files"\n[fields]\nx = "nmae"\n', "did you mean `name`"),
        ('kind = "files"\n[settings]\nx = "y"\n', "`settings.x` is not a known setting"),
        ('kind = "webhook"\n', "`connection` is missing"),
        ('kind = "no_such_module:Sink"\n', "there is no class"),
        ('kind = "files"\n[limits]\nremoved = 1\n', "did you mean `removed_share`"),
    ],
)
def test_a_sink_that_is_wrong_is_refused_in_words(tmp_path: Path, text: str, said: str) -> None:
    deployment = a_deployment(tmp_path, sink=text)
    publish_people(deployment.lake, [ANN])
    with pytest.raises(ConfigError) as refused:
        sync(deployment)
    assert said.lower() in str(refused.value).lower()
    assert "sinks/sink.toml" in str(refused.value)


def test_parts_are_written_as_the_whole_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = [
        Person(f"c{n:02}", {"lifecycle": "active" if n % 3 else "at_risk"}, ("vip",) * (n % 2), name="=Ann", email=f"{n}@example.org")
        for n in range(17)
    ]
    written = {}
    for name, size in (("whole", 1000), ("parts", 3)):
        monkeypatch.setattr("pipeline.activation.plan.PART_CUSTOMERS", size)
        monkeypatch.setattr("pipeline.activation.members.BATCH", size)
        monkeypatch.setattr("pipeline.activation.sinks.files.PART_ROWS", size)
        deployment = a_deployment(tmp_path / name, files='kind = "files"\n')
        publish_people(deployment.lake, crowd)
        assert sync(deployment).written_count == 17
        publish_people(deployment.lake, [replace(each, audiences=()) for each in crowd[:4]] + crowd[5:], day=SECOND)
        sync(deployment, override_reason="a test")
        folder = deployment.lake.root / "sync" / "files" / "files"
        written[name] = {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    assert written["whole"] == written["parts"]
    assert sum(name.endswith("members.csv") for name in written["parts"]) == 3


def test_a_list_that_was_half_written_when_a_sync_died_is_written_anew(tmp_path: Path) -> None:
    deployment = a_deployment(tmp_path, files='kind = "files"\naudiences = ["vip"]\nschemes = []\n')
    publish_people(deployment.lake, [ANN])
    sync(deployment)
    vip = deployment.lake.root / "sync" / "files" / "files" / "vip"
    (vip / "members.csv.new").write_text("customer_id\nhalf\n")
    publish_people(deployment.lake, [replace(ANN, name="Anna", action="At risk")], day=SECOND)
    sync(deployment)
    assert [row["customer_id"] for row in lines(vip / "members.csv")] == ["ann"]
    assert not (vip / "members.csv.new").exists()


@pytest.mark.parametrize("left", ["members.csv.new", "2024-03-01-001-added.csv.new"])
def test_an_erasure_leaves_nobody_in_a_file_that_was_half_written(tmp_path: Path, left: str) -> None:
    deployment = a_deployment(tmp_path, files='kind = "files"\naudiences = ["vip"]\nschemes = []\n')
    publish_people(deployment.lake, [ANN])
    sync(deployment)
    folder = deployment.lake.root / "sync" / "files" / "files"
    (folder / "vip" / left).write_text("customer_id\nann\n")
    erase_customers(deployment, ["ann"])
    assert not [path for path in folder.rglob("*") if path.is_file() and "ann" in path.read_text("utf-8")]


def test_a_company_that_translates_its_schemes_syncs_with_the_titles_in_its_language(tmp_path: Path) -> None:
    deployment = a_deployment(tmp_path, files='kind = "files"\n')
    for scheme, title in (("lifecycle", "Lebenslauf"), ("rfm", "Kundenwert")):
        file = tmp_path / "company" / "segments" / "translations" / "de" / f"{scheme}.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'title = "{title}"\n', "utf-8")
    publish_people(deployment.lake, [ANN, BOB])
    assert sync(deployment).written_count == 2


def test_files_are_named_by_the_instant_that_is_given(tmp_path: Path) -> None:
    definition = read_sink("files", Definition(tmp_path / "files.toml", 'kind = "files"\n'))
    late = datetime(2024, 3, 31, 23, 30, tzinfo=timezone(timedelta(hours=-2)))
    sink = open_sink(definition, lambda _: "", tmp_path / "files", clock=lambda: late)
    sink.apply([Change("ann", None, frozenset({"vip"}), ("vip",), (), {}, {}, 0)])
    assert [path.name for path in (tmp_path / "files" / "vip").iterdir()] == ["2024-04-01-001-added.csv"]
