from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from support.builders import a_company, write_rows
from support.published_nights import (
    SCHEME,
    TARGET_TABLES,
    a_row,
    no_connections,
    published_segments,
    target_rows,
    write_memberships,
    write_night,
)

from pipeline.definitions.company_sections import Target
from pipeline.errors import ConfigError, DataError, TransientError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import SEGMENT_PROFILES
from pipeline.publication.publish import current_publication, publish
from pipeline.publication.targets import postgresql
from pipeline.publication.targets.postgresql_connection import require_reachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import LiteralString

    import pyarrow as pa

    from pipeline.definitions.company import Company
    from pipeline.publication.targets.tables import TargetTable

    Connections = Callable[[str], str]
    Operator = psycopg.Connection

NIGHTS = {
    date(2025, 3, 3): {"ada": "loyal", "bob": "new", "cleo": "lost"},
    date(2025, 3, 4): {"ada": "loyal", "bob": "loyal", "cleo": "lost", "dan": "new"},
    date(2025, 3, 5): {"ada": "loyal", "bob": "loyal", "dan": "lost"},
    date(2025, 3, 6): {"ada": "lost", "bob": "new", "cleo": "new", "dan": "lost"},
}
MONDAY, TUESDAY, WEDNESDAY, THURSDAY = NIGHTS
RERUN_OF_THURSDAY = {"ada": "loyal", "bob": "loyal", "cleo": "new", "eve": "new"}


def a_target(schema: str = "segments") -> Target:
    return Target(kind="postgresql", connection="warehouse", schema=schema)


@pytest.fixture(autouse=True)
def _compare_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the small nights of these tests go the way of large ones: rows that differ are sent."""
    monkeypatch.setattr("pipeline.publication.targets.target_state.FEWEST_ROWS", 0)


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return a_company(tmp_path, target=a_target())


@pytest.fixture
def connections(postgres_uri: str) -> Connections:
    return {"warehouse": postgres_uri}.__getitem__


@pytest.fixture
def operator(postgres_uri: str) -> Iterator[Operator]:
    """Return a second connection, of someone who looks, locks and kills."""
    with psycopg.connect(postgres_uri, autocommit=True) as connection:
        yield connection


def published_nights(company: Company, lake: Lake, connections: Connections) -> None:
    for day, segments in NIGHTS.items():
        write_night(lake, company, day, segments)
        publish(company, lake, day, connections=connections)


def rows(operator: Operator, table: str, columns: str = "*", schema: str = "segments") -> list[tuple[Any, ...]]:
    query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(columns), sql.Identifier(schema, table))
    return sorted(operator.execute(query).fetchall(), key=repr)


def everything(operator: Operator) -> dict[str, list[tuple[Any, ...]]]:
    return {table: rows(operator, table) for table in TARGET_TABLES}


def test_history_says_who_was_where_and_when(company: Company, lake: Lake, connections: Connections, operator: Operator) -> None:
    published_nights(company, lake, connections)
    assert rows(operator, "customer_segment_history", "customer_id, segment, valid_from, valid_to") == sorted([
        ("ada", "loyal", MONDAY, THURSDAY), ("ada", "lost", THURSDAY, None),
        ("bob", "new", MONDAY, TUESDAY), ("bob", "loyal", TUESDAY, THURSDAY), ("bob", "new", THURSDAY, None),
        ("cleo", "lost", MONDAY, WEDNESDAY), ("cleo", "new", THURSDAY, None),
        ("dan", "new", TUESDAY, WEDNESDAY), ("dan", "lost", WEDNESDAY, None),
    ], key=repr)  # fmt: skip
    assert dict(rows(operator, "customer_segments", "customer_id, segment")) == NIGHTS[THURSDAY]
    assert [row[0] for row in rows(operator, "publications")] == list(NIGHTS)


def test_a_rerun_of_the_last_day_corrects_its_intervals(company: Company, lake: Lake, connections: Connections, operator: Operator) -> None:
    published_nights(company, lake, connections)
    write_night(lake, company, THURSDAY, RERUN_OF_THURSDAY)
    publish(company, lake, THURSDAY, connections=connections)
    assert rows(operator, "customer_segment_history", "customer_id, segment, valid_from, valid_to") == sorted([
        ("ada", "loyal", MONDAY, None),
        ("bob", "new", MONDAY, TUESDAY), ("bob", "loyal", TUESDAY, None),
        ("cleo", "lost", MONDAY, WEDNESDAY), ("cleo", "new", THURSDAY, None),
        ("dan", "new", TUESDAY, WEDNESDAY), ("dan", "lost", WEDNESDAY, THURSDAY),
        ("eve", "new", THURSDAY, None),
    ], key=repr)  # fmt: skip
    assert dict(rows(operator, "customer_segments", "customer_id, segment")) == RERUN_OF_THURSDAY


def test_a_rerun_is_a_run(company: Company, lake: Lake, connections: Connections, operator: Operator) -> None:
    published_nights(company, lake, connections)
    once = everything(operator)
    publish(company, lake, THURSDAY, connections=connections)
    assert everything(operator) == once


def test_both_databases_hold_the_same(tmp_path: Path, company: Company, lake: Lake, connections: Connections, operator: Operator) -> None:
    published_nights(company, lake, connections)
    embedded = Lake(tmp_path / "embedded")
    published_nights(a_company(tmp_path), embedded, no_connections)
    as_text = {
        table: sorted([tuple(str(v) if isinstance(v, date | Decimal) else v for v in row) for row in found], key=repr)
        for table, found in everything(operator).items()
    }
    assert as_text == target_rows(embedded.root / "segments.sqlite")


def test_only_what_changed_is_written(company: Company, lake: Lake, connections: Connections, operator: Operator) -> None:
    write_night(lake, company, MONDAY, NIGHTS[MONDAY])
    publish(company, lake, MONDAY, connections=connections)
    before = dict(rows(operator, "customer_segments", "customer_id, xmin::text"))
    write_night(lake, company, TUESDAY, NIGHTS[TUESDAY])
    publish(company, lake, TUESDAY, connections=connections)
    after = dict(rows(operator, "customer_segments", "customer_id, xmin::text"))
    assert {customer for customer in before if before[customer] == after[customer]} == {"ada", "cleo"}


@pytest.mark.parametrize(
    ("statement", "sent_count"),
    [
        ("SELECT count(*) FROM segments.customer_segments", 2),
        ("VACUUM FREEZE segments.customer_segments", 2),
        ("UPDATE segments.customer_segments SET segment = 'mine' WHERE customer_id = 'ada'", 4),
        ("UPDATE segments.customer_segment_history SET valid_from = '2025-01-01' WHERE customer_id = 'ada'", 4),
        ("DELETE FROM segments.customer_profiles WHERE customer_id = 'ada'", 4),
        ("TRUNCATE segments.publication_state", 4),
        ("UPDATE segments.publication_state SET write_mark = '1000000000'", 4),  # restored from a dump of another server
    ],
)
def test_what_differs_is_sent_and_everything_once_somebody_else_wrote(
    company: Company,
    lake: Lake,
    connections: Connections,
    operator: Operator,
    monkeypatch: pytest.MonkeyPatch,
    statement: LiteralString,
    sent_count: int,
) -> None:
    sent: dict[str, int] = {}
    load = postgresql._PostgreSQLSession.load

    def counting(self: postgresql._PostgreSQLSession, table: TargetTable, batches: Iterable[pa.RecordBatch]) -> None:
        listed = list(batches)
        sent[table.name] = sum(batch.num_rows for batch in listed)
        load(self, table, listed)

    monkeypatch.setattr(postgresql._PostgreSQLSession, "load", counting)
    write_night(lake, company, MONDAY, NIGHTS[MONDAY])
    publish(company, lake, MONDAY, connections=connections)
    operator.execute(statement)
    write_night(lake, company, TUESDAY, NIGHTS[TUESDAY])
    publish(company, lake, TUESDAY, connections=connections)
    assert sent["staged_customer_segments"] == sent_count
    assert dict(rows(operator, "customer_segments", "customer_id, segment")) == NIGHTS[TUESDAY]
    assert {row[0] for row in rows(operator, "customer_profiles")} == NIGHTS[TUESDAY].keys()


@pytest.mark.parametrize("table", ["customer_profiles", "segment_strategies"])
def test_profiles_and_cards_that_say_the_same_are_not_written_again(
    company: Company, lake: Lake, connections: Connections, operator: Operator, table: str
) -> None:
    write_night(lake, company, MONDAY, NIGHTS[MONDAY])
    publish(company, lake, MONDAY, connections=connections)
    before = rows(operator, table, "ctid::text, xmin::text")
    write_night(lake, company, TUESDAY, NIGHTS[MONDAY])
    publish(company, lake, TUESDAY, connections=connections)
    assert rows(operator, table, "ctid::text, xmin::text") == before


def test_one_select_reads_the_cards_of_a_customer_and_the_view_keeps_who_may_read_it(
    company: Company, lake: Lake, connections: Connections, operator: Operator
) -> None:
    published_nights(company, lake, connections)
    operator.execute("CREATE ROLE crm")
    operator.execute("GRANT USAGE ON SCHEMA segments TO crm")
    operator.execute("GRANT SELECT ON segments.customer_strategies TO crm")
    publish(company, lake, THURSDAY, connections=connections)
    operator.execute("SET ROLE crm")
    try:
        query = "SELECT scheme, segment, valid_from, language, title FROM segments.customer_strategies WHERE customer_id = 'ada'"
        assert operator.execute(query).fetchall() == [(SCHEME, "lost", THURSDAY, "en", None)]
    finally:
        operator.execute("RESET ROLE")
        operator.execute("DROP OWNED BY crm")
        operator.execute("DROP ROLE crm")


def test_an_older_day_changes_nothing_even_when_the_lake_is_new(
    tmp_path: Path, company: Company, lake: Lake, connections: Connections, operator: Operator
) -> None:
    published_nights(company, lake, connections)
    before = everything(operator)
    write_night(lake, company, TUESDAY, NIGHTS[MONDAY])
    publish(company, lake, TUESDAY, connections=connections)
    other = Lake(tmp_path / "other")
    write_night(other, company, TUESDAY, NIGHTS[MONDAY])
    publish(company, other, TUESDAY, connections=connections)
    assert everything(operator) == before
    assert published_segments(lake) == NIGHTS[THURSDAY]


def test_types_are_exact(company: Company, lake: Lake, connections: Connections, operator: Operator) -> None:
    write_night(lake, company, MONDAY, NIGHTS[MONDAY])
    exact = a_row(SEGMENT_PROFILES, scheme=SCHEME, segment="loyal", spend_amount=Decimal("12345678901234.5678"), spend_share=1 / 3)
    write_rows(lake, SEGMENT_PROFILES, [exact], day=MONDAY)
    publish(company, lake, MONDAY, connections=connections)
    assert rows(operator, "segment_profiles", "day, spend_amount, spend_share, customer_count, mean_recency_days") == [
        (MONDAY, Decimal("12345678901234.5678"), 1 / 3, 1, None)
    ]


def test_every_text_arrives_as_it_is(company: Company, lake: Lake, connections: Connections, operator: Operator) -> None:
    texts = ["", " ", "\\N", "\\.", "a\n\\.\nb", "tab\tand\rreturn", "\"quoted\", 'twice'", "İstanbul ß 🛒", "back\\slash\\t", "%s {0} $1"]
    write_night(lake, company, MONDAY, {})
    write_memberships(lake, MONDAY, {(text, SCHEME): f"<{text}>" for text in texts}, evidence=None)
    publish(company, lake, MONDAY, connections=connections)
    assert dict(rows(operator, "customer_segments", "customer_id, segment")) == {text: f"<{text}>" for text in texts}
    assert {evidence for (evidence,) in rows(operator, "customer_segments", "evidence")} == {None}


def test_a_text_that_postgresql_cannot_hold_is_refused_without_showing_it(
    company: Company, lake: Lake, connections: Connections, operator: Operator
) -> None:
    published_nights(company, lake, connections)
    before, current = everything(operator), current_publication(lake)
    write_memberships(lake, THURSDAY, {("secret\0ada", SCHEME): "loyal"})
    with pytest.raises(DataError) as refused:
        publish(company, lake, THURSDAY, connections=connections)
    assert "secret" not in str(refused.value)
    assert (everything(operator), current_publication(lake)) == (before, current)


def test_a_schema_may_have_any_name(tmp_path: Path, lake: Lake, connections: Connections, operator: Operator) -> None:
    schema = 'My "Segments"; DROP TABLE x, public'
    published_nights(a_company(tmp_path, target=a_target(schema)), lake, connections)
    assert dict(rows(operator, "customer_segments", "customer_id, segment", schema)) == NIGHTS[THURSDAY]
    found = operator.execute(
        "SELECT DISTINCT table_schema FROM information_schema.tables WHERE table_name = ANY(%s)", [list(TARGET_TABLES)]
    )
    assert found.fetchall() == [(schema,)]


def test_a_role_that_may_create_nothing_publishes_into_tables_that_exist(
    company: Company, lake: Lake, connections: Connections, operator: Operator, postgres_uri: str
) -> None:
    published_nights(company, lake, connections)
    operator.execute("DROP ROLE IF EXISTS publisher")
    operator.execute("CREATE ROLE publisher LOGIN")
    operator.execute("GRANT USAGE ON SCHEMA segments TO publisher")
    operator.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA segments TO publisher")
    try:
        write_night(lake, company, THURSDAY, RERUN_OF_THURSDAY)
        publish(company, lake, THURSDAY, connections=lambda _: f"{postgres_uri}&options=-crole%3Dpublisher")
        assert dict(rows(operator, "customer_segments", "customer_id, segment")) == RERUN_OF_THURSDAY
    finally:
        operator.execute("DROP OWNED BY publisher")
        operator.execute("DROP ROLE publisher")


def test_a_role_without_rights_is_told_so(company: Company, lake: Lake, operator: Operator, postgres_uri: str) -> None:
    operator.execute("DROP ROLE IF EXISTS stranger")
    operator.execute("CREATE ROLE stranger LOGIN")
    try:
        write_night(lake, company, MONDAY, NIGHTS[MONDAY])
        with pytest.raises(ConfigError, match=r'CREATE SCHEMA "segments" AUTHORIZATION "stranger";'):
            publish(company, lake, MONDAY, connections=lambda _: f"{postgres_uri}&options=-crole%3Dstranger")
    finally:
        operator.execute("DROP ROLE stranger")
    assert current_publication(lake) is None


@pytest.mark.parametrize(
    ("uri", "kind"),
    [("postgresql://ada:hunter2@127.0.0.1:1/x?connect_timeout=2", TransientError), ("postgresql://ada:hunter2@/x?sslmood=1", ConfigError)],
    ids=["no server", "no such setting"],
)
def test_no_message_holds_a_password(company: Company, lake: Lake, uri: str, kind: type[Exception]) -> None:
    write_night(lake, company, MONDAY, NIGHTS[MONDAY])
    with pytest.raises(kind) as failed:
        publish(company, lake, MONDAY, connections=lambda _: uri)
    assert "hunter2" not in str(failed.value)
    assert "warehouse" in str(failed.value)
    assert failed.value.__cause__ is None
    assert current_publication(lake) is None


def test_publishers_take_turns(tmp_path: Path, company: Company, connections: Connections, operator: Operator) -> None:
    lakes = [Lake(tmp_path / f"lake-{number}") for number in range(4)]
    for lake, (day, segments) in zip(lakes, NIGHTS.items(), strict=True):
        write_night(lake, company, day, segments)
    with ThreadPoolExecutor(len(lakes)) as pool:
        done = [pool.submit(publish, company, lake, day, connections=connections) for lake, day in zip(lakes, NIGHTS, strict=True)]
    assert [publication.result().day for publication in done] == list(NIGHTS)
    assert dict(rows(operator, "customer_segments", "customer_id, segment")) == NIGHTS[THURSDAY]
    assert rows(operator, "publications", "max(day)") == [(THURSDAY,)]


class TestDroppedConnection:
    """The server ends the publisher's session; what it said is compared with what is there."""

    @pytest.fixture(autouse=True)
    def monday(self, company: Company, lake: Lake, connections: Connections) -> None:
        for day in (MONDAY, TUESDAY):
            write_night(lake, company, day, NIGHTS[day])
        publish(company, lake, MONDAY, connections=connections)

    @pytest.mark.parametrize("table", ["publications", "customer_segments", "segment_profiles"])
    def test_before_the_commit_nothing_has_changed(
        self, company: Company, lake: Lake, connections: Connections, operator: Operator, table: str
    ) -> None:
        before = everything(operator)
        with psycopg.connect(connections("warehouse")) as blocker:
            blocker.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(sql.Identifier("segments", table)))
            with pytest.raises(TransientError, match="Nothing was changed"), publisher_killed_while(operator, "Lock"):
                publish(company, lake, TUESDAY, connections=connections)
        assert everything(operator) == before
        assert published_segments(lake) == NIGHTS[MONDAY]
        self.the_same_call_then_succeeds(company, lake, connections, operator)

    def test_during_the_commit_the_outcome_is_said_to_be_unknown(
        self, company: Company, lake: Lake, connections: Connections, operator: Operator
    ) -> None:
        before = everything(operator)
        operator.execute("""
            CREATE FUNCTION segments.linger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN NULL; END';
            CREATE CONSTRAINT TRIGGER linger AFTER INSERT ON segments.publications
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION segments.linger()
        """)
        with pytest.raises(TransientError, match="unknown"), publisher_killed_while(operator, "Timeout"):
            publish(company, lake, TUESDAY, connections=connections)
        operator.execute("DROP FUNCTION segments.linger() CASCADE")
        assert everything(operator) == before
        assert published_segments(lake) == NIGHTS[MONDAY]
        self.the_same_call_then_succeeds(company, lake, connections, operator)

    def test_after_the_commit_the_outcome_is_said_to_be_unknown_too(
        self, company: Company, lake: Lake, connections: Connections, operator: Operator
    ) -> None:
        refused = pytest.raises(TransientError, match="unknown")
        with confirmed_by_nobody(operator), refused, publisher_killed_while(operator, "IPC"):
            publish(company, lake, TUESDAY, connections=connections)
        assert dict(rows(operator, "customer_segments", "customer_id, segment")) == NIGHTS[TUESDAY]
        assert published_segments(lake) == NIGHTS[MONDAY]
        self.the_same_call_then_succeeds(company, lake, connections, operator)

    def the_same_call_then_succeeds(self, company: Company, lake: Lake, connections: Connections, operator: Operator) -> None:
        publish(company, lake, TUESDAY, connections=connections)
        assert published_segments(lake) == NIGHTS[TUESDAY]
        assert dict(rows(operator, "customer_segments", "customer_id, segment")) == NIGHTS[TUESDAY]
        assert rows(operator, "customer_segment_history", "customer_id, segment, valid_from, valid_to") == sorted([
            ("ada", "loyal", MONDAY, None), ("bob", "new", MONDAY, TUESDAY), ("bob", "loyal", TUESDAY, None),
            ("cleo", "lost", MONDAY, None), ("dan", "new", TUESDAY, None),
        ], key=repr)  # fmt: skip


@contextmanager
def publisher_killed_while(operator: Operator, wait: str) -> Iterator[None]:
    """End the publisher's session once it waits for an event of type `wait`."""
    query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'customer-segments' AND wait_event_type = %s"

    def kill() -> None:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for (pid,) in operator.execute(query, [wait]).fetchall():
                operator.execute("SELECT pg_terminate_backend(%s)", [pid])
                return
            time.sleep(0.02)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield
    finally:
        killer.join()


@contextmanager
def confirmed_by_nobody(operator: Operator) -> Iterator[None]:
    """Make every commit wait for a standby that does not exist: done on disk, never confirmed."""
    operator.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    operator.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        operator.execute("ALTER SYSTEM RESET synchronous_standby_names")
        operator.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    ("part", "value", "kind", "words"),
    [
        ("path", "/nowhere", ConfigError, "the server has no such database"),
        ("user", "nobody_here", ConfigError, "the server has no such user"),
        ("host", "no-such-host.invalid", ConfigError, "there is no such host"),
        ("port", "1", TransientError, "nobody listens at that host and port"),
    ],
)
def test_a_target_that_cannot_be_used_is_found_before_the_night(
    postgres_uri: str, part: str, value: str, kind: type[Exception], words: str
) -> None:
    facts = conninfo_to_dict(postgres_uri)
    changed = {
        "path": {"dbname": value.strip("/")},
        "user": {"user": value},
        "host": {"host": value},
        "port": {"host": "127.0.0.1", "port": value},
    }[part]
    target = Target(kind="postgresql", connection="crm")
    require_reachable(postgres_uri, target)
    with pytest.raises(kind) as refused:
        require_reachable(make_conninfo("", **{**facts, **changed}), target)
    assert words in refused.value.what
    assert "connection `crm`" in refused.value.where
    assert refused.value.todo
