from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from support.builders import a_company
from support.published_nights import published_segments, write_night
from support.traces import traces

from pipeline.definitions.company import Company
from pipeline.definitions.company_sections import Target
from pipeline.errors import TransientError
from pipeline.ingestion.erased import Ledger
from pipeline.lake.lake import Lake
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers, finish_erasures
from pipeline.publication.publish import publish

MONDAY, TUESDAY = date(2025, 3, 3), date(2025, 3, 4)
ZOE = "Zoë'); DROP TABLE x; -- 7f3a51"
NIGHTS = {MONDAY: {ZOE: "loyal", "bob": "new"}, TUESDAY: {ZOE: "lost", "bob": "new", "7f3": "loyal"}}
UNREACHABLE = "postgresql://nobody@127.0.0.1:1/nowhere"


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return a_company(tmp_path, target=Target(kind="postgresql", connection="warehouse"))


@pytest.fixture
def published(company: Company, lake: Lake, postgres_uri: str) -> Lake:
    for day, segments in NIGHTS.items():
        write_night(lake, company, day, segments)
        publish(company, lake, day, connections=lambda _: postgres_uri)
    return lake


def rows(uri: str, table: str, columns: str) -> list[tuple[Any, ...]]:
    query = sql.SQL("SELECT {} FROM segments.{}").format(sql.SQL(columns), sql.Identifier(table))  # type: ignore[arg-type]
    with psycopg.connect(uri) as connection:
        return sorted(connection.execute(query).fetchall())


def test_the_rows_of_an_erased_customer_leave_the_schema_and_nothing_else_does(
    company: Company, published: Lake, postgres_uri: str
) -> None:
    with psycopg.connect(postgres_uri) as operator:
        operator.execute("CREATE TABLE segments.our_own (customer_id text)")
        operator.execute("INSERT INTO segments.our_own VALUES (%s)", [ZOE])
    profiles = rows(postgres_uri, "segment_profiles", "*")
    receipt = erase_customers(Deployment(company, published, lambda _: postgres_uri), [ZOE])
    assert {place: counts["rows"] for place, counts in receipt.removed.items() if place.startswith("postgresql")} == {
        "postgresql/customer_segments": 1,
        "postgresql/customer_segment_history": 2,
        "postgresql/customer_profiles": 1,
        "postgresql/customer_next_actions": 1,
        "postgresql/segment_moves": 2,
    }
    assert rows(postgres_uri, "customer_segments", "customer_id, segment") == [("7f3", "loyal"), ("bob", "new")]
    assert rows(postgres_uri, "customer_segment_history", "customer_id, valid_from") == [("7f3", TUESDAY), ("bob", MONDAY)]
    assert rows(postgres_uri, "segment_profiles", "*") == profiles
    assert rows(postgres_uri, "our_own", "customer_id") == [(ZOE,)]
    ids = {path.name for path in (published.root / "publications").iterdir()}
    assert {name for _, name in rows(postgres_uri, "publications", "day, publication_id")} == ids


def test_a_database_out_of_reach_keeps_the_erasure_pending_while_the_lake_is_clean(
    company: Company, published: Lake, postgres_uri: str
) -> None:
    with pytest.raises(TransientError):
        erase_customers(Deployment(company, published, lambda _: UNREACHABLE), [ZOE])
    assert traces(published, "7f3a51") == set()
    assert set(published_segments(published)) == {"bob", "7f3"}
    assert Ledger(published).pending_requests() == ["000001"]
    [receipt] = finish_erasures(Deployment(company, published, lambda _: postgres_uri))
    assert receipt.removed["postgresql/customer_segments"] == {"rows": 1}
    assert receipt.removed["tables/customer_segments"] == {"files": 2, "rows": 2}
    assert rows(postgres_uri, "customer_segments", "customer_id") == [("7f3",), ("bob",)]


def test_a_schema_that_nothing_was_published_to_has_nothing_to_erase(company: Company, lake: Lake, postgres_uri: str) -> None:
    assert erase_customers(Deployment(company, lake, lambda _: postgres_uri), [ZOE]).removed == {}
