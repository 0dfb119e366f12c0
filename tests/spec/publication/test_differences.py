"""A database target gets the rows that differ, and everything where it is in doubt whether it holds what was published before."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from support.builders import a_company, an_attribute, write_rows
from support.published_nights import a_row, no_connections, target_rows, write_night

from pipeline.lake.tables import AUDIENCE_MEMBERS, AUDIENCES, CUSTOMER_FEATURES, CUSTOMER_NEXT_ACTIONS, CUSTOMER_PREDICTIONS, Column, Kind
from pipeline.publication.publish import publish
from pipeline.publication.rollback import roll_back
from pipeline.publication.targets import sqlite

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.definitions.company import Company
    from pipeline.lake.lake import Lake
    from pipeline.publication.targets.tables import TargetTable

MONDAY, TUESDAY, WEDNESDAY = (date(2025, 3, day) for day in (3, 4, 5))
CUSTOMERS = {f"c{number:03}": "loyal" for number in range(60)}
NEXT = {**CUSTOMERS, "c001": "lost", "new": "loyal"}
del NEXT["c002"]


@pytest.fixture(autouse=True)
def _compare_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.publication.targets.target_state.FEWEST_ROWS", 0)


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return a_company(tmp_path, attributes=(an_attribute(Column("language", Kind.TEXT, "")),), customer_language="language")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Return how many rows the last publication sent into each table of the database."""
    counts: dict[str, int] = {}
    load = sqlite._SQLiteSession.load

    def counting(self: sqlite._SQLiteSession, table: TargetTable, batches: Iterable[pa.RecordBatch]) -> None:
        def counted() -> Iterator[pa.RecordBatch]:
            for batch in batches:
                counts[table.name] += batch.num_rows
                yield batch

        counts[table.name] = 0
        load(self, table, counted())

    monkeypatch.setattr(sqlite._SQLiteSession, "load", counting)
    return counts


def published(company: Company, lake: Lake, day: date, segments: dict[str, str]) -> None:
    write_night(lake, company, day, segments)
    publish(company, lake, day, connections=no_connections)


def held(lake: Lake) -> dict[str, str]:
    return {row[0]: row[2] for row in target_rows(lake.root / "segments.sqlite")["customer_segments"]}


def change(lake: Lake, statement: str) -> None:
    with closing(sqlite3.connect(lake.root / "segments.sqlite")) as connection, connection:
        connection.execute(statement)


def test_a_night_sends_what_differs_from_the_one_before(company: Company, lake: Lake, sent: dict[str, int]) -> None:
    published(company, lake, MONDAY, CUSTOMERS)
    assert (sent["customer_segments"], sent.get("staged_customer_segments")) == (len(CUSTOMERS), None)  # tables without a row are filled
    published(company, lake, TUESDAY, NEXT)
    assert (sent["staged_customer_segments"], sent["gone_customer_segments"]) == (2, 1)
    assert (sent["staged_customer_profiles"], sent["gone_customer_profiles"]) == (1, 1)
    assert (sent["staged_customer_predictions"], sent["gone_customer_predictions"]) == (0, 0)  # nothing is predicted
    assert held(lake) == NEXT
    history = target_rows(lake.root / "segments.sqlite")["customer_segment_history"]
    assert [row for row in history if row[4] or row[3] == str(TUESDAY)] == [
        ("c001", "rfm", "lost", "2025-03-04", None),
        ("c001", "rfm", "loyal", "2025-03-03", "2025-03-04"),
        ("c002", "rfm", "loyal", "2025-03-03", "2025-03-04"),
        ("new", "rfm", "loyal", "2025-03-04", None),
    ]


@pytest.mark.parametrize("emptied", ["customer_segments", "customer_profiles", "customer_segment_history"])
def test_a_table_that_somebody_emptied_is_filled_beside_what_others_hold(company: Company, lake: Lake, emptied: str) -> None:
    published(company, lake, MONDAY, CUSTOMERS)
    change(lake, f"DELETE FROM {emptied}")
    published(company, lake, TUESDAY, NEXT)
    tables = target_rows(lake.root / "segments.sqlite")
    assert held(lake) == NEXT
    assert {row[0] for row in tables["customer_profiles"]} == NEXT.keys()
    is_open = {row[0]: row[2] for row in tables["customer_segment_history"] if row[4] is None}
    assert is_open == NEXT
    since = {row[0]: row[3] for row in tables["customer_segment_history"] if row[4] is None}
    assert (since["c000"] == str(TUESDAY)) is (emptied == "customer_segment_history")


def test_small_publications_are_sent_whole(company: Company, lake: Lake, sent: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.publication.targets.target_state.FEWEST_ROWS", len(CUSTOMERS) + 1)
    published(company, lake, MONDAY, CUSTOMERS)
    published(company, lake, TUESDAY, NEXT)
    assert sent["staged_customer_segments"] == len(NEXT)


def test_a_rerun_and_a_rollback_send_everything(company: Company, lake: Lake, sent: dict[str, int]) -> None:
    published(company, lake, MONDAY, CUSTOMERS)
    published(company, lake, TUESDAY, NEXT)
    published(company, lake, TUESDAY, CUSTOMERS)
    assert sent["staged_customer_segments"] == len(CUSTOMERS)
    roll_back(company, lake, connections=no_connections)
    assert sent["staged_customer_segments"] == len(CUSTOMERS)
    published(company, lake, WEDNESDAY, NEXT)
    assert sent["staged_customer_segments"] == 2
    assert held(lake) == NEXT


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE customer_segments SET segment = 'mine' WHERE customer_id = 'c050'",
        "DELETE FROM customer_profiles WHERE customer_id = 'c050'",
        "UPDATE customer_segment_history SET segment = 'mine' WHERE customer_id = 'c050'",
        "DROP TABLE customer_predictions",
        "DELETE FROM publication_state",
        "UPDATE publication_state SET publication_id = 'another'",
    ],
)
def test_what_somebody_changed_is_put_right_by_the_next_night(company: Company, lake: Lake, sent: dict[str, int], statement: str) -> None:
    published(company, lake, MONDAY, CUSTOMERS)
    change(lake, statement)
    published(company, lake, TUESDAY, CUSTOMERS)
    assert sent["staged_customer_segments"] == len(CUSTOMERS)
    rows = target_rows(lake.root / "segments.sqlite")
    assert held(lake) == CUSTOMERS
    assert len(rows["customer_profiles"]) == len(CUSTOMERS)
    assert len(rows["customer_next_actions"]) == 1
    assert {row[2] for row in rows["customer_segment_history"] if row[4] is None} == {"loyal"}


def test_who_only_reads_puts_nothing_in_doubt(company: Company, lake: Lake, sent: dict[str, int]) -> None:
    published(company, lake, MONDAY, CUSTOMERS)
    target_rows(lake.root / "segments.sqlite")
    published(company, lake, TUESDAY, NEXT)
    assert sent["staged_customer_segments"] == 2


def test_customers_spoken_to_in_another_way_are_sent_anew(company: Company, lake: Lake, sent: dict[str, int], tmp_path: Path) -> None:
    published(company, lake, MONDAY, CUSTOMERS)
    published(a_company(tmp_path, attributes=company.attributes, language="de"), lake, TUESDAY, CUSTOMERS)
    assert sent["staged_customer_profiles"] == len(CUSTOMERS)
    assert {row[6] for row in target_rows(lake.root / "segments.sqlite")["customer_profiles"]} == {"de"}


def test_a_profile_differs_by_the_language_and_by_the_next_action(company: Company, lake: Lake, sent: dict[str, int]) -> None:
    published(company, lake, MONDAY, CUSTOMERS)
    write_night(lake, company, TUESDAY, CUSTOMERS)
    features = company.table(CUSTOMER_FEATURES)
    languages = {"c010": "EN-gb", "c011": "xx"}  # the first is a language of cards, and so is what stands for the second
    write_rows(lake, features, [a_row(features, customer_id=each, language=languages.get(each)) for each in CUSTOMERS], day=TUESDAY)
    row = a_row(CUSTOMER_NEXT_ACTIONS, customer_id="c012", scheme="rfm", segment="loyal")
    write_rows(lake, CUSTOMER_NEXT_ACTIONS, [row], day=TUESDAY)
    predicted = [a_row(CUSTOMER_PREDICTIONS, customer_id=each, expected_spend_amount=1.5 if each == "c013" else None) for each in CUSTOMERS]
    write_rows(lake, CUSTOMER_PREDICTIONS, predicted, day=TUESDAY)
    publish(company, lake, TUESDAY, connections=no_connections)
    # c000 had the action of Monday.
    assert (sent["staged_customer_profiles"], sent["staged_customer_next_actions"], sent["gone_customer_next_actions"]) == (4, 1, 1)
    assert (sent["staged_customer_predictions"], sent["gone_customer_predictions"]) == (1, 0)
    profiles = {row[0]: row[7:] for row in target_rows(lake.root / "segments.sqlite")["customer_profiles"] if row[7]}
    assert profiles == {"c012": ("rfm", "loyal", None)}


def test_tables_that_only_one_of_two_publications_has_are_sent_whole(company: Company, lake: Lake, sent: dict[str, int]) -> None:
    published(company, lake, MONDAY, CUSTOMERS)
    members = [a_row(AUDIENCE_MEMBERS, audience="vip", customer_id=each) for each in ("c001", "c002")]
    for day in (TUESDAY, WEDNESDAY):
        write_night(lake, company, day, CUSTOMERS)
        lake.write(
            AUDIENCE_MEMBERS, pa.Table.from_pylist(members, AUDIENCE_MEMBERS.schema).to_batches(), day=day, manifest={"audiences": {}}
        )
        write_rows(lake, AUDIENCES, [a_row(AUDIENCES, audience="vip")], day=day)
        publish(company, lake, day, connections=no_connections)
        assert sent["staged_customer_segments"] == 0
        assert sent["staged_audience_members"] == (2 if day == TUESDAY else 0)


def test_a_damaged_publication_is_compared_with_nothing(
    company: Company, lake: Lake, sent: dict[str, int], caplog: pytest.LogCaptureFixture
) -> None:
    published(company, lake, MONDAY, CUSTOMERS)
    path = lake.root / "current" / "customer_segments.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        published(company, lake, TUESDAY, NEXT)
    assert "cannot be compared with" in caplog.text
    assert sent["staged_customer_segments"] == len(NEXT)
    assert held(lake) == NEXT
