"""What a CRM reads: a row keeps its number until it differs, numbers only grow, and who left has a tombstone."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from sqlite3 import connect
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.builders import a_company, write_rows
from support.published_nights import SCHEME, a_row, manifest, no_connections, publications, write_memberships, write_night

from pipeline.definitions.company import Company
from pipeline.definitions.company_sections import CrmSettings
from pipeline.lake.lake import Lake, sorted_by
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.lake.tables import (
    AUDIENCE_MEMBERS,
    CRM_PROFILES,
    CRM_TABLES,
    CUSTOMER_FEATURES,
    CUSTOMER_MERGES,
    CUSTOMER_NEXT_ACTIONS,
    CUSTOMER_PREDICTIONS,
    CUSTOMERS,
    RAW_CONSENTS,
    RAW_CUSTOMER_CONTACTS,
    SEGMENT_MOVES,
    SEGMENT_STRATEGIES,
)
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers
from pipeline.publication.crm.crm_inputs import CrmInputs
from pipeline.publication.crm.seen_tables import seen_tables
from pipeline.publication.crm.staged_tables import HASHED_COLUMNS
from pipeline.publication.crm.writing import write_crm_tables
from pipeline.publication.current import current_publication
from pipeline.publication.publish import publish
from pipeline.publication.rollback import roll_back

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (date(2025, 3, day) for day in (3, 4, 5, 6))
Row = dict[str, Any]


@pytest.fixture
def company(tmp_path: Path) -> Company:
    (tmp_path / "sources").mkdir()
    return a_company(tmp_path, crm=CrmSettings(phone_region="TR"))


@pytest.fixture
def night(company: Company, lake: Lake) -> Callable[..., dict[str, Row]]:
    """Return what writes a night in which each customer has one segment, publishes it and returns its profiles."""

    def write(day: date, segments: dict[str, str], **others: list[Row]) -> dict[str, Row]:
        write_night(lake, company, day, segments)
        for table in (CUSTOMER_FEATURES, CUSTOMER_PREDICTIONS, CUSTOMER_NEXT_ACTIONS, SEGMENT_STRATEGIES, SEGMENT_MOVES):
            if table.name in others:
                write_rows(lake, company.table(table), [a_row(table, **row) for row in others[table.name]], day=day)
        if "audience_members" in others:
            write_members(lake, day, others["audience_members"])
        publish(company, lake, day, connections=no_connections)
        return profiles(lake)

    return write


def write_members(lake: Lake, day: date, rows: list[Row]) -> None:
    members = sorted_by(pa.Table.from_pylist(rows, schema=AUDIENCE_MEMBERS.schema), AUDIENCE_MEMBERS.key)
    lake.write(AUDIENCE_MEMBERS, members.to_batches(), day=day, manifest={"audiences": {}})


def told(lake: Lake, table: str) -> list[Row]:
    rows: list[Row] = pq.read_table(lake.root / "current" / f"{table}.parquet").to_pylist()
    return rows


def profiles(lake: Lake) -> dict[str, Row]:
    return {row["customer_id"]: row for row in told(lake, "crm_profiles")}


def since(rows: dict[str, Row], seen: dict[str, Row]) -> set[str]:
    """Return whom a reader loads who goes by the largest number seen."""
    last = max(row["change_seq"] for row in seen.values())
    return {name for name, row in rows.items() if row["change_seq"] > last}


def in_sqlite(lake: Lake, table: str) -> list[tuple[Any, ...]]:
    with closing(connect(lake.root / "segments.sqlite")) as connection:
        return sorted(connection.execute(f'SELECT * FROM "{table}"').fetchall(), key=repr)


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def require_sqlite_as_published(lake: Lake) -> None:
    for table in CRM_TABLES:
        published = [tuple(_as_sqlite(value) for value in row.values()) for row in told(lake, table.name)]
        assert in_sqlite(lake, table.name) == sorted(published, key=repr), table.name


def _as_sqlite(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%fZ")
    return float(value) if isinstance(value, Decimal) else str(value) if isinstance(value, date) else value


def test_three_changes_and_two_removals_are_five_new_numbers(lake: Lake, night: Callable[..., dict[str, Row]]) -> None:
    first = night(MONDAY, dict.fromkeys("abcdefgh", "loyal"))
    assert {row["is_member"] for row in first.values()} == {True}
    second = night(TUESDAY, {**dict.fromkeys("adef", "loyal"), "b": "lost", "c": "lost", "z": "new"})
    assert since(second, first) == {"b", "c", "z", "g", "h"}
    assert {name for name, row in second.items() if not row["is_member"]} == {"g", "h"}
    assert second["g"]["removal_reason"] == "departed"
    assert second["g"]["segments"] is None
    assert [second[name] for name in "adef"] == [first[name] for name in "adef"]
    changes = [(row["customer_id"], row["change"], row["list_name"]) for row in told(lake, "crm_changes")[len(first) :]]
    assert changes == [
        ("b", "changed", None), ("b", "added", "rfm.lost"), ("b", "removed", "rfm.loyal"),
        ("c", "changed", None), ("c", "added", "rfm.lost"), ("c", "removed", "rfm.loyal"),
        ("g", "removed", None), ("g", "removed", "rfm.loyal"), ("h", "removed", None), ("h", "removed", "rfm.loyal"),
        ("z", "added", None), ("z", "added", "rfm.new"),
    ]  # fmt: skip
    numbers = [row["change_seq"] for row in told(lake, "crm_changes")]
    assert numbers == list(range(1, 21))
    assert second["z"]["change_seq"] == 19
    require_sqlite_as_published(lake)


def test_the_hash_is_that_of_the_documented_text(night: Callable[..., dict[str, Row]]) -> None:
    [row] = night(MONDAY, {"Şule 🙂": "loyal"}).values()
    values = [str(value).lower() if isinstance(value := row[column.name], bool) else value for column in HASHED_COLUMNS]
    text = "".join("~" if value is None else f"{len(str(value))}:{value}" for value in values)
    assert row["row_hash"] == hashlib.sha256(text.encode()).hexdigest()
    assert [column.name for column in CRM_PROFILES.columns][len(HASHED_COLUMNS)] == "row_hash"


def test_lists_are_json_with_sorted_keys_whatever_they_are_called(lake: Lake, company: Company) -> None:
    write_night(lake, company, MONDAY, {"a": "loyal", "b": "new"})
    held = {("a", "rfm"): "loyal", ("a", "city"): 'Ağrı "x"\\\n', ("b", "rfm"): "new"}
    write_memberships(lake, MONDAY, held)
    write_members(lake, MONDAY, [{"customer_id": "a", "audience": each} for each in ("wine", "vip")])
    publish(company, lake, MONDAY, connections=no_connections)
    rows = profiles(lake)
    assert rows["a"]["segments"] == json.dumps({"city": 'Ağrı "x"\\\n', "rfm": "loyal"}, ensure_ascii=False, separators=(",", ":"))
    assert (rows["a"]["audiences"], rows["b"]["audiences"]) == ('["vip","wine"]', "[]")
    assert [(row["list_kind"], row["list_name"]) for row in told(lake, "crm_members") if row["customer_id"] == "a"] == [
        ("audience", "vip"), ("audience", "wine"), ("segment", 'city.Ağrı "x"\\\n'), ("segment", "rfm.loyal")
    ]  # fmt: skip


def test_a_rerun_has_the_same_bytes_and_one_that_differs_goes_on_from_what_was_seen(
    lake: Lake, company: Company, night: Callable[..., dict[str, Row]]
) -> None:
    night(MONDAY, {"a": "loyal", "b": "new"})
    first = night(TUESDAY, {"a": "lost", "b": "new"})
    files = {path.name: path.read_bytes() for path in (lake.root / "current").iterdir()}
    publish(company, lake, TUESDAY, connections=no_connections)
    assert {path.name: path.read_bytes() for path in (lake.root / "current").iterdir()} == files
    again = night(TUESDAY, {"a": "loyal", "b": "new"})
    assert since(again, first) == {"a"}
    assert again["a"]["updated_at"] > first["a"]["updated_at"]
    require_sqlite_as_published(lake)


def test_memory_stays_flat_by_slices_of_customers_which_change_nothing(
    lake: Lake, company: Company, night: Callable[..., dict[str, Row]], monkeypatch: pytest.MonkeyPatch
) -> None:
    night(MONDAY, dict.fromkeys("bcdefg", "loyal"))
    seen = seen_tables(lake, current_publication(lake))
    night(TUESDAY, {**dict.fromkeys("acdf", "loyal"), "b": "lost", "h": "new"})
    monkeypatch.setattr("pipeline.publication.crm.writing.CUSTOMERS_PER_SLICE", 2)
    sliced = lake.root / "sliced"
    shutil.copytree(lake.root / "current", sliced, ignore=shutil.ignore_patterns("crm_*"))
    write_crm_tables(CrmInputs(company, lake, TUESDAY, sliced, seen, MEMORY_LIMIT))
    for table in CRM_TABLES:
        assert (sliced / f"{table.name}.parquet").read_bytes() == (lake.root / "current" / f"{table.name}.parquet").read_bytes()


def test_a_rollback_is_told_as_changes_and_doing_it_twice_is_doing_it_once(
    lake: Lake, company: Company, night: Callable[..., dict[str, Row]]
) -> None:
    monday = night(MONDAY, {"a": "loyal", "b": "new"})
    tuesday = night(TUESDAY, {"a": "lost", "b": "new", "c": "new"})
    to = next(name for name in publications(lake) if name.startswith(str(MONDAY)))
    done = roll_back(company, lake, to=to, connections=no_connections)
    back = profiles(lake)
    assert since(back, tuesday) == {"a", "c"}
    assert (back["a"]["row_hash"], back["c"]["is_member"]) == (monday["a"]["row_hash"], False)
    assert {row["reason"] for row in told(lake, "crm_changes") if row["change_seq"] > manifest(lake)["crm"]["last_change_seq"] - 4} == {
        "rollback"
    }
    assert roll_back(company, lake, to=to, connections=no_connections).to_id == done.to_id
    assert profiles(lake) == back
    forward = night(WEDNESDAY, {"a": "lost", "b": "new", "c": "new"})
    assert since(forward, back) == {"a", "c"}
    assert [row["reason"] for row in told(lake, "crm_changes") if (row["customer_id"], row["list_kind"]) == ("c", None)][-1] == "returned"
    require_sqlite_as_published(lake)


def test_who_withdraws_consent_or_is_merged_has_a_tombstone_that_says_so(
    lake: Lake, company: Company, night: Callable[..., dict[str, Row]]
) -> None:
    company.source_file("consents").write_text("SELECT 1")
    say = [{"customer_id": name, "is_consenting": True} for name in "abc"]
    write_rows(lake, RAW_CONSENTS, say, known_on=MONDAY)
    everybody = dict.fromkeys("abcd", "loyal")
    first = night(MONDAY, everybody)
    assert {name: row["is_consenting"] for name, row in first.items()} == {"a": True, "b": True, "c": True, "d": None}
    say[0]["is_consenting"] = False
    write_rows(lake, RAW_CONSENTS, say, known_on=TUESDAY)
    write_rows(lake, company.table(CUSTOMERS), [{"customer_id": "b", "is_prospect": False}], known_on=TUESDAY)
    merge = {"customer_id": "c", "merged_into": "b", "merged_at": datetime.fromisoformat("2025-03-04T09:00:00+00:00")}
    write_rows(lake, CUSTOMER_MERGES, [merge], known_on=TUESDAY)
    rows = night(TUESDAY, {"a": "loyal", "b": "loyal", "d": "loyal"})
    assert {name: row["removal_reason"] for name, row in rows.items() if not row["is_member"]} == {
        "a": "consent_withdrawn",
        "c": "identity_merge",
    }
    assert rows["a"]["is_consenting"] is False
    assert {row["customer_id"] for row in told(lake, "crm_members")} == {"b", "d"}
    require_sqlite_as_published(lake)
    # On the way back what was said last is respected.
    roll_back(company, lake, connections=no_connections)
    assert {row["customer_id"] for row in told(lake, "crm_members")} == {"b", "c", "d"}
    assert profiles(lake)["a"]["removal_reason"] == "consent_withdrawn"


def test_of_the_erased_the_id_alone_stays_until_readers_know(lake: Lake, company: Company, night: Callable[..., dict[str, Row]]) -> None:
    before = night(MONDAY, {"b": "new", "a": "loyal"})
    erase_customers(Deployment(company, lake, no_connections), ["a"])
    after = profiles(lake)
    assert since(after, before) == {"a"}
    assert {name for name, value in after["a"].items() if value is not None} == {
        "customer_id", "is_member", "removal_reason", "row_hash", "updated_at", "change_seq"
    }  # fmt: skip
    assert (after["a"]["is_member"], after["a"]["removal_reason"]) == (False, "erasure")
    assert [row["reason"] for row in told(lake, "crm_changes") if row["customer_id"] == "a"] == ["erasure"]
    require_sqlite_as_published(lake)
    files = {path.name: path.read_bytes() for path in (lake.root / "current").iterdir()}
    assert erase_customers(Deployment(company, lake, no_connections), ["a"]).row_count == 0
    assert {path.name: path.read_bytes() for path in (lake.root / "current").iterdir()} == files
    assert night(TUESDAY, {"b": "new"}) == after
    assert "a" not in night(date(2025, 4, 15), {"b": "new"})
    assert "a" not in {row["customer_id"] for row in told(lake, "crm_changes")}
    require_sqlite_as_published(lake)


def test_a_prediction_is_renewed_each_month_or_when_anything_else_changes(night: Callable[..., dict[str, Row]]) -> None:
    def predicted(*amounts: float) -> list[Row]:
        return [{"customer_id": name, "expected_spend_amount": each} for name, each in zip("abc", amounts, strict=True)]

    held = {"a": "loyal", "b": "loyal", "c": "loyal"}
    first = night(MONDAY, held, customer_predictions=predicted(10.126, 20, 30))
    assert first["a"]["predicted_spend_amount"] == Decimal("10.13")
    second = night(TUESDAY, {**held, "b": "lost"}, customer_predictions=predicted(11, 21, 31))
    assert since(second, first) == {"b"}
    assert [second[name]["predicted_spend_amount"] for name in "abc"] == [Decimal("10.13"), 21, 30]
    assert [second[name]["predicted_date"] for name in "abc"] == [MONDAY, TUESDAY, MONDAY]
    third = night(date(2025, 4, 1), {**held, "b": "lost"}, customer_predictions=predicted(10.126, 22, 32))
    assert since(third, second) == {"b", "c"}


def test_texts_are_in_the_customers_language_and_what_is_not_translated_is_counted(
    lake: Lake, company: Company, night: Callable[..., dict[str, Row]]
) -> None:
    company.source_file("customer_contacts").write_text("SELECT 1")
    spoken = {"a": "tr-TR", "b": "TR", "c": "fr", "d": None}
    write_rows(lake, RAW_CUSTOMER_CONTACTS, [{"customer_id": name, "language": said} for name, said in spoken.items()], known_on=MONDAY)
    cards = [
        {"scheme": SCHEME, "segment": segment, "language": language, "title": title, "message": message}
        for segment, language, title, message in (
            ("loyal", "en", "Loyal", "Thank them."), ("loyal", "tr", "Sadık", "Teşekkür edin."),
            ("new", "en", "New", "Greet them."), ("new", "tr", "Yeni", "Greet them."),
        )
    ]  # fmt: skip
    held = {"a": "loyal", "b": "new", "c": "loyal", "d": "new"}
    actions = [{"customer_id": name, "scheme": SCHEME, "segment": segment} for name, segment in held.items()]
    rows = night(MONDAY, held, segment_strategies=cards, customer_next_actions=actions)
    assert {name: (row["language"], row["next_action_title"], row["next_action_text"]) for name, row in rows.items()} == {
        "a": ("tr", "Sadık", "Teşekkür edin."),
        "b": ("tr", "Yeni", "Greet them."),
        "c": ("en", "Loyal", "Thank them."),
        "d": ("en", "New", "Greet them."),
    }
    assert rows["a"]["next_action"] == "rfm.loyal"
    assert (manifest(lake)["crm"]["customers_of_unwritten_languages"], manifest(lake)["crm"]["untranslated_cards"]) == (1, 1)


def test_addresses_are_hashed_in_one_form_of_whoever_agreed_and_the_others_are_counted(
    lake: Lake, company: Company, night: Callable[..., dict[str, Row]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for source in ("customer_contacts", "consents"):
        company.source_file(source).write_text("SELECT 1")
    contacts = {
        "a": (" Ada@Example.ORG ", "0532 123 45 67"),
        "b": ("bob@example.org", "+49 30 123456"),
        "c": ("no address", "12"),
        "d": (None, "0532-123-45-68"),
        "e": ("eve@example.org", None),
    }
    rows = [{"customer_id": name, "email": mail, "phone": phone} for name, (mail, phone) in contacts.items()]
    write_rows(lake, RAW_CUSTOMER_CONTACTS, rows, known_on=MONDAY)
    agreed = {"a": True, "b": False, "c": True, "d": True}
    write_rows(lake, RAW_CONSENTS, [{"customer_id": name, "is_consenting": each} for name, each in agreed.items()], known_on=MONDAY)
    members = [{"customer_id": name, "audience": "vip"} for name in contacts]
    night(MONDAY, dict.fromkeys(contacts, "loyal"), audience_members=members)
    hashed = {text: hashlib.sha256(text.encode()).hexdigest() for text in ("ada@example.org", "+905321234567", "+905321234568")}
    assert told(lake, "crm_audiences") == [
        {"customer_id": "a", "list_name": "vip", "email_sha256": hashed["ada@example.org"], "phone_sha256": hashed["+905321234567"]},
        {"customer_id": "d", "list_name": "vip", "email_sha256": None, "phone_sha256": hashed["+905321234568"]},
    ]
    counted = {name: manifest(lake)["crm"][name] for name in ("unusable_emails", "unusable_phones", "audience_members_without_address")}
    assert counted == {"unusable_emails": 1, "unusable_phones": 1, "audience_members_without_address": 1}
    assert manifest(lake)["crm"]["audience_members_without_consent"] == 1  # `e` never answered, `b` is not published at all
    require_sqlite_as_published(lake)
    files = {path.name: path.read_bytes() for path in (lake.root / "current").iterdir()}
    with monkeypatch.context() as patched:  # what one night worked out, the next one does not work out again
        patched.setattr("phonenumbers.parse", _die)
        publish(company, lake, MONDAY, connections=no_connections)
    assert {path.name: path.read_bytes() for path in (lake.root / "current").iterdir()} == files


def test_a_company_that_does_not_ask_has_none_of_it_and_one_that_asks_again_goes_on(
    lake: Lake, company: Company, night: Callable[..., dict[str, Row]]
) -> None:
    seen = night(MONDAY, {"a": "loyal"})
    write_night(lake, company, TUESDAY, {"a": "loyal"})
    publish(replace(company, crm=None), lake, TUESDAY, connections=no_connections)
    assert not [name for name in manifest(lake)["tables"] if name.startswith("crm_")]
    assert in_sqlite(lake, "crm_profiles") == []
    assert not (lake.root / "states").exists()
    assert since(night(WEDNESDAY, {"a": "loyal"}), seen) == {"a"}


def test_what_reached_the_database_counts_as_seen_though_its_run_died(
    lake: Lake, night: Callable[..., dict[str, Row]], monkeypatch: pytest.MonkeyPatch
) -> None:
    night(MONDAY, {"a": "loyal", "b": "new"})
    with monkeypatch.context() as patched:
        patched.setattr("pipeline.publication.publish.make_current", _die)
        with pytest.raises(KeyboardInterrupt):
            night(TUESDAY, {"a": "lost", "b": "new"})
    in_database = max(row[-1] for row in in_sqlite(lake, "crm_profiles"))
    rows = night(TUESDAY, {"a": "loyal", "b": "new"})
    assert rows["a"]["change_seq"] > in_database
    require_sqlite_as_published(lake)


def test_a_damaged_publication_keeps_no_later_night_from_readers(
    lake: Lake, night: Callable[..., dict[str, Row]], caplog: pytest.LogCaptureFixture
) -> None:
    seen = night(MONDAY, {"a": "loyal", "b": "new"})
    file = (lake.root / "current" / "crm_members.parquet").resolve()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert since(night(TUESDAY, {"a": "loyal", "b": "new"}), seen) == {"a", "b"}
    assert "is damaged: every row gets a new number" in caplog.text
    require_sqlite_as_published(lake)


def test_a_table_that_was_changed_by_hand_is_written_anew(lake: Lake, night: Callable[..., dict[str, Row]]) -> None:
    night(MONDAY, {"a": "loyal", "b": "new"})
    with closing(connect(lake.root / "segments.sqlite")) as connection:
        connection.execute("DELETE FROM crm_profiles WHERE customer_id = 'b'")
        connection.commit()
    night(TUESDAY, {"a": "lost", "b": "new"})
    require_sqlite_as_published(lake)
