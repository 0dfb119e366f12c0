"""The users that the pages make: nights go through with their rights, stop without any one of them, and none of them may do more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from support.nights import NO_GATES, night_of, run_night

from pipeline.definitions.company import PROJECT_ROOT, load_company
from pipeline.errors import ConfigError
from pipeline.lake.lake import Lake
from pipeline.operations import steps
from pipeline.operations.check import check_company
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers
from pipeline.operations.readiness import require_ready
from pipeline.operations.rollback import roll_back
from pipeline.operations.withdrawal import withdraw
from pipeline.publication.current import current_publication
from pipeline.publication.database_target import publish_to_target

FROM_POSTGRESQL, DATABASE, CRM = (
    PROJECT_ROOT / "docs" / page for page in ("get-started/from-postgresql.md", "guides/database.md", "guides/crm.md")
)
READER, WRITER, CRM_USER, ADS = "segments_reader", "segments_writer", "crm", "ads"
MONDAY, TUESDAY = date(2024, 3, 4), date(2024, 3, 5)
SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.customers (id bigint PRIMARY KEY, joined_at timestamptz, email text);
CREATE TABLE shop.orders (order_no text PRIMARY KEY, customer_id bigint, placed_at timestamptz, card_number text);
CREATE TABLE shop.order_items (order_no text, position int, pieces numeric(18, 4), paid numeric(18, 4), category text, margin numeric);
CREATE TABLE shop.salaries (employee text, amount numeric);
INSERT INTO shop.customers SELECT n, '2024-01-01', 'secret' FROM generate_series(1, 12) AS n;
INSERT INTO shop.orders SELECT 'o' || n, n, '2024-03-04 10:00+01', '4000' FROM generate_series(1, 12) AS n;
INSERT INTO shop.orders VALUES ('p1', 1, '2024-03-05 10:00+01', '4000');
INSERT INTO shop.order_items SELECT order_no, 1, 1, 10, 'tea', 0.5 FROM shop.orders;
"""
COMPANY = """
name = "Shop"
time_zone = "Europe/Berlin"
currency = "EUR"
first_day = 2024-01-01
[source]
kind = "postgresql"
connection = "shop"
[publish]
kind = "postgresql"
connection = "crm"
[crm]
"""


def statements(page: Path, mark: str) -> list[str]:
    """Return the statements of the block of a page that begins with this remark."""
    [block] = re.findall(rf"```sql\n-- {mark}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    return [statement.strip() for statement in block.split(";") if statement.strip()]


def queries() -> dict[str, str]:
    """Return the queries of the page by the name of their file."""
    return dict(re.findall(r"```sql\n-- file: my_shop/(\S+)\n(.*?)```", FROM_POSTGRESQL.read_text("utf-8"), re.DOTALL))


WRITING = (
    "INSERT INTO shop.customers (id) VALUES (99)",
    "UPDATE shop.orders SET order_no = ''",
    "DELETE FROM shop.order_items",
    "TRUNCATE shop.orders",
    "CREATE TEMPORARY TABLE theirs (a int)",
    "BEGIN; LOCK shop.orders IN EXCLUSIVE MODE",
)
SOURCE = statements(FROM_POSTGRESQL, "in the shop's database")
TARGET = statements(DATABASE, "in the target's database, before the first night")
READERS = statements(DATABASE, "in the target's database, for each reader")
AUDIENCES = statements(CRM, r"in the target's database, once company.toml has a section \[crm\]")


@dataclass
class Databases:
    """One database that is source and target, in which everybody may do nothing that was not granted."""

    uri: str
    company: Path

    @property
    def name(self) -> str:
        return urlsplit(self.uri).path.strip("/")

    def execute(self, statement: str) -> None:
        """Run a statement of a page as the owner of the database."""
        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(re.sub(r'DATABASE ("?)(shop|crm)\1', f"DATABASE {self.name}", statement).encode())

    def execute_as(self, role: str, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.address(role), autocommit=True) as connection:
            found = connection.execute(statement.encode())
            return found.fetchall() if found.description else []

    def may(self, role: str, statement: str) -> bool:
        with psycopg.connect(self.address(role), autocommit=True) as connection:
            # By its rights alone: that it reads only is what it may turn off.
            connection.execute("SET default_transaction_read_only = off")
            try:
                connection.execute(statement.encode())
            except psycopg.errors.InsufficientPrivilege:
                return False
        return True

    def address(self, role: str) -> str:
        parts = urlsplit(self.uri)
        return urlunsplit(parts._replace(netloc=f"{role}@{parts.netloc.rpartition('@')[2]}"))

    def connection_uri(self, name: str) -> str:
        return self.address({"shop": READER, "crm": WRITER}[name])

    def deployment(self, lake: Lake) -> Deployment:
        return Deployment.of(self.company, lake.root, connections=self.connection_uri)


@pytest.fixture
def databases(postgres_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Databases]:
    company = tmp_path / "my_shop"
    for name, text in {"company.toml": COMPANY + NO_GATES, **queries()}.items():
        (company / name).parent.mkdir(parents=True, exist_ok=True)
        (company / name).write_text(text, "utf-8")
    databases = Databases(postgres_uri, company)
    databases.execute(SHOP)
    databases.execute("REVOKE ALL ON DATABASE shop FROM PUBLIC")
    databases.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    for statement in (*SOURCE, *TARGET, *READERS, *AUDIENCES):
        databases.execute(statement)
    for name in ("shop", "crm"):
        monkeypatch.setenv(f"SEGMENTS_CONNECTION_{name.upper()}", databases.connection_uri(name))
    yield databases
    for role in (READER, WRITER, CRM_USER, ADS):
        databases.execute(f"DROP OWNED BY {role} CASCADE")
        databases.execute(f"DROP ROLE {role}")


def follow(databases: Databases, error: ConfigError) -> list[str]:
    """Run the statements that an error advises; return them."""
    found = re.findall(r"(?:GRANT|CREATE|ALTER) [^;]+;", error.todo)
    assert found, error
    for statement in found:
        databases.execute(statement)
    return found


def test_nights_live_their_whole_life_with_the_users_of_the_pages(databases: Databases, lake: Lake) -> None:
    assert check_company(databases.company).problems == ()
    for night in (MONDAY, TUESDAY):
        run_night(databases.company, lake, night)
    members = "SELECT count(*) FROM segments.crm_members"
    deployment = databases.deployment(lake)
    assert databases.execute_as(CRM_USER, "SELECT count(DISTINCT customer_id) FROM segments.customer_segments") == [(12,)]
    assert databases.execute_as(CRM_USER, members) != [(0,)]
    erase_customers(deployment, ["7"])
    assert databases.execute_as(CRM_USER, "SELECT count(*) FROM segments.customer_segments WHERE customer_id = '7'") == [(0,)]
    roll_back(deployment, reason="tried")
    assert databases.execute_as(CRM_USER, "SELECT max(day) FROM segments.publications") == [(MONDAY,)]
    # A column that is gone is said, and the user that publishes can put it right.
    databases.execute_as(WRITER, "ALTER TABLE segments.segment_profiles DROP COLUMN spend_share CASCADE")
    with pytest.raises(ConfigError, match="the table segment_profiles of the database target has other columns than declared"):
        publish_live(databases, lake)
    databases.execute_as(WRITER, "DROP TABLE segments.segment_profiles")
    publish_live(databases, lake)
    assert databases.execute_as(CRM_USER, "SELECT count(*) > 0 FROM segments.segment_profiles") == [(True,)]
    withdraw(deployment, MONDAY, reason="tried")
    assert databases.execute_as(CRM_USER, members) == [(0,)]
    require_no_more_than_needed(databases)


def require_no_more_than_needed(databases: Databases) -> None:
    for role in (READER, WRITER, CRM_USER, ADS):
        assert not databases.may(role, "SELECT * FROM shop.salaries")
        assert not databases.may(role, "CREATE SCHEMA theirs")
        assert not databases.may(role, "CREATE TABLE shop.theirs (a int)")
        assert not databases.may(role, "CREATE TABLE public.theirs (a int)")
    for statement in ("SELECT email FROM shop.customers", "SELECT * FROM shop.orders", "SELECT 1 FROM segments.customer_segments"):
        assert not databases.may(READER, statement)
    assert not any(databases.may(READER, statement) for statement in WRITING)
    for table in ("customers", "orders", "order_items"):
        assert not databases.may(WRITER, f"SELECT 1 FROM shop.{table}")
    for role in (CRM_USER, ADS):
        assert not databases.may(role, "DELETE FROM segments.customer_segments")
        assert not databases.may(role, "CREATE TABLE segments.theirs (a int)")
        assert not databases.may(role, "CREATE TEMPORARY TABLE theirs (a int)")
    assert not databases.may(CRM_USER, "SELECT 1 FROM segments_audiences.crm_audiences")
    assert not databases.may(ADS, "SELECT 1 FROM segments.crm_profiles")
    assert databases.may(ADS, "SELECT 1 FROM segments_audiences.crm_audiences")


def test_without_any_one_right_the_source_is_not_read_and_the_message_grants_it(databases: Databases, lake: Lake) -> None:
    rights = [statement for statement in SOURCE if statement.startswith("GRANT")]
    assert len(rights) == 5
    for place, right in enumerate(rights):
        databases.execute(right.replace("GRANT", "REVOKE", 1).replace(f"TO {READER}", f"FROM {READER}"))
        with pytest.raises(ConfigError) as refused:
            steps.extract(night_of(databases.company, lake, MONDAY), reread=bool(place))
        [advised] = follow(databases, refused.value)
        assert plain(advised) == plain(right)
        steps.extract(night_of(databases.company, lake, MONDAY), reread=True)
    # Of two that are lacking both are named, and a column more is a column more.
    databases.execute("REVOKE USAGE ON SCHEMA shop FROM segments_reader")
    databases.execute("REVOKE SELECT (paid, pieces) ON shop.order_items FROM segments_reader")
    [problem, *_] = [each for each in check_company(databases.company).problems if "order_lines" in each.what]
    assert 'GRANT USAGE ON SCHEMA "shop" TO "segments_reader"; GRANT SELECT ("pieces", "paid") ON "shop"."order_items"' in problem.remedy


def plain(statement: str) -> str:
    """Return a statement in one form: names without quotes, the database as on the page, columns by name."""
    words = re.sub(r"DATABASE \w+", "DATABASE ours", statement.replace('"', "").rstrip(";"))
    return re.sub(r"\(([^)]*)\)", lambda found: f"({', '.join(sorted(found[1].split(', ')))})", words)


def test_without_any_one_right_nothing_is_published_and_the_message_grants_it(databases: Databases, lake: Lake) -> None:
    run_night(databases.company, lake, MONDAY)
    lacking = {
        "REVOKE CONNECT ON DATABASE crm FROM segments_writer": "GRANT CONNECT ON DATABASE",
        "REVOKE TEMPORARY ON DATABASE crm FROM segments_writer": "GRANT TEMPORARY ON DATABASE",
        "DROP SCHEMA segments CASCADE": "CREATE SCHEMA segments AUTHORIZATION segments_writer",
        "DROP SCHEMA segments_audiences CASCADE": "CREATE SCHEMA segments_audiences AUTHORIZATION segments_writer",
        "REVOKE USAGE ON SCHEMA segments FROM segments_writer": "GRANT USAGE, CREATE ON SCHEMA segments",
        "REVOKE CREATE ON SCHEMA segments FROM segments_writer; DROP TABLE segments.segment_profiles": "GRANT USAGE, CREATE ON SCHEMA",
    }
    for statement, advice in lacking.items():
        databases.execute(statement)
        with pytest.raises(ConfigError) as refused:
            publish_when_ready(databases, lake)
        [advised] = follow(databases, refused.value)
        assert advice in advised.replace('"', "")
        publish_live(databases, lake)
    # A user that owns nothing may fill tables that are there; those that it may not are named.
    for table in ("customer_segments", "publication_state"):
        databases.execute(f"ALTER TABLE segments.{table} OWNER TO CURRENT_USER; REVOKE ALL ON segments.{table} FROM segments_writer")
    with pytest.raises(ConfigError) as refused:
        publish_live(databases, lake)
    assert len(follow(databases, refused.value)) == 2
    publish_live(databases, lake)


def publish_when_ready(databases: Databases, lake: Lake) -> None:
    require_ready(databases.deployment(lake), load_company(databases.company), MONDAY)
    publish_live(databases, lake)


def publish_live(databases: Databases, lake: Lake) -> None:
    """Bring the target to what is live, as the night does that publishes it."""
    live = current_publication(lake)
    assert live is not None
    publish_to_target(load_company(databases.company), lake, live, databases.connection_uri)
