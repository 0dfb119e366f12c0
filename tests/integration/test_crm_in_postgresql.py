"""The tables of a CRM in PostgreSQL: the columns of the publication, addresses in a schema apart, and public readers that load them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from psycopg import sql
from support.builders import a_company, write_rows
from support.crm_readers import install_readers, read_with_dlt, read_with_ingestr
from support.published_nights import published_segments, write_night

from pipeline.definitions.company import Company
from pipeline.definitions.company_sections import CrmSettings, Target
from pipeline.lake.lake import Lake
from pipeline.lake.tables import AUDIENCE_MEMBERS, CRM_AUDIENCES, CRM_TABLES, RAW_CONSENTS, RAW_CUSTOMER_CONTACTS
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers
from pipeline.publication.publish import publish

MONDAY, TUESDAY = date(2025, 3, 3), date(2025, 3, 4)
FIRST = dict.fromkeys("abcdefgh", "loyal")
SECOND = {"a": "loyal", "b": "lost", "c": "lost", "d": "loyal", "e": "loyal", "f": "loyal", "z": "new"}
ARRIVING = {("b", True), ("c", True), ("z", True), ("g", False), ("h", False)}


@pytest.fixture
def company(tmp_path: Path) -> Company:
    (tmp_path / "sources").mkdir()
    for source in ("consents", "customer_contacts"):
        (tmp_path / "sources" / f"{source}.sql").write_text("SELECT 1")
    return a_company(tmp_path, crm=CrmSettings(), target=Target(kind="postgresql", connection="warehouse"))


@pytest.fixture
def publish_night(company: Company, lake: Lake, postgres_uri: str) -> Callable[[date, dict[str, str]], None]:
    def publish_it(day: date, segments: dict[str, str]) -> None:
        write_night(lake, company, day, segments)
        write_rows(lake, RAW_CONSENTS, [{"customer_id": name, "is_consenting": True} for name in segments], known_on=day)
        contacts = [{"customer_id": name, "email": f"{name}@example.org"} for name in segments]
        write_rows(lake, RAW_CUSTOMER_CONTACTS, contacts, known_on=day)
        members = [{"customer_id": name, "audience": "vip"} for name in sorted(segments)]
        batch = pa.RecordBatch.from_pylist(members, schema=AUDIENCE_MEMBERS.schema)
        lake.write(AUDIENCE_MEMBERS, [batch], day=day, manifest={"audiences": {}})
        publish(company, lake, day, connections=lambda _: postgres_uri)

    return publish_it


def rows(uri: str, table: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(uri) as connection:
        connection.execute("SET TIME ZONE 'UTC'")
        query = sql.SQL("SELECT * FROM {} ORDER BY 1, 2, 3").format(sql.Identifier(*table.split(".")))
        return connection.execute(query).fetchall()


def require_as_published(uri: str, lake: Lake) -> None:
    for table in CRM_TABLES:
        place = f"segments_audiences.{table.name}" if table is CRM_AUDIENCES else f"segments.{table.name}"
        published = [tuple(row.values()) for row in pq.read_table(lake.root / "current" / f"{table.name}.parquet").to_pylist()]
        assert sorted(rows(uri, place), key=repr) == sorted(map(_as_psycopg, published), key=repr), table.name


def _as_psycopg(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.astimezone(ZoneInfo("UTC")) if isinstance(value, datetime) else value for value in row)


def test_postgresql_has_what_is_published_and_addresses_are_granted_apart(
    company: Company, lake: Lake, postgres_uri: str, publish_night: Callable[[date, dict[str, str]], None]
) -> None:
    publish_night(MONDAY, FIRST)
    require_as_published(postgres_uri, lake)
    publish_night(TUESDAY, SECOND)
    require_as_published(postgres_uri, lake)
    erase_customers(Deployment(company, lake, lambda _: postgres_uri), ["a"])
    assert "a" not in published_segments(lake)
    require_as_published(postgres_uri, lake)
    with psycopg.connect(postgres_uri, autocommit=True) as connection:
        connection.execute("CREATE ROLE salesperson")
        try:
            connection.execute("GRANT USAGE ON SCHEMA segments TO salesperson")
            connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA segments TO salesperson")
            connection.execute("SET ROLE salesperson")
            assert connection.execute("SELECT count(*) FROM segments.crm_members").fetchone() == (12,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("SELECT 1 FROM segments_audiences.crm_audiences")
        finally:
            connection.execute("RESET ROLE")
            connection.execute("DROP OWNED BY salesperson")
            connection.execute("DROP ROLE salesperson")


def test_public_readers_load_three_changes_and_two_removals_and_no_more(
    postgres_uri: str, publish_night: Callable[[date, dict[str, str]], None], tmp_path: Path
) -> None:
    install_readers()
    state = tmp_path / "state"
    state.mkdir()
    publish_night(MONDAY, FIRST)
    assert sorted(row["customer_id"] for row in read_with_dlt(postgres_uri, state)) == sorted(FIRST)
    read_with_ingestr(postgres_uri, "loaded.profiles", state)
    seen = max(row[-2] for row in rows(postgres_uri, "segments.crm_profiles"))
    publish_night(TUESDAY, SECOND)
    assert sorted((row["customer_id"], row["is_member"]) for row in read_with_dlt(postgres_uri, state)) == sorted(ARRIVING)
    assert read_with_dlt(postgres_uri, state) == []
    with psycopg.connect(postgres_uri) as connection:
        since = connection.execute("SELECT min(updated_at) FROM segments.crm_profiles WHERE updated_at > %s", [seen]).fetchone()
    assert since
    read_with_ingestr(postgres_uri, "loaded.profiles", state, since=since[0].isoformat())
    read_with_ingestr(postgres_uri, "loaded.arrivals", state, since=since[0].isoformat())
    assert _loaded(postgres_uri, "arrivals") == dict(ARRIVING)
    assert _loaded(postgres_uri, "profiles") == {**dict.fromkeys("abcdefz", True), "g": False, "h": False}


def _loaded(uri: str, table: str) -> dict[str, bool]:
    with psycopg.connect(uri) as connection:
        return dict(connection.execute(sql.SQL("SELECT customer_id, is_member FROM loaded.{}").format(sql.Identifier(table))).fetchall())
